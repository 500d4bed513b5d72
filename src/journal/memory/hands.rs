//! What people do, in memory.

use std::time::Duration;

use async_trait::async_trait;
use herald_model::{DeliveryState, Outcome, Phase};
use jiff::Timestamp;

use super::MemoryJournal;
use super::state::{Attempt, Delivery, Message, State, counter};
use crate::journal::hand::check_step;
use crate::journal::{
    Cancel, Cancelled, DeliveryNo, EXPIRED, Error, Expire, Expired, Hand, HandVerb, Hands, Pause,
    Paused, Replay, SinkNo,
};

#[async_trait]
impl Hands for MemoryJournal {
    async fn replay(&self, replay: Replay) -> Result<u64, Error> {
        check_step(replay.deliveries.len())?;
        let mut state = self.open()?;
        state.hands.extend(replay.hand);
        let mut count = 0;
        for (delivery, seen) in replay.deliveries {
            count += u64::from(state.replay(delivery.0, seen, replay.now));
        }
        drop(state);
        self.due.notify_one();
        Ok(count)
    }

    async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, Error> {
        check_step(cancel.deliveries.len())?;
        let mut state = self.open()?;
        state.hands.extend(cancel.hand);
        let mut made = Cancelled::default();
        for delivery in cancel.deliveries {
            match state.is_open(delivery.0) {
                None => {}
                Some(true) => made.in_flight += 1,
                Some(false) => {
                    state.suppress(delivery.0, &cancel.reason, cancel.now);
                    made.suppressed += 1;
                }
            }
        }
        Ok(made)
    }

    async fn pause(&self, sink: &str, mut hand: Hand) -> Result<Paused, Error> {
        hand.verb = HandVerb::Pause;
        let mut state = self.open()?;
        let Some(number) = state.sink_named(sink) else {
            return Ok(Paused::NoSuchSink);
        };
        let why = hand.why.clone().unwrap_or_default();
        if !state.hold(number, hand.at, &hand.who, &why) {
            return Ok(Paused::Already);
        }
        state.hands.push(hand);
        Ok(Paused::Done)
    }

    async fn resume(&self, sink: &str, mut hand: Hand) -> Result<Paused, Error> {
        hand.verb = HandVerb::Resume;
        let mut state = self.open()?;
        let Some(number) = state.sink_named(sink) else {
            return Ok(Paused::NoSuchSink);
        };
        if state.pauses.remove(&number).is_none() {
            return Ok(Paused::Already);
        }
        state.hands.push(hand);
        drop(state);
        self.due.notify_one();
        Ok(Paused::Done)
    }

    async fn expire(&self, expire: Expire) -> Result<Expired, Error> {
        Ok(self.open()?.expire(expire))
    }

    async fn hands(&self, limit: u32) -> Result<Vec<Hand>, Error> {
        let state = self.open()?;
        let newest = state.hands.iter().rev().take(limit as usize);
        Ok(newest.cloned().collect())
    }

    async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        Ok(self.open()?.pauses.values().cloned().collect())
    }
}

impl State {
    fn replay(&mut self, number: i64, seen: DeliveryState, now: Timestamp) -> bool {
        let Some(delivery) = self.deliveries.get(&number) else {
            return false;
        };
        if delivery.state != seen || seen == DeliveryState::Pending {
            return false;
        }
        let received = self.events.get(&delivery.event).map(|event| event.received);
        let message = match seen {
            DeliveryState::Delivered => None,
            _ => self.stopped(number, now),
        };
        if let Some(delivery) = self.deliveries.get_mut(&number) {
            delivery.begin_anew(received.unwrap_or(now), now);
            delivery.message = message;
        }
        self.pending.insert(number);
        *counter(&mut self.totals, seen) -= 1;
        self.totals.pending += 1;
        true
    }

