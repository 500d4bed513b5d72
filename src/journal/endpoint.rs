//! What a limit protects: the permits of an endpoint, its penalty and its breaker.
//!
//! Plain functions of their arguments, the same for every engine. Times are milliseconds since
//! 1970, as the journal keeps them.

use std::collections::VecDeque;
use std::time::Duration;

use herald_model::event::Level;
use herald_model::{Outcome, Signal};
use jiff::Timestamp;

use super::{EndpointRow, SinkState};

#[cfg(test)]
mod tests;

/// How many attempts in a row must end in sink faults before the breaker opens. Chosen: a
/// connection may break a few times by chance, a wrong password always does.
pub const BREAKER_FAULTS: u32 = 5;

/// First and longest wait before a probe of an endpoint whose breaker is open; it doubles from the
/// one to the other. Chosen: a wrong password does not mend itself in seconds, and repeated tries
/// can lock an account.
pub const PROBE_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// Start times that an endpoint keeps for one window. A limit of more messages than this keeps
/// them in steps of `per / STARTS_MAX`, rounded up: still never too many, and a permit comes at
/// most one step late.
pub const STARTS_MAX: u32 = 1_024;

/// How many messages may start at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Messages that may start within any window of length `per`.
    pub messages: u32,
    /// Length of the window.
    pub per: Duration,
    /// Attempts that may be open at a time.
    pub in_flight: u32,
    /// Of `messages`, those kept for WARN and above.
    pub reserve: u32,
}

impl Limit {
    fn per(&self) -> i64 {
        millis(self.per)
    }

    /// Messages of this level that a window may hold; at least one, or nothing would ever leave.
    fn allows(&self, level: Level) -> u32 {
        let kept = match level {
            Level::Info => self.reserve,
            Level::Warn | Level::Critical => 0,
        };
        self.messages.saturating_sub(kept).max(1)
    }

    /// The step in which start times are kept.
    fn step(&self) -> i64 {
        if self.messages <= STARTS_MAX {
            return 1;
        }
        (self.per() / i64::from(STARTS_MAX)).max(1)
    }
}

/// No permit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied {
    /// When there will be one; `None`: when an open attempt ends.
    pub(crate) until: Option<i64>,
}

/// A permit that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permit {
    /// The start time as it was kept; `None` where none was.
    start: Option<i64>,
    /// Whether the message is a probe.
    probe: bool,
}

/// What an attempt says about the way it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The far side took it, or refused this one message: the way works.
    Sound,
    /// The way itself is broken.
    Faulty,
    /// Nothing: the far side was busy, or silent.
    Unclear,
}

impl Verdict {
    /// The verdict of one attempt's outcomes.
    pub(crate) fn of<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> Self {
        outcomes.fold(Self::Unclear, |so_far, outcome| match (so_far, outcome) {
            (Self::Sound, _) | (_, Outcome::Delivered { .. } | Outcome::Permanent { .. }) => {
                Self::Sound
            }
            (_, Outcome::SinkFault { .. }) => Self::Faulty,
            (_, Outcome::Transient { .. } | Outcome::Unknown { .. }) => so_far,
        })
    }
}

/// The durable state of an endpoint, with what is open at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Start times, oldest first, and how many at each.
    starts: VecDeque<(i64, u32)>,
    /// The longest window that anybody counts in; 0: nobody does.
    per: i64,
    penalty_until: Option<i64>,
    /// Attempts in a row that ended in sink faults.
    faults: u32,
    /// From when one message may go as a probe, and nothing beside it.
    probe_at: Option<i64>,
    // Not durable: after a start nothing is open.
    in_flight: u32,
    probing: bool,
}

/// An endpoint as it stands in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) starts: Vec<u8>,
    pub(crate) per: i64,
    pub(crate) penalty_until: Option<i64>,
    pub(crate) faults: u32,
    pub(crate) probe_at: Option<i64>,
}

/// What keeps an endpoint from being used, whatever its limit. A penalty, which ends by itself, is
/// less than a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closed {
    Penalty(i64),
    Breaker(Option<i64>),
}

impl Endpoint {
    /// Lets go of what `now` has passed. A clock that was set back never blocks an endpoint for
    /// longer than one window.
    pub(crate) fn pass_time(&mut self, now: i64) {
        let latest = now + self.per / i64::from(STARTS_MAX) + 1;
        for (at, _) in self.starts.iter_mut().rev() {
            if *at <= latest {
                break;
            }
            *at = latest;
        }
        while let Some((at, _)) = self.starts.front()
            && at.saturating_add(self.per) <= now
        {
            self.starts.pop_front();
        }
        if self.penalty_until.is_some_and(|until| until <= now) {
            self.penalty_until = None;
        }
    }

