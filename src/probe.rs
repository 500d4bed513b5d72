//! A probe: a marked message through a way out, to see whether it gets through.
//!
//! It goes through the very object that deliveries go through, so settings, secrets and guards are
//! those in force. It belongs to no event, is not a delivery, stands in no journal, takes no permit
//! of the limit, and takes no notice of a pause. It looks like no real operation, so that a receiver that acts on events has
//! nothing to act on; templates are left out for the same reason, and because `herald check` reads
//! them.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use herald_model::sink::{Checkpoint, CheckpointError};
use herald_model::{
    DeliveryId, EndpointId, EventId, Item, MessageId, Notification, Outcome, Outcomes, Progress,
    Signal,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::in_force::WayOut;
use crate::intake::{self, Framing};
use crate::render;

/// Name of the event in a probe.
pub const EVENT_NAME: &str = "Herald:SinkTest";

/// Name of the subscription in a probe.
const SUBSCRIPTION: &str = "herald sink test";

/// What a sink gets beyond its own time limit before the probe is given up. Chosen.
const GRACE: Duration = Duration::from_secs(5);

/// Probes that may go out by an endpoint with a limit within the limit's window. Chosen: what a
/// robot's default limit leaves of the 20 messages that DingTalk takes.
const PROBES_AT_MOST: usize = 2;

/// When probes went out by a sink, as far as its limits go back. A reload forgets them.
#[derive(Debug, Default)]
pub struct Probes(Mutex<Vec<(EndpointId, Timestamp)>>);

impl Probes {
    /// Notes a probe by `endpoint` at `now`.
    ///
    /// # Errors
    /// Too many went out within the last `per`: how long until another may.
    fn note(&self, endpoint: &EndpointId, per: Duration, now: Timestamp) -> Result<(), Duration> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        sent.retain(|(_, at)| age(*at) < per);
        let here = || sent.iter().filter(|(by, _)| by == endpoint);
        if here().count() >= PROBES_AT_MOST {
            let oldest = here().map(|(_, at)| age(*at)).max().unwrap_or_default();
            return Err(per.saturating_sub(oldest));
        }
        sent.push((endpoint.clone(), now));
        Ok(())
    }
}

/// What a probe came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// How it ended.
    pub outcome: Outcome,
    /// What that means and what to do, in a sentence.
    pub explanation: String,
}

/// Sends a probe to each endpoint of `way_out` because `who` asked for it at `now`. The first
/// outcome that is no success is the whole one.
pub async fn probe(way_out: &WayOut, who: &str, now: Timestamp) -> Probed {
    let endpoints = way_out.sink.endpoints();
    let mut whole: Option<Outcome> = None;
    let mut told = Vec::new();
    for endpoint in &endpoints {
        let room = match way_out.policy.limit.as_ref() {
            Some(limit) => way_out.probes.note(endpoint, limit.per, now),
            None => Ok(()),
        };
        let outcomes = match room {
            Ok(()) => send(way_out, endpoint, who, now).await,
            Err(wait) => not_sent(wait).into(),
        };
        let outcome = outcomes.of(0);
        let words = explain(way_out, &outcome, &outcomes.signal);
        told.push(match endpoints.len() {
            1 => words,
            _ => format!("{endpoint}: {words}"),
        });
        match &whole {
            Some(Outcome::Delivered { .. }) | None => whole = Some(outcome),
            Some(_) => {}
        }
    }
    Probed {
        outcome: whole.unwrap_or_else(|| Outcome::sink_fault("the sink names no endpoint")),
        explanation: told.join("\n"),
    }
}

fn not_sent(wait: Duration) -> Outcome {
    Outcome::transient(format!(
        "nothing was sent: {PROBES_AT_MOST} probes went out already, and more would add up with \
         deliveries to what the far side throttles; ask again in {} s",
        wait.as_secs().max(1)
    ))
}

