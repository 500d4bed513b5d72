//! `claim` of the journal in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use herald_model::event::Level;
use herald_model::{DeliveryId, EndpointId};
use jiff::Timestamp;

use super::state::{Delivery, Open, OpenMessage, State, message_id, span};
use crate::journal::endpoint::{Denied, Endpoint, first_open, millis};
use crate::journal::{
    AttemptNo, ClaimRequest, Claimed, ClaimedItem, Claims, DeliveryNo, EXPIRED, Policy, Room,
    SinkNo,
};

/// Levels, least urgent first.
const LEAST_FIRST: [Level; 3] = [Level::Info, Level::Warn, Level::Critical];

/// One sink of a request.
struct Ask {
    sink: SinkNo,
    room: u32,
    left: u32,
    policy: Arc<Policy>,
    /// The endpoint whose permits are taken at the moment.
    endpoint: Option<EndpointId>,
    limited: Option<Denied>,
    waits: Waits,
}

/// What waits for one sink.
#[derive(Debug, Clone, Copy, Default)]
struct Waits {
    count: usize,
    /// When the first head comes up that nobody holds.
    comes_up: Option<Timestamp>,
}

impl State {
    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Claims {
        let now = request.now;
        let mut claims = Claims::default();
        let waits = self.waits();
        let mut asks: Vec<Ask> = request
            .room
            .iter()
            .map(|room| self.ask(room, now, waits.get(&room.sink)))
            .collect();
        for ask in &mut asks {
            self.trim(ask, now, &mut claims);
        }
        for level in Level::URGENT_FIRST {
            let busy = |ask: &&mut Ask| ask.waits.comes_up.is_some_and(|at| at <= now);
            for ask in asks.iter_mut().filter(busy) {
                self.claim_level(ask, level, now, &mut claims);
            }
        }
        for ask in asks {
            let permit = ask.limited.and_then(|denied| denied.until);
            let permit = permit.and_then(|at| Timestamp::from_millisecond(at).ok());
            let later = match ask.waits.comes_up {
                Some(at) if at <= now => self.comes_up_after(ask.sink, now),
                unchanged => unchanged,
            };
            let times = [later, permit, claims.next_due];
            claims.next_due = times.into_iter().flatten().min();
            let endpoint = self.best(&ask.policy).map(ToString::to_string);
            self.ways.insert(ask.sink, (endpoint, ask.limited));
        }
        claims
    }

    /// What waits for each sink, found by one look at everything that is pending.
    fn waits(&self) -> BTreeMap<SinkNo, Waits> {
        let mut all: BTreeMap<SinkNo, Waits> = BTreeMap::new();
        let mut lanes = HashSet::new();
        for delivery in self.pending.iter().filter_map(|it| self.deliveries.get(it)) {
            let sink = delivery.sink;
            let waits = all.entry(sink).or_default();
            waits.count += 1;
            let is_head = delivery.lane.is_none_or(|lane| lanes.insert((sink, lane)));
            if is_head && delivery.open.is_none() {
                let earlier = waits.comes_up.into_iter();
                waits.comes_up = earlier.chain([delivery.comes_up()]).min();
            }
        }
        all
    }

    /// When the first head of a sink comes up that nobody holds, later than `now`.
    fn comes_up_after(&self, sink: SinkNo, now: Timestamp) -> Option<Timestamp> {
        self.heads(sink)
            .filter(|(_, head)| head.open.is_none())
            .map(|(_, head)| head.comes_up())
            .filter(|at| *at > now)
            .min()
    }

    fn ask(&mut self, room: &Room, now: Timestamp, waits: Option<&Waits>) -> Ask {
        let policy = Arc::clone(&room.policy);
        for name in &policy.endpoints {
            let endpoint = self.endpoints.entry(name.to_string()).or_default();
            endpoint.count_for(policy.limit.as_ref());
            endpoint.pass_time(now.as_millisecond());
        }
        Ask {
            sink: room.sink,
            room: room.messages,
            left: room.messages,
            policy,
            endpoint: None,
            limited: None,
            waits: waits.copied().unwrap_or_default(),
        }
    }

