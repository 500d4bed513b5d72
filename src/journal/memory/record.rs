//! `record` and `learn` of the journal in memory.

use std::sync::Arc;
use std::time::Duration;

use herald_model::{DeliveryId, DeliveryState, EventId, Phase};
use jiff::Timestamp;

use super::state::{Delivery, Event, Operation, State, bytes, length};
use crate::journal::{Entry, Error, EventEntry, Learned, Planned, Recorded, SubscriptionNo};

impl State {
    pub(super) fn record(&mut self, entries: &[Entry]) -> Result<Vec<Recorded>, Error> {
        let size = self.size();
        if !size.takes_more_than(0) {
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
}
