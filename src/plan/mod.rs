//! Who wants an event, and what has to be delivered for it.
//!
//! Plain functions of the event and the subscriptions in force: planning twice plans the same.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use herald_model::delivery::Order;
use herald_model::event::{Addressee, Form, Owner};
use herald_model::{DeliveryId, Event, EventId};
use herald_rules::explain::{Difference, Explanation, Held};
use herald_rules::json::{self, Limits, Value};
use herald_rules::{Index, Pattern, Scratch};
use jiff::{SignedDuration, Timestamp};

use crate::journal::{Planned, SinkNo, SubscriptionNo};

mod cloud_event;

#[cfg(test)]
mod tests;

use cloud_event::cloud_event;

/// Who wants to hear of which events, by which sinks.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its integer in the journal.
    pub number: SubscriptionNo,
    /// Its name.
    pub name: Arc<str>,
    /// Which events; `None` stands for all.
    pub pattern: Option<Pattern>,
    /// Which form of the event the pattern tests.
    pub form: Form,
    /// Addressed to whom.
    pub owner: Owner,
    /// By which sinks, in the file's order.
    pub to: Vec<Target>,
    /// How long after its receipt an event is worth bringing.
    pub expires: Duration,
}

/// A sink as planning sees it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its integer in the journal.
    pub sink: SinkNo,
    /// Its name.
    pub name: Arc<str>,
    /// Which of its deliveries keep their order.
    pub order: Order,
}

/// For one event and one subscription: does it want it, and if not, why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It does; the conditions that held.
    Matched(Vec<Held>),
    /// The pattern matches, but the event is addressed to somebody else.
    NotForYou {
        /// Whom the subscription hears of.
        wanted: String,
        /// Whom the event is addressed to.
        found: String,
    },
    /// The pattern does not match.
    Different {
        /// The nearest difference.
        nearest: Difference,
        /// How many tests failed on the way that came nearest, at least 1.
        failed: usize,
    },
}

impl Subscription {
    /// Whether this subscription wants the event.
    pub fn wants(&self, value: &Value, addressee: &Addressee) -> bool {
        let holds = |pattern: &Pattern| pattern.evaluate(&self.seen(value));
        self.owner.hears(addressee) && self.pattern.as_ref().is_none_or(holds)
    }

    /// Whether, and why or why not. Always agrees with [`wants`](Self::wants).
    pub fn judge(&self, value: &Value, addressee: &Addressee) -> Verdict {
        let explain = |pattern: &Pattern| pattern.explain(&self.seen(value));
        let explanation = self.pattern.as_ref().map(explain);
        let held = match explanation {
            None => Vec::new(),
            Some(Explanation::Matched { held }) => held,
            Some(Explanation::Different { nearest, failed }) => {
                return Verdict::Different { nearest, failed };
            }
        };
        if self.owner.hears(addressee) {
            return Verdict::Matched(held);
        }
        Verdict::NotForYou {
            wanted: self.owner.to_string(),
            found: addressee.to_string(),
        }
    }

    /// An event in the form that the pattern tests.
    fn seen<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        match self.form {
            Form::Canonical => Cow::Borrowed(value),
            Form::CloudEvents => Cow::Owned(cloud_event(value)),
        }
    }
}

/// All subscriptions in force, made to be matched together.
#[derive(Debug)]
pub struct Subscriptions {
    all: Vec<Subscription>,
    index: Index,
    /// Those that see the CloudEvents form, if there are any: without them nothing is converted.
    cloud_events: Option<Index>,
    /// Places of those without a pattern, rising.
    unconditional: Vec<u32>,
}

/// The text of an event is Herald's own, so what intake let through is not refused here.
const LIMITS: Limits = Limits {
    depth_max: Limits::DEPTH_CEILING,
};

impl Subscriptions {
    /// Makes the index; a hundred thousand subscriptions take a fraction of a second.
    pub fn new(all: Vec<Subscription>) -> Self {
        let builder = || {
            let mut builder = Index::builder();
            builder.limits(LIMITS);
            builder
        };
        let mut index = builder();
        let mut cloud_events = None;
        let mut unconditional = Vec::new();
        for (place, subscription) in (0_u32..).zip(&all) {
            let Some(pattern) = &subscription.pattern else {
                unconditional.push(place);
                continue;
            };
            let index = match subscription.form {
                Form::Canonical => &mut index,
                Form::CloudEvents => cloud_events.get_or_insert_with(builder),
            };
            index.insert(place, pattern);
        }
        Self {
            all,
            index: index.build(),
            cloud_events: cloud_events.map(herald_rules::index::Builder::build),
            unconditional,
        }
    }

    /// The subscriptions, in the file's order.
    pub fn all(&self) -> &[Subscription] {
        &self.all
    }

    /// The subscriptions that want the event, in the file's order: those whose
    /// [`wants`](Subscription::wants) is true, found by the index.
    pub fn matching(&self, event: &Event, scratch: &mut Scratch) -> Vec<&Subscription> {
        let found = self
            .index
            .matches(event.text.as_bytes(), scratch)
            .unwrap_or_default();
        let mut places = [found, &self.unconditional].concat();
        if let Some(index) = &self.cloud_events {
            places.extend(as_cloud_event(index, event, scratch));
        }
        places.sort_unstable();
        places
            .into_iter()
            .filter_map(|place| self.all.get(place as usize))
            .filter(|subscription| subscription.owner.hears(&event.addressee))
            .collect()
    }
}

/// The places of those who want the event's CloudEvents form.
fn as_cloud_event(index: &Index, event: &Event, scratch: &mut Scratch) -> Vec<u32> {
    let Ok(parsed) = json::parse(event.text.as_bytes(), LIMITS) else {
        return Vec::new();
    };
    let form = cloud_event(&parsed.value).to_string();
    let found = index.matches(form.as_bytes(), scratch);
    found.unwrap_or_default().to_vec()
}

/// The deliveries of an event: one for each matching subscription and each of its sinks.
pub fn plan(event: &Event, matched: &[&Subscription], received_at: Timestamp) -> Vec<Planned> {
    let deliveries = matched.iter().flat_map(|subscription| {
        subscription.to.iter().map(move |target| Planned {
            subscription: subscription.number,
            sink: target.sink,
            lane: lane(event, target),
            level: event.level,
            expires_at: after(received_at, subscription.expires),
        })
    });
    deliveries.collect()
}

/// The public ids of the deliveries that [`plan`] plans, in its order.
pub fn delivery_ids(event: EventId, matched: &[&Subscription]) -> Vec<DeliveryId> {
    let ids = matched.iter().flat_map(|subscription| {
        let id = |target: &Target| DeliveryId::derive(event, &subscription.name, &target.name);
        subscription.to.iter().map(id).collect::<Vec<_>>()
    });
    ids.collect()
}

/// The lane of an event's resource in a sink that keeps order; `None` for a lane of its own.
fn lane(event: &Event, target: &Target) -> Option<u64> {
    match (target.order, &event.resource_id) {
        (Order::Resource, Some(resource)) => Some(fnv1a(resource.as_bytes())),
        (Order::Resource, None) | (Order::None, _) => None,
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): fixed for all time, as lanes outlive the program. Two
/// resources that share a hash share a lane, which costs them independence but never order.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn after(time: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait)
        .ok()
        .and_then(|wait| time.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}
