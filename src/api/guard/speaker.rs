//! Who may speak for a source: from which address, and with which token or proof.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use herald_model::Secret;
use ipnet::IpNet;

use super::{Access, same};
use crate::api::credential;
use crate::clock;
use crate::sources::{Doubt, Proof};
use crate::telemetry::TurnedAway;

/// Who may speak for one source.
#[derive(Debug, Clone, Default)]
pub struct SourceAccess {
    /// Any of them lets a sender in; none lets everybody in.
    pub tokens: Vec<Secret>,
    /// Networks to call from; none allows every address.
    pub networks: Vec<IpNet>,
    /// What else a sender must prove; it compares the tokens itself.
    pub proof: Option<Arc<dyn Proof>>,
    /// Herald fetches its events, so nobody may speak for it.
    pub is_fetched: bool,
}

/// Checks that a request may speak for a source: its network, then its token.
///
/// # Errors
/// The status to refuse with, and why, in words and as a reason.
pub(in crate::api) fn may_speak_for(
    access: &Access,
    source: &str,
    request: &Request,
) -> Result<(), (TurnedAway, Doubt)> {
    let doubt = |reason, status, why: &str| {
        let why = why.to_owned();
        Err((reason, Doubt { status, why }))
    };
    let Some(entry) = access.sources.get(source) else {
        return Ok(());
    };
    if entry.is_fetched {
        return doubt(
            TurnedAway::NoSource,
            StatusCode::NOT_FOUND,
            "events are not brought to this source: Herald fetches them",
        );
    }
    if !entry.networks.is_empty() {
        let peer = request.extensions().get::<Peer>();
        let sender = peer.map(|peer| sender(access, peer.0, request.headers()));
        if !sender.is_some_and(|sender| is_in(&entry.networks, sender)) {
            return doubt(
                TurnedAway::Network,
                StatusCode::FORBIDDEN,
                "this source does not take requests from this address",
            );
        }
    }
    if let Some(proof) = &entry.proof {
        return match *request.method() {
            // Whoever asks before the first event has nothing to show yet.
            Method::OPTIONS => Ok(()),
            _ => proof
                .judge(request.headers(), &entry.tokens, clock::now())
                .map_err(|doubt| (TurnedAway::Signature, doubt)),
        };
    }
    if entry.tokens.is_empty() {
        return Ok(());
    }
    let Some(sent) = credential::shown(request) else {
        return doubt(
            TurnedAway::Token,
            StatusCode::UNAUTHORIZED,
            "this source wants its token",
        );
    };
    let known = entry
        .tokens
        .iter()
        .fold(false, |found, token| same(token, &sent) | found);
    if known {
        Ok(())
    } else {
        doubt(
            TurnedAway::Token,
            StatusCode::UNAUTHORIZED,
            "this token is not this source's",
        )
    }
}

/// The address at the other end of the connection. Behind a proxy it is the proxy's.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who sent a request: the peer, or, if that is a trusted proxy, whom it names. Each proxy appends
/// the address that it saw, so the list is read from its end up to the first address that is no
/// trusted proxy's; what stands before that, anybody may have written.
fn sender(access: &Access, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut sender = peer.to_canonical();
    let fields: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let hops = fields
        .iter()
        .rev()
        .flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        if !is_in(&access.trusted_proxies, sender) {
            break;
        }
        // A hop that is no address is nobody that a network could hold.
        let hop = std::str::from_utf8(hop).ok().and_then(address);
        sender = hop.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    sender
}

const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(with_port)?;
    Some(IpAddr::to_canonical(&address))
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_source_is_guarded_by_its_networks_and_its_tokens() {
        let entry = SourceAccess {
            tokens: vec![Secret::new("t0ken")],
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..SourceAccess::default()
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
                .map_or_else(|(_, doubt)| doubt.status.as_u16(), |()| 200)
        };
        assert_eq!(ask("10.1.2.3", "t0ken"), 200);
        assert_eq!(ask("::ffff:10.1.2.3", "t0ken"), 200);
        assert_eq!(ask("10.1.2.3", "other"), 401);
        assert_eq!(ask("11.1.2.3", "t0ken"), 403);
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_about_the_sender() {
        let access = Access {
            trusted_proxies: vec![
                "127.0.0.1/32".parse().unwrap(),
                "10.0.0.0/8".parse().unwrap(),
            ],
            ..Access::default()
        };
        let ask = |peer: &str, fields: &[&str]| {
            let pairs: Vec<_> = fields.iter().map(|field| (FORWARDED_FOR, *field)).collect();
            let mut map = HeaderMap::new();
            for (name, value) in pairs {
                map.append(name, value.parse().unwrap());
            }
            sender(&access, peer.parse().unwrap(), &map).to_string()
        };
        assert_eq!(ask("203.0.113.9", &["100.64.0.1"]), "203.0.113.9");
        assert_eq!(ask("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(ask("127.0.0.1", &["100.64.0.1"]), "100.64.0.1");
        assert_eq!(ask("::ffff:127.0.0.1", &["100.64.0.1"]), "100.64.0.1");
        assert_eq!(
            ask("127.0.0.1", &["100.64.0.1, 203.0.113.9, 10.1.1.1"]),
            "203.0.113.9"
        );
        assert_eq!(
            ask("127.0.0.1", &["100.64.0.1", "203.0.113.9:443,10.1.1.1"]),
            "203.0.113.9"
        );
        assert_eq!(ask("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(ask("127.0.0.1", &["100.64.0.1, unknown"]), "::");
        assert_eq!(ask("127.0.0.1", &["10.2.2.2, 10.1.1.1"]), "10.2.2.2");
    }
}
