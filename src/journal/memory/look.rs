//! The journal in memory as people see it.

use std::sync::Arc;

use async_trait::async_trait;
use herald_model::{DeliveryId, DeliveryState, EventId, Outcome, Phase};
use jiff::Timestamp;

use super::MemoryJournal;
use super::state::{Attempt, Delivery, Event, State, message_id};
use crate::journal::endpoint::{Endpoint, standing};
use crate::journal::texts::Texts;
use crate::journal::{
    AttemptRow, Cursor, DeliveryFilter, DeliveryNo, DeliveryRow, EndpointRow, Error, EventFilter,
    EventNo, EventRow, GenerationNo, GenerationRow, Look, OperationFilter, OperationRow, Page,
    SinkNo, SinkRow, SinkState, SubscriptionNo, Totals, page_limit,
};

/// What can be told of a delivery at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Its integer.
    pub number: DeliveryNo,
    /// Its state.
    pub state: DeliveryState,
    /// Attempts charged, those before a replay included.
    pub charged: u32,
    /// Whether its lane passed it.
    pub late: bool,
}

impl MemoryJournal {
    /// Shows every delivery that is kept, in commit order: what a test looks at after every step,
    /// when the rows of [`Look::deliveries`] would take most of its time. Closed or not.
    pub fn glance(&self, mut each: impl FnMut(Glance)) {
        for (number, delivery) in &self.locked().deliveries {
            each(Glance {
                number: DeliveryNo(*number),
                state: delivery.state,
                charged: delivery.charged_in_all(),
                late: delivery.late,
            });
        }
    }
}

