//! What the journal in memory holds; its verbs but for `claim` and what happens to claims.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use herald_model::event::Level;
use herald_model::{DeliveryId, DeliveryState, EventId, MessageId, Outcome, Phase};
use jiff::{SignedDuration, Timestamp};

use crate::journal::endpoint::{Denied, Endpoint, Permit};
use crate::journal::{
    AttemptNo, Bounds, Entry, Error, EventEntry, Generation, GenerationNo, Hand, Identity, Learned,
    Pause, Planned, Recorded, RefusedEntry, Rules, SinkNo, Size, SubscriptionNo, Totals,
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
    last_event: i64,
    last_delivery: i64,
    pub(super) last_attempt: i64,
    /// Whether a verb made something due.
    pub(super) wakes: bool,
    last_operation: i64,
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
    fingerprint: u64,
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

    pub(super) fn record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, Error> {
        let size = self.size();
        if !size.has_room_for(0, entries.iter().map(Entry::bytes).sum()) {
            let (used, max) = (size.used, size.max);
            return Err(Error::NoRoom { used, max });
        }
        for entry in entries {
            if let Entry::Event(event) = entry
                && !self.knows(event)
            {
                return Err(Error::Failed(
                    "an event was planned by rules that were never begun in this journal"
                        .to_owned(),
                ));
            }
        }
        Ok(entries.iter().map(|entry| self.write(entry)).collect())
    }

    fn knows(&self, entry: &EventEntry) -> bool {
        let subscription =
            |number: SubscriptionNo| (1..=length(&self.subscriptions)).contains(&number.0);
        entry.generation.0 <= length(&self.generations)
            && entry.matched.iter().all(|number| subscription(*number))
            && entry.deliveries.iter().all(|planned| {
                subscription(planned.subscription)
                    && (1..=length(&self.sinks)).contains(&planned.sink.0)
            })
    }

    fn write(&mut self, entry: &Entry) -> Recorded {
        match entry {
            Entry::Event(entry) => self.write_event(entry),
            Entry::NotTriggered {
                received_at,
                operation,
                reason,
                ..
            } => {
                self.last_operation += 1;
                self.bytes += bytes(operation);
                self.operations.insert(
                    self.last_operation,
                    Operation {
                        received: *received_at,
                        text: operation.clone(),
                        reason,
                    },
                );
                Recorded::Noted
            }
            Entry::Refused(entry) => {
                self.keep(entry);
                Recorded::Noted
            }
            Entry::Bookmark { source, text } => {
                self.bookmarks.insert(Arc::clone(source), text.clone());
                Recorded::Noted
            }
        }
    }

    fn write_event(&mut self, entry: &EventEntry) -> Recorded {
        let event = &entry.event;
        let seen: Vec<&Event> = self
            .events
            .values()
            .filter(|first| first.is_within(event.received_at, entry.dedup_window))
            .filter(|first| {
                let its = &first.identities;
                entry
                    .identities
                    .iter()
                    .any(|identity| its.contains(identity))
            })
            .collect();
        if let Some(first) = seen
            .iter()
            .find(|first| first.fingerprint == entry.fingerprint)
        {
            return Recorded::Duplicate { of: first.id };
        }
        let conflict = !seen.is_empty();
        self.last_event += 1;
        let deliveries = entry
            .deliveries
            .iter()
            .map(|planned| self.plan((self.last_event, event.id), planned, event.received_at))
            .collect();
        self.totals.events += 1;
        let text = if conflict {
            &entry.text_in_conflict
        } else {
            &event.text
        };
        self.bytes += bytes(text);
        self.events.insert(
            self.last_event,
            Event {
                id: event.id,
                text: Arc::clone(text),
                received: event.received_at,
                generation: entry.generation,
                matched: entry.matched.clone(),
                identities: entry.identities.clone(),
                fingerprint: entry.fingerprint,
                deliveries,
            },
        );
        Recorded::Accepted {
            id: event.id,
            conflict,
        }
    }

    pub(super) fn learn(&mut self, learned: &Learned) -> Result<bool, Error> {
        let number = learned.event.0;
        let is_as_seen = |event: &&Event| event.text == learned.before;
        let Some(id) = self
            .events
            .get(&number)
            .filter(is_as_seen)
            .map(|event| event.id)
        else {
            return Ok(false);
        };
        let subscriptions = 1..=length(&self.subscriptions);
        let sinks = 1..=length(&self.sinks);
        let planned = &learned.deliveries;
        let is_known = learned
            .matched
            .iter()
            .all(|number| subscriptions.contains(&number.0))
            && planned.iter().all(|planned| {
                subscriptions.contains(&planned.subscription.0) && sinks.contains(&planned.sink.0)
            });
        if !is_known {
            return Err(Error::Failed(
                "an event was planned by rules that were never begun in this journal".to_owned(),
            ));
        }
        let added: Vec<i64> = planned
            .iter()
            .map(|planned| self.plan((number, id), planned, learned.received_at))
            .collect();
        if let Some(event) = self.events.get_mut(&number) {
            self.bytes = self.bytes + bytes(&learned.text) - bytes(&event.text);
            event.text = Arc::clone(&learned.text);
            event.matched.extend(&learned.matched);
            event.deliveries.extend(added);
        }
        Ok(true)
    }

    fn plan(&mut self, (event, of): (i64, EventId), planned: &Planned, received: Timestamp) -> i64 {
        let subscription = self.subscription_name(planned.subscription);
        let id = DeliveryId::derive(of, &subscription, &self.sink_name(planned.sink));
        self.last_delivery += 1;
        self.pending.insert(self.last_delivery);
        self.totals.planned += 1;
        self.totals.pending += 1;
        self.deliveries.insert(
            self.last_delivery,
            Delivery {
                id,
                event,
                subscription: planned.subscription,
                sink: planned.sink,
                planned_lane: planned.lane,
                lane: planned.lane,
                level: planned.level,
                expires: planned.expires_at,
                lasts: planned.expires_at.duration_since(received),
                state: DeliveryState::Pending,
                reason: None,
                due: received.min(planned.expires_at),
                phase: Phase::Due,
                charged: 0,
                earlier: None,
                kills: 0,
                since: None,
                uncounted: Duration::ZERO,
                idle: Duration::ZERO,
                first_attempt: None,
                passes_at: None,
                late: false,
                open: None,
                message: None,
                attempts: Vec::new(),
            },
        );
        self.last_delivery
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

fn length<T>(all: &[T]) -> i64 {
    i64::try_from(all.len()).unwrap_or(i64::MAX)
}
