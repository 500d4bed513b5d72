//! Who may ask for what.
//!
//! A request from a browser is refused by `Host` and `Origin` whether or not tokens are set:
//! loopback is no protection from a page that the browser shows. Then the token decides the roles;
//! without configured tokens (loopback only, the configuration sees to that) the caller has all.
//! `speaker` says who may speak for a source.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use herald_model::Secret;
use ipnet::IpNet;
use subtle::ConstantTimeEq;

use super::body::{self, Bounds};
use super::content::Coding;
use super::problem::Problem;
use super::{State, credential};
use crate::clock;
use crate::config::{Role, Token};
use crate::console;
use crate::journal::{Hand, HandVerb};
use crate::telemetry::TurnedAway;

mod speaker;

pub(super) use speaker::may_speak_for;
pub use speaker::{Peer, SourceAccess};

/// The rules of access in force.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Names by which callers may address this server, without port, lower-cased.
    pub hosts: Vec<String>,
    /// Tokens; none gives every caller every role.
    pub tokens: Vec<Token>,
    /// Who may speak for which source, by its name.
    pub sources: HashMap<String, SourceAccess>,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Longest body in bytes.
    pub body_max: u64,
    /// Longest time for a body to arrive.
    pub body_timeout: std::time::Duration,
}

/// Who asks, for the journal: the name of the token.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<str>);

impl Caller {
    /// Where no token is asked for, which only loopback allows.
    fn nobody() -> Self {
        Self(Arc::from("loopback"))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// The same, to be kept.
    pub(super) const fn shared_name(&self) -> &Arc<str> {
        &self.0
    }

    /// What is written down about a deed done now.
    pub(super) fn hand(&self, verb: HandVerb, what: String, why: Option<String>) -> Hand {
        Hand {
            at: clock::now(),
            who: Arc::clone(&self.0),
            verb,
            what,
            why,
        }
    }
}

/// Lets a request through, with its [`Caller`] and, but for intake, its whole body.
///
/// # Errors
/// The answer that says why not.
pub(super) async fn admit(state: &State, mut request: Request) -> Result<Request, Response> {
    let access = state.access.load();
    let (method, path) = (request.method().clone(), request.uri().path());
    let is_intake = super::intake::is_intake(&method, path);
    let is_reading = method == Method::GET || method == Method::HEAD;
    let is_page = is_reading && console::is_page(path);
    let mut shown = credential::shown(&request);
    if shown.is_none() && is_page {
        shown = state.sessions.token(request.headers(), clock::now());
    }
    let checked = check(&access, &method, path, request.headers(), shown.as_ref());
    let caller = match checked {
        Ok(caller) => caller,
        Err(problem) if is_page && problem.is_about_the_token() => {
            let (status, why) = (problem.status(), problem.detail());
            let page = console::asks(request.headers(), request.uri(), status, why);
            return Err(problem.noted(page));
        }
        Err(problem) if is_intake => {
            let response = super::intake::failed(problem.status(), problem.detail());
            return Err(problem.noted(response));
        }
        Err(problem) => return Err(problem.into_response()),
    };
    let bounds = Bounds::of(&access);
    drop(access);
    // Intake reads its bodies itself, since they may be packed.
    if !is_intake && !is_reading {
        let (parts, body) = request.into_parts();
        let share = state.room.share(caller.shared_name(), bounds.max);
        let read = body::read(body, &parts.headers, Coding::Plain, bounds, share).await;
        let read = read.map_err(IntoResponse::into_response)?;
        request = Request::from_parts(parts, read.bytes.into());
    }
    request.extensions_mut().insert(caller);
    Ok(request)
}

fn check(
    access: &Access,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    shown: Option<&Secret>,
) -> Result<Caller, Problem> {
    let forbidden = |reason, what: &str| {
        let problem = Problem::new(StatusCode::FORBIDDEN, what);
        Err(problem.because(reason))
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    if hosts.next().is_some() {
        // RFC 9112, section 3.2: a proxy before Herald may have looked at the other one.
        let problem = Problem::bad_request("this request has two `Host` fields");
        return Err(problem.because(TurnedAway::Host));
    }
    if !access.hosts.iter().any(|known| {
        known.eq_ignore_ascii_case(host_name(host)) || known.eq_ignore_ascii_case(host)
    }) {
        return forbidden(
            TurnedAway::Host,
            "the `Host` of this request is not in `server.hosts`",
        );
    }
    if method != Method::GET
        && method != Method::HEAD
        && let Some(origin) = headers.get(header::ORIGIN)
    {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority == host);
        if !own {
            return forbidden(
                TurnedAway::Origin,
                "the `Origin` of this request is another site",
            );
        }
    }
    let Some(role) = role_of(access, method, path) else {
        return Ok(Caller::nobody());
    };
    if access.tokens.is_empty() {
        return Ok(Caller::nobody());
    }
    let Some(sent) = shown else {
        let problem = Problem::new(
            StatusCode::UNAUTHORIZED,
            "this route wants `Authorization: Bearer …` with a token of `[[server.token]]`",
        );
        return Err(problem.because(TurnedAway::Token));
    };
    caller(access, role, sent)
}

/// Who shows this token, if it has the role.
fn caller(access: &Access, role: Role, sent: &Secret) -> Result<Caller, Problem> {
    // Every token is compared, so that the time says nothing about which one was near.
    let known = access.tokens.iter().fold(None, |found, token| {
        if same(&token.token, sent) {
            Some(token)
        } else {
            found
        }
    });
    match known {
        None => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "this token is not known");
            Err(problem.because(TurnedAway::Token))
        }
        Some(token) if token.may(role) => Ok(Caller(token.name.as_str().into())),
        Some(_) => {
            let what = format!("this token does not have the role `{}`", word(role));
            Err(Problem::new(StatusCode::FORBIDDEN, what).because(TurnedAway::Role))
        }
    }
}