#[async_trait]
impl Look for MemoryJournal {
    async fn events(&self, filter: EventFilter) -> Result<Page<EventRow>, Error> {
        let state = self.open()?;
        let found = state
            .events
            .iter()
            .rev()
            .filter(|(number, _)| is_below(filter.cursor, **number))
            .filter(|(_, event)| in_time(event.received, filter.since, filter.until))
            .filter(|(_, event)| {
                let texts = Texts::of(&event.text);
                same(&filter.sender_id, texts.sender_id.as_deref())
                    && same(&filter.eni, texts.eni.as_deref())
                    && same(&filter.request, texts.request.as_deref())
            })
            .map(|(number, event)| (*number, state.event_row(*number, event)));
        Ok(page(found, filter.limit))
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>, Error> {
        let state = self.open()?;
        let found = state.events.iter().find(|(_, event)| event.id == id);
        Ok(found.map(|(number, event)| state.event_row(*number, event)))
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<DeliveryRow>, Error> {
        let state = self.open()?;
        let found = state
            .deliveries
            .iter()
            .rev()
            .filter(|(number, _)| is_below(filter.cursor, **number))
            .filter(|(_, delivery)| {
                let Some(event) = state.events.get(&delivery.event) else {
                    return false;
                };
                in_time(event.received, filter.since, filter.until)
                    && filter.event.is_none_or(|id| id == event.id)
                    && tells(&filter, &event.text)
                    && filter.state.is_none_or(|wanted| wanted == delivery.state)
                    && same(&filter.sink, Some(&state.sink_name(delivery.sink)))
                    && same(
                        &filter.subscription,
                        Some(&state.subscription_name(delivery.subscription)),
                    )
            })
            .filter_map(|(number, delivery)| {
                let is_open = usize::from(delivery.open.is_some());
                let last = (delivery.attempts.len() + is_open).saturating_sub(1);
                Some((*number, state.delivery_row(*number, last)?))
            });
        Ok(page(found, filter.limit))
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, Error> {
        let state = self.open()?;
        let found = state
            .deliveries
            .keys()
            .find(|number| state.delivery_id(**number) == id);
        Ok(found.and_then(|number| state.delivery_row(*number, 0)))
    }

    async fn deliveries_of(&self, event: EventNo) -> Result<Vec<DeliveryRow>, Error> {
        let state = self.open()?;
        let numbers = state.events.get(&event.0).map(|event| &event.deliveries);
        let numbers = numbers.into_iter().flatten();
        Ok(numbers
            .filter_map(|number| state.delivery_row(*number, 0))
            .collect())
    }

    async fn operations(&self, filter: OperationFilter) -> Result<Page<OperationRow>, Error> {
        let state = self.open()?;
        let found = state
            .operations
            .iter()
            .rev()
            .filter(|(number, _)| is_below(filter.cursor, **number))
            .filter(|(_, operation)| in_time(operation.received, filter.since, filter.until))
            .filter(|(_, operation)| same(&filter.reason, Some(operation.reason)))
            .map(|(number, operation)| {
                let row = OperationRow {
                    received_at: operation.received,
                    operation: operation.text.clone(),
                    reason: operation.reason.to_owned(),
                };
                (*number, row)
            });
        Ok(page(found, filter.limit))
    }

    async fn bookmark(&self, source: &str) -> Result<Option<String>, Error> {
        Ok(self.open()?.bookmarks.get(source).cloned())
    }

    async fn generation(&self, number: GenerationNo) -> Result<Option<GenerationRow>, Error> {
        let state = self.open()?;
        let place = usize::try_from(number.0 - 1).ok();
        let found = place.and_then(|place| state.generations.get(place));
        Ok(found.map(|(since, in_force)| GenerationRow {
            since: *since,
            subscriptions: in_force
                .iter()
                .filter_map(|number| {
                    let place = usize::try_from(number.0 - 1).ok()?;
                    state.subscriptions.get(place).cloned()
                })
                .collect(),
        }))
    }

    async fn sinks(&self) -> Result<Vec<SinkRow>, Error> {
        let state = self.open()?;
        let mut rows: Vec<SinkRow> = state
            .sinks
            .iter()
            .map(|name| SinkRow {
                name: Arc::clone(name),
                pending: 0,
                oldest: None,
                state: SinkState::Ready,
                until: None,
            })
            .collect();
        for (row, number) in rows.iter_mut().zip(1..) {
            (row.state, row.until) = state.standing_of(SinkNo(number));
        }
        for number in &state.pending {
            let Some(delivery) = state.deliveries.get(number) else {
                continue;
            };
            let place = usize::try_from(delivery.sink.0 - 1).ok();
            if let Some(row) = place.and_then(|place| rows.get_mut(place)) {
                row.pending += 1;
                let received = state
                    .events
                    .get(&delivery.event)
                    .map(|event| event.received);
                row.oldest = row.oldest.or(received);
            }
        }
        rows.retain(|row| row.pending > 0 || row.state != SinkState::Ready);
        Ok(rows)
    }

    async fn endpoints(&self) -> Result<Vec<EndpointRow>, Error> {
        let state = self.open()?;
        let all = state.endpoints.iter();
        Ok(all.map(|(name, endpoint)| endpoint.shown(name)).collect())
    }

    async fn totals(&self) -> Result<Totals, Error> {
        Ok(self.open()?.totals)
    }
}

impl State {
    fn event_row(&self, number: i64, event: &Event) -> EventRow {
        EventRow {
            number: EventNo(number),
            id: event.id,
            text: Arc::clone(&event.text),
            received_at: event.received,
            generation: event.generation,
            matched: event
                .matched
                .iter()
                .map(|number: &SubscriptionNo| self.subscription_name(*number))
                .collect(),
        }
    }

    /// A delivery with its attempts from the place `first` on.
    fn delivery_row(&self, number: i64, first: usize) -> Option<DeliveryRow> {
        let delivery = self.deliveries.get(&number)?;
        let event = self.events.get(&delivery.event)?;
        let id = self.delivery_id(number);
        let mut attempts: Vec<AttemptRow> = delivery
            .attempts
            .iter()
            .skip(first)
            .map(|attempt| {
                let leader = attempt.leader.map(|leader| self.delivery_id(leader));
                attempt_row(leader.unwrap_or(id), attempt)
            })
            .collect();
        let last_reason = delivery
            .attempts
            .last()
            .and_then(|last| match &last.outcome {
                Outcome::Delivered { .. } => None,
                other => Some(other.reason().to_owned()),
            });
        if let Some(open) = delivery.open {
            let leader = self.open.get(&open.attempt);
            let leader = leader.and_then(|message| message.members.first());
            let leader = leader.map_or(id, |leader| self.delivery_id(*leader));
            attempts.push(AttemptRow {
                message: message_id(leader, delivery.message.unwrap_or(open.attempt.0)),
                started: open.started,
                ended: None,
                outcome: None,
                charged: false,
                reason: String::new(),
                reply: String::new(),
            });
        }
        let (phase, next_attempt) = self.phase_of(number, delivery);
        Some(DeliveryRow {
            number: DeliveryNo(number),
            id,
            event: event.id,
            subscription: self.subscription_name(delivery.subscription),
            sink: self.sink_name(delivery.sink),
            state: delivery.state,
            phase,
            reason: delivery
                .reason
                .clone()
                .or(last_reason)
                .filter(|reason| !reason.is_empty()),
            next_attempt,
            charged: delivery.charged_in_all(),
            late: delivery.late,
            attempts,
        })
    }

    fn phase_of(&self, number: i64, delivery: &Delivery) -> (Option<Phase>, Option<Timestamp>) {
        if delivery.state != DeliveryState::Pending {
            return (None, None);
        }
        if delivery.open.is_some() {
            return (Some(Phase::InFlight), None);
        }
        if !self.is_head(number, delivery) {
            let held = self.pauses.contains_key(&delivery.sink);
            let phase = if held { Phase::Held } else { Phase::Waiting };
            return (Some(phase), None);
        }
        let own = delivery.phase;
        let due = Some(delivery.due).filter(|_| own != Phase::Due);
        let (state, until) = self.standing_of(delivery.sink);
        match state.phase(due, until, own) {
            Some(Phase::Held) => (Some(Phase::Held), None),
            Some(phase) => (Some(phase), until.max(due)),
            None => (Some(own), due),
        }
    }

    fn standing_of(&self, sink: SinkNo) -> (SinkState, Option<Timestamp>) {
        let way = self.ways.get(&sink);
        let endpoint = way.and_then(|(name, _)| self.endpoints.get(name.as_ref()?));
        let (state, until) = standing(
            self.pauses.contains_key(&sink),
            endpoint.and_then(Endpoint::closed),
            way.and_then(|(_, limited)| *limited),
        );
        (
            state,
            until.and_then(|at| Timestamp::from_millisecond(at).ok()),
        )
    }
}

impl Delivery {
    fn charged_in_all(&self) -> u32 {
        self.earlier.unwrap_or(0) + self.charged
    }
}

fn attempt_row(delivery: DeliveryId, attempt: &Attempt) -> AttemptRow {
    let words = attempt.outcome.reason().to_owned();
    let (reason, reply) = match attempt.outcome {
        Outcome::Delivered { .. } => (String::new(), words),
        _ => (words, String::new()),
    };
    AttemptRow {
        message: message_id(delivery, attempt.message),
        started: attempt.started,
        ended: Some(attempt.ended),
        outcome: Some(attempt.outcome.as_str()),
        charged: attempt.charged,
        reason,
        reply,
    }
}

pub(super) fn is_below(cursor: Option<Cursor>, number: i64) -> bool {
    cursor.is_none_or(|cursor| number < cursor.0)
}

pub(super) fn in_time(at: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}

pub(super) fn same(wanted: &Option<String>, found: Option<&str>) -> bool {
    wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
}

/// Whether an event is about what is looked for.
fn tells(filter: &DeliveryFilter, text: &str) -> bool {
    if filter.eni.is_none() && filter.request.is_none() {
        return true;
    }
    let texts = Texts::of(text);
    same(&filter.eni, texts.eni.as_deref()) && same(&filter.request, texts.request.as_deref())
}

/// The first rows of `found`, and where the next page starts if there are more.
pub(super) fn page<T>(mut found: impl Iterator<Item = (i64, T)>, limit: u32) -> Page<T> {
    let mut rows = Vec::new();
    let mut last = None;
    for (number, row) in found.by_ref().take(page_limit(limit)) {
        last = Some(Cursor(number));
        rows.push(row);
    }
    let next = found.next().and(last);
    Page { rows, next }
}
