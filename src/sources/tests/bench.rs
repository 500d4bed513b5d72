//! A router without doors, for tests of sources: a journal in memory behind an [`Intake`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::Intake;
use crate::in_force::{InForce, Source};
use crate::intake::Limits;
use crate::journal::memory::MemoryJournal;
use crate::journal::{Journal, Look, Rules};
use crate::pipeline::Pipeline;
use crate::plan::Subscriptions;
use crate::telemetry::{Facts, Metrics};

pub(super) struct Bench {
    pub(super) intake: Intake,
    journal: Arc<MemoryJournal>,
    metrics: Arc<Metrics>,
}

impl Bench {
    /// With one source of this name.
    pub(super) async fn new(name: &str) -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let rules = Rules {
            since: Timestamp::UNIX_EPOCH,
            subscriptions: Vec::new(),
            sinks: Vec::new(),
        };
        let generation = journal.begin(rules).await.unwrap();
        let source = Source {
            name: name.into(),
            accounts: None,
            products: None,
        };
        let in_force = InForce {
            generation: generation.number,
            limits: Limits::default(),
            dedup_window: Duration::from_secs(86_400),
            announcing: HashSet::new(),
            sources: HashMap::from([(name.to_owned(), Arc::new(source))]),
            subscriptions: Subscriptions::new(Vec::new()),
            sinks: HashMap::new(),
        };
        let current = Arc::new(ArcSwap::from_pointee(in_force));
        let shared = Arc::clone(&journal) as Arc<dyn Journal>;
        let pipeline = Pipeline::new(Arc::clone(&shared), Arc::clone(&current), 10_000);
        let metrics = Arc::new(Metrics::default());
        Self {
            intake: Intake::new(name, pipeline, current, shared, Arc::clone(&metrics)),
            journal,
            metrics,
        }
    }

    /// How many events are recorded.
    pub(super) async fn events(&self) -> u64 {
        self.journal.totals().await.unwrap().events
    }

    pub(super) async fn metrics(&self) -> String {
        let facts = Facts {
            totals: self.journal.totals().await.unwrap(),
            ..Facts::default()
        };
        self.metrics.write(&facts).unwrap()
    }

    /// From now on the journal takes nothing.
    pub(super) async fn close_journal(&self) {
        self.journal.close().await;
    }
}
