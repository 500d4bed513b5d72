//! Health, metrics, and hands on the running router.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::State;
use super::problem::Problem;
use crate::journal::Fill;

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

/// `GET /readyz`: the journal takes events. Says when it is about to take no more.
pub(super) async fn readyz(Extract(state): Extract<State>) -> Result<String, Problem> {
    // A group without entries still asks the writer, which refuses once a write has failed, and
    // while there is no room.
    state.journal.record(Vec::new()).await?;
    let size = state.journal.size();
    if size.fill() < Fill::Near {
        return Ok("ready\n".to_owned());
    }
    Ok(format!(
        "ready; the journal holds {} of the {} bytes of `journal.max_size`, and intake is refused from {} on\n",
        size.used,
        size.max,
        size.refuse_at(),
    ))
}

/// `GET /metrics`
pub(super) async fn metrics(Extract(state): Extract<State>) -> Result<Response, Problem> {
    let totals = state.journal.totals().await?;
    let text = state.metrics.write(&totals).map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot write the metrics: {error}"),
        )
    })?;
    let content_type =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// A route of the contract whose machinery is not there.
pub(super) async fn not_built(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        format!("`{}` is not in this build", uri.path()),
    )
}
