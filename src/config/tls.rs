//! `[server.tls]`: what Herald shows to those who call it by `https://`.

use std::path::PathBuf;
use std::time::Duration;

use herald_model::settings::Table;

/// Certificate and key of the server. The files are read at the start and at each reload, not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain in PEM form, the server's own first.
    pub cert: PathBuf,
    /// Its private key in PEM form, without a password.
    pub key: PathBuf,
    /// Longest time for a handshake, 100ms to 1m, by default 10s.
    pub handshake_timeout: Duration,
}

/// As long as a request's head may take: it is as many round trips on the same network.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads `[server.tls]`; `None` without it, and where a file is not named.
pub(super) fn read(server: &Table<'_>) -> Option<Tls> {
    server.note("tls", None);
    let table = server.table("tls")?;
    let cert = table.file("cert").required("\"tls/server.pem\"");
    let key = table.file("key").required("\"tls/server.key\"");
    let times = Duration::from_millis(100)..=Duration::from_secs(60);
    let handshake_timeout = table
        .duration("handshake_timeout", times)
        .or(HANDSHAKE_TIMEOUT);
    table.finish();
    Some(Tls {
        cert: cert?,
        key: key?,
        handshake_timeout,
    })
}
