//! Health, metrics, and hands on the running router.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::State;
use super::look::{SinkView, sink_views};
use super::problem::Problem;
use crate::clock;
use crate::journal::{Fill, Limit};
use crate::telemetry::{DoorFact, Facts, SinkFact};

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether the new configuration is in force; otherwise the old one is.
    pub taken: bool,
    /// Warnings, or, when it was refused, every mistake as `file:line:col: …`.
    pub notes: Vec<String>,
}

/// Asks the running process for a reload.
pub type Reload = mpsc::Sender<oneshot::Sender<Report>>;

/// `POST /v1/reload`
pub(super) async fn reload(Extract(state): Extract<State>) -> Result<Json<Report>, Problem> {
    let stopping = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the router is stopping; nothing was reloaded",
        )
    };
    let (answer, report) = oneshot::channel();
    state.reload.send(answer).await.map_err(|_| stopping())?;
    let report = report.await.map_err(|_| stopping())?;
    if report.taken {
        return Ok(Json(report));
    }
    let what = "the configuration has mistakes; the old one stays in force";
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, what).with_errors(report.notes))
}

/// `GET /healthz`: the process runs.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the journal takes events. Says when it is about to take no more, and when the
/// certificate is about to expire.
pub(super) async fn readyz(Extract(state): Extract<State>) -> Result<String, Problem> {
    // A group without entries still asks the writer, which refuses once a write has failed, and
    // while there is no room.
    state.journal.record(Vec::new()).await?;
    let size = state.journal.size();
    let mut said = "ready".to_owned();
    if size.fill() >= Fill::Near {
        said += &format!(
            "; the journal holds {} of the {} bytes of `journal.max_size`, and intake is refused \
             from {} on",
            size.used,
            size.max,
            size.refuse_at(),
        );
    }
    let certificate = state.certificate.as_ref().map(|shown| shown.load());
    if let Some(notice) = certificate.and_then(|shown| shown.notice(clock::now())) {
        said += "; ";
        said += &notice;
    }
    said.push('\n');
    Ok(said)
}

/// `GET /metrics`
pub(super) async fn metrics(Extract(state): Extract<State>) -> Result<Response, Problem> {
    let facts = facts(&state).await?;
    let text = state.metrics.write(&facts).map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot write the metrics: {error}"),
        )
    })?;
    let content_type =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// How everything stands at the moment.
async fn facts(state: &State) -> Result<Facts, Problem> {
    let sink = |view: SinkView| SinkFact {
        name: view.name,
        state: view.state,
        pending: view.pending,
        oldest: view.oldest,
    };
    let sinks = sink_views(state).await?.into_iter().map(sink).collect();
    let in_force = state.current.load();
    let limit = |endpoint: &str| {
        let policies = in_force.sinks.values().map(|way_out| &way_out.policy);
        let its = policies.filter(|policy| {
            let mut names = policy.endpoints.iter();
            names.any(|name| name.as_str() == endpoint)
        });
        // Sinks that share it may limit it differently; the tighter one is met first.
        let messages = |limit: &Option<Limit>| limit.map_or(u32::MAX, |limit| limit.messages);
        its.map(|policy| policy.limit).min_by_key(messages)
    };
    // One that no sink names any more has nothing to tell.
    let endpoints = state.journal.endpoints().await?.into_iter();
    let endpoints = endpoints
        .filter_map(|row| limit(&row.name).map(|limit| (row, limit)))
        .collect();
    Ok(Facts {
        now: clock::now(),
        totals: state.journal.totals().await?,
        size: state.journal.size(),
        sinks,
        endpoints,
        attempts: state.attempts.counts(),
        refused: state.pipeline.refused(),
        door: DoorFact {
            connections: state.places.open(),
            connections_max: state.places.max(),
            bodies: state.room.taken(),
            bodies_max: state.room.max(),
            certificate_ends: state
                .certificate
                .as_ref()
                .and_then(|shown| shown.load().ends),
        },
    })
}

/// `GET /openapi.json`: the description of these routes, which `tests/openapi.rs` compares with
/// them.
pub(super) async fn openapi() -> impl IntoResponse {
    let json = HeaderValue::from_static("application/json");
    let description = include_str!("../../docs/openapi.json");
    ([(header::CONTENT_TYPE, json)], description)
}