    /// The message to go on in: that of the last attempt; or, where it was shared, one of its own
    /// with what was done already.
    fn stopped(&mut self, number: i64, now: Timestamp) -> Option<i64> {
        let attempts = &self.deliveries.get(&number)?.attempts;
        let last = attempts.last()?;
        let (message, leader) = (last.message, last.leader);
        let of_it = |attempt: &&Attempt| attempt.message == message;
        let composed = attempts.iter().find(of_it)?.started;
        let unknown = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Unknown { .. });
        let arrived = attempts.iter().filter(of_it).any(unknown);
        let shared = leader != number
            || self.deliveries.iter().any(|(other, delivery)| {
                *other != number && delivery.attempts.iter().any(|one| of_it(&one))
            });
        let fresh = |composed| Message {
            composed,
            members: vec![number],
            text: None,
            frozen: false,
            progress: None,
        };
        if shared {
            let progress = self.messages.get(&message)?.progress.clone()?;
            self.last_attempt += 1;
            let mut own = fresh(now);
            own.progress = Some(progress);
            self.messages.insert(self.last_attempt, own);
            return Some(self.last_attempt);
        }
        let kept = self
            .messages
            .entry(message)
            .or_insert_with(|| fresh(composed));
        kept.frozen |= kept.text.is_some() && (arrived || kept.progress.is_some());
        if !kept.frozen {
            kept.text = None;
        }
        Some(message)
    }

    /// Whether a delivery that is pending has an open attempt.
    fn is_open(&self, number: i64) -> Option<bool> {
        let delivery = self.deliveries.get(&number)?;
        (delivery.state == DeliveryState::Pending).then_some(delivery.open.is_some())
    }

    fn has_expired(&self, number: i64, now: Timestamp) -> bool {
        self.deliveries
            .get(&number)
            .is_some_and(|delivery| delivery.expires <= now)
    }

    fn suppress(&mut self, number: i64, reason: &str, now: Timestamp) {
        self.finish(number, DeliveryState::Suppressed, Some(reason), now);
    }

    fn sink_named(&self, name: &str) -> Option<SinkNo> {
        let place = self.sinks.iter().position(|sink| **sink == *name)?;
        i64::try_from(place + 1).ok().map(SinkNo)
    }

    /// Holds a sink back; false where it is already.
    pub(super) fn hold(&mut self, sink: SinkNo, at: Timestamp, who: &str, why: &str) -> bool {
        if self.pauses.contains_key(&sink) {
            return false;
        }
        let pause = Pause {
            sink: self.sink_name(sink),
            at,
            who: who.into(),
            why: why.to_owned(),
        };
        self.pauses.insert(sink, pause);
        true
    }

    fn expire(&mut self, expire: Expire) -> Expired {
        let after = expire.after.map_or(0, |after| after.0);
        let heads: Vec<i64> = self
            .pending
            .range(after + 1..)
            .copied()
            .filter(|number| {
                self.deliveries
                    .get(number)
                    .is_some_and(|delivery| self.is_head(*number, delivery))
            })
            .take(expire.lanes_max as usize)
            .collect();
        let full = heads.len() >= expire.lanes_max as usize;
        let mut made = Expired {
            deliveries: Vec::new(),
            next: heads.last().filter(|_| full).copied().map(DeliveryNo),
        };
        for number in heads {
            if self.has_expired(number, expire.now) && self.is_open(number) == Some(false) {
                made.deliveries.push(self.delivery_id(number));
                self.suppress(number, EXPIRED, expire.now);
            }
        }
        made
    }
}

impl Delivery {
    /// Makes it due in a lane of its own, with its schedule and its time to expire begun anew.
    fn begin_anew(&mut self, received: Timestamp, now: Timestamp) {
        self.expires = now
            .saturating_add(self.expires.duration_since(received))
            .unwrap_or(Timestamp::MAX);
        self.state = DeliveryState::Pending;
        self.reason = None;
        self.planned_lane = None;
        self.lane = None;
        self.due = now;
        self.phase = Phase::Due;
        self.earlier += std::mem::take(&mut self.charged);
        self.kills = 0;
        self.since = None;
        self.uncounted = Duration::ZERO;
        self.first_attempt = None;
        self.passes_at = None;
        self.late = false;
    }
}
