//! The socket that the router listens on: one of its own, or one that it was handed.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::Error;
use crate::config::Config;

/// Where the listening socket comes from.
#[derive(Debug)]
pub enum Listening {
    /// It is opened at `server.listen`.
    Configured,
    /// It was open before this process began and goes on after it, as systemd keeps one: whoever
    /// connects in between waits in its queue. `server.listen` is not used.
    Inherited(std::net::TcpListener),
}

impl Listening {
    /// The socket that systemd hands to this process (`LISTEN_FDS`, "sd_listen_fds(3)"), else one of
    /// its own. To be asked once: the second time it is another's.
    ///
    /// # Errors
    /// What was handed over is no listening TCP socket.
    pub fn from_environment() -> std::io::Result<Self> {
        let inherited = listenfd::ListenFd::from_env().take_tcp_listener(0)?;
        Ok(inherited.map_or(Self::Configured, Self::Inherited))
    }

    /// The socket with its address.
    ///
    /// # Errors
    /// The address cannot be listened on, or is reachable for others without a token.
    pub(super) async fn listener(
        self,
        config: &Config,
    ) -> Result<(TcpListener, SocketAddr), Error> {
        let wanted = config.server.listen;
        let unusable = |error: std::io::Error| Error::Listen {
            address: wanted,
            why: error.to_string(),
        };
        let listener = match self {
            Self::Configured => TcpListener::bind(wanted).await,
            Self::Inherited(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(socket)),
        };
        let listener = listener.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        check(address, config)?;
        Ok((listener, address))
    }
}

/// Whether the configuration may be served at `address`, whoever opened it.
///
/// # Errors
/// Others can reach it, and nobody needs a token.
pub(super) fn check(address: SocketAddr, config: &Config) -> Result<(), Error> {
    if address.ip().is_loopback() || !config.server.tokens.is_empty() {
        return Ok(());
    }
    Err(Error::Exposed(address))
}
