//! The accept loop: what a connection may cost before it has said anything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::certificate::Certificate;
use super::patience::{Patient, Turn};
use super::{Face, Peer, credential};
use crate::telemetry::{Metrics, TurnedAway};

/// Bounds of connections, each with its key in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// `server.header_max`, in bytes.
    pub header_max: usize,
    /// `server.header_timeout`: until the whole head is there, from its first byte; of the first
    /// one, from the connection's begin.
    pub header_timeout: Duration,
    /// `server.idle_timeout`: from an answer to the next request; also how long an answer may stay
    /// unread.
    pub idle_timeout: Duration,
}

/// `server.connections_max`: places for open connections; whoever finds none waits to be accepted.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    open: TaskTracker,
    max: usize,
}

impl Places {
    /// So many places.
    pub fn new(max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(max)),
            open: TaskTracker::new(),
            max,
        }
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Connections that may be.
    pub const fn max(&self) -> usize {
        self.max
    }
}

/// TLS before every request.
#[derive(Clone)]
pub struct Tls {
    /// What handshakes are made with from now on; connections keep what theirs was made with.
    pub certificate: Arc<ArcSwap<Certificate>>,
    /// `server.tls.handshake_timeout`: until the handshake is over.
    pub handshake_timeout: Duration,
}

/// Smallest buffer that hyper takes for a header.
const HEADER_MAX_LEAST: usize = 8_192;

/// Pause after `accept` failed, which happens when file descriptors run out. Chosen: long enough
/// not to spin, short enough to be back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How serving ends, in three steps.
#[derive(Debug, Clone)]
pub struct Stopping {
    /// Each answer asks its sender to come back on another connection.
    pub leaving: CancellationToken,
    /// No connection is taken any more; those that were are answered.
    pub stop: CancellationToken,
    /// What is still open is closed.
    pub cut: CancellationToken,
}

/// What all connections share.
pub struct Door {
    /// `None` where HTTP is spoken without it.
    pub tls: Option<Tls>,
    /// Who answers behind it.
    pub face: Face,
    /// What a connection may cost.
    pub bounds: Bounds,
    /// Where it stands while it is open.
    pub places: Places,
    /// Where it is noted who is turned away.
    pub metrics: Arc<Metrics>,
    /// How it all ends.
    pub stopping: Stopping,
}

/// Serves on `listener` until it is told to stop, and returns when nothing is open. A connection that
/// was taken gets its answer; those that wait in the socket's queue stay there.
pub async fn serve(listener: TcpListener, door: Door) {
    let Stopping { stop, cut, .. } = door.stopping.clone();
    let Places { free, open, .. } = door.places.clone();
    let mut http = http1::Builder::new();
    http.max_buf_size(door.bounds.header_max.max(HEADER_MAX_LEAST));
    let (door, http) = (Arc::new(door), Arc::new(http));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &free) => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (door, http) = (Arc::clone(&door), Arc::clone(&http));
        open.spawn(async move {
            door.admit(&http, stream, peer).await;
            drop(place);
        });
    }
    drop(listener);
    open.close();
    tokio::select! {
        () = open.wait() => {}
        () = cut.cancelled() => {}
    }
}

impl Door {
    async fn admit(&self, http: &http1::Builder, stream: TcpStream, peer: Peer) {
        // Answers are small and whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.converse(http, stream, peer).await;
        };
        let turned_away =
            match tokio::time::timeout(tls.handshake_timeout, tls.handshake(stream)).await {
                Ok(Ok(Some(stream))) => return self.converse(http, stream, peer).await,
                Ok(Ok(None)) => {
                    debug!("a connection without TLS was told so");
                    TurnedAway::NoTls
                }
                Ok(Err(error)) => {
                    debug!(%error, "a handshake failed");
                    TurnedAway::Handshake
                }
                Err(_) => {
                    debug!("no handshake within `server.tls.handshake_timeout`");
                    TurnedAway::HandshakeLate
                }
            };
        self.metrics.turned_away(turned_away);
    }

    async fn converse<S>(&self, http: &http1::Builder, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (has_asked, turn) = (&CancellationToken::new(), &Turn::default());
        let service = service_fn(|request: Request<Incoming>| async move {
            has_asked.cancel();
            turn.asked();
            let answer = self.answer(request.map(Body::new), peer).await;
            turn.answered();
            Ok::<_, Infallible>(answer)
        });
        let metrics = Arc::clone(&self.metrics);
        let stream = TokioIo::new(Patient::new(stream, turn.clone(), self.bounds, metrics));
        let mut connection = std::pin::pin!(http.serve_connection(stream, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = may_end(&self.stopping.stop, has_asked) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection ended early");
        }
    }

    async fn answer(&self, mut request: Request<Body>, peer: Peer) -> Response {
        credential::lift(&mut request);
        request.extensions_mut().insert(peer);
        let mut answer = self.face.answer(request).await;
        if self.stopping.leaving.is_cancelled() {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        answer
    }
}

/// The first byte of a connection that begins with TLS: the type of a handshake record (RFC 8446,
/// section 5.1).
const HANDSHAKE: u8 = 22;

/// What a caller hears who speaks HTTP where HTTPS is spoken.
const WITHOUT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    connection: close\r\ncontent-length: 42\r\n\r\nthis address is reached by https:// only\r\n";

impl Tls {
    /// The stream behind the handshake; `None` for one that speaks HTTP without it.
    async fn handshake(
        &self,
        mut stream: TcpStream,
    ) -> std::io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        let count = stream.peek(&mut first).await?;
        if count > 0 && first[0] != HANDSHAKE && first[0].is_ascii_alphabetic() {
            stream.write_all(WITHOUT_TLS).await?;
            // What was sent is read, so that the answer is not lost to a reset.
            let mut sent = [0; 4_096];
            stream.shutdown().await?;
            while tokio::io::AsyncReadExt::read(&mut stream, &mut sent).await? > 0 {}
            return Ok(None);
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&self.certificate.load().config));
        acceptor.accept(stream).await.map(Some)
    }
}

/// Returns when serving stops and the connection has asked for something. One that was taken has a
/// request on its way, and its sender may never try again.
async fn may_end(stop: &CancellationToken, has_asked: &CancellationToken) {
    stop.cancelled().await;
    has_asked.cancelled().await;
}

async fn accept(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(free)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, Peer(address.ip()), place))
}
