//! What a claim asks for, and the messages that it leases.

use std::sync::Arc;
use std::time::Duration;

use herald_model::{DeliveryId, EndpointId, EventId, MessageId};
use jiff::Timestamp;

use super::{AttemptNo, DeliveryNo, Policy, SinkNo};

/// What a dispatcher has room for.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The present.
    pub now: Timestamp,
    /// Messages wanted per sink. A sink that is not named gets none. Where sinks share an
    /// endpoint, those named first are served first within a level.
    pub room: Vec<Room>,
}

/// Room of one sink.
#[derive(Debug, Clone)]
pub struct Room {
    /// The sink.
    pub sink: SinkNo,
    /// Messages that may start now. With 0 its backlog is looked after all the same.
    pub messages: u32,
    /// How messages are made for it.
    pub policy: Arc<Policy>,
}

impl Room {
    /// Room of a sink that nothing holds back and whose messages carry one delivery each.
    pub fn plain(sink: SinkNo, messages: u32) -> Self {
        Self {
            sink,
            messages,
            policy: Arc::default(),
        }
    }
}

/// What was claimed.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// Messages to attempt now.
    pub messages: Vec<Claimed>,
    /// Deliveries that passed their `expires` and were suppressed.
    pub expired: Vec<DeliveryId>,
    /// Deliveries that a `max_backlog` had no room for and that were suppressed.
    pub crowded_out: Vec<DeliveryId>,
    /// When the next lane of a sink that was asked for becomes due, or the next permit comes for
    /// one that is due already, later than the request's `now`; `None` when none waits. Lanes that
    /// are due but found no room are not counted, nor those that wait for the end of an open
    /// attempt: they are claimed when there is room again.
    pub next_due: Option<Timestamp>,
}

/// A message whose attempt is open.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The attempt, which is also the claim.
    pub attempt: AttemptNo,
    /// The message.
    pub message: MessageId,
    /// By which way out.
    pub sink: SinkNo,
    /// The endpoint whose permit it took; `None` where its sink's policy names none.
    pub endpoint: Option<EndpointId>,
    /// When the message's first attempt was claimed.
    pub composed_at: Timestamp,
    /// Text to be sent unchanged, where an earlier attempt may have arrived.
    pub frozen: Option<String>,
    /// The last checkpoint.
    pub progress: Option<Vec<u8>>,
    /// What it carries; never empty. CRITICAL first, then WARN, then INFO, each in commit order.
    pub items: Vec<ClaimedItem>,
}

/// One delivery of a claimed message.
#[derive(Debug, Clone)]
pub struct ClaimedItem {
    /// The delivery.
    pub number: DeliveryNo,
    /// Its public id.
    pub id: DeliveryId,
    /// Name of the subscription.
    pub subscription: Arc<str>,
    /// The event's id.
    pub event: EventId,
    /// The event's canonical text.
    pub text: Arc<str>,
    /// Attempts charged so far, this one not counted.
    pub charged: u32,
    /// When its first attempt was claimed; `None` before.
    pub first_attempt: Option<Timestamp>,
    /// How long it has been due since then without being claimed (limited, paused, held, behind a
    /// breaker, or because Herald was busy or down), which does not count towards giving up.
    pub uncounted: Duration,
}