    /// How many messages of a level may start now.
    pub(crate) fn permits(
        &self,
        limit: Option<&Limit>,
        level: Level,
        now: i64,
    ) -> Result<u32, Denied> {
        let later = |until| Err(Denied { until: Some(until) });
        let after_an_end = Err(Denied { until: None });
        if let Some(until) = self.penalty_until
            && until > now
        {
            return later(until);
        }
        let mut may = u32::MAX;
        if let Some(at) = self.probe_at {
            if self.probing {
                return after_an_end;
            }
            if at > now {
                return later(at);
            }
            may = 1;
        }
        let Some(limit) = limit else { return Ok(may) };
        let places = limit.in_flight.saturating_sub(self.in_flight);
        if places == 0 {
            return after_an_end;
        }
        let (per, allowed) = (limit.per(), u64::from(limit.allows(level)));
        let counted = || {
            self.starts
                .iter()
                .filter(|(at, _)| at.saturating_add(per) > now)
        };
        let mut inside: u64 = counted().map(|(_, count)| u64::from(*count)).sum();
        if inside < allowed {
            let left = u32::try_from(allowed - inside).unwrap_or(u32::MAX);
            return Ok(may.min(places).min(left));
        }
        for (at, count) in counted() {
            inside -= u64::from(*count);
            if inside < allowed {
                return later(at.saturating_add(per));
            }
        }
        after_an_end
    }

    /// Makes sure that start times are kept for as long as a limit counts them.
    pub(crate) fn count_for(&mut self, limit: Option<&Limit>) {
        self.per = self.per.max(limit.map_or(0, Limit::per));
    }

    /// Takes a permit for one message.
    pub(crate) fn start(&mut self, limit: Option<&Limit>, now: i64) -> Permit {
        self.count_for(limit);
        self.in_flight += 1;
        let probe = self.probe_at.is_some();
        self.probing |= probe;
        let start = (self.per > 0).then(|| {
            let step = limit.map_or(1, Limit::step);
            now.div_euclid(step)
                .saturating_add(i64::from(now.rem_euclid(step) > 0))
                .saturating_mul(step)
        });
        if let Some(at) = start {
            self.insert(at);
        }
        Permit { start, probe }
    }

    fn insert(&mut self, at: i64) {
        let place = self.starts.partition_point(|(other, _)| *other < at);
        match self.starts.get_mut(place) {
            Some((other, count)) if *other == at => *count += 1,
            _ => self.starts.insert(place, (at, 1)),
        }
        // Only limits that differ on one endpoint come here: the longer window pays.
        while self.starts.len() > 4 * STARTS_MAX as usize {
            let oldest = self.starts.pop_front();
            if let (Some((_, count)), Some(next)) = (oldest, self.starts.front_mut()) {
                next.1 += count;
            }
        }
    }

    /// Takes back a permit whose message was never sent.
    pub(crate) fn give_back(&mut self, permit: Permit) {
        self.leave(permit);
        let Some(at) = permit.start else { return };
        if let Ok(place) = self.starts.binary_search_by_key(&at, |(at, _)| *at)
            && let Some((_, count)) = self.starts.get_mut(place)
        {
            *count -= 1;
            if *count == 0 {
                self.starts.remove(place);
            }
        }
    }

    /// Ends an attempt, with what it says about the way.
    pub(crate) fn end(&mut self, permit: Permit, ended: i64, verdict: Verdict, signal: &Signal) {
        self.leave(permit);
        let was_open = self.breaker_is_open();
        match verdict {
            Verdict::Sound => {
                self.faults = 0;
                self.probe_at = None;
            }
            // Others were on their way when the breaker opened; they say nothing new.
            Verdict::Faulty if was_open && !permit.probe => {}
            Verdict::Faulty => {
                self.faults = self.faults.saturating_add(1);
                if self.breaker_is_open() || permit.probe {
                    self.probe_at = Some(ended.saturating_add(probe_wait(self.faults)));
                }
            }
            Verdict::Unclear if permit.probe => {
                self.probe_at = Some(ended.saturating_add(probe_wait(self.faults)));
            }
            Verdict::Unclear => {}
        }
        if let Signal::Penalty(wait) = signal {
            let until = ended.saturating_add(millis(*wait));
            let until = self.penalty_until.map_or(until, |other| other.max(until));
            self.penalty_until = Some(until);
            self.probe_at = Some(until);
        }
    }