    /// The endpoint by which a sink's standing is told.
    fn best<'p>(&self, policy: &'p Policy) -> Option<&'p EndpointId> {
        let closed = |name: &&EndpointId| self.endpoints.get(name.as_str()).map(Endpoint::closed);
        policy.endpoints.iter().min_by_key(closed)
    }

    /// Suppresses what is too much for a sink: the oldest of the least urgent level first.
    fn trim(&mut self, ask: &mut Ask, now: Timestamp, claims: &mut Claims) {
        let most = usize::try_from(ask.policy.max_backlog).unwrap_or(usize::MAX);
        let too_many = ask.waits.count.saturating_sub(most);
        if too_many == 0 {
            return;
        }
        for number in self.crowd_out(ask.sink, &LEAST_FIRST, too_many, now) {
            claims.crowded_out.push(self.delivery_id(number));
        }
        // Another may be the first of its lane now.
        ask.waits = self.waits().remove(&ask.sink).unwrap_or_default();
    }

    fn claim_level(&mut self, ask: &mut Ask, level: Level, now: Timestamp, claims: &mut Claims) {
        loop {
            self.clear_past(ask.sink, level, now, claims);
            let Some(head) = self.first_due(ask.sink, level, now) else {
                return;
            };
            if self.pauses.contains_key(&ask.sink) || ask.room == 0 {
                return;
            }
            let names = &ask.policy.endpoints;
            let endpoints = names
                .iter()
                .filter_map(|name| self.endpoints.get(name.as_str()));
            let limit = ask.policy.limit.as_ref();
            match first_open(endpoints, limit, level, now.as_millisecond()) {
                Err(denied) => {
                    ask.limited.get_or_insert(denied);
                    return;
                }
                Ok(open) => {
                    ask.endpoint = open.and_then(|(place, _)| names.get(place)).cloned();
                }
            }
            if ask.left == 0 {
                return;
            }
            ask.left -= 1;
            let members = self.members_for(head, &ask.policy, now);
            claims.messages.extend(self.open(members, ask, now));
        }
    }

    /// Deals with heads that came up but are not to be sent.
    fn clear_past(&mut self, sink: SinkNo, level: Level, now: Timestamp, claims: &mut Claims) {
        while let Some((number, expired)) = self.first_past(sink, level, now) {
            if expired {
                claims.expired.push(self.delivery_id(number));
                self.suppress(number, EXPIRED, now);
            } else if let Some(head) = self.deliveries.get_mut(&number) {
                let lane = head.lane.take();
                head.late = true;
                head.passes_at = None;
                let (sink, message) = (head.sink, head.message);
                self.pass_companions(message, lane);
                self.promote(sink, lane, now);
            }
        }
    }

    /// What left a lane only to go with its head is passed with it.
    fn pass_companions(&mut self, message: Option<i64>, lane: Option<u64>) {
        let members = message.and_then(|number| self.messages.get(&number));
        let members = members.map(|one| one.members.clone()).unwrap_or_default();
        for member in members {
            if self.has_left(member, lane)
                && let Some(one) = self.deliveries.get_mut(&member)
                && one.message == message
            {
                one.late = true;
            }
        }
    }

    /// A head that came up but is not to be sent, and whether it has expired.
    fn first_past(&self, sink: SinkNo, level: Level, now: Timestamp) -> Option<(i64, bool)> {
        self.due(sink, level, now)
            .find(|(_, head)| head.expires <= now || head.due > now)
            .map(|(number, head)| (number, head.expires <= now))
    }

    /// The first pending delivery of every lane of a sink.
    pub(super) fn heads(&self, sink: SinkNo) -> impl Iterator<Item = (i64, &Delivery)> {
        let mut lanes = HashSet::new();
        self.pending
            .iter()
            .filter_map(|number| Some((*number, self.deliveries.get(number)?)))
            .filter(move |(_, delivery)| delivery.sink == sink)
            .filter(move |(_, delivery)| delivery.lane.is_none_or(|lane| lanes.insert(lane)))
    }

    fn due(
        &self,
        sink: SinkNo,
        level: Level,
        now: Timestamp,
    ) -> impl Iterator<Item = (i64, &Delivery)> {
        self.heads(sink).filter(move |(_, head)| {
            head.level == level && head.open.is_none() && head.comes_up() <= now
        })
    }

    fn first_due(&self, sink: SinkNo, level: Level, now: Timestamp) -> Option<i64> {
        self.due(sink, level, now)
            .min_by_key(|(number, head)| (head.due, *number))
            .map(|(number, _)| number)
    }

    /// Who goes in the message that a due head belongs to.
    fn members_for(&mut self, head: i64, policy: &Policy, now: Timestamp) -> Vec<i64> {
        let Some(delivery) = self.deliveries.get(&head) else {
            return Vec::new();
        };
        let (sink, level) = (delivery.sink, delivery.level);
        if let Some(number) = delivery.message {
            let members = self.messages.get(&number).map(|one| one.members.clone());
            let members = members.unwrap_or_default();
            let is_there = |member: &i64| {
                self.pending.contains(member)
                    && self.deliveries.get(member).is_some_and(|one| {
                        one.open.is_none() && one.message == Some(number) && one.expires > now
                    })
            };
            if members.iter().all(is_there) && members.contains(&head) {
                return members;
            }
            self.messages.remove(&number);
            for member in members.iter().chain([&head]) {
                if let Some(one) = self.deliveries.get_mut(member)
                    && one.message == Some(number)
                {
                    one.message = None;
                }
            }
        }
        // What was in a message that killed its worker goes alone.
        if self.deliveries.get(&head).is_some_and(|one| one.kills > 0) {
            return vec![head];
        }
        if let Some(digest) = policy.digest {
            let mut due: Vec<(Reverse<Level>, Timestamp, i64)> = Level::URGENT_FIRST
                .into_iter()
                .filter(|one| *one <= level)
                .flat_map(|level| self.due(sink, level, now))
                .filter(|(_, one)| {
                    one.message.is_none() && one.kills == 0 && one.expires > now && one.due <= now
                })
                .map(|(number, one)| (Reverse(one.level), one.due, number))
                .collect();
            due.sort_unstable();
            due.truncate(digest.items_max.max(1) as usize);
            let long_ago = now.as_millisecond() - millis(digest.after);
            let waited = |due: &Timestamp| due.as_millisecond() <= long_ago;
            if due.iter().any(|(_, due, _)| waited(due)) {
                return self.in_order(due.into_iter().map(|(.., number)| number).collect());
            }
        }
        let mut members = vec![head];
        if policy.together {
            self.add_siblings(&mut members, now);
        }
        self.in_order(members)
    }

    fn add_siblings(&mut self, members: &mut Vec<i64>, now: Timestamp) {
        let Some(first) = members.first().and_then(|head| self.deliveries.get(head)) else {
            return;
        };
        let (event, sink, lane) = (first.event, first.sink, first.lane);
        let siblings: Vec<i64> = self
            .events
            .get(&event)
            .into_iter()
            .flat_map(|event| &event.deliveries)
            .filter(|number| !members.contains(number) && self.pending.contains(number))
            .filter(|number| {
                self.deliveries.get(number).is_some_and(|one| {
                    one.sink == sink
                        && one.open.is_none()
                        && one.message.is_none()
                        && one.kills == 0
                        && one.expires > now
                        && one.due <= now
                        && (one.lane == lane || self.is_head(**number, one))
                })
            })
            .copied()
            .collect();
        for number in siblings {
            if let Some(one) = self.deliveries.get_mut(&number) {
                // Behind the head it leaves the lane to go with it; in another it stays.
                one.lane = one.lane.filter(|_| one.lane != lane);
                members.push(number);
            }
        }
    }

    /// Most urgent first, then in commit order.
    fn in_order(&self, mut members: Vec<i64>) -> Vec<i64> {
        members.sort_by_key(|number| {
            let level = self.deliveries.get(number).map(|one| one.level);
            (Reverse(level), *number)
        });
        members
    }

    fn open(&mut self, members: Vec<i64>, ask: &Ask, now: Timestamp) -> Option<Claimed> {
        let items: Vec<ClaimedItem> = members
            .iter()
            .filter_map(|number| self.open_item(*number, now))
            .collect();
        let first: DeliveryId = items.first()?.id;
        self.last_attempt += 1;
        let attempt = AttemptNo(self.last_attempt);
        let mut kept = None;
        for number in &members {
            if let Some(delivery) = self.deliveries.get_mut(number) {
                delivery.open = Some(Open {
                    attempt,
                    started: now,
                });
                kept = delivery.message;
            }
        }
        let permit = ask.endpoint.as_ref().and_then(|name| {
            let endpoint = self.endpoints.get_mut(name.as_str())?;
            let permit = endpoint.start(ask.policy.limit.as_ref(), now.as_millisecond());
            Some((name.to_string(), permit))
        });
        let number = kept.unwrap_or(attempt.0);
        let open = OpenMessage {
            message: number,
            started: now,
            members,
            permit,
            patience: ask.policy.lane_patience,
            form: ask.policy.form.clone(),
        };
        self.open.insert(attempt, open);
        let message = self.messages.get(&number);
        Some(Claimed {
            attempt,
            message: message_id(first, number),
            sink: ask.sink,
            endpoint: ask.endpoint.clone(),
            composed_at: message.map_or(now, |message| message.composed),
            frozen: message
                .filter(|message| message.frozen)
                .and_then(|message| message.text.clone()),
            progress: message.and_then(|message| message.progress.clone()),
            items,
        })
    }

    fn open_item(&mut self, number: i64, now: Timestamp) -> Option<ClaimedItem> {
        let id = self.delivery_id(number);
        let delivery = self.deliveries.get_mut(&number)?;
        if delivery.first_attempt.is_some() {
            delivery.idle = span(delivery.since.unwrap_or(delivery.due), now);
            delivery.uncounted += delivery.idle;
        }
        let event = self.events.get(&delivery.event)?;
        let place = usize::try_from(delivery.subscription.0 - 1).ok()?;
        let (subscription, _) = self.subscriptions.get(place)?;
        Some(ClaimedItem {
            number: DeliveryNo(number),
            id,
            subscription: Arc::clone(subscription),
            event: event.id,
            text: Arc::clone(&event.text),
            charged: delivery.charged,
            first_attempt: delivery.first_attempt,
            uncounted: delivery.uncounted,
        })
    }
}
