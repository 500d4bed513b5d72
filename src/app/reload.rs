//! Taking a changed configuration: checked whole, swapped at one instant, or not at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::watch::Watched;
use super::{Error, Origin, bounds, build, fetch, listen, tls};
use crate::api::{Access, Certificate, Report};
use crate::clock;
use crate::config::{self, Config, Loaded, Machine, Reader, Strictness};
use crate::in_force::Current;
use crate::journal::Journal;

/// Reads the file again when asked to.
pub(super) struct Reloader {
    pub(super) origin: Origin,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) fetching: Arc<fetch::Fetching>,
    pub(super) current: Current,
    pub(super) access: Arc<ArcSwap<Access>>,
    /// What handshakes are made with; `None` where there is no TLS.
    pub(super) certificate: Option<Arc<ArcSwap<Certificate>>>,
    pub(super) watched: Arc<Watched>,
    /// How long and how much is kept.
    pub(super) keeping: Arc<ArcSwap<config::Journal>>,
    pub(super) address: SocketAddr,
    pub(super) console_url: String,
    /// For noticing changes that only a restart can make.
    pub(super) started_with: Config,
}

impl Reloader {
    /// Answers requests until `stop`, one after the other.
    pub(super) async fn run(
        self,
        mut asked: mpsc::Receiver<oneshot::Sender<Report>>,
        stop: CancellationToken,
    ) {
        loop {
            let answer = tokio::select! {
                answer = asked.recv() => answer,
                () = stop.cancelled() => return,
            };
            let Some(answer) = answer else { return };
            let report = self.reload().await;
            for note in &report.notes {
                if report.taken {
                    warn!("{note}");
                } else {
                    error!("{note}");
                }
            }
            if report.taken {
                info!("the configuration was reloaded");
            } else {
                error!("the configuration was not reloaded; the old one stays in force");
            }
            // Whoever asked may have gone; the reload stands all the same.
            let _ = answer.send(report);
        }
    }

    async fn reload(&self) -> Report {
        match self.take().await {
            Ok(notes) => Report { taken: true, notes },
            Err(error) => Report {
                taken: false,
                notes: error.to_string().lines().map(str::to_owned).collect(),
            },
        }
    }

    fn load(&self) -> Result<Loaded, Error> {
        let Some(path) = &self.origin.path else {
            return Err(Error::Sinks(vec![
                "this router has no file to reload".to_owned(),
            ]));
        };
        let kinds = self.origin.kinds;
        let reader = Reader {
            environment: &Machine,
            strictness: Strictness::Serve,
            kinds,
        };
        Ok(reader.load(path)?)
    }

    async fn take(&self) -> Result<Vec<String>, Error> {
        let loaded = self.load()?;
        let config = loaded.config;
        listen::check(self.address, &config)?;
        let shown = config.server.tls.as_ref().map(tls::load).transpose()?;
        let in_force =
            build::in_force(&config, &self.console_url, &*self.journal, clock::now()).await?;
        let access = build::access(&config, self.address);
        self.current.store(Arc::new(in_force));
        self.access.store(Arc::new(access));
        let expiring = shown.as_ref().and_then(|shown| shown.notice(clock::now()));
        if let (Some(certificate), Some(shown)) = (&self.certificate, shown) {
            certificate.store(Arc::new(shown));
        }
        self.watched.also(&config);
        self.journal.bound(bounds(&config.journal));
        self.keeping.store(Arc::new(config.journal.clone()));
        self.fetching.follow(&config).await;
        // Deliveries that were held for a sink that is back are due.
        self.journal.due_signal().notify_one();

        let mut notes: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        notes.extend(expiring);
        let before = &self.started_with;
        for (key, _) in AT_START.iter().filter(|(_, same)| !same(before, &config)) {
            notes.push(format!(
                "`{key}` was changed; it is taken at the next start"
            ));
        }
        Ok(notes)
    }
}

/// What only a start takes, and whether two configurations agree on it.
type AtStart = (&'static str, fn(&Config, &Config) -> bool);

const AT_START: [AtStart; 10] = [
    ("server.listen", |a, b| a.server.listen == b.server.listen),
    ("server.drain", |a, b| a.server.drain == b.server.drain),
    ("server.tls", |a, b| handshake(a) == handshake(b)),
    ("server.connections_max", |a, b| {
        a.server.limits.connections_max == b.server.limits.connections_max
    }),
    ("server.header_max", |a, b| {
        a.server.limits.header_max == b.server.limits.header_max
    }),
    ("server.header_timeout", |a, b| {
        a.server.limits.header_timeout == b.server.limits.header_timeout
    }),
    ("server.idle_timeout", |a, b| {
        a.server.limits.idle_timeout == b.server.limits.idle_timeout
    }),
    ("server.queue_max", |a, b| {
        a.server.limits.queue_max == b.server.limits.queue_max
    }),
    ("server.bodies_max", |a, b| {
        a.server.limits.bodies_max == b.server.limits.bodies_max
    }),
    ("journal.engine", |a, b| {
        a.journal.engine == b.journal.engine
    }),
];

/// Whether there is TLS, and how long its handshake may take. Which certificate is shown, a reload
/// may change.
fn handshake(config: &Config) -> Option<Duration> {
    let tls = config.server.tls.as_ref()?;
    Some(tls.handshake_timeout)
}
