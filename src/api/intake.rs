//! Taking events and operation results over HTTP.
//!
//! The body of every answer lists the items, also when the request failed as a whole, so that a
//! sender has one form to read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::Instant;

use super::body::{self, Bounds};
use super::guard::Caller;
use super::problem::noted;
use super::{State, content, guard, problem};
use crate::clock;
use crate::in_force::Source;
use crate::intake::{Class, Framing};
use crate::pipeline::{Answer, Bringing};
use crate::sources::{Doubt, Proof};
use crate::telemetry::TurnedAway;

/// Name of the source that `/v1/events` stands for.
const API_SOURCE: &str = "api";

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
    take(&state, &source, Bringing::Events, None, request).await
}

/// `POST /v1/operations`
pub(super) async fn operations(Extract(state): Extract<State>, request: Request) -> Response {
    let source = anonymous(API_SOURCE);
    take(&state, &source, Bringing::Operations, None, request).await
}

/// `POST` and `GET /v1/sources/{name}/events`
pub(super) async fn source_events(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let Some(source) = state.current.load().sources.get(&name).cloned() else {
        let why = "there is no such source in the configuration";
        return noted(failed(StatusCode::NOT_FOUND, why), TurnedAway::NoSource);
    };
    let access = state.access.load_full();
    if let Err((reason, Doubt { status, why })) = guard::may_speak_for(&access, &name, &request) {
        return noted(failed(status, why), reason);
    }
    let proof = access
        .sources
        .get(&name)
        .and_then(|entry| entry.proof.as_ref());
    match (request.method() == Method::POST, proof) {
        (true, proof) => take(&state, &source, Bringing::Events, proof, request).await,
        (false, None) => take_query(&state, &source, request).await,
        (false, Some(_)) => failed(
            StatusCode::METHOD_NOT_ALLOWED,
            "what is signed is a body; use POST",
        ),
    }
}

/// `OPTIONS /v1/sources/{name}/events`: a sender asks, before its first event, whether it may send.
pub(super) async fn consent(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let access = state.access.load_full();
    let agreed = guard::may_speak_for(&access, &name, &request);
    let agreed = agreed.map_err(|(_, doubt)| doubt).and_then(|()| {
        let entry = access.sources.get(&name);
        match entry.and_then(|entry| entry.proof.as_ref()) {
            Some(proof) => proof.consent(request.headers()),
            None => Err(Doubt {
                status: StatusCode::METHOD_NOT_ALLOWED,
                why: "this source asks for no handshake".to_owned(),
            }),
        }
    });
    match agreed {
        Ok(headers) => (StatusCode::OK, headers).into_response(),
        Err(Doubt { status, why }) => problem::Problem::new(status, &why).into_response(),
    }
}

/// The webhook's GET: the event is the query.
async fn take_query(state: &State, source: &Source, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if request.method != Method::GET {
        let why = "HEAD changes nothing, so it brings nothing; use POST or GET";
        return failed(StatusCode::METHOD_NOT_ALLOWED, why);
    }
    if is_from_a_page(&request.headers) {
        let why = "this request comes from a page in a browser";
        return noted(failed(StatusCode::FORBIDDEN, why), TurnedAway::Origin);
    }
    let query = request.uri.query().unwrap_or_default();
    let bringing = Bringing::Events;
    recorded(state, source, bringing, query.as_bytes(), Framing::Form).await
}

/// A page can make a browser send a GET anywhere without asking, and does not always name itself in
/// `Origin`; browsers say so in `Sec-Fetch-Site` (W3C, Fetch Metadata Request Headers).
fn is_from_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != b"none")
}

/// Whether a request brings something, so that its answer lists items.
pub(super) fn is_intake(method: &Method, path: &str) -> bool {
    let of_source = path.starts_with("/v1/sources/");
    match *method {
        Method::POST => of_source || matches!(path, "/v1/events" | "/v1/operations"),
        Method::GET => of_source,
        _ => false,
    }
}

/// The source of this name: one of the configuration, or what stands for `/v1/events`.
pub(super) fn source_named(state: &State, name: &str) -> Option<Arc<Source>> {
    let configured = state.current.load().sources.get(name).cloned();
    configured.or_else(|| (name == API_SOURCE).then(|| anonymous(API_SOURCE)))
}

fn anonymous(name: &str) -> Arc<Source> {
    Arc::new(Source {
        name: name.into(),
        accounts: None,
        products: None,
    })
}

async fn take(
    state: &State,
    source: &Source,
    bringing: Bringing,
    proof: Option<&Arc<dyn Proof>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let coding = match content::coding(&parts.headers) {
        Ok(coding) => coding,
        Err(why) => {
            unread(state, source, bringing, Class::Unreadable, &why).await;
            let mut response = failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
            // RFC 9110, section 12.5.3: it says which codings would have been taken.
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(header::ACCEPT_ENCODING, gzip);
            return noted(response, TurnedAway::MediaType);
        }
    };
    let framing = match content::framing(&parts.headers) {
        Ok(framing) => framing,
        Err(why) => {
            unread(state, source, bringing, Class::Unreadable, &why).await;
            let response = failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
            return noted(response, TurnedAway::MediaType);
        }
    };
    let bounds = Bounds::of(&state.access.load());
    let share = state.room.share(sender(source, &parts), bounds.max);
    match body::read(body, &parts.headers, coding, bounds, share).await {
        Ok(body) => {
            if let Some(proof) = proof {
                let verified = proof.verify(&parts.headers, &body.bytes, clock::now());
                if let Err(Doubt { status, why }) = verified.await {
                    return noted(failed(status, why), TurnedAway::Signature);
                }
            }
            recorded(state, source, bringing, &body.bytes, framing).await
        }
        Err(not_taken) => {
            if let Some(why) = not_taken.is_too_long() {
                unread(state, source, bringing, Class::Limit, why).await;
            }
            not_taken.into_results()
        }
    }
}

/// Whose bodies share their room: a source's, or, where any token may bring them, a token's.
fn sender<'a>(source: &'a Source, parts: &'a Parts) -> &'a Arc<str> {
    let caller = parts.extensions.get::<Caller>();
    let of_token = caller.filter(|_| &*source.name == API_SOURCE);
    of_token.map_or(&source.name, Caller::shared_name)
}

/// Notes that a body was refused before it was read: nothing of it is kept but that.
async fn unread(state: &State, source: &Source, bringing: Bringing, class: Class, why: &str) {
    let (name, now) = (&source.name, clock::now());
    state
        .pipeline
        .note_refused(name, bringing, class, why, now)
        .await;
}

async fn recorded(
    state: &State,
    source: &Source,
    bringing: Bringing,
    body: &[u8],
    framing: Framing,
) -> Response {
    let began = Instant::now();
    let taken = state
        .pipeline
        .take(source, bringing, body, framing, clock::now());
    let taken = taken.await;
    state.metrics.recorded(began.elapsed());
    match taken {
        Ok(answers) => {
            state.metrics.taken(&source.name, &answers);
            answered(&answers)
        }
        Err(error) => {
            let response = failed(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
            noted(response, TurnedAway::Journal)
        }
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
    if problem::is_passing(status) {
        let wait = HeaderValue::from(problem::RETRY_AFTER_SECONDS);
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    problem::challenge(&mut response);
    response
}
