//! `[sink.NAME]`: the keys that every kind has; the kind reads its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use herald_model::delivery::{Order, Overflow};
use herald_model::sink::ConnectError;
use herald_model::{RetrySchedule, SinkConfig};

use super::templates::Templates;

/// One configured way out.
#[derive(Clone)]
pub struct Sink {
    /// Its name, unique among sinks.
    pub name: Arc<str>,
    /// The word of its kind.
    pub kind: &'static str,
    /// How deliveries are made to it.
    pub policy: SinkPolicy,
    /// `None` only where a lenient check found a secret unset.
    pub(super) settings: Option<Arc<dyn SinkConfig>>,
}

impl Sink {
    /// Makes the sink; spawns nothing and contacts nobody.
    ///
    /// # Errors
    /// Something on this machine is missing: a file, or a secret that a lenient check passed over.
    pub fn connect(&self) -> Result<Box<dyn herald_model::Sink>, ConnectError> {
        match &self.settings {
            Some(settings) => settings.connect(),
            None => Err(ConnectError(
                "a variable that it needs is not set".to_owned(),
            )),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// How deliveries are made to a sink, whatever its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkPolicy {
    /// Which deliveries keep their order.
    pub order: Order,
    /// Whether deliveries of one event by several subscriptions go as one message.
    pub together: bool,
    /// How long a lane waits for a failing head before it passes it.
    pub lane_patience: Duration,
    /// Deliveries that may wait for this sink; beyond it the oldest INFO is suppressed first.
    pub max_backlog: u64,
    /// At most so many messages start within any such window; `None`: no limit.
    pub limit: Option<Limit>,
    /// What becomes of a delivery that the limit keeps from starting.
    pub overflow: Overflow,
    /// When to try again.
    pub retry: RetrySchedule,
    /// Attempts at a time, 1 to 1000.
    pub concurrency: u32,
    /// Language of built-in texts.
    pub language: Language,
    /// Texts that stand in for the built-in ones.
    pub templates: Templates,
}

/// A window of start times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Messages in the window, at least 1.
    pub messages: u32,
    /// Length of the window.
    pub per: Duration,
}

/// Language of built-in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}
