//! Logs and metrics.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

use crate::journal::OnCommit;
use crate::pipeline::Answer;

mod door;
mod standing;

#[cfg(test)]
mod tests;

use door::Door;
pub use door::{DoorFact, TurnedAway};
use standing::Standing;
pub use standing::{Facts, SinkFact};

/// Writes logs to standard error, by `HERALD_LOG` (as in `info,herald=debug`), `info` without it.
/// Lettre's own log is never written: at `debug` it holds passwords.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("HERALD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let silenced = "lettre=off"
        .parse()
        .map(|directive| filter.clone().add_directive(directive));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(silenced.unwrap_or(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .finish();
    // A second call (in a test) keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Counters of the router. Labels are bounded: sources come from the configuration.
pub struct Metrics {
    registry: Registry,
    items: Family<ItemLabels, Counter>,
    record_seconds: Histogram,
    commit_seconds: Histogram,
    standing: Standing,
    door: Door,
    /// One scrape at a time: what stands is set and written in two steps.
    scraping: Mutex<()>,
    source_backlog: Family<SourceLabels, Gauge>,
    source_age: Family<SourceLabels, Gauge<f64, AtomicU64>>,
}

/// What waits at the far side of a source that fetches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backlog {
    /// Messages; `None` where the far side did not say.
    pub messages: Option<u64>,
    /// How long the oldest has waited; `None` where that is not known.
    pub oldest: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ItemLabels {
    source: String,
    status: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("herald");
        let items = Family::default();
        registry.register(
            "items",
            "Items taken from senders, by answer",
            items.clone(),
        );
        let record_seconds = Histogram::new(exponential_buckets(0.000_25, 2.0, 15));
        registry.register_with_unit(
            "record",
            "From a body that was read to its answer: deciding, and the journal's commit",
            Unit::Seconds,
            record_seconds.clone(),
        );
        let commit_seconds = Histogram::new(exponential_buckets(0.000_1, 2.0, 15));
        registry.register_with_unit(
            "journal_commit",
            "What the journal's disk took to make a group of writes durable",
            Unit::Seconds,
            commit_seconds.clone(),
        );
        let standing = Standing::register(&mut registry);
        let door = Door::register(&mut registry);
        let source_backlog = Family::default();
        registry.register(
            "source_backlog_messages",
            "Messages that wait at the far side of a source",
            source_backlog.clone(),
        );
        let source_age = Family::default();
        registry.register(
            "source_oldest_seconds",
            "How long the oldest message that was just fetched had waited; 0 when none waits",
            source_age.clone(),
        );
        Self {
            registry,
            items,
            record_seconds,
            commit_seconds,
            standing,
            door,
            scraping: Mutex::default(),
            source_backlog,
            source_age,
        }
    }
}

impl Metrics {
    /// Counts the answers to one body.
    pub fn taken(&self, source: &str, answers: &[Answer]) {
        for answer in answers {
            let status = match answer {
                Answer::Accepted(_) => "accepted",
                Answer::Duplicate(_) => "duplicate",
                Answer::NotTriggered(_) => "not-triggered",
                Answer::Refused(_) => "refused",
            };
            self.items
                .get_or_create(&ItemLabels {
                    source: source.to_owned(),
                    status,
                })
                .inc();
        }
    }

    /// Notes what waits at the far side of a source.
    pub fn waits(&self, source: &str, backlog: Backlog) {
        let labels = SourceLabels {
            source: source.to_owned(),
        };
        if let Some(messages) = backlog.messages {
            let gauge = self.source_backlog.get_or_create(&labels);
            gauge.set(i64::try_from(messages).unwrap_or(i64::MAX));
        }
        if let Some(oldest) = backlog.oldest {
            let gauge = self.source_age.get_or_create(&labels);
            gauge.set(oldest.as_secs_f64());
        }
    }

    /// Notes how long a body took from being read to being answered.
    pub fn recorded(&self, took: Duration) {
        self.record_seconds.observe(took.as_secs_f64());
    }

    /// Counts a connection or a request that was turned away.
    pub fn turned_away(&self, reason: TurnedAway) {
        self.door.turned_away(reason);
    }

    /// Who notes how long the journal's commits take.
    pub fn commits(&self) -> OnCommit {
        let seconds = self.commit_seconds.clone();
        Box::new(move |took| seconds.observe(took.as_secs_f64()))
    }

    /// Everything in the OpenMetrics text format.
    ///
    /// # Errors
    /// The formatter failed, which writing into memory does not.
    pub fn write(&self, facts: &Facts) -> Result<String, fmt::Error> {
        let _one = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.standing.set(facts);
        self.door.set(&facts.door, facts.now);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
