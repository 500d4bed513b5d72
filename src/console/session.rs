//! Signing in to the console with a token, and out of it.

use askama::Template;
use axum::extract::State as Extract;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Form};
use herald_model::Secret;
use serde::Deserialize;
use tracing::{info, warn};

use super::{Shown, show};
use crate::api::{Peer, State, session, sign_in, signed_in};

/// The page that asks for a token, or says who has shown one.
#[derive(Template, Default)]
#[template(path = "session.html")]
struct SessionPage<'a> {
    /// The token's name, where one was shown.
    name: Option<&'a str>,
    /// Whether anybody needs a token here.
    is_open: bool,
    /// Where to go once one is signed in.
    next: &'a str,
    /// What was wrong with what came before.
    said: &'a str,
}

/// A page that asks for itself once more.
#[derive(Template)]
#[template(path = "again.html")]
struct AgainPage<'a> {
    next: &'a str,
}

/// `GET /session`
pub(super) async fn look(Extract(state): Extract<State>, headers: HeaderMap) -> Shown {
    let name = signed_in(&state, &headers);
    show(&SessionPage {
        name: name.as_deref(),
        is_open: state.access.load().tokens.is_empty(),
        next: "/",
        ..SessionPage::default()
    })
}

/// What the form holds.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    token: String,
    next: String,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            token: String::new(),
            next: "/".to_owned(),
        }
    }
}

/// `POST /session`
pub(super) async fn begin(
    Extract(state): Extract<State>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    asked: Result<Form<Asked>, FormRejection>,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer.0);
    // What is no form holds no token.
    let asked = asked.map_or_else(|_| Asked::default(), |Form(asked)| asked);
    let next = own_path(&asked.next);
    match sign_in(&state, Secret::new(asked.token.trim())) {
        Ok((name, word)) => {
            info!(token = name, from = ?peer, "signed in to the console");
            let mut response = seen_at(next);
            if let Some(cookie) = session::cookie(&word, is_secure(&state, &headers)) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) => {
            warn!(from = ?peer, "nobody was signed in to the console: {}", problem.detail());
            let page = page(problem.status(), next, problem.detail());
            problem.noted(page)
        }
    }
}

/// `POST /session/end`
pub(super) async fn end(Extract(state): Extract<State>, headers: HeaderMap) -> Response {
    state.sessions.end(&headers);
    let mut response = seen_at("/session");
    let cookie = session::cookie("", is_secure(&state, &headers));
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// In place of a page that wants a token: the page that asks for one.
pub(crate) fn asks(headers: &HeaderMap, wanted: &Uri, status: StatusCode, why: &str) -> Response {
    let wanted = wanted.path_and_query().map_or("/", |path| path.as_str());
    let has_cookie = session::has_one(headers);
    // A link on another site, as in a mail that is read in the browser, comes without the cookie. Asked
    // for from here, the page comes with it.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !has_cookie && site.is_some_and(|site| matches!(site, b"cross-site" | b"same-site")) {
        return shown(StatusCode::OK, &AgainPage { next: wanted });
    }
    let said = match status {
        StatusCode::UNAUTHORIZED if has_cookie => "The session is over; sign in again.",
        StatusCode::UNAUTHORIZED => "",
        _ => why,
    };
    page(status, wanted, said)
}

fn page(status: StatusCode, next: &str, said: &str) -> Response {
    let page = SessionPage {
        next,
        said,
        ..SessionPage::default()
    };
    shown(status, &page)
}

fn shown(status: StatusCode, page: &impl Template) -> Response {
    match show(page) {
        Ok(page) => (status, page).into_response(),
        Err(failed) => failed.into_response(),
    }
}

/// The path to go to, if it is one of this site: `//host` and `/\host` are others'.
fn own_path(next: &str) -> &str {
    let mut bytes = next.bytes();
    let is_own = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_own && is_plain { next } else { "/" }
}

/// Sends the browser on, so that going back asks for nothing twice.
fn seen_at(path: &str) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    let headers = [
        (header::LOCATION, place),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// Whether the browser speaks `https://`: it says so itself in `Origin`, which knows of a proxy.
fn is_secure(state: &State, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN);
    match origin.and_then(|origin| origin.to_str().ok()) {
        Some(origin) => origin.starts_with("https://"),
        None => state.certificate.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in ["/", "/events/evt_1", "/deliveries?state=dead&sink=a%20b"] {
            assert_eq!(own_path(path), path);
        }
        for path in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/\t/evil.example",
            "/a\r\nb",
        ] {
            assert_eq!(own_path(path), "/", "{path:?}");
        }
    }
}
