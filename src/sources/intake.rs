//! Where fetched events are handed in.

use std::sync::Arc;
use std::time::Duration;

use herald_model::duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::in_force::Current;
use crate::intake::Class;
use crate::journal::{Error, Journal};
use crate::pipeline::{Answer, Bringing, Pipeline};
use crate::telemetry::{Backlog, Metrics};

/// What a source that fetches needs of the router.
#[derive(Clone)]
pub struct Intake {
    name: Arc<str>,
    pipeline: Pipeline,
    current: Current,
    journal: Arc<dyn Journal>,
    metrics: Arc<Metrics>,
}

impl Intake {
    /// For the source `name` of the configuration in force.
    pub fn new(
        name: &str,
        pipeline: Pipeline,
        current: Current,
        journal: Arc<dyn Journal>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            name: Arc::from(name),
            pipeline,
            current,
            journal,
            metrics,
        }
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many items one hand-in may hold (`server.batch_max`).
    pub fn batch_max(&self) -> usize {
        self.current.load().limits.batch_max
    }

    /// Hands in several bodies, each a document of its own, together with how far the source has
    /// read: the answers to each body's items. When it returns, all that was accepted is durable,
    /// and so is the bookmark.
    ///
    /// # Errors
    /// Nothing was taken: the journal has no room at the moment, or the source has left the
    /// configuration.
    pub async fn take(
        &self,
        bodies: &[&[u8]],
        bookmark: Option<String>,
    ) -> Result<Vec<Vec<Answer>>, Error> {
        let source = self.current.load().sources.get(&*self.name).cloned();
        let source = source.ok_or(Error::Closed)?;
        let answers = self
            .pipeline
            .take_fetched(&source, bodies, bookmark, clock::now())
            .await?;
        for answers in &answers {
            self.metrics.taken(&self.name, answers);
        }
        Ok(answers)
    }

    /// How far the source has read; `None` where it never said so.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn bookmark(&self) -> Result<Option<String>, Error> {
        self.journal.bookmark(&self.name).await
    }

    /// Notes that something was refused before it was read.
    pub async fn passed_over(&self, why: &str) {
        let (name, now) = (&self.name, clock::now());
        let (bringing, class) = (Bringing::Events, Class::Limit);
        self.pipeline
            .note_refused(name, bringing, class, why, now)
            .await;
    }

    /// Tells what waits at the far side.
    pub fn waits(&self, backlog: Backlog) {
        self.metrics.waits(&self.name, backlog);
    }
}

/// Pauses that grow while something fails, and one line in the log when that begins and ends.
#[derive(Debug)]
pub(super) struct Patience {
    name: Arc<str>,
    next: Duration,
    failing: Option<String>,
}

/// First and longest pause after a failure. Chosen: a far side that restarts is found again within
/// seconds, one that is gone for a day is not asked more than every half minute.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

impl Patience {
    pub(super) fn new(intake: &Intake) -> Self {
        Self {
            name: Arc::clone(&intake.name),
            next: PAUSES.0,
            failing: None,
        }
    }

    /// It failed: tells `why` unless that is known, and pauses, at most until `stop`.
    pub(super) async fn pause(&mut self, why: &str, stop: &CancellationToken) {
        if self.failing.as_deref() != Some(why) {
            let pause = duration::write(self.next);
            warn!(source = &*self.name, "{why}; trying again in {pause}");
            self.failing = Some(why.to_owned());
        }
        tokio::select! {
            () = tokio::time::sleep(self.next) => {}
            () = stop.cancelled() => {}
        }
        self.next = (self.next * 2).min(PAUSES.1);
    }

    /// It went well.
    pub(super) fn succeeded(&mut self) {
        if self.failing.take().is_some() {
            info!(source = &*self.name, "it works again");
        }
        self.next = PAUSES.0;
    }
}
