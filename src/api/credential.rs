//! The token that a request shows, and where it may stand.
//!
//! CloudMonitor's webhook can set no header, so a token may stand in the address. There it would get
//! into logs, errors and the event itself; so it is taken out of the address before anything else
//! looks at the request, and travels on as a [`Secret`].

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Request, Uri, header};
use herald_model::Secret;
use percent_encoding::percent_decode_str;

/// The header for senders whose `Authorization` is taken, as behind a proxy with a login.
const HEADER: &str = "x-herald-token";

/// The field of a query.
const FIELD: &str = "token";

/// What came in the address of a request.
#[derive(Debug, Clone)]
struct InAddress(Secret);

/// Takes the token out of the address: the field `token` of its query, else the segment before
/// `/events` of a source. What is left of the address is what the routes know.
pub(super) fn lift<B>(request: &mut Request<B>) {
    let uri = request.uri();
    let in_query = uri.query().and_then(out_of_query);
    let in_path = out_of_path(uri.path());
    if in_query.is_none() && in_path.is_none() {
        return;
    }
    let (from_query, query) = in_query.unzip();
    let (from_path, path) = in_path.unzip();
    let path = path.unwrap_or_else(|| uri.path().to_owned());
    let query = query.or_else(|| uri.query().map(str::to_owned));
    let address = match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    // Parts of a valid address make one; the root stands in for what cannot be.
    let address = PathAndQuery::try_from(address).unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(address);
    if let Some(token) = from_query.or(from_path) {
        request.extensions_mut().insert(InAddress(token));
    }
}

/// The first token of a query, and the query without any.
fn out_of_query(query: &str) -> Option<(Secret, String)> {
    let value_of = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).collect::<Vec<u8>>();
        (name == FIELD.as_bytes()).then(|| decoded(value))
    };
    let token = query.split('&').find_map(value_of)?;
    let others = query.split('&').filter(|pair| value_of(pair).is_none());
    Some((token, others.collect::<Vec<_>>().join("&")))
}

/// The token of `/v1/sources/{name}/{token}/events`, and the path without it.
fn out_of_path(path: &str) -> Option<(Secret, String)> {
    let (name, rest) = path.strip_prefix("/v1/sources/")?.split_once('/')?;
    let token = rest.strip_suffix("/events")?;
    let is_one = !token.is_empty() && !token.contains('/');
    is_one.then(|| (decoded(token), format!("/v1/sources/{name}/events")))
}

/// A token holds visible ASCII only, so a plus is a plus.
fn decoded(text: &str) -> Secret {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    Secret::new(String::from_utf8(bytes).unwrap_or_default())
}

/// The token that a request shows: as bearer, else in `x-herald-token`, else in its address.
pub(super) fn shown<B>(request: &Request<B>) -> Option<Secret> {
    let headers = request.headers();
    let in_header = || {
        let value = headers.get(HEADER)?.to_str().ok()?;
        Some(Secret::new(value.trim()))
    };
    let in_address = || request.extensions().get::<InAddress>();
    bearer(headers)
        .or_else(in_header)
        .or_else(|| in_address().map(|token| token.0.clone()))
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, left: &str, token: Option<&str>) {
        let mut request = Request::builder().uri(address).body(()).unwrap();
        lift(&mut request);
        assert_eq!(request.uri().to_string(), left, "{address}");
        let found = shown(&request);
        assert_eq!(found.as_ref().map(Secret::expose), token, "{address}");
    }

    #[test]
    fn a_token_is_taken_out_of_the_address() {
        let events = "/v1/sources/cm/events";
        check(events, events, None);
        check("/v1/sources/cm/events?token=abc", events, Some("abc"));
        check("/v1/sources/cm/events?token=a%2Bc", events, Some("a+c"));
        check("/v1/sources/cm/events?token=a+c", events, Some("a+c"));
        check("/v1/sources/cm/events?token", events, Some(""));
        check(
            "/v1/sources/cm/events?a=1&token=abc&b=%20&&%74oken=def",
            "/v1/sources/cm/events?a=1&b=%20&",
            Some("abc"),
        );
        check("/v1/sources/cm/abc/events", events, Some("abc"));
        check("/v1/sources/cm/a%2Fc/events", events, Some("a/c"));
        check(
            "/v1/sources/cm/abc/events?x=1&token=def",
            "/v1/sources/cm/events?x=1",
            Some("def"),
        );
        check("/v1/events?tokens=1", "/v1/events?tokens=1", None);
        check("/v1/sources/cm//events", "/v1/sources/cm//events", None);
        check(
            "/v1/sources/cm/a/b/events",
            "/v1/sources/cm/a/b/events",
            None,
        );
        check(
            "http://h.example/v1/events?token=abc",
            "/v1/events",
            Some("abc"),
        );
    }

    #[test]
    fn a_header_comes_before_the_address() {
        let shows = |pairs: &[(&str, &str)]| {
            let mut builder = Request::builder().uri("/v1/events?token=address");
            for (name, value) in pairs {
                builder = builder.header(*name, *value);
            }
            let mut request = builder.body(()).unwrap();
            lift(&mut request);
            shown(&request).map(|token| token.expose().to_owned())
        };
        let header = ("x-herald-token", "header");
        let other = ("authorization", "Basic eDp5");
        let bearer = ("authorization", "bearer bearer");
        assert_eq!(shows(&[header, bearer]).as_deref(), Some("bearer"));
        assert_eq!(shows(&[header, other]).as_deref(), Some("header"));
        assert_eq!(shows(&[other]).as_deref(), Some("address"));
    }
}
