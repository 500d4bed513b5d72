//! What is written down: the rules of a configuration, and what comes in under them.

use std::sync::Arc;
use std::time::Duration;

use herald_model::{Event, EventId, Level};
use jiff::Timestamp;

use super::{EventNo, GenerationNo, RefusedEntry, SinkNo, SubscriptionNo};

/// The rules of one configuration, as the journal keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Since when they are in force.
    pub since: Timestamp,
    /// Name and canonical text (JSON) of each subscription, in the file's order.
    pub subscriptions: Vec<(Arc<str>, Arc<str>)>,
    /// Names of the sinks.
    pub sinks: Vec<Arc<str>>,
}

/// The integers of a configuration, in the order of its [`Rules`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The generation.
    pub number: GenerationNo,
    /// Of the subscriptions.
    pub subscriptions: Vec<SubscriptionNo>,
    /// Of the sinks.
    pub sinks: Vec<SinkNo>,
}

/// One thing to write down.
#[derive(Debug, Clone)]
pub enum Entry {
    /// An event with its deliveries.
    Event(Box<EventEntry>),
    /// An operation result that triggered nothing.
    NotTriggered {
        /// When it was received.
        received_at: Timestamp,
        /// Name of its source.
        source: Arc<str>,
        /// The operation result as compact JSON.
        operation: String,
        /// The reason word.
        reason: &'static str,
    },
    /// A body that was refused. It is kept only while there is room for it: up to
    /// [`Bounds::refused`](super::Bounds::refused) and a share of [`Bounds::max_size`](super::Bounds::max_size) per source, the oldest going first.
    Refused(Box<RefusedEntry>),
    /// How far a source has read. It is durable with the other entries of its batch or not at all,
    /// so that a source which goes on from it reads nothing twice and passes nothing over.
    Bookmark {
        /// Name of the source, which has one bookmark: this one replaces the last.
        source: Arc<str>,
        /// Whatever its kind makes of it.
        text: String,
    },
}

/// An event with what follows from it.
#[derive(Debug, Clone)]
pub struct EventEntry {
    /// The event.
    pub event: Event,
    /// Its canonical text with `intake.conflict` set, to be stored instead if the journal holds
    /// the same identity with another fingerprint.
    pub text_in_conflict: Arc<str>,
    /// Received bytes where they differ from the canonical text, compressed (deflate), personal
    /// data cut out.
    pub original: Option<Vec<u8>>,
    /// By what a repeat is recognised; none for an event without identity.
    pub identities: Vec<Identity>,
    /// Hash of what must be equal for a repeat to be the same event.
    pub fingerprint: u64,
    /// How long ago a repeat may lie.
    pub dedup_window: Duration,
    /// The rules that were applied.
    pub generation: GenerationNo,
    /// The subscriptions that matched, deliveries or not.
    pub matched: Vec<SubscriptionNo>,
    /// What was planned.
    pub deliveries: Vec<Planned>,
}

/// One identity of an event: a keyed hash of its parts (never of unbounded length).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(pub u128);

/// A delivery to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// For whom.
    pub subscription: SubscriptionNo,
    /// By which way out.
    pub sink: SinkNo,
    /// Hash of the resource, for a sink that keeps order; `None` gives the delivery a lane of its
    /// own.
    pub lane: Option<u64>,
    /// For preference between lanes.
    pub level: Level,
    /// When it is too late.
    pub expires_at: Timestamp,
}

/// What a repeat knows more of an event, and what follows from it.
#[derive(Debug, Clone)]
pub struct Learned {
    /// The event.
    pub event: EventNo,
    /// Its canonical text as it was looked at.
    pub before: Arc<str>,
    /// The same with what was learned.
    pub text: Arc<str>,
    /// When the repeat was received.
    pub received_at: Timestamp,
    /// Subscriptions that match besides those that did.
    pub matched: Vec<SubscriptionNo>,
    /// What was planned for them.
    pub deliveries: Vec<Planned>,
}

/// The answer to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Written.
    Accepted {
        /// The event's id.
        id: EventId,
        /// Whether the identity was there with other content.
        conflict: bool,
    },
    /// The event is there already; nothing was planned.
    Duplicate {
        /// The first one's id.
        of: EventId,
    },
    /// An operation result that triggered nothing, a refused body or a bookmark was written.
    Noted,
}
