//! The running router: opens the journal, listens, dispatches, reloads, stops.
//!
//! `build` turns a checked configuration into what the stages work by; `reload` swaps it at one
//! instant; the order of starting and stopping is here, in one place.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use herald_model::SinkKind;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{self, door};
use crate::clock;
use crate::config::{self, Config};
use crate::dispatch::Dispatcher;
use crate::journal::sqlite::SqliteJournal;
use crate::journal::{self, Bounds, Journal};
use crate::pipeline::Pipeline;
use crate::telemetry::Metrics;

mod build;
mod expire;
mod fetch;
mod listen;
mod reload;
mod sweep;
mod tls;
mod watch;

pub use listen::Listening;

/// Why the router could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] config::Refused),
    /// Sinks or templates that cannot be made on this machine, one line each.
    #[error("{}", .0.join("\n"))]
    Sinks(Vec<String>),
    /// The server's certificate or its key cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Other machines can reach the address, and nobody needs a token.
    #[error(
        "other machines can reach {0}, so callers need tokens; add a [[server.token]], or have \
         systemd listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}; stop what uses it, or set another `server.listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: String,
    },
}

/// Where a configuration comes from, so that it can be read again.
pub struct Origin {
    /// The file; `None` for a configuration that is not read again.
    pub path: Option<PathBuf>,
    /// The kinds of sinks that may be configured.
    pub kinds: &'static [SinkKind],
}

/// A router at work.
pub struct Running {
    address: SocketAddr,
    url: String,
    journal: Arc<dyn Journal>,
    drain: Duration,
    reload: api::Reload,
    /// Nothing new is claimed.
    stop_dispatch: CancellationToken,
    /// No connection is taken any more.
    stop_intake: CancellationToken,
    /// Whatever is open ends now.
    cut: CancellationToken,
    dispatch: JoinHandle<()>,
    intake: JoinHandle<()>,
    fetching: Arc<fetch::Fetching>,
    others: Vec<JoinHandle<()>>,
}

/// Starts a router by `config` on the socket that `listening` says. When it returns, the router listens, what an earlier process left
/// open is due again, and dispatching has begun.
///
/// # Errors
/// Names what is missing and what to do; nothing is left behind.
pub async fn start(config: Config, origin: Origin, listening: Listening) -> Result<Running, Error> {
    let now = clock::now();
    let config::Engine::Embedded(path) = &config.journal.engine;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(path, now)?);
    match start_on(config, origin, listening, Arc::clone(&journal)).await {
        Ok(running) => Ok(running),
        Err(error) => {
            journal.close().await;
            Err(error)
        }
    }
}

