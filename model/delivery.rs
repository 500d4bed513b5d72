//! The words for where a delivery stands.

use std::fmt;

/// State of a delivery. All but `Pending` are final, each with a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Due, or to be due.
    Pending,
    /// The sink accepted it at least once.
    Delivered,
    /// Over without success; kept for a person.
    Dead,
    /// Deliberately not made.
    Suppressed,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Suppressed];

    /// The word of the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Suppressed => "suppressed",
        }
    }

    /// The state that a word names.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a pending delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Nothing: it goes as soon as its sink has room.
    Due,
    /// The end of its open attempt.
    InFlight,
    /// A time, or its turn in its lane.
    Waiting,
    /// A person: its sink is paused, or gone from the configuration.
    Held,
    /// A permit of its endpoint.
    Limited,
}

impl Phase {
    /// The word of the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::InFlight => "in-flight",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Limited => "limited",
        }
    }
}

/// Which deliveries of a sink keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// One lane per resource, in the order of the commits.
    Resource,
    /// Each delivery has a lane of its own.
    None,
}

/// What becomes of a delivery that a limit keeps from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// It joins the next digest of its sink.
    Digest,
    /// It waits for a permit of its own.
    Wait,
}
