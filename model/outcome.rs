//! How an attempt ended. What a far side did is never an error but an outcome, and an outcome
//! always has a reason that a person can read.

use std::time::Duration;

use jiff::Timestamp;

/// How an attempt ended for one item of its message.
///
/// Reasons hold the far side's code and words with secrets removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The far side accepted it.
    Delivered {
        /// What it answered.
        reply: String,
    },
    /// Not accepted; the same again may be. Charged.
    Transient {
        /// Why.
        reason: String,
        /// Earliest time of the next attempt, where the far side named one.
        not_before: Option<Timestamp>,
    },
    /// It may have arrived: the answer was lost. Charged; sent again with the same key and bytes.
    Unknown {
        /// Why.
        reason: String,
    },
    /// The same again would fail again: a dead letter.
    Permanent {
        /// Why.
        reason: String,
    },
    /// The way out itself is broken (credentials, signature, address), so the item is not to
    /// blame: no attempt is charged, and the breaker counts it.
    SinkFault {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// The word of the public contract.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Transient { .. } => "transient",
            Self::Unknown { .. } => "unknown",
            Self::Permanent { .. } => "permanent",
            Self::SinkFault { .. } => "sink-fault",
        }
    }

    /// The far side's words: the reply of a success, else the reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::Delivered { reply } => reply,
            Self::Transient { reason, .. }
            | Self::Unknown { reason }
            | Self::Permanent { reason }
            | Self::SinkFault { reason } => reason,
        }
    }

    /// Whether the attempt uses up a step of the retry schedule.
    pub const fn is_charged(&self) -> bool {
        !matches!(self, Self::SinkFault { .. })
    }

    /// A success.
    pub fn delivered(reply: impl Into<String>) -> Self {
        Self::Delivered {
            reply: reply.into(),
        }
    }

    /// A transient outcome without a wish of the far side.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::Transient {
            reason: reason.into(),
            not_before: None,
        }
    }

    /// An unknown outcome.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
        }
    }

    /// A permanent outcome.
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent {
            reason: reason.into(),
        }
    }

    /// A sink fault.
    pub fn sink_fault(reason: impl Into<String>) -> Self {
        Self::SinkFault {
            reason: reason.into(),
        }
    }
}

/// What one attempt came to: an outcome per item, and what the far side said about the way itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    items: Items,
    /// For the endpoint or the sink as a whole.
    pub signal: Signal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Items {
    Same(Outcome),
    Each(Vec<Outcome>),
}

/// What an answer says beyond its own message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Signal {
    /// Nothing.
    #[default]
    None,
    /// The vendor punishes the endpoint: nobody sends to it for this long.
    Penalty(Duration),
    /// The receiver wants no more (HTTP 410): the sink is held until a person lets it go.
    Hold,
}

impl Outcomes {
    /// One outcome for every item of the message.
    pub const fn same(outcome: Outcome) -> Self {
        Self {
            items: Items::Same(outcome),
            signal: Signal::None,
        }
    }

    /// One outcome per item, in the items' order.
    pub const fn each(outcomes: Vec<Outcome>) -> Self {
        Self {
            items: Items::Each(outcomes),
            signal: Signal::None,
        }
    }

    /// Adds what the answer says about the way itself.
    #[must_use]
    pub const fn with_signal(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    /// The outcome of the item at `index`. An item the sink said nothing about is unknown: it may
    /// have arrived.
    pub fn of(&self, index: usize) -> Outcome {
        match &self.items {
            Items::Same(outcome) => outcome.clone(),
            Items::Each(outcomes) => outcomes
                .get(index)
                .cloned()
                .unwrap_or_else(|| Outcome::unknown("the sink gave no outcome for this item")),
        }
    }
}

impl From<Outcome> for Outcomes {
    fn from(outcome: Outcome) -> Self {
        Self::same(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_item_may_have_arrived() {
        let outcomes = Outcomes::each(vec![Outcome::permanent("no such mailbox")]);
        assert_eq!(outcomes.of(0).as_str(), "permanent");
        assert_eq!(outcomes.of(1).as_str(), "unknown");
    }

    #[test]
    fn a_sink_fault_charges_nothing() {
        assert!(!Outcome::sink_fault("535 bad password").is_charged());
        assert!(Outcome::unknown("cut off").is_charged());
    }
}
