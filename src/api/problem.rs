//! Errors outside the intake: RFC 9457 problem documents.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::journal;
use crate::telemetry::TurnedAway;

/// Seconds a caller should wait after a 429 or 503. Chosen: shorter than a sender's patience, longer than
/// a hiccup.
pub(super) const RETRY_AFTER_SECONDS: u32 = 5;

/// A problem document (RFC 9457, section 3.1).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    status: u16,
    detail: String,
    /// Every mistake, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
    /// For the metrics, where the request was turned away.
    #[serde(skip)]
    reason: Option<TurnedAway>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            reason: None,
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Says, for the metrics, why the request was turned away.
    pub(super) fn because(mut self, reason: TurnedAway) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Whether another token would have passed.
    pub(super) fn is_about_the_token(&self) -> bool {
        matches!(self.reason, Some(TurnedAway::Token | TurnedAway::Role))
    }

    /// Another answer for the same reason.
    pub(crate) fn noted(&self, response: Response) -> Response {
        match self.reason {
            Some(reason) => noted(response, reason),
            None => response,
        }
    }

    pub(super) fn with_errors(mut self, errors: Vec<String>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    pub(super) fn bad_request(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }
}

impl From<journal::Error> for Problem {
    fn from(error: journal::Error) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        problem.because(TurnedAway::Journal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if is_passing(status) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        challenge(&mut response);
        self.noted(response)
    }
}

/// Marks an answer that turns a request away; `guard` counts it.
pub(super) fn noted(mut response: Response, reason: TurnedAway) -> Response {
    response.extensions_mut().insert(reason);
    response
}

/// Whether the same request may be taken a little later.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    )
}

/// Says how to sign in, which every 401 owes (RFC 9110, section 15.5.2).
pub(super) fn challenge(response: &mut Response) {
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer realm=\"herald\"");
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, bearer);
    }
}

pub(super) async fn no_route(uri: Uri) -> Problem {
    // A path may carry a token, so only its first segments are repeated.
    let known: String = uri.path().chars().take(40).collect();
    let known = if known.starts_with("/v1/sources/") {
        "/v1/sources/…".to_owned()
    } else {
        known
    };
    Problem::not_found(format!(
        "there is no `{known}`; the routes are listed in the README"
    ))
}

pub(super) async fn no_method(method: Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("this route does not take {method}"),
    )
}