/// Begins a session of the console: the token's name, and the word for the cookie.
///
/// # Errors
/// The token is not known, or must not read.
pub(crate) fn sign_in(state: &State, token: Secret) -> Result<(String, String), Problem> {
    let caller = caller(&state.access.load(), Role::Read, &token)?;
    let word = state.sessions.begin(token, clock::now());
    Ok((caller.name().to_owned(), word))
}

/// The name of the token with which a browser is signed in.
pub(crate) fn signed_in(state: &State, headers: &HeaderMap) -> Option<String> {
    let token = state.sessions.token(headers, clock::now())?;
    let caller = caller(&state.access.load(), Role::Read, &token).ok()?;
    Some(caller.name().to_owned())
}

fn word(role: Role) -> &'static str {
    Role::ALL
        .iter()
        .find(|(_, known)| *known == role)
        .map_or("", |(word, _)| word)
}

/// The role that a route asks for; `None` for health, for signing in to the console and its style, and
/// for a source with tokens of its own.
fn role_of(access: &Access, method: &Method, path: &str) -> Option<Role> {
    if let Some(source) = path.strip_prefix("/v1/sources/") {
        let name = source.split('/').next().unwrap_or_default();
        let entry = access.sources.get(name);
        let has_own = entry.is_some_and(|entry| !entry.tokens.is_empty());
        return (!has_own).then_some(Role::Intake);
    }
    match path {
        "/healthz" | "/readyz" => None,
        "/session" if matches!(*method, Method::GET | Method::HEAD | Method::POST) => None,
        "/session/end" if method == Method::POST => None,
        "/console.css" if method == Method::GET || method == Method::HEAD => None,
        "/v1/events" | "/v1/operations" if method == Method::POST => Some(Role::Intake),
        "/v1/explain" => Some(Role::Read),
        _ if method == Method::GET || method == Method::HEAD => Some(Role::Read),
        _ => Some(Role::Operate),
    }
}

/// Whether two tokens are the same, in a time that says only whether their lengths are.
fn same(known: &Secret, sent: &Secret) -> bool {
    let [known, sent] = [known, sent].map(|token| token.expose().as_bytes());
    known.ct_eq(sent).into()
}

/// The host without its port; brackets of an IPv6 literal stay.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(tokens: Vec<Token>) -> Access {
        Access {
            hosts: vec!["localhost".to_owned(), "[::1]".to_owned()],
            tokens,
            ..Access::default()
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[track_caller]
    fn status(access: &Access, method: &Method, path: &str, pairs: &[(&'static str, &str)]) -> u16 {
        let headers = headers(pairs);
        let mut request = Request::new(axum::body::Body::empty());
        request.headers_mut().clone_from(&headers);
        let shown = credential::shown(&request);
        match check(access, method, path, &headers, shown.as_ref()) {
            Ok(_) => 200,
            Err(problem) => problem.status().as_u16(),
        }
    }

    #[test]
    fn a_foreign_host_or_origin_is_refused_without_any_token() {
        let access = access(vec![]);
        let get = |host| status(&access, &Method::GET, "/v1/events", &[("host", host)]);
        assert_eq!(get("localhost:8470"), 200);
        assert_eq!(get("[::1]:8470"), 200);
        assert_eq!(get("evil.example"), 403);
        let with_port = Access {
            hosts: vec!["h.example:8443".to_owned()],
            ..Access::default()
        };
        let get = |host| status(&with_port, &Method::GET, "/v1/events", &[("host", host)]);
        assert_eq!(
            (get("h.example:8443"), get("h.example"), get("h.example:1")),
            (200, 403, 403)
        );
        let post = |origin| {
            status(
                &access,
                &Method::POST,
                "/v1/events",
                &[("host", "localhost:1"), ("origin", origin)],
            )
        };
        assert_eq!(post("http://localhost:1"), 200);
        assert_eq!(post("http://evil.example"), 403);
        assert_eq!(post("null"), 403);
    }

    #[test]
    fn two_hosts_are_refused() {
        let mut map = headers(&[("host", "localhost")]);
        map.append("host", "localhost".parse().unwrap());
        let checked = check(&access(vec![]), &Method::GET, "/healthz", &map, None);
        assert_eq!(checked.unwrap_err().status(), 400);
    }

    #[test]
    fn every_route_but_health_wants_a_role() {
        let token = Token {
            name: "look".to_owned(),
            token: Secret::new("t0ken"),
            roles: vec![Role::Read],
        };
        let access = access(vec![token]);
        let ask = |method: &Method, path: &str, token: &str| {
            let pairs = [("host", "localhost"), ("authorization", token)];
            status(
                &access,
                method,
                path,
                &pairs[..if token.is_empty() { 1 } else { 2 }],
            )
        };
        assert_eq!(ask(&Method::GET, "/healthz", ""), 200);
        assert_eq!(ask(&Method::GET, "/v1/events", ""), 401);
        assert_eq!(ask(&Method::GET, "/v1/events", "Bearer wrong"), 401);
        assert_eq!(ask(&Method::GET, "/v1/events", "bearer t0ken"), 200);
        assert_eq!(ask(&Method::POST, "/v1/events", "Bearer t0ken"), 403);
        assert_eq!(ask(&Method::POST, "/v1/reload", "Bearer t0ken"), 403);
        assert_eq!(ask(&Method::GET, "/", ""), 401);
        assert_eq!(ask(&Method::POST, "/v1/sources/open/events", ""), 401);
    }
}
