//! What the journal in memory holds, and its verbs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use herald_model::event::Level;
use herald_model::{DeliveryId, DeliveryState, EventId, MessageId, Outcome, Phase, Signal};
use jiff::Timestamp;

use crate::journal::{
    AttemptNo, CUT_OFF, ClaimRequest, Claimed, ClaimedItem, Claims, DeliveryNo, EXPIRED, Entry,
    Error, EventEntry, Generation, GenerationNo, Hand, Identity, KILLS_MAX, Next, Pause, Planned,
    Recorded, Rules, Saved, Settled, SettledItem, Settlement, SinkNo, SubscriptionNo, Sweep, Swept,
    Totals, killed,
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
    /// Sinks that are held back.
    pub(super) pauses: BTreeMap<SinkNo, Pause>,
    /// What people did, oldest first.
    pub(super) hands: Vec<Hand>,
    /// Delivery of each open attempt.
    open: BTreeMap<AttemptNo, i64>,
    last_event: i64,
    last_delivery: i64,
    last_attempt: i64,
    last_operation: i64,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: EventId,
    pub(super) text: Arc<str>,
    pub(super) received: Timestamp,
    pub(super) generation: GenerationNo,
    pub(super) matched: Vec<SubscriptionNo>,
    /// Removed when they are older than the window.
    identities: Vec<Identity>,
    fingerprint: u64,
    pub(super) deliveries: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) event: i64,
    pub(super) subscription: SubscriptionNo,
    pub(super) sink: SinkNo,
    lane: Option<u64>,
    level: Level,
    expires: Timestamp,
    pub(super) state: DeliveryState,
    pub(super) reason: Option<String>,
    pub(super) due: Timestamp,
    pub(super) phase: Phase,
    pub(super) charged: u32,
    /// Charged attempts before it was replayed.
    pub(super) earlier: u32,
    kills: u32,
    since: Option<Timestamp>,
    uncounted: Duration,
    first_attempt: Option<Timestamp>,
    pub(super) open: Option<Open>,
    pub(super) message: Option<Message>,
    pub(super) attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub(super) attempt: AttemptNo,
    pub(super) started: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) number: i64,
    composed: Timestamp,
    text: Option<String>,
    frozen: bool,
    progress: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) message: i64,
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
        let sinks = rules.sinks.iter().map(|name| self.sink(name)).collect();
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

    pub(super) fn record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, Error> {
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
            .map(|planned| self.plan(planned, event.received_at))
            .collect();
        self.totals.events += 1;
        self.events.insert(
            self.last_event,
            Event {
                id: event.id,
                text: Arc::clone(if conflict {
                    &entry.text_in_conflict
                } else {
                    &event.text
                }),
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

    fn plan(&mut self, planned: &Planned, received: Timestamp) -> i64 {
        self.last_delivery += 1;
        self.pending.insert(self.last_delivery);
        self.totals.planned += 1;
        self.totals.pending += 1;
        self.deliveries.insert(
            self.last_delivery,
            Delivery {
                event: self.last_event,
                subscription: planned.subscription,
                sink: planned.sink,
                lane: planned.lane,
                level: planned.level,
                expires: planned.expires_at,
                state: DeliveryState::Pending,
                reason: None,
                due: received.min(planned.expires_at),
                phase: Phase::Due,
                charged: 0,
                earlier: 0,
                kills: 0,
                since: None,
                uncounted: Duration::ZERO,
                first_attempt: None,
                open: None,
                message: None,
                attempts: Vec::new(),
            },
        );
        self.last_delivery
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Claims {
        let now = request.now;
        let mut claims = Claims::default();
        for room in &request.room {
            if self.pauses.contains_key(&room.sink) {
                continue;
            }
            let mut left = room.messages;
            while left > 0
                && let Some(number) = self.most_urgent(room.sink, now)
            {
                if self.expires(number) <= now {
                    claims.expired.push(self.delivery_id(number));
                    self.finish(number, DeliveryState::Suppressed, Some(EXPIRED), now);
                } else {
                    claims.messages.extend(self.open(number, now));
                    left -= 1;
                }
            }
            let later = self
                .heads(room.sink)
                .filter(|(_, head)| head.open.is_none() && head.due > now)
                .map(|(_, head)| head.due);
            claims.next_due = later.chain(claims.next_due).min();
        }
        claims
    }

    /// The first pending delivery of every lane of a sink.
    fn heads(&self, sink: SinkNo) -> impl Iterator<Item = (i64, &Delivery)> {
        let mut lanes = HashSet::new();
        self.pending
            .iter()
            .filter_map(|number| Some((*number, self.deliveries.get(number)?)))
            .filter(move |(_, delivery)| delivery.sink == sink)
            .filter(move |(_, delivery)| delivery.lane.is_none_or(|lane| lanes.insert(lane)))
    }

    fn most_urgent(&self, sink: SinkNo, now: Timestamp) -> Option<i64> {
        self.heads(sink)
            .filter(|(_, head)| head.open.is_none() && head.due <= now)
            .min_by_key(|(number, head)| (std::cmp::Reverse(head.level), head.due, *number))
            .map(|(number, _)| number)
    }

    pub(super) fn expires(&self, number: i64) -> Timestamp {
        self.deliveries
            .get(&number)
            .map_or(Timestamp::MAX, |delivery| delivery.expires)
    }

    fn open(&mut self, number: i64, now: Timestamp) -> Option<Claimed> {
        let id = self.delivery_id(number);
        let delivery = self.deliveries.get_mut(&number)?;
        let event = self.events.get(&delivery.event)?;
        let place = usize::try_from(delivery.subscription.0 - 1).ok()?;
        let (subscription, _) = self.subscriptions.get(place)?;
        self.last_attempt += 1;
        let attempt = AttemptNo(self.last_attempt);
        delivery.open = Some(Open {
            attempt,
            started: now,
        });
        let since = delivery.since.take().unwrap_or(delivery.due);
        if delivery.first_attempt.is_some() {
            delivery.uncounted += span(since, now);
        }
        self.open.insert(attempt, number);
        let message = delivery.message.as_ref();
        Some(Claimed {
            attempt,
            message: message_id(id, message.map_or(attempt.0, |message| message.number)),
            sink: delivery.sink,
            composed_at: message.map_or(now, |message| message.composed),
            frozen: message
                .filter(|message| message.frozen)
                .and_then(|message| message.text.clone()),
            progress: message.and_then(|message| message.progress.clone()),
            items: vec![ClaimedItem {
                number: DeliveryNo(number),
                id,
                subscription: Arc::clone(subscription),
                event: event.id,
                text: Arc::clone(&event.text),
                charged: delivery.charged,
                first_attempt: delivery.first_attempt,
                uncounted: delivery.uncounted,
            }],
        })
    }

    pub(super) fn save(&mut self, attempt: AttemptNo, saved: Saved) -> Result<(), Error> {
        let number = self.open.get(&attempt).ok_or(Error::Stale)?;
        let delivery = self.deliveries.get_mut(number).ok_or(Error::Stale)?;
        let started = delivery.open.map_or(Timestamp::MIN, |open| open.started);
        let message = delivery
            .message
            .get_or_insert_with(|| Message::new(attempt, started));
        match saved {
            Saved::Text(_) if message.frozen => {}
            Saved::Text(text) => message.text = Some(text),
            Saved::Progress(bytes) => message.progress = Some(bytes),
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> Result<Settled, Error> {
        let Some(number) = self.open.get(&settlement.attempt).copied() else {
            return Ok(Settled::Stale);
        };
        let [item] = settlement.items.as_slice() else {
            return Err(wrong_items());
        };
        if item.delivery.0 != number {
            return Err(wrong_items());
        }
        self.open.remove(&settlement.attempt);
        self.settle_item(number, settlement.ended, item);
        if settlement.signal == Signal::Hold
            && let Some(sink) = self.deliveries.get(&number).map(|delivery| delivery.sink)
        {
            self.hold(sink, settlement.ended, "herald", item.outcome.reason());
        }
        Ok(Settled::Done)
    }

    fn settle_item(&mut self, number: i64, ended: Timestamp, item: &SettledItem) {
        let Some(delivery) = self.deliveries.get_mut(&number) else {
            return;
        };
        let unknown = matches!(item.outcome, Outcome::Unknown { .. });
        delivery.end_attempt(ended, item.outcome.clone(), item.outcome.is_charged());
        delivery.kills = 0;
        if let Some(message) = &mut delivery.message {
            message.frozen |= message.text.is_some() && (unknown || message.progress.is_some());
            if !message.frozen {
                message.text = None;
            }
        }
        match &item.next {
            Next::Delivered => {
                delivery.message = None;
                self.finish(number, DeliveryState::Delivered, None, ended);
            }
            Next::Dead(reason) => self.finish(number, DeliveryState::Dead, Some(reason), ended),
            Next::Again(at) => {
                delivery.due = (*at).min(delivery.expires);
                delivery.phase = Phase::Waiting;
            }
        }
    }

    pub(super) fn wait(&mut self, attempt: AttemptNo, until: Timestamp, phase: Phase) -> Settled {
        let number = self.open.remove(&attempt);
        let Some(delivery) = number.and_then(|number| self.deliveries.get_mut(&number)) else {
            return Settled::Stale;
        };
        let started = delivery.open.take().map(|open| open.started);
        if delivery
            .message
            .as_ref()
            .is_some_and(|message| message.number == attempt.0)
        {
            delivery.message = None;
        }
        delivery.due = until.min(delivery.expires);
        delivery.phase = phase;
        delivery.since = started.filter(|_| matches!(phase, Phase::Held | Phase::Limited));
        Settled::Done
    }

    pub(super) fn crash(&mut self, now: Timestamp) {
        for (_, number) in std::mem::take(&mut self.open) {
            let Some(delivery) = self.deliveries.get_mut(&number) else {
                continue;
            };
            delivery.end_attempt(now, Outcome::unknown(CUT_OFF), false);
            if let Some(message) = &mut delivery.message {
                message.frozen |= message.text.is_some();
            }
            delivery.kills += 1;
            delivery.due = now.min(delivery.expires);
            delivery.phase = Phase::Due;
            if delivery.kills >= KILLS_MAX {
                self.finish(number, DeliveryState::Dead, Some(&killed(KILLS_MAX)), now);
            }
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
        let Some(delivery) = self.deliveries.get_mut(&number) else {
            return;
        };
        delivery.state = state;
        delivery.reason = reason.map(str::to_owned);
        self.pending.remove(&number);
        self.totals.pending -= 1;
        *counter(&mut self.totals, state) += 1;
        let (sink, lane) = (delivery.sink, delivery.lane);
        if lane.is_none() {
            return;
        }
        let next = self.pending.iter().find(|number| {
            self.deliveries
                .get(number)
                .is_some_and(|next| next.sink == sink && next.lane == lane)
        });
        if let Some(next) = next.and_then(|next| self.deliveries.get_mut(next)) {
            next.due = at.min(next.expires);
        }
    }

    pub(super) fn sweep(&mut self, sweep: &Sweep) -> Swept {
        let mut swept = Swept::default();
        let old: Vec<i64> = self
            .events
            .iter()
            .filter(|(_, event)| {
                !event.is_within(sweep.now, sweep.keep.max(sweep.dedup_window))
                    && event
                        .deliveries
                        .iter()
                        .all(|number| !self.pending.contains(number))
            })
            .map(|(number, _)| *number)
            .take(sweep.events_max as usize + 1)
            .collect();
        swept.more = old.len() > sweep.events_max as usize;
        for event in self.events.values_mut() {
            if !event.is_within(sweep.now, sweep.dedup_window) {
                swept.identities += u64::try_from(event.identities.len()).unwrap_or(u64::MAX);
                event.identities.clear();
            }
        }
        for number in old.into_iter().take(sweep.events_max as usize) {
            let Some(event) = self.events.remove(&number) else {
                continue;
            };
            swept.events += 1;
            for delivery in event.deliveries {
                if let Some(delivery) = self.deliveries.remove(&delivery) {
                    *counter(&mut self.totals, delivery.state) -= 1;
                    self.totals.removed += 1;
                    swept.deliveries += 1;
                }
            }
        }
        self.operations
            .retain(|_, operation| within(operation.received, sweep.now, sweep.keep));
        swept
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
        let event = delivery.and_then(|delivery| self.events.get(&delivery.event));
        match (delivery, event) {
            (Some(delivery), Some(event)) => DeliveryId::derive(
                event.id,
                &self.subscription_name(delivery.subscription),
                &self.sink_name(delivery.sink),
            ),
            _ => DeliveryId::from_uuid(uuid::Uuid::nil()),
        }
    }
}

impl Event {
    fn is_within(&self, now: Timestamp, window: Duration) -> bool {
        within(self.received, now, window)
    }
}

impl Delivery {
    /// Makes it due in a lane of its own, with its schedule and its time to expire begun anew.
    pub(super) fn begin_anew(&mut self, received: Timestamp, now: Timestamp) {
        self.expires = now
            .saturating_add(self.expires.duration_since(received))
            .unwrap_or(Timestamp::MAX);
        self.state = DeliveryState::Pending;
        self.reason = None;
        self.lane = None;
        self.due = now;
        self.phase = Phase::Due;
        self.earlier += std::mem::take(&mut self.charged);
        self.kills = 0;
        self.since = None;
        self.uncounted = Duration::ZERO;
        self.first_attempt = None;
    }

    fn end_attempt(&mut self, ended: Timestamp, outcome: Outcome, charged: bool) {
        let Some(open) = self.open.take() else { return };
        let message = self
            .message
            .get_or_insert_with(|| Message::new(open.attempt, open.started));
        self.attempts.push(Attempt {
            message: message.number,
            started: open.started,
            ended,
            outcome,
            charged,
        });
        self.charged += u32::from(charged);
        self.first_attempt.get_or_insert(open.started);
    }
}

impl Message {
    const fn new(first: AttemptNo, composed: Timestamp) -> Self {
        Self {
            number: first.0,
            composed,
            text: None,
            frozen: false,
            progress: None,
        }
    }
}

pub(super) fn message_id(first: DeliveryId, number: i64) -> MessageId {
    MessageId::derive(first, number.unsigned_abs())
}

fn within(then: Timestamp, now: Timestamp, window: Duration) -> bool {
    now.as_millisecond() - then.as_millisecond()
        <= i64::try_from(window.as_millis()).unwrap_or(i64::MAX)
}

fn span(from: Timestamp, to: Timestamp) -> Duration {
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

fn wrong_items() -> Error {
    Error::Failed("a settlement must name the items of its message, in order".to_owned())
}
