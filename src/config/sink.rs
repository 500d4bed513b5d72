//! `[sink.NAME]`: the keys that every kind has; the kind reads its own.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use herald_model::delivery::{Order, Overflow};
use herald_model::settings::Table;
use herald_model::sink::{ConnectError, SinkDefaults};
use herald_model::{Language, RetrySchedule, SinkConfig, SinkKind};

use super::reading::{File, Named, check_name, has_table, named, word_or};
use super::retry;
use super::templates::{self, Templates};

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
            None => Err(ConnectError("a secret that it needs is not set".to_owned())),
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

/// How deliveries are made to a sink, whatever its kind. Where no default is named, it is the
/// kind's.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkPolicy {
    /// Which deliveries keep their order.
    pub order: Order,
    /// Whether deliveries of one event by several subscriptions go as one message.
    pub together: bool,
    /// How long a lane waits for a failing head before it passes it, 0s to 30d, by default 10m:
    /// about seven attempts of the default schedule.
    pub lane_patience: Duration,
    /// Deliveries that may wait for this sink, 1 to 100,000,000, by default 1,000,000; beyond it
    /// the oldest INFO is suppressed first.
    pub max_backlog: u64,
    /// How many messages may start in a window; `None`: no limit.
    pub limit: Option<Limit>,
    /// What becomes of a delivery that the limit keeps from starting.
    pub overflow: Overflow,
    /// When to try again.
    pub retry: RetrySchedule,
    /// Attempts at a time, 1 to 1,000.
    pub concurrency: u32,
    /// Language of built-in texts, by default English.
    pub language: Language,
    /// Texts that stand in for the built-in ones.
    pub templates: Templates,
}

/// A window of start times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Messages that may start within any such window, 1 to 1,000,000.
    pub messages: u32,
    /// Length of the window, 1s to 1d.
    pub per: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The sinks of a file.
pub(super) struct Sinks<'t> {
    /// Those without a mistake.
    pub(super) read: Vec<Sink>,
    /// Names that subscriptions may refer to, also of sinks with a mistake, so that one mistake is
    /// reported once. `None` when nothing can be said about them.
    pub(super) names: Option<Vec<&'t str>>,
}

/// Reads every `[sink.NAME]`.
pub(super) fn read_all<'t>(file: &File<'t>, root: &Table<'t>) -> Sinks<'t> {
    let Some(all) = named(root, "sink") else {
        return Sinks {
            read: Vec::new(),
            names: None,
        };
    };
    let names = all.iter().map(|sink| sink.name).collect();
    let mut read = Vec::new();
    for Named { name, span, table } in all {
        check_name(root.reading(), span, "sink", name);
        read.extend(table.and_then(|table| read_one(file, name, table)));
    }
    Sinks {
        read,
        names: Some(names),
    }
}

fn read_one<'t>(file: &File<'t>, name: &str, mut table: Table<'t>) -> Option<Sink> {
    let words: Vec<_> = file.kinds.iter().map(|kind| (kind.name, kind)).collect();
    let kind: Option<&SinkKind> = table.word("kind", &words).required("\"email\"");
    let Some(kind) = kind else {
        // Which other keys there may be is unknown, but what every kind has can be checked.
        read_policy(file, &table, NEUTRAL);
        return None;
    };
    let policy = read_policy(file, &table, kind.defaults);
    let settings = (kind.configure)(&mut table).map(Arc::from);
    table.finish();
    Some(Sink {
        name: Arc::from(name),
        kind: kind.name,
        policy,
        settings,
    })
}

/// Stands in for the defaults of a kind that is not known.
const NEUTRAL: SinkDefaults = SinkDefaults {
    order: Order::None,
    together: false,
    overflow: Overflow::Wait,
    limit: None,
    concurrency: 1,
};

fn read_policy<'t>(file: &File<'t>, table: &Table<'t>, kind: SinkDefaults) -> SinkPolicy {
    const CONCURRENCY: RangeInclusive<u64> = 1..=1_000;
    let orders = [("resource", Order::Resource), ("none", Order::None)];
    let overflows = [("digest", Overflow::Digest), ("wait", Overflow::Wait)];
    let languages = [("en", Language::En), ("zh", Language::Zh)];
    SinkPolicy {
        order: word_or(table, "order", &orders, kind.order),
        together: table.flag("together").or(kind.together),
        lane_patience: table
            .duration("lane_patience", Duration::ZERO..=30 * DAY)
            .or(10 * MINUTE),
        max_backlog: table.number("max_backlog", 1..=100_000_000).or(1_000_000),
        limit: read_limit(file, table, kind.limit),
        overflow: word_or(table, "overflow", &overflows, kind.overflow),
        retry: retry::read(file, table),
        concurrency: small(
            table
                .number("concurrency", CONCURRENCY)
                .or(u64::from(kind.concurrency)),
        ),
        language: word_or(table, "language", &languages, Language::En),
        templates: templates::read(table),
    }
}

fn read_limit<'t>(
    file: &File<'t>,
    table: &Table<'t>,
    kind: Option<(u32, Duration)>,
) -> Option<Limit> {
    let limit = file.section(table, "limit");
    let messages = limit.number("messages", 1..=1_000_000);
    let messages = match kind {
        Some((messages_of_kind, _)) => Some(messages.or(u64::from(messages_of_kind))),
        None if has_table(table, "limit") => messages.required("60"),
        None => messages.optional(),
    };
    let per = limit
        .duration("per", Duration::from_secs(1)..=DAY)
        .or(kind.map_or(MINUTE, |(_, per)| per));
    limit.finish();
    Some(Limit {
        messages: small(messages?),
        per,
    })
}

/// A number that was asked for in a range that fits.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