    fn leave(&mut self, permit: Permit) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if permit.probe {
            self.probing = false;
        }
    }

    /// Ends everything that is open, since its process died.
    pub(crate) fn crash(&mut self) {
        self.in_flight = 0;
        self.probing = false;
    }

    const fn breaker_is_open(&self) -> bool {
        self.faults >= BREAKER_FAULTS
    }

    /// What keeps it from being used.
    pub(crate) fn closed(&self) -> Option<Closed> {
        match self.penalty_until {
            Some(until) => Some(Closed::Penalty(until)),
            None if self.breaker_is_open() => Some(Closed::Breaker(self.probe_at)),
            None => None,
        }
    }

    /// As people see it.
    pub(crate) fn shown(&self, name: &str) -> EndpointRow {
        let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
        EndpointRow {
            name: name.to_owned(),
            starts: self
                .starts
                .iter()
                .map(|(at, count)| (time(*at), *count))
                .collect(),
            penalty_until: self.penalty_until.map(time),
            is_broken: self.breaker_is_open(),
        }
    }

    /// Whether an end may let something start that could not before.
    pub(crate) const fn holds_back(&self) -> bool {
        self.per > 0 || self.probe_at.is_some()
    }

    /// As it is stored.
    pub(crate) fn row(&self) -> Row {
        let mut starts = Vec::with_capacity(self.starts.len() * 12);
        for (at, count) in &self.starts {
            starts.extend_from_slice(&at.to_le_bytes());
            starts.extend_from_slice(&count.to_le_bytes());
        }
        Row {
            starts,
            per: self.per,
            penalty_until: self.penalty_until,
            faults: self.faults,
            probe_at: self.probe_at,
        }
    }

    /// Whether [`row`](Self::row) is the same, found out without making it.
    pub(crate) fn is_stored_as(&self, other: &Self) -> bool {
        self.per == other.per
            && self.penalty_until == other.penalty_until
            && self.faults == other.faults
            && self.probe_at == other.probe_at
            && self.starts == other.starts
    }

    /// As it was stored, with nothing open.
    pub(crate) fn from_row(row: &Row) -> Self {
        let (entries, _) = row.starts.as_chunks::<12>();
        let starts = entries.iter().map(|entry| {
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
            (
                i64::from_le_bytes([a, b, c, d, e, f, g, h]),
                u32::from_le_bytes([i, j, k, l]),
            )
        });
        Self {
            starts: starts.collect(),
            per: row.per,
            penalty_until: row.penalty_until,
            faults: row.faults,
            probe_at: row.probe_at,
            in_flight: 0,
            probing: false,
        }
    }
}

/// The first of a sink's endpoints at which messages of a level may start now: its place, and how
/// many. `None` where the sink has no endpoint.
///
/// # Errors
/// None of them has a permit; when the first of them will.
pub(crate) fn first_open<'e>(
    endpoints: impl Iterator<Item = &'e Endpoint>,
    limit: Option<&Limit>,
    level: Level,
    now: i64,
) -> Result<Option<(usize, u32)>, Denied> {
    let mut denied: Option<Denied> = None;
    for (place, endpoint) in endpoints.enumerate() {
        match endpoint.permits(limit, level, now) {
            Ok(permits) => return Ok(Some((place, permits))),
            Err(another) => {
                let until = denied.and_then(|first| first.until);
                let until = until.into_iter().chain(another.until).min();
                denied = Some(Denied { until });
            }
        }
    }
    denied.map_or(Ok(None), Err)
}

/// How a sink stands, of which these are known: whether a person holds it, what closes its
/// endpoint, and what the last claim left behind for want of a permit.
pub(crate) fn standing(
    held: bool,
    closed: Option<Closed>,
    limited: Option<Denied>,
) -> (SinkState, Option<i64>) {
    match (held, closed, limited) {
        (true, ..) => (SinkState::Held, None),
        (false, Some(Closed::Penalty(until)), _) => (SinkState::Penalty, Some(until)),
        (false, Some(Closed::Breaker(until)), _) => (SinkState::Broken, until),
        (false, None, Some(denied)) => (SinkState::Limited, denied.until),
        (false, None, None) => (SinkState::Ready, None),
    }
}

/// How long after so many faults in a row a probe may go.
fn probe_wait(faults: u32) -> i64 {
    let (first, longest) = PROBE_WAIT;
    let doublings = faults.saturating_sub(BREAKER_FAULTS).min(16);
    millis((first * (1 << doublings)).min(longest))
}

pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
