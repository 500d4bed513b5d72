//! The endpoints, counted from outside: which permit is there by the design's rules, kept apart
//! from the journal's own count of them.

use herald::journal::{BREAKER_FAULTS, Limit, PROBE_WAIT, Policy, SettledItem};
use herald_model::event::Level;
use herald_model::{EndpointId, Outcome, Signal};

use crate::model::{Held, holds};

/// One endpoint. Times are milliseconds.
#[derive(Default)]
struct Way {
    limit: Option<Limit>,
    starts: Vec<i64>,
    arrivals: Vec<i64>,
    in_flight: u32,
    penalty_until: i64,
    /// Attempts in a row that ended in faults.
    faults: u32,
    /// While it is not known to work again: from when one may try.
    probe_at: Option<i64>,
    probing: bool,
}

/// A permit that was taken.
pub(crate) struct Permit {
    endpoint: EndpointId,
    is_probe: bool,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Ways(Vec<(EndpointId, Way)>);

impl Way {
    /// Whether a message of this level may start.
    fn has_permit(&self, limit: Option<&Limit>, level: Level, now: i64) -> bool {
        let works =
            self.penalty_until <= now && self.probe_at.is_none_or(|at| at <= now && !self.probing);
        works
            && limit.is_none_or(|limit| {
                let kept = match level {
                    Level::Info => limit.reserve,
                    Level::Warn | Level::Critical => 0,
                };
                let inside = within(&self.starts, limit, now);
                self.in_flight < limit.in_flight && inside < (limit.messages - kept) as usize
            })
    }

    fn ended(&mut self, items: &[SettledItem], signal: &Signal, was_probe: bool, now: i64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.probing &= !was_probe;
        let any = |is: fn(&Outcome) -> bool| items.iter().any(|item| is(&item.outcome));
        let broken = self.faults >= BREAKER_FAULTS;
        if any(|one| matches!(one, Outcome::Delivered { .. } | Outcome::Permanent { .. })) {
            self.faults = 0;
            self.probe_at = None;
        } else if any(|one| matches!(one, Outcome::SinkFault { .. })) {
            // What was on its way when the breaker opened says nothing new.
            if was_probe || !broken {
                self.faults += 1;
                if was_probe || self.faults >= BREAKER_FAULTS {
                    self.probe_at = Some(now + probe_wait(self.faults));
                }
            }
        } else if was_probe {
            self.probe_at = Some(now + probe_wait(self.faults));
        }
        if let Signal::Penalty(wait) = signal {
            let until = now + i64::try_from(wait.as_millis()).unwrap();
            self.penalty_until = self.penalty_until.max(until);
            self.probe_at = Some(self.penalty_until);
        }
    }
}

impl Ways {
    fn at(&mut self, endpoint: &EndpointId) -> &mut Way {
        let place = self.0.iter().position(|(name, _)| name == endpoint);
        let place = place.unwrap_or_else(|| {
            self.0.push((endpoint.clone(), Way::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// The first of a sink's endpoints that has a permit.
    pub(crate) fn first<'p>(
        &mut self,
        policy: &'p Policy,
        level: Level,
        now: i64,
    ) -> Option<&'p EndpointId> {
        let limit = policy.limit.as_ref();
        let mut all = policy.endpoints.iter();
        all.find(|name| self.at(name).has_permit(limit, level, now))
    }

    /// D9: a message starts by the first endpoint that has a permit for it.
    pub(crate) fn started(
        &mut self,
        endpoint: &EndpointId,
        policy: &Policy,
        level: Level,
        now: i64,
    ) -> Result<Permit, String> {
        let limit = policy.limit.as_ref();
        holds(self.at(endpoint).has_permit(limit, level, now), || {
            format!(
                "D9 too many: a message of {level:?} started at {endpoint}, which has no permit"
            )
        })?;
        let first = self.first(policy, level, now);
        holds(first == Some(endpoint), || {
            format!("D9 wasted: a message started at {endpoint}, with a permit at {first:?}")
        })?;
        let way = self.at(endpoint);
        way.limit = policy.limit;
        way.starts.retain(|at| at + KEPT > now);
        way.starts.push(now);
        way.in_flight += 1;
        let is_probe = way.probe_at.is_some();
        way.probing |= is_probe;
        Ok(Permit {
            endpoint: endpoint.clone(),
            is_probe,
        })
    }

    /// D9, as the far side counts.
    pub(crate) fn arrived(&mut self, endpoint: &EndpointId, now: i64) -> Held {
        let way = self.at(endpoint);
        way.arrivals.retain(|at| at + KEPT > now);
        way.arrivals.push(now);
        let Some(limit) = &way.limit else {
            return Ok(());
        };
        let inside = within(&way.arrivals, limit, now);
        holds(inside <= limit.messages as usize, || {
            let per = limit.per;
            format!("D9 too many: {inside} messages within {per:?} at {endpoint}")
        })
    }

    pub(crate) fn ended(
        &mut self,
        permit: &Permit,
        items: &[SettledItem],
        signal: &Signal,
        now: i64,
    ) {
        let way = self.at(&permit.endpoint);
        way.ended(items, signal, permit.is_probe, now);
    }

    /// The process died: nothing is in flight by it any more.
    pub(crate) fn crashed(&mut self) {
        for (_, way) in &mut self.0 {
            way.in_flight = 0;
            way.probing = false;
        }
    }
}

/// Milliseconds for which times are kept: longer than any window.
const KEPT: i64 = 60_000;

fn within(times: &[i64], limit: &Limit, now: i64) -> usize {
    let per = i64::try_from(limit.per.as_millis()).unwrap();
    times.iter().filter(|at| **at + per > now).count()
}

fn probe_wait(faults: u32) -> i64 {
    let (first, longest) = PROBE_WAIT;
    let doublings = faults.saturating_sub(BREAKER_FAULTS).min(16);
    let wait = (first * (1 << doublings)).min(longest);
    i64::try_from(wait.as_millis()).unwrap()
}