async fn send(way_out: &WayOut, endpoint: &EndpointId, who: &str, now: Timestamp) -> Outcomes {
    let Some(mut notification) = notification(way_out, who, now) else {
        return Outcome::transient("the probe could not be made (this is a defect of Herald)")
            .into();
    };
    notification.endpoint = Some(endpoint.clone());
    let progress = Progress::new(None, &Forgotten);
    let limit = way_out.sink.time_limit() + GRACE;
    let sending = AssertUnwindSafe(way_out.sink.deliver(&notification, &progress)).catch_unwind();
    match tokio::time::timeout(limit, sending).await {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(_)) => Outcome::unknown("the sink broke down (this is a defect of Herald)").into(),
        Err(_) => Outcome::unknown(format!("no end within {} s", limit.as_secs())).into(),
    }
}

fn notification(way_out: &WayOut, who: &str, now: Timestamp) -> Option<Notification> {
    let markup = way_out.sink.markup();
    let mut rendered = render::probe(&way_out.name, who, markup, &way_out.setting);
    let body = serde_json::json!({
        "ver": "1.0",
        "id": format!("sink-test-{}", Uuid::now_v7()),
        "product": "HERALD",
        "resourceId": format!("herald:sink/{}", way_out.name),
        "level": "INFO",
        "name": EVENT_NAME,
        "userId": "",
        "regionId": "",
        "eventTime": now.to_string(),
        "content": { "test": true, "sink": &*way_out.name, "text": rendered.title },
    });
    let body = body.to_string();
    let received = intake::items(
        body.as_bytes(),
        Framing::Document,
        intake::Limits::default(),
    )
    .pop()?
    .ok()?;
    let id = EventId::from_uuid(Uuid::now_v7());
    let sealed = intake::decode(&received.value, false, None)
        .ok()?
        .seal(id, "herald", now);
    let delivery = DeliveryId::derive(id, SUBSCRIPTION, &way_out.name);
    let message = MessageId::derive(delivery, 0);
    let items = vec![Item {
        delivery,
        subscription: Arc::from(SUBSCRIPTION),
        event: Arc::new(sealed.event),
    }];
    rendered.body = way_out.sink.body(message, &items);
    Some(Notification {
        message,
        composed_at: now,
        attempted_at: now,
        attempt: 1,
        endpoint: None,
        items,
        rendered,
    })
}

/// The sinks say in their reasons what the far side wants; here is said what follows from it.
fn explain(way_out: &WayOut, outcome: &Outcome, signal: &Signal) -> String {
    let sink = &way_out.name;
    let words = outcome.reason();
    let mut told = match outcome {
        Outcome::Delivered { .. } if words.is_empty() => {
            format!("sink `{sink}` works: the far side took the message")
        }
        Outcome::Delivered { .. } => {
            format!("sink `{sink}` works: the far side took the message and said: {words}")
        }
        Outcome::Transient { .. } => format!(
            "sink `{sink}` could not deliver now, but may later; a delivery would be tried again: \
             {words}"
        ),
        Outcome::Unknown { .. } => format!(
            "it is not known whether the message arrived; look at the far side. A delivery would be \
             sent again with the same key: {words}"
        ),
        Outcome::Permanent { .. } => format!(
            "the far side refuses this for good; a delivery would be a dead letter: {words}"
        ),
        Outcome::SinkFault { .. } => format!(
            "sink `{sink}` is not set up as the far side wants it; deliveries would wait until it \
             is: {words}"
        ),
    };
    match signal {
        Signal::None => {}
        Signal::Penalty(time) => {
            told.push_str(&format!(
                "; the vendor wants a pause of {} s",
                time.as_secs()
            ));
        }
        Signal::Hold => told.push_str("; the receiver wants no more at all: pause the sink"),
    }
    told
}

/// A probe is not repeated, so nothing has to be kept of it.
struct Forgotten;

#[async_trait]
impl Checkpoint for Forgotten {
    async fn save(&self, _: Vec<u8>) -> Result<(), CheckpointError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_leave_room_for_deliveries() {
        let probes = Probes::default();
        let (one, other) = (EndpointId::new("t", "1"), EndpointId::new("t", "2"));
        let minute = Duration::from_secs(60);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(probes.note(&one, minute, at(0)), Ok(()));
        assert_eq!(probes.note(&one, minute, at(10)), Ok(()));
        let wait = probes.note(&one, minute, at(20)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(40));
        assert_eq!(probes.note(&other, minute, at(20)), Ok(()));
        assert_eq!(probes.note(&one, minute, at(60)), Ok(()));
        assert!(probes.note(&one, minute, at(61)).is_err());
    }
}
