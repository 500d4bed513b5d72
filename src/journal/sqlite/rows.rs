//! How words stand in rows as integers, and back.

use herald_model::{DeliveryState, Outcome, Phase};
use jiff::Timestamp;

use super::finish::{DEAD, DELIVERED, SUPPRESSED};

/// A time from its milliseconds; the ends of time for what lies beyond them.
pub(super) fn timestamp(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or(if millisecond < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// A phase of a waiting lane.
pub(super) const fn phase_number(phase: Phase) -> i64 {
    match phase {
        Phase::Due => 0,
        Phase::Waiting => 1,
        Phase::Held => 2,
        Phase::Limited => 3,
        Phase::InFlight => 4,
    }
}

/// And back.
pub(super) const fn phase(number: i64) -> Phase {
    match number {
        1 => Phase::Waiting,
        2 => Phase::Held,
        3 => Phase::Limited,
        4 => Phase::InFlight,
        _ => Phase::Due,
    }
}

/// An outcome's kind.
pub(super) const fn outcome_number(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Delivered { .. } => ARRIVED,
        Outcome::Transient { .. } => 1,
        Outcome::Unknown { .. } => UNKNOWN,
        Outcome::Permanent { .. } => 3,
        Outcome::SinkFault { .. } => 4,
    }
}

/// It arrived.
pub(super) const ARRIVED: i64 = 0;

/// It may have arrived.
pub(super) const UNKNOWN: i64 = 2;

/// The word of an outcome's kind, as [`Outcome::as_str`] has it.
pub(super) const fn outcome_word(number: i64) -> &'static str {
    match number {
        0 => "delivered",
        1 => "transient",
        3 => "permanent",
        4 => "sink-fault",
        _ => "unknown",
    }
}

/// A final state; `Pending` for what is none.
pub(super) const fn state(number: i64) -> DeliveryState {
    match number {
        DELIVERED => DeliveryState::Delivered,
        DEAD => DeliveryState::Dead,
        SUPPRESSED => DeliveryState::Suppressed,
        _ => DeliveryState::Pending,
    }
}
