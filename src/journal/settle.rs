//! What is stored while a message is under way, and how an attempt ends.

use herald_model::{Outcome, Signal};
use jiff::Timestamp;

use super::{AttemptNo, DeliveryNo};

/// What is stored with a message while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// The text about to be sent, as JSON.
    Text(String),
    /// The sink's checkpoint.
    Progress(Vec<u8>),
}

/// How an attempt ended and what follows.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The claim.
    pub attempt: AttemptNo,
    /// When it ended.
    pub ended: Timestamp,
    /// One per item of the message, in their order.
    pub items: Vec<SettledItem>,
    /// What the far side said about the way itself.
    pub signal: Signal,
}

/// How it ended for one delivery.
#[derive(Debug, Clone)]
pub struct SettledItem {
    /// The delivery.
    pub delivery: DeliveryNo,
    /// The outcome, secrets removed.
    pub outcome: Outcome,
    /// What becomes of the delivery.
    pub next: Next,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is over, and it arrived.
    Delivered,
    /// It is over without success; why.
    Dead(String),
    /// It is tried again, at this time or later.
    Again(Timestamp),
}

/// Whether a closing took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It did.
    Done,
    /// The claim was not held any more; nothing changed.
    Stale,
}
