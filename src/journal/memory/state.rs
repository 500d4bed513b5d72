//! What the journal in memory holds, the rules in it, and the end of a delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use herald_model::event::Level;
use herald_model::{DeliveryId, DeliveryState, EventId, MessageId, Outcome, Phase};
use jiff::{SignedDuration, Timestamp};

use crate::journal::endpoint::{Denied, Endpoint, Permit};
use crate::journal::{
    AttemptNo, Bounds, Generation, GenerationNo, Hand, Identity, Pause, RefusedEntry, Rules,
    SinkNo, Size, SubscriptionNo, Totals,
};

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) closed: bool,
    /// Sinks; an integer is a place plus one.
    pub(super) sinks: Vec<Arc<str>>,
    /// Name and text of every subscription ever in force.
    pub(super) subscriptions: Vec<(Arc<str>, Arc<str>)>,
    pub(super) generations: Vec<(Timestamp, Vec<SubscriptionNo>)>,
    pub(super) events: BTreeMap<i64, Event>,
    pub(super) deliveries: BTreeMap<i64, Delivery>,
    /// Deliveries that have not ended, in commit order.
    pub(super) pending: BTreeSet<i64>,
    pub(super) operations: BTreeMap<i64, Operation>,
    pub(super) totals: Totals,
    pub(super) open: BTreeMap<AttemptNo, OpenMessage>,
    /// What is kept of messages that were tried.
    pub(super) messages: BTreeMap<i64, Message>,
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    /// Per sink its endpoint, and what the last claim left behind for want of a permit.
    pub(super) ways: BTreeMap<SinkNo, (Option<String>, Option<Denied>)>,
    /// Sinks that are held back.
    pub(super) pauses: BTreeMap<SinkNo, Pause>,
    /// What people did, oldest first.
    pub(super) hands: Vec<Hand>,
    /// How far sources have read, by name.
    pub(super) bookmarks: BTreeMap<Arc<str>, String>,
    pub(super) bounds: Bounds,
    /// Bytes of the texts that are kept.
    pub(super) bytes: u64,
    pub(super) last_event: i64,
    pub(super) last_delivery: i64,
    pub(super) last_attempt: i64,
    /// Whether a verb made something due.
    pub(super) wakes: bool,
    pub(super) last_operation: i64,
    pub(super) refused: BTreeMap<i64, RefusedEntry>,
    pub(super) last_refused: i64,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: EventId,
    pub(super) text: Arc<str>,
    pub(super) received: Timestamp,
    pub(super) generation: GenerationNo,
    pub(super) matched: Vec<SubscriptionNo>,
    /// Removed when they are older than the window.
    pub(super) identities: Vec<Identity>,
    pub(super) fingerprint: u64,
    pub(super) deliveries: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) id: DeliveryId,
    pub(super) event: i64,
    pub(super) subscription: SubscriptionNo,
    pub(super) sink: SinkNo,
    /// The lane as planned, and the one it is in now.
    pub(super) planned_lane: Option<u64>,
    pub(super) lane: Option<u64>,
    pub(super) level: Level,
    pub(super) expires: Timestamp,
    /// From its event's receipt, or its replay, until then.
    pub(super) lasts: SignedDuration,
    pub(super) state: DeliveryState,
    pub(super) reason: Option<String>,
    pub(super) due: Timestamp,
    pub(super) phase: Phase,
    pub(super) charged: u32,
    /// Attempts charged before it was replayed; `None` where it never was.
    pub(super) earlier: Option<u32>,
    pub(super) kills: u32,
    pub(super) since: Option<Timestamp>,
    pub(super) uncounted: Duration,
    /// How much the open claim added to it.
    pub(super) idle: Duration,
    pub(super) first_attempt: Option<Timestamp>,
    /// When its lane passes it, where that is before its next attempt.
    pub(super) passes_at: Option<Timestamp>,
    pub(super) late: bool,
    pub(super) open: Option<Open>,
    pub(super) message: Option<i64>,
    pub(super) attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) attempt: AttemptNo,
    pub(super) started: Timestamp,
}

/// A message whose attempt is open.
#[derive(Debug)]
pub(super) struct OpenMessage {
    pub(super) message: i64,
    pub(super) started: Timestamp,
    pub(super) members: Vec<i64>,
    pub(super) permit: Option<(String, Permit)>,
    pub(super) patience: Duration,
    /// What stands for its text if none is saved.
    pub(super) form: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) composed: Timestamp,
    pub(super) members: Vec<i64>,
    pub(super) text: Option<String>,
    pub(super) frozen: bool,
    pub(super) progress: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) message: i64,
    /// First member of a message of several.
    pub(super) leader: Option<i64>,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) outcome: Outcome,
    pub(super) charged: bool,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) received: Timestamp,
    pub(super) text: String,
    pub(super) reason: &'static str,
}

impl State {
    pub(super) fn begin(&mut self, rules: &Rules) -> Generation {
        let sinks: Vec<SinkNo> = rules.sinks.iter().map(|name| self.sink(name)).collect();
        // Nothing is claimed for the others, so they wait for no permit.
        self.ways.retain(|sink, _| sinks.contains(sink));
        let subscriptions: Vec<SubscriptionNo> = rules
            .subscriptions
            .iter()
            .map(|rule| SubscriptionNo(place(&mut self.subscriptions, rule)))
            .collect();
        let last = self.generations.last();
        if last.is_none_or(|(_, in_force)| *in_force != subscriptions) {
            self.generations.push((rules.since, subscriptions.clone()));
        }
        Generation {
            number: GenerationNo(length(&self.generations)),
            subscriptions,
            sinks,
        }
    }

