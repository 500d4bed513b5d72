//! The sources that fetch: each a task of its own, started, changed and stopped by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::Config;
use crate::in_force::Current;
use crate::journal::Journal;
use crate::pipeline::Pipeline;
use crate::sources::{Fetch, Intake, SourceConfig, Way};
use crate::telemetry::Metrics;

/// Pause before a source that a defect ended begins anew. Chosen: it may end so again and again.
const AFTER_A_DEFECT: Duration = Duration::from_secs(10);

/// The sources at work.
pub(super) struct Fetching {
    pub(super) pipeline: Pipeline,
    pub(super) current: Current,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) metrics: Arc<Metrics>,
    running: Mutex<HashMap<String, Running>>,
    /// Told when the router stops: nothing new is fetched.
    stop: CancellationToken,
}

struct Running {
    settings: Arc<dyn SourceConfig>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Fetching {
    /// Nothing is fetched yet.
    pub(super) fn new(
        pipeline: Pipeline,
        current: Current,
        journal: Arc<dyn Journal>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            pipeline,
            current,
            journal,
            metrics,
            running: Mutex::default(),
            stop,
        }
    }

    /// Starts the sources that `config` has and this has not, ends those that it has no more, and
    /// starts those anew whose settings changed; the others go on undisturbed. Returns when what
    /// was ended has ended, so that no two of a name are ever at work.
    pub(super) async fn follow(&self, config: &Config) {
        let mut running = self.running.lock().await;
        let wanted = |name: &str| {
            let source = config.sources.iter().find(|source| source.name == name);
            source.and_then(|source| source.settings.as_ref())
        };
        let leaving: Vec<_> = running
            .iter()
            .filter(|(name, it)| {
                !wanted(name).is_some_and(|settings| settings.equals(&*it.settings))
            })
            .map(|(name, _)| name.clone())
            .collect();
        let leaving: Vec<_> = leaving
            .iter()
            .filter_map(|name| running.remove_entry(name))
            .collect();
        end(leaving).await;
        for source in &config.sources {
            let Some(settings) = &source.settings else {
                continue;
            };
            if running.contains_key(&source.name) || self.stop.is_cancelled() {
                continue;
            }
            if let Some(started) = self.start(&source.name, settings) {
                running.insert(source.name.clone(), started);
            }
        }
    }

    fn start(&self, name: &str, settings: &Arc<dyn SourceConfig>) -> Option<Running> {
        let Way::Fetched(fetch) = settings.way() else {
            return None;
        };
        let intake = Intake::new(
            name,
            self.pipeline.clone(),
            Arc::clone(&self.current),
            Arc::clone(&self.journal),
            Arc::clone(&self.metrics),
        );
        let stop = self.stop.child_token();
        info!(source = name, "fetching begins");
        Some(Running {
            settings: Arc::clone(settings),
            ended: tokio::spawn(watched(fetch, Arc::clone(settings), intake, stop.clone())),
            stop,
        })
    }

    /// Returns when everything has ended, after the token that stops it was cancelled.
    pub(super) async fn ended(&self) {
        let all = self.running.lock().await.drain().collect();
        end(all).await;
    }
}

/// Runs a source until it ends as it should: one that a defect ended begins anew after a while.
async fn watched(
    mut fetch: Box<dyn Fetch>,
    settings: Arc<dyn SourceConfig>,
    intake: Intake,
    stop: CancellationToken,
) {
    loop {
        let run = tokio::spawn(fetch.run(intake.clone(), stop.clone()));
        let Err(why) = run.await else { return };
        error!(source = intake.name(), %why, "fetching ended by a defect; it begins anew");
        tokio::select! {
            () = tokio::time::sleep(AFTER_A_DEFECT) => {}
            () = stop.cancelled() => return,
        }
        let Way::Fetched(anew) = settings.way() else {
            return;
        };
        fetch = anew;
    }
}

async fn end(leaving: Vec<(String, Running)>) {
    for (_, it) in &leaving {
        it.stop.cancel();
    }
    for (name, it) in leaving {
        // What a defect ended was told when it happened.
        let _ = it.ended.await;
        info!(source = name, "fetching has ended");
    }
}
