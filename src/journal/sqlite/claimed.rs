//! What a claim hands out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use herald_model::{DeliveryId, EndpointId, EventId, MessageId};

use super::core::Lane;
use super::rows::timestamp;
use crate::journal::{AttemptNo, Claimed, ClaimedItem, Claims, DeliveryNo, SinkNo};

/// What was claimed, without the public ids: deriving those is hashing, which the caller's thread
/// does as well as the writer's.
#[derive(Default)]
pub(super) struct RawClaims {
    pub(super) messages: Vec<RawClaim>,
    pub(super) expired: Vec<RawItem>,
    pub(super) crowded_out: Vec<RawItem>,
    next_due: Option<i64>,
    /// Members of messages of several, which may still stand in a page that was read before.
    carried: HashSet<i64>,
}

/// A message whose attempt is open.
pub(super) struct RawClaim {
    pub(super) attempt: i64,
    pub(super) message: i64,
    pub(super) sink: i64,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) composed: i64,
    pub(super) frozen: Option<String>,
    pub(super) progress: Option<Vec<u8>>,
    pub(super) items: Vec<RawItem>,
}

/// One delivery of it.
pub(super) struct RawItem {
    pub(super) delivery: i64,
    pub(super) subscription: Arc<str>,
    pub(super) sink: Arc<str>,
    pub(super) event: EventId,
    pub(super) text: Arc<str>,
    pub(super) charged: i64,
    pub(super) first_attempt: Option<i64>,
    pub(super) uncounted: i64,
}

impl RawClaims {
    /// Deliveries that were suppressed so far.
    pub(super) fn suppressed(&self) -> usize {
        self.expired.len() + self.crowded_out.len()
    }

    /// Something will be due then.
    pub(super) fn is_due_at(&mut self, at: Option<i64>) {
        self.next_due = self.next_due.into_iter().chain(at).min();
    }

    /// Remembers the members of a message.
    pub(super) fn carry(&mut self, lanes: &[Lane]) {
        if lanes.len() > 1 {
            self.carried.extend(lanes.iter().map(|lane| lane.head));
        }
    }

    /// Whether a message of this claim carries the delivery together with others.
    pub(super) fn carries(&self, head: i64) -> bool {
        self.carried.contains(&head)
    }

    /// Adds the public ids.
    pub(super) fn finish(self) -> Claims {
        Claims {
            messages: self
                .messages
                .into_iter()
                .filter_map(RawClaim::finish)
                .collect(),
            expired: self.expired.iter().map(RawItem::id).collect(),
            crowded_out: self.crowded_out.iter().map(RawItem::id).collect(),
            next_due: self.next_due.map(timestamp),
        }
    }
}

impl RawClaim {
    fn finish(self) -> Option<Claimed> {
        let items: Vec<ClaimedItem> = self.items.into_iter().map(RawItem::finish).collect();
        let first = items.first()?.id;
        Some(Claimed {
            attempt: AttemptNo(self.attempt),
            message: MessageId::derive(first, self.message.unsigned_abs()),
            sink: SinkNo(self.sink),
            endpoint: self.endpoint,
            composed_at: timestamp(self.composed),
            frozen: self.frozen,
            progress: self.progress,
            items,
        })
    }
}

impl RawItem {
    pub(super) fn id(&self) -> DeliveryId {
        DeliveryId::derive(self.event, &self.subscription, &self.sink)
    }

    fn finish(self) -> ClaimedItem {
        ClaimedItem {
            number: DeliveryNo(self.delivery),
            id: self.id(),
            subscription: self.subscription,
            event: self.event,
            text: self.text,
            charged: u32::try_from(self.charged).unwrap_or(u32::MAX),
            first_attempt: self.first_attempt.map(timestamp),
            uncounted: Duration::from_millis(self.uncounted.unsigned_abs()),
        }
    }
}