    fn sink(&mut self, name: &Arc<str>) -> SinkNo {
        SinkNo(place(&mut self.sinks, name))
    }

    /// How much room it takes: the texts, which are nearly all of it.
    pub(super) fn size(&self) -> Size {
        Size {
            used: self.bytes,
            free: 0,
            max: self.bounds.max_size,
            events: self.totals.events,
        }
    }

    /// Ends a delivery and makes the next one of its lane due.
    pub(super) fn finish(
        &mut self,
        number: i64,
        state: DeliveryState,
        reason: Option<&str>,
        at: Timestamp,
    ) {
        self.finish_and(number, state, reason, at, true);
    }

    /// The same; the next of its lane may be due already.
    pub(super) fn finish_and(
        &mut self,
        number: i64,
        state: DeliveryState,
        reason: Option<&str>,
        at: Timestamp,
        promote: bool,
    ) {
        // The end of one that stood behind its head is nothing to the head.
        let promote = promote && self.is_first_of_its_lane(number);
        let Some(delivery) = self.deliveries.get_mut(&number) else {
            return;
        };
        delivery.state = state;
        delivery.reason = reason.map(str::to_owned);
        self.pending.remove(&number);
        self.totals.pending -= 1;
        *counter(&mut self.totals, state) += 1;
        let (sink, lane) = (delivery.sink, delivery.lane);
        if promote {
            self.promote(sink, lane, at);
        }
    }

    /// Makes the first of a lane due.
    pub(super) fn promote(&mut self, sink: SinkNo, lane: Option<u64>, at: Timestamp) {
        if lane.is_none() {
            return;
        }
        let next = self.first_of_lane(sink, lane);
        if let Some(next) = next.and_then(|next| self.deliveries.get_mut(&next))
            && next.open.is_none()
        {
            next.due = at.min(next.expires);
            self.wakes = true;
        }
    }

    fn first_of_lane(&self, sink: SinkNo, lane: Option<u64>) -> Option<i64> {
        let is_of_it = |one: &Delivery| one.sink == sink && one.lane == lane;
        let mut pending = self.pending.iter();
        let first = pending.find(|number| self.deliveries.get(number).is_some_and(is_of_it));
        first.copied()
    }

    fn is_first_of_its_lane(&self, number: i64) -> bool {
        self.deliveries.get(&number).is_some_and(|one| {
            one.lane.is_some() && self.first_of_lane(one.sink, one.lane) == Some(number)
        })
    }

    pub(super) fn subscription_name(&self, number: SubscriptionNo) -> Arc<str> {
        usize::try_from(number.0 - 1)
            .ok()
            .and_then(|place| self.subscriptions.get(place))
            .map_or_else(|| Arc::from("?"), |(name, _)| Arc::clone(name))
    }

    pub(super) fn sink_name(&self, number: SinkNo) -> Arc<str> {
        usize::try_from(number.0 - 1)
            .ok()
            .and_then(|place| self.sinks.get(place))
            .map_or_else(|| Arc::from("?"), Arc::clone)
    }

    /// Whether it is the first of its lane that is pending.
    pub(super) fn is_head(&self, number: i64, delivery: &Delivery) -> bool {
        delivery.lane.is_none() || self.heads(delivery.sink).any(|(head, _)| head == number)
    }

    /// The public id of a delivery that is there.
    pub(super) fn delivery_id(&self, number: i64) -> DeliveryId {
        let delivery = self.deliveries.get(&number);
        delivery.map_or_else(
            || DeliveryId::from_uuid(uuid::Uuid::nil()),
            |delivery| delivery.id,
        )
    }
}

impl Event {
    pub(super) fn is_within(&self, now: Timestamp, window: Duration) -> bool {
        within(self.received, now, window)
    }
}

pub(super) fn message_id(first: DeliveryId, number: i64) -> MessageId {
    MessageId::derive(first, number.unsigned_abs())
}

pub(super) fn within(then: Timestamp, now: Timestamp, window: Duration) -> bool {
    now.as_millisecond() - then.as_millisecond()
        <= i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn span(from: Timestamp, to: Timestamp) -> Duration {
    let millis = to.as_millisecond() - from.as_millisecond();
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

pub(super) fn counter(totals: &mut Totals, state: DeliveryState) -> &mut u64 {
    match state {
        DeliveryState::Pending => &mut totals.pending,
        DeliveryState::Delivered => &mut totals.delivered,
        DeliveryState::Dead => &mut totals.dead,
        DeliveryState::Suppressed => &mut totals.suppressed,
    }
}

/// Bytes of a text.
pub(super) fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The integer of a value: its place plus one, a new place where it is not there.
fn place<T: PartialEq + Clone>(all: &mut Vec<T>, wanted: &T) -> i64 {
    if let Some(there) = all.iter().position(|one| one == wanted) {
        return i64::try_from(there).unwrap_or(i64::MAX) + 1;
    }
    all.push(wanted.clone());
    length(all)
}

pub(super) fn length<T>(all: &[T]) -> i64 {
    i64::try_from(all.len()).unwrap_or(i64::MAX)
}
