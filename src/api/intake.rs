//! Taking events and operation results over HTTP.
//!
//! The body of every answer lists the items, also when the request failed as a whole, so that a
//! sender has one form to read.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;

use super::{State, guard, problem};
use crate::clock;
use crate::in_force::Source;
use crate::intake::Framing;
use crate::pipeline::{Answer, Bringing};

/// Name of the source that `/v1/events` stands for.
const API_SOURCE: &str = "api";

/// Bytes of an oversized body that are read and thrown away before the refusal: many clients only
/// look for an answer once they have sent everything. Chosen.
const THROWN_AWAY_MAX: u64 = 64 << 20;

#[derive(Debug, Serialize)]
struct Results {
    results: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    index: usize,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /v1/events`
pub(super) async fn events(Extract(state): Extract<State>, request: Request) -> Response {
    let source = anonymous(API_SOURCE);
    take(&state, &source, Bringing::Events, request).await
}

/// `POST /v1/operations`
pub(super) async fn operations(Extract(state): Extract<State>, request: Request) -> Response {
    let source = anonymous(API_SOURCE);
    take(&state, &source, Bringing::Operations, request).await
}

/// `POST /v1/sources/{name}/events`
pub(super) async fn source_events(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let Some(source) = state.current.load().sources.get(&name).cloned() else {
        return failed(
            StatusCode::NOT_FOUND,
            "there is no such source in the configuration",
        );
    };
    if let Err((status, why)) = guard::may_speak_for(&state.access.load(), &name, &request) {
        return failed(status, why);
    }
    take(&state, &source, Bringing::Events, request).await
}

/// Whether a request brings something, so that its answer lists items.
pub(super) fn is_intake(method: &Method, path: &str) -> bool {
    method == Method::POST
        && (matches!(path, "/v1/events" | "/v1/operations") || path.starts_with("/v1/sources/"))
}

fn anonymous(name: &str) -> Arc<Source> {
    Arc::new(Source {
        name: name.into(),
        accounts: None,
        products: None,
    })
}

async fn take(state: &State, source: &Source, bringing: Bringing, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let framing = match framing(&parts.headers) {
        Ok(framing) => framing,
        Err(why) => return failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, why),
    };
    let (body_max, patience) = {
        let access = state.access.load();
        (access.body_max, access.body_timeout)
    };
    let body = match tokio::time::timeout(patience, read(body, &parts.headers, body_max)).await {
        Ok(Ok(body)) => body,
        Ok(Err(response)) => return response,
        Err(_) => {
            let why = "the body did not arrive within `server.body_timeout`";
            return failed(StatusCode::REQUEST_TIMEOUT, why);
        }
    };
    match state
        .pipeline
        .take(source, bringing, &body, framing, clock::now())
        .await
    {
        Ok(answers) => {
            state.metrics.taken(&source.name, &answers);
            answered(&answers)
        }
        Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// `200` when nothing was refused, `400` when everything was, `207` in between.
fn answered(answers: &[Answer]) -> Response {
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Answer::Refused(_)))
        .count();
    let status = match refused {
        0 => StatusCode::OK,
        all if all == answers.len() => StatusCode::BAD_REQUEST,
        _ => StatusCode::MULTI_STATUS,
    };
    let results = answers
        .iter()
        .enumerate()
        .map(|(index, answer)| line(index, answer))
        .collect();
    (status, Json(Results { results })).into_response()
}

fn line(index: usize, answer: &Answer) -> Line {
    let line = |status, id, reason| Line {
        index,
        status,
        id,
        reason,
    };
    match answer {
        Answer::Accepted(id) => line("accepted", Some(id.to_string()), None),
        Answer::Duplicate(id) => line("duplicate", Some(id.to_string()), None),
        Answer::NotTriggered(reason) => line("not-triggered", None, Some((*reason).to_owned())),
        Answer::Refused(reason) => line("refused", None, Some(reason.clone())),
    }
}

/// A request that failed as a whole: one refused item.
pub(super) fn failed(status: StatusCode, reason: impl Into<String>) -> Response {
    let line = Line {
        index: 0,
        status: "refused",
        id: None,
        reason: Some(reason.into()),
    };
    let mut response = (
        status,
        Json(Results {
            results: vec![line],
        }),
    )
        .into_response();
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        let wait = HeaderValue::from(problem::RETRY_AFTER_SECONDS);
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

fn framing(headers: &HeaderMap) -> Result<Framing, String> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err("`Content-Encoding` is not in this build; send the body as it is".to_owned());
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Framing::Document);
    };
    let text = value.to_str().unwrap_or_default();
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/json" => Ok(Framing::Document),
        "application/x-ndjson" => Ok(Framing::Lines),
        other if other.starts_with("application/") && other.ends_with("+json") => {
            Ok(Framing::Document)
        }
        "application/x-www-form-urlencoded" => {
            Err("the webhook's FORM is not in this build; choose the JSON format".to_owned())
        }
        _ => Err(
            "`Content-Type` must be application/json (or another …+json) or application/x-ndjson"
                .to_owned(),
        ),
    }
}

async fn read(body: Body, headers: &HeaderMap, max: u64) -> Result<Bytes, Response> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    let mut kept = Vec::with_capacity(declared.unwrap_or(0).min(max) as usize);
    let mut seen = 0_u64;
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            failed(
                StatusCode::BAD_REQUEST,
                "the body ended before its announced length",
            )
        })?;
        seen += chunk.len() as u64;
        if seen <= max {
            kept.extend_from_slice(&chunk);
        } else if seen > THROWN_AWAY_MAX {
            break;
        }
    }
    if seen > max {
        let why =
            format!("the body is longer than `server.body_max`, {max} bytes; send less at once");
        return Err(failed(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    Ok(Bytes::from(kept))
}
