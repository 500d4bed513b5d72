//! `[server]`: where Herald listens, who may speak to it, and how much of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use herald_model::settings::Table;
use ipnet::IpNet;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use url::Url;

use super::limits::{self, Limits};
use super::reading::{File, with_places};
use super::tls::{self, Tls};
use super::token::{self, Token};

/// The face to the network.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where to listen, by default 127.0.0.1:8470. Beyond loopback only with `tokens`.
    pub listen: SocketAddr,
    /// What a request's `Host` may be besides the listen address and `localhost`: lower-case names
    /// or addresses, with a port or without (then any).
    pub hosts: Vec<String>,
    /// Longest time that stopping waits for open attempts, 0s to 1h, by default 30s: what
    /// Kubernetes grants before it kills.
    pub drain: Duration,
    /// Certificate and key; `None` for HTTP without TLS.
    pub tls: Option<Tls>,
    /// Networks of proxies whose `X-Forwarded-For` is believed; empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may call; empty only on loopback, where every caller then has every role.
    pub tokens: Vec<Token>,
    /// How much is taken.
    pub limits: Limits,
    /// What links in notifications begin with; `None` for the scheme and the
    /// address that is listened on.
    pub console_url: Option<Url>,
    /// The zone in which built-in texts write times, by default UTC.
    pub time_zone: TimeZone,
}

/// Port 8470 is unassigned (IANA's port registry).
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8470);
const DRAIN: Duration = Duration::from_secs(30);
const DRAIN_MAX: Duration = Duration::from_secs(3_600);

/// Reads `[server]`.
pub(super) fn read<'t>(file: &File<'t>, root: &Table<'t>) -> Server {
    let table = file.section(root, "server");
    let server = Server {
        listen: listen(&table),
        hosts: hosts(&table),
        drain: table
            .duration("drain", Duration::ZERO..=DRAIN_MAX)
            .or(DRAIN),
        tls: tls::read(&table),
        trusted_proxies: table.networks("trusted_proxies").or(Vec::new()),
        tokens: token::read_all(&table),
        limits: limits::read(&table),
        console_url: table.url("console_url").optional(),
        time_zone: time_zone(&table),
    };
    // A token with a mistake was reported; that it is there is what counts here.
    let without_tokens = !table.names().any(|name| name == "token");
    if without_tokens && !server.listen.ip().is_loopback() {
        table.reading().mistake(
            table.span_of("listen"),
            "`server.listen`: other machines can reach this address, so callers need tokens; \
             add a [[server.token]], or listen on 127.0.0.1",
        );
    }
    table.finish();
    server
}

fn listen(table: &Table<'_>) -> SocketAddr {
    let text = table.text("listen").or(LISTEN.to_string());
    text.parse().unwrap_or_else(|_| {
        let text = format!(
            "`server.listen`: `{text}` is no address with a port; write one as in \"{LISTEN}\""
        );
        table.reading().mistake(table.span_of("listen"), text);
        LISTEN
    })
}

fn hosts(table: &Table<'_>) -> Vec<String> {
    let hosts = table.texts("hosts").or(Vec::new());
    for (host, span) in with_places(table, "hosts", hosts.clone()) {
        let misplaced = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#' | '*');
        if host.is_empty() || host.contains(misplaced) {
            table.reading().mistake(
                span,
                "`server.hosts`: this is no host; write one as in \"herald.example.com\"",
            );
        }
    }
    hosts.iter().map(|host| host.to_ascii_lowercase()).collect()
}

fn time_zone(table: &Table<'_>) -> TimeZone {
    let name = table.text("time_zone").or("UTC".to_owned());
    // The built-in database, so that a file means the same on every machine.
    TimeZoneDatabase::bundled().get(&name).unwrap_or_else(|_| {
        let text = format!(
            "`server.time_zone`: `{name}` is no time zone; write one as in \"Asia/Shanghai\""
        );
        table.reading().mistake(table.span_of("time_zone"), text);
        TimeZone::UTC
    })
}