async fn start_on(
    config: Config,
    origin: Origin,
    listening: Listening,
    journal: Arc<dyn Journal>,
) -> Result<Running, Error> {
    let watched = watch::Watched::new(origin.path.as_deref(), &config);
    let certificate = config.server.tls.as_ref().map(tls::load).transpose()?;
    let certificate = certificate.map(|one| Arc::new(ArcSwap::from_pointee(one)));
    journal.bound(bounds(&config.journal));
    let (listener, address) = listening.listener(&config).await?;
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{address}");
    let in_force = build::in_force(&config, &url, &*journal, clock::now()).await?;
    let current = Arc::new(ArcSwap::from_pointee(in_force));
    let access = Arc::new(ArcSwap::from_pointee(build::access(&config, address)));

    let (reload, asked) = mpsc::channel(1);
    let metrics = Arc::new(Metrics::default());
    journal.on_commit(metrics.commits());
    let pipeline = Pipeline::new(
        Arc::clone(&journal),
        Arc::clone(&current),
        config.server.limits.queue_max,
    );
    let dispatcher = Dispatcher::new(Arc::clone(&journal), Arc::clone(&current));
    let limits = config.server.limits;
    let places = door::Places::new(limits.connections_max);
    let state = Arc::new(api::Reach {
        pipeline: pipeline.clone(),
        journal: Arc::clone(&journal),
        current: Arc::clone(&current),
        access: Arc::clone(&access),
        sessions: Arc::default(),
        room: api::Room::new(limits.bodies_max),
        places: places.clone(),
        certificate: certificate.clone(),
        reload: reload.clone(),
        metrics: Arc::clone(&metrics),
        attempts: dispatcher.ended(),
        journal_file: journal_file(&config),
    });
    let stop_dispatch = CancellationToken::new();
    let stop_intake = CancellationToken::new();
    let cut = CancellationToken::new();

    let bounds = door::Bounds {
        header_max: usize::try_from(limits.header_max).unwrap_or(usize::MAX),
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
    };
    let tls = certificate.clone().zip(config.server.tls.as_ref());
    let tls = tls.map(|(certificate, tls)| door::Tls {
        certificate,
        handshake_timeout: tls.handshake_timeout,
    });
    let door = door::Door {
        tls,
        face: api::Face::new(state),
        bounds,
        places,
        metrics: Arc::clone(&metrics),
        stopping: door::Stopping {
            leaving: stop_dispatch.clone(),
            stop: stop_intake.clone(),
            cut: cut.clone(),
        },
    };
    let intake = tokio::spawn(door::serve(listener, door));
    let dispatch = tokio::spawn(dispatcher.run(stop_dispatch.clone(), cut.clone()));

    let drain = config.server.drain;
    let keeping = Arc::new(ArcSwap::from_pointee(config.journal.clone()));
    let sweep = tokio::spawn(sweep::sweep(
        Arc::clone(&journal),
        Arc::clone(&keeping),
        stop_dispatch.clone(),
    ));
    let expire = tokio::spawn(expire::expire(Arc::clone(&journal), stop_dispatch.clone()));
    let mut others = vec![sweep, expire];
    if let Some(certificate) = &certificate {
        let remind = tls::remind(Arc::clone(certificate), stop_dispatch.clone());
        others.push(tokio::spawn(remind));
    }
    let watched = Arc::new(watched);
    if origin.path.is_some() {
        others.push(tokio::spawn(watch::watch(
            Arc::clone(&watched),
            reload.clone(),
            stop_dispatch.clone(),
        )));
    }
    let fetching = Arc::new(fetch::Fetching::new(
        pipeline,
        Arc::clone(&current),
        Arc::clone(&journal),
        metrics,
        stop_dispatch.clone(),
    ));
    fetching.follow(&config).await;
    let reloader = reload::Reloader {
        fetching: Arc::clone(&fetching),
        origin,
        journal: Arc::clone(&journal),
        current,
        access,
        certificate,
        watched,
        keeping,
        address,
        console_url: url.clone(),
        started_with: config,
    };
    others.push(tokio::spawn(reloader.run(asked, stop_dispatch.clone())));
    Ok(Running {
        address,
        url,
        journal,
        drain,
        reload,
        stop_dispatch,
        stop_intake,
        cut,
        dispatch,
        intake,
        fetching,
        others,
    })
}

/// What the journal may hold.
fn bounds(settings: &config::Journal) -> Bounds {
    Bounds {
        max_size: settings.max_size,
        refused: settings.refused,
    }
}

/// Where the journal is, for whoever copies it.
fn journal_file(config: &Config) -> PathBuf {
    let config::Engine::Embedded(path) = &config.journal.engine;
    std::path::absolute(path).unwrap_or_else(|_| path.clone())
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same with the scheme in which it is spoken to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For looking into it.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// For asking it to reload.
    pub const fn reload(&self) -> &api::Reload {
        &self.reload
    }

    /// Stops: nothing new is fetched or claimed; what is in flight ends within `server.drain` and is cut and
    /// recorded unknown after it; intake stays open until then. Everything accepted is durable.
    pub async fn stop(self) {
        let Self {
            journal,
            drain,
            stop_dispatch,
            stop_intake,
            cut,
            mut dispatch,
            intake,
            fetching,
            ..
        } = self;
        info!(
            "stopping: what is in flight has {} s to end",
            drain.as_secs()
        );
        stop_dispatch.cancel();
        if tokio::time::timeout(drain, &mut dispatch).await.is_err() {
            warn!("the drain is over; open attempts are cut and recorded as unknown");
            cut.cancel();
            let _ = dispatch.await;
        }
        stop_intake.cancel();
        // Requests under way are answered; a sender that is silent is not waited for.
        let _ = tokio::time::timeout(INTAKE_END, intake).await;
        cut.cancel();
        fetching.ended().await;
        for other in self.others {
            let _ = other.await;
        }
        journal.close().await;
        info!("stopped");
    }
}

/// What requests under way get at the end of stopping. Chosen: a commit takes milliseconds.
const INTAKE_END: Duration = Duration::from_secs(2);
