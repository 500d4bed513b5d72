//! What people do, in memory.

use std::time::Duration;

use async_trait::async_trait;
use herald_model::{DeliveryState, Outcome, Phase};
use jiff::Timestamp;

use super::MemoryJournal;
use super::state::{Delivery, Message, State, counter};
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
        // What was delivered leaves under a new key: under the old one a receiver that knows it
        // would pass it over.
        let message = match seen {
            DeliveryState::Delivered => None,
            _ => self.stopped(number, now),
        };
        if let Some(delivery) = self.deliveries.get_mut(&number) {
            delivery.begin_anew(now);
            delivery.message = message;
        }
        self.pending.insert(number);
        *counter(&mut self.totals, seen) -= 1;
        self.totals.pending += 1;
        true
    }

    /// The message of the last attempt, as a replay goes on with it. Where it had several members,
    /// a new one that knows what was done already.
    fn stopped(&mut self, number: i64, now: Timestamp) -> Option<i64> {
        let delivery = self.deliveries.get(&number)?;
        let last = delivery.attempts.last()?;
        // As of what was delivered: a replay that was suppressed changes nothing of that.
        if matches!(last.outcome, Outcome::Delivered { .. }) {
            return None;
        }
        let last = last.message;
        let of_it = || {
            delivery
                .attempts
                .iter()
                .rev()
                .take_while(|one| one.message == last)
        };
        let arrived = of_it().any(|one| matches!(one.outcome, Outcome::Unknown { .. }));
        let first = of_it().last().map_or(now, |one| one.started);
        let stored = self.messages.get(&last);
        let shared = of_it().any(|one| one.leader.is_some());
        if shared {
            let progress = stored.and_then(|message| message.progress.clone())?;
            self.last_attempt += 1;
            let message = Message::alone(number, now, Some(progress));
            self.messages.insert(self.last_attempt, message);
            return Some(self.last_attempt);
        }
        let message = self
            .messages
            .entry(last)
            .or_insert_with(|| Message::alone(number, first, None));
        message.frozen |= message.text.is_some() && (arrived || message.progress.is_some());
        if !message.frozen {
            message.text = None;
        }
        Some(last)
    }

    /// Whether a delivery that is pending has an open attempt.
    fn is_open(&self, number: i64) -> Option<bool> {
        let delivery = self.deliveries.get(&number)?;
        (delivery.state == DeliveryState::Pending).then_some(delivery.open.is_some())
    }

    /// Suppresses what waits. Who left its lane only to go with it takes the lane over.
    pub(super) fn suppress(&mut self, number: i64, reason: &str, now: Timestamp) {
        let suppressed = DeliveryState::Suppressed;
        let heir = self.heir(number);
        self.finish_and(number, suppressed, Some(reason), now, heir.is_none());
        if let Some((heir, lane)) = heir
            && let Some(heir) = self.deliveries.get_mut(&heir)
        {
            heir.lane = Some(lane);
        }
    }

    fn heir(&self, number: i64) -> Option<(i64, u64)> {
        let delivery = self.deliveries.get(&number)?;
        let (lane, message) = (delivery.lane?, delivery.message?);
        let members = &self.messages.get(&message)?.members;
        let heir = members.iter().find(|member| {
            let of_it = |one: &Delivery| one.message == Some(message);
            self.pending.contains(member)
                && self.deliveries.get(member).is_some_and(of_it)
                && self.has_left(**member, Some(lane))
        });
        heir.map(|heir| (*heir, lane))
    }

    /// Whether a delivery left this ordered lane only to go with its head. One that the lane passed
    /// or that was replayed never comes back to it.
    pub(super) fn has_left(&self, number: i64, lane: Option<u64>) -> bool {
        self.deliveries.get(&number).is_some_and(|one| {
            one.lane.is_none()
                && !one.late
                && one.earlier.is_none()
                && lane.is_some()
                && one.planned_lane == lane
        })
    }

    fn expires(&self, number: i64) -> Timestamp {
        self.deliveries
            .get(&number)
            .map_or(Timestamp::MAX, |delivery| delivery.expires)
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
            if self.expires(number) <= expire.now && self.is_open(number) == Some(false) {
                made.deliveries.push(self.delivery_id(number));
                self.suppress(number, EXPIRED, expire.now);
            }
        }
        made
    }
}

impl Delivery {
    /// Makes it due in a lane of its own, with its schedule and its time to expire begun anew.
    fn begin_anew(&mut self, now: Timestamp) {
        self.expires = now.saturating_add(self.lasts).unwrap_or(Timestamp::MAX);
        self.state = DeliveryState::Pending;
        self.reason = None;
        self.lane = None;
        self.late = false;
        self.due = now;
        self.passes_at = None;
        self.phase = Phase::Due;
        let charged = std::mem::take(&mut self.charged);
        self.earlier = Some(self.earlier.unwrap_or(0) + charged);
        self.kills = 0;
        self.since = None;
        self.uncounted = Duration::ZERO;
        self.idle = Duration::ZERO;
        self.first_attempt = None;
    }
}

impl Message {
    fn alone(member: i64, composed: Timestamp, progress: Option<Vec<u8>>) -> Self {
        Self {
            composed,
            members: vec![member],
            text: None,
            frozen: false,
            progress,
        }
    }
}
