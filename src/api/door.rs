//! The accept loop: what a connection may cost before it has said anything.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::Peer;

/// Bounds of connections, each with its key in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// `server.connections_max`: open at a time; further ones wait to be accepted.
    pub connections_max: usize,
    /// `server.header_max`, in bytes.
    pub header_max: usize,
    /// `server.header_timeout`: until the whole header is there; also between two requests of one
    /// connection.
    pub header_timeout: Duration,
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

/// Serves `routes` on `listener` until it is told to stop, and returns when nothing is open. A
/// connection that was taken gets its answer; those that wait in the socket's queue stay there.
pub async fn serve(listener: TcpListener, routes: Router, bounds: Bounds, stopping: Stopping) {
    let Stopping { leaving, stop, cut } = stopping;
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(bounds.header_max.max(HEADER_MAX_LEAST));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
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
        // Answers are small and whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let (leaving, stop) = (leaving.clone(), stop.clone());
        let has_asked = CancellationToken::new();
        let asks = has_asked.clone();
        let service = routes
            .clone()
            .map_request(move |mut request: Request<Incoming>| {
                asks.cancel();
                request.extensions_mut().insert(peer);
                request
            })
            .map_response(move |mut answer: Response| {
                if leaving.is_cancelled() {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(header::CONNECTION, close);
                }
                answer
            });
        let service = TowerToHyperService::new(service);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = may_end(&stop, &has_asked) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = cut.cancelled() => {}
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
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, Peer(address.ip()), place))
}
