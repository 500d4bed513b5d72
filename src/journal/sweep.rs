//! What a step of retention may remove, and what it removed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// How far a sweep goes to make room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Only what is old goes.
    #[default]
    None,
    /// What is finished goes whatever its age, oldest first, and its identities with it: a repeat of
    /// such an event is a new event. Ends as soon as the journal is [`Fill::Roomy`](super::Fill::Roomy).
    Finished,
    /// The same; where nothing finished is found, the oldest INFO of the sink for which most waits
    /// is suppressed as `backlog` and goes with its event, so that a sink that is gone for a week
    /// cannot stop intake. What is WARN or above, or in flight, never goes. Ends as soon as the
    /// journal is below [`Fill::Near`](super::Fill::Near).
    Waiting,
}

/// What may be removed.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The present.
    pub now: Timestamp,
    /// How long finished events are kept.
    pub keep: Duration,
    /// How long identities are kept.
    pub dedup_window: Duration,
    /// Events looked at in this step; bounds the time the writer is held up.
    pub events_max: u32,
    /// How far it goes.
    pub pressure: Pressure,
}

/// What one step removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Events removed.
    pub events: u64,
    /// Deliveries removed with them.
    pub deliveries: u64,
    /// Operation results and refused bodies removed.
    pub others: u64,
    /// Identities removed.
    pub identities: u64,
    /// Sink from which waiting deliveries were suppressed to make room, and how many.
    pub crowded_out: Option<(Arc<str>, u64)>,
    /// Whether another step would find more.
    pub more: bool,
}

impl Swept {
    /// Whether it made room.
    pub const fn made_room(&self) -> bool {
        self.events > 0 || self.others > 0
    }
}
