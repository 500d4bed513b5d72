//! Who may ask for what.
//!
//! A request from a browser is refused by `Host` and `Origin` whether or not tokens are set:
//! loopback is no protection from a page that the browser shows. Then the token decides the roles;
//! without configured tokens (loopback only, the configuration sees to that) the caller has all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use herald_model::Secret;
use ipnet::IpNet;
use subtle::ConstantTimeEq;

use super::State;
use super::problem::Problem;
use crate::clock;
use crate::config::{Role, Token};
use crate::journal::{Hand, HandVerb};

/// The rules of access in force.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Names by which callers may address this server, without port, lower-cased.
    pub hosts: Vec<String>,
    /// Tokens; none gives every caller every role.
    pub tokens: Vec<Token>,
    /// Who may speak for which source, by its name.
    pub sources: HashMap<String, SourceAccess>,
    /// Longest body in bytes.
    pub body_max: u64,
    /// Longest time for a body to arrive.
    pub body_timeout: std::time::Duration,
}

/// Who may speak for one source.
#[derive(Debug, Clone, Default)]
pub struct SourceAccess {
    /// Any of them lets a sender in; none lets everybody in.
    pub tokens: Vec<Secret>,
    /// Networks to call from; none allows every address.
    pub networks: Vec<IpNet>,
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

/// Lets a request through, or answers why not.
pub(super) async fn guard(
    Extract(state): Extract<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let access = state.access.load();
    let checked = check(
        &access,
        request.method(),
        request.uri().path(),
        request.headers(),
    );
    match checked {
        Ok(caller) => drop(request.extensions_mut().insert(caller)),
        Err(problem) => {
            return if super::intake::is_intake(request.method(), request.uri().path()) {
                super::intake::failed(problem.status(), problem.detail())
            } else {
                problem.into_response()
            };
        }
    }
    drop(access);
    next.run(request).await
}

fn check(
    access: &Access,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let forbidden = |what: &str| Err(Problem::new(StatusCode::FORBIDDEN, what));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    if !access.hosts.iter().any(|known| {
        known.eq_ignore_ascii_case(host_name(host)) || known.eq_ignore_ascii_case(host)
    }) {
        return forbidden("the `Host` of this request is not in `server.hosts`");
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
            return forbidden("the `Origin` of this request is another site");
        }
    }
    let Some(role) = role_of(access, method, path) else {
        return Ok(Caller::nobody());
    };
    if access.tokens.is_empty() {
        return Ok(Caller::nobody());
    }
    let Some(sent) = bearer(headers) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "this route wants `Authorization: Bearer …` with a token of `[[server.token]]`",
        ));
    };
    // Every token is compared, so that the time says nothing about which one was near.
    let known = access.tokens.iter().fold(None, |found, token| {
        if same(token.token.expose(), sent) {
            Some(token)
        } else {
            found
        }
    });
    match known {
        None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "this token is not known",
        )),
        Some(token) if token.may(role) => Ok(Caller(token.name.as_str().into())),
        Some(_) => forbidden(&format!(
            "this token does not have the role `{}`",
            word(role)
        )),
    }
}

fn word(role: Role) -> &'static str {
    Role::ALL
        .iter()
        .find(|(_, known)| *known == role)
        .map_or("", |(word, _)| word)
}

/// The role that a route asks for; `None` for health, and for a source with tokens of its own.
fn role_of(access: &Access, method: &Method, path: &str) -> Option<Role> {
    if let Some(source) = path.strip_prefix("/v1/sources/") {
        let name = source.split('/').next().unwrap_or_default();
        let entry = access.sources.get(name);
        let has_own = entry.is_some_and(|entry| !entry.tokens.is_empty());
        return (!has_own).then_some(Role::Intake);
    }
    match path {
        "/healthz" | "/readyz" => None,
        "/v1/events" | "/v1/operations" if method == Method::POST => Some(Role::Intake),
        "/v1/explain" => Some(Role::Read),
        _ if method == Method::GET || method == Method::HEAD => Some(Role::Read),
        _ => Some(Role::Operate),
    }
}

/// Checks that a request may speak for a source: its network, then its token.
///
/// # Errors
/// The status to refuse with, and why.
pub(super) fn may_speak_for(
    access: &Access,
    source: &str,
    request: &Request,
) -> Result<(), (StatusCode, &'static str)> {
    let Some(entry) = access.sources.get(source) else {
        return Ok(());
    };
    let peer = request
        .extensions()
        .get::<Peer>()
        .map(|peer| peer.0.to_canonical());
    let is_near = |networks: &[IpNet]| {
        peer.is_some_and(|peer| networks.iter().any(|network| network.contains(&peer)))
    };
    if !entry.networks.is_empty() && !is_near(&entry.networks) {
        return Err((
            StatusCode::FORBIDDEN,
            "this source does not take requests from this address",
        ));
    }
    if entry.tokens.is_empty() {
        return Ok(());
    }
    let sent = bearer(request.headers()).unwrap_or_default();
    let known = entry
        .tokens
        .iter()
        .fold(false, |found, token| same(token.expose(), sent) | found);
    if known {
        Ok(())
    } else {
        Err((StatusCode::UNAUTHORIZED, "this source wants its token"))
    }
}

/// The address at the other end of the connection. Behind a proxy it is the proxy's.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn same(known: &str, sent: &str) -> bool {
    known.as_bytes().ct_eq(sent.as_bytes()).into()
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
        match check(access, method, path, &headers(pairs)) {
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
    fn a_source_is_guarded_by_its_networks_and_its_tokens() {
        let entry = SourceAccess {
            tokens: vec![Secret::new("t0ken")],
            networks: vec!["10.0.0.0/8".parse().unwrap()],
        };
        let access = Access {
            sources: HashMap::from([("cm".to_owned(), entry)]),
            ..Access::default()
        };
        let ask = |peer: &str, token: &str| {
            let mut request = Request::builder()
                .header("authorization", format!("Bearer {token}"))
                .body(axum::body::Body::empty())
                .unwrap();
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
            may_speak_for(&access, "cm", &request)
                .map_or_else(|(status, _)| status.as_u16(), |()| 200)
        };
        assert_eq!(ask("10.1.2.3", "t0ken"), 200);
        assert_eq!(ask("::ffff:10.1.2.3", "t0ken"), 200);
        assert_eq!(ask("10.1.2.3", "other"), 401);
        assert_eq!(ask("11.1.2.3", "t0ken"), 403);
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
