//! What people do, in memory.

use async_trait::async_trait;
use herald_model::{DeliveryState, Phase};
use jiff::Timestamp;

use super::MemoryJournal;
use super::state::{State, counter};
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
        let Some(delivery) = self.deliveries.get_mut(&number) else {
            return false;
        };
        let Some(event) = self.events.get(&delivery.event) else {
            return false;
        };
        if delivery.state != seen || seen == DeliveryState::Pending {
            return false;
        }
        delivery.begin_anew(event.received, now);
        self.pending.insert(number);
        *counter(&mut self.totals, seen) -= 1;
        self.totals.pending += 1;
        true
    }

    /// Whether a delivery that is pending has an open attempt.
    fn is_open(&self, number: i64) -> Option<bool> {
        let delivery = self.deliveries.get(&number)?;
        (delivery.state == DeliveryState::Pending).then_some(delivery.open.is_some())
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
            if self.expires(number) <= expire.now && self.is_open(number) == Some(false) {
                made.deliveries.push(self.delivery_id(number));
                self.suppress(number, EXPIRED, expire.now);
            }
        }
        made
    }

    /// What a waiting delivery is said to wait for.
    pub(super) fn shown_phase(&self, sink: SinkNo, own: Phase) -> Phase {
        if self.pauses.contains_key(&sink) {
            Phase::Held
        } else {
            own
        }
    }
}
