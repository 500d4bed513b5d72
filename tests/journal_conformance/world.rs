//! A journal with rules in force, a clock that is moved by hand, and short words for what tests do.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    AttemptNo, ClaimRequest, Claimed, Claims, DeliveryFilter, DeliveryRow, Entry, Error,
    EventEntry, Generation, Identity, Journal, Next, Planned, Policy, Pressure, Recorded, Room,
    Rules, Settled, SettledItem, Settlement, SinkNo, Sweep, Swept, Totals,
};
use herald_model::event::Level;
use herald_model::{Addressee, DeliveryState, Event, EventId, Outcome, Phase, Signal};
use jiff::Timestamp;
use uuid::Uuid;

use crate::engine::Engine;

pub(crate) const MAIL: usize = 0;
pub(crate) const HOOK: usize = 1;
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// When every test begins.
pub(crate) fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Rules with these names, each with its name as text, and two sinks.
pub(crate) fn rules(names: &[&str], since: Timestamp) -> Rules {
    Rules {
        since,
        subscriptions: names
            .iter()
            .map(|name| {
                (
                    Arc::from(*name),
                    Arc::from(format!("{{\"name\":\"{name}\"}}")),
                )
            })
            .collect(),
        sinks: vec![Arc::from("mail"), Arc::from("hook")],
    }
}

pub(crate) struct World<'e> {
    pub(crate) engine: &'e mut dyn Engine,
    pub(crate) now: Timestamp,
    pub(crate) rules: Generation,
    /// Of the two sinks.
    pub(crate) policies: [Arc<Policy>; 2],
}

impl<'e> World<'e> {
    pub(crate) async fn new(engine: &'e mut dyn Engine) -> Self {
        let rules = engine
            .journal()
            .begin(rules(&["first", "second"], start()))
            .await
            .unwrap();
        Self {
            engine,
            now: start(),
            rules,
            policies: [Arc::default(), Arc::default()],
        }
    }

    pub(crate) fn journal(&self) -> &dyn Journal {
        self.engine.journal()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) async fn restart(&mut self) {
        self.engine.restart(self.now).await;
        self.rules = self
            .journal()
            .begin(rules(&["first", "second"], start()))
            .await
            .unwrap();
        self.conserves().await;
    }

    /// The `n`th event, received now, with no delivery planned.
    pub(crate) fn event(&self, n: u128) -> Sample {
        let id = EventId::from_uuid(Uuid::from_u128(n));
        let text = |flag: &str| {
            format!(
                r#"{{"ver":"1.0","id":"S{n}"{flag},"content":{{"eniId":"eni-{}","requestId":"R{n}"}}}}"#,
                n % 10
            )
        };
        Sample(EventEntry {
            event: Event {
                id,
                text: Arc::from(text("")),
                sender_id: Some(format!("S{n}")),
                product: "ECS".to_owned(),
                name: "NetworkInterface:NetworkInterfaceOperateCompleted".to_owned(),
                level: Level::Info,
                user_id: "169".to_owned(),
                region_id: "cn-hangzhou".to_owned(),
                resource_id: None,
                occurred_at: self.now,
                received_at: self.now,
                source: "cloudmonitor".to_owned(),
                addressee: Addressee::User("169".to_owned()),
                eni: None,
            },
            text_in_conflict: Arc::from(text(r#","conflict":true"#)),
            original: None,
            identities: vec![Identity(n << 64 | n)],
            fingerprint: 1,
            dedup_window: DAY,
            generation: self.rules.number,
            matched: vec![self.rules.subscriptions[0]],
            deliveries: Vec::new(),
        })
        .with_rules(&self.rules, self.now)
    }

    pub(crate) async fn record(&self, events: Vec<Sample>) -> Vec<Recorded> {
        let entries = events.into_iter().map(Sample::entry).collect();
        let recorded = self.journal().record(entries).await.unwrap();
        self.conserves().await;
        recorded
    }

    pub(crate) fn request(&self, room: &[(usize, u32)]) -> ClaimRequest {
        ClaimRequest {
            now: self.now,
            room: room
                .iter()
                .map(|(sink, messages)| Room {
                    sink: self.sink(*sink),
                    messages: *messages,
                    policy: Arc::clone(&self.policies[*sink]),
                })
                .collect(),
        }
    }

    pub(crate) fn sink(&self, sink: usize) -> SinkNo {
        self.rules.sinks[sink]
    }

    pub(crate) async fn claim(&self, sink: usize, messages: u32) -> Claims {
        let request = self.request(&[(sink, messages)]);
        let claims = self.journal().claim(request).await.unwrap();
        self.conserves().await;
        claims
    }

    /// Claims exactly one message.
    pub(crate) async fn claim_one(&self, sink: usize) -> Claimed {
        let mut claims = self.claim(sink, 1).await;
        assert_eq!(claims.messages.len(), 1, "one message is due");
        claims.messages.remove(0)
    }

    pub(crate) async fn settle(&self, claimed: &Claimed, outcome: Outcome, next: Next) -> Settled {
        let settlement = self.settlement(claimed, &outcome, &next);
        let settled = self.journal().settle(settlement).await.unwrap();
        self.conserves().await;
        settled
    }

    pub(crate) fn settlement(
        &self,
        claimed: &Claimed,
        outcome: &Outcome,
        next: &Next,
    ) -> Settlement {
        Settlement {
            attempt: claimed.attempt,
            ended: self.now,
            items: claimed
                .items
                .iter()
                .map(|item| SettledItem {
                    delivery: item.number,
                    outcome: outcome.clone(),
                    next: next.clone(),
                })
                .collect(),
            signal: Signal::None,
        }
    }

    pub(crate) async fn deliver(&self, claimed: &Claimed) {
        let settled = self.settle(claimed, ok(), Next::Delivered).await;
        assert_eq!(settled, Settled::Done);
    }

    /// Settles as transient, to be tried again after `wait`.
    pub(crate) async fn again(&self, claimed: &Claimed, wait: Duration) {
        let next = Next::Again(self.now + wait);
        let settled = self.settle(claimed, Outcome::transient("busy"), next).await;
        assert_eq!(settled, Settled::Done);
    }

    pub(crate) async fn wait(&self, attempt: AttemptNo, time: Duration, phase: Phase) -> Settled {
        let settled = self
            .journal()
            .wait(attempt, self.now + time, phase)
            .await
            .unwrap();
        self.conserves().await;
        settled
    }

    pub(crate) async fn sweep(&self, keep: Duration, events_max: u32) -> Swept {
        let swept = self.try_sweep(keep, events_max).await.unwrap();
        self.conserves().await;
        swept
    }

    async fn try_sweep(&self, keep: Duration, events_max: u32) -> Result<Swept, Error> {
        self.journal()
            .sweep(Sweep {
                now: self.now,
                keep,
                dedup_window: DAY,
                events_max,
                pressure: Pressure::None,
            })
            .await
    }

    /// A step of a sweep that has to make room.
    pub(crate) async fn make_room(&self, pressure: Pressure, events_max: u32) -> Swept {
        let sweep = Sweep {
            now: self.now,
            keep: 30 * DAY,
            dedup_window: DAY,
            events_max,
            pressure,
        };
        let swept = self.journal().sweep(sweep).await.unwrap();
        self.conserves().await;
        swept
    }

    pub(crate) async fn deliveries(&self, filter: DeliveryFilter) -> Vec<DeliveryRow> {
        self.journal().deliveries(filter).await.unwrap().rows
    }

    /// The only delivery there is.
    pub(crate) async fn delivery(&self) -> DeliveryRow {
        let rows = self.deliveries(DeliveryFilter::default()).await;
        assert_eq!(rows.len(), 1);
        self.journal().delivery(rows[0].id).await.unwrap().unwrap()
    }

    pub(crate) async fn totals(&self) -> Totals {
        self.journal().totals().await.unwrap()
    }

    /// Nothing that was recorded has vanished.
    pub(crate) async fn conserves_totals(&self) -> Totals {
        let totals = self.totals().await;
        assert_eq!(
            totals.planned,
            totals.delivered + totals.dead + totals.suppressed + totals.pending + totals.removed,
            "{totals:?}"
        );
        totals
    }

    /// Nothing that was recorded has vanished, and the counters agree with the rows.
    pub(crate) async fn conserves(&self) {
        let totals = self.conserves_totals().await;
        for (state, counted) in [
            (DeliveryState::Pending, totals.pending),
            (DeliveryState::Delivered, totals.delivered),
            (DeliveryState::Dead, totals.dead),
            (DeliveryState::Suppressed, totals.suppressed),
        ] {
            let rows = self
                .deliveries(DeliveryFilter {
                    state: Some(state),
                    limit: 1_000,
                    ..DeliveryFilter::default()
                })
                .await;
            assert_eq!(rows.len() as u64, counted, "{state}: {totals:?}");
        }
    }
}

/// An event to be recorded.
#[derive(Clone)]
pub(crate) struct Sample(pub(crate) EventEntry);

/// What a [`Sample`] needs to plan deliveries is kept in the entry itself: the rules of the world
/// are always two subscriptions and two sinks, numbered as they were begun.
impl Sample {
    fn with_rules(mut self, rules: &Generation, now: Timestamp) -> Self {
        self.0.deliveries = vec![
            Planned {
                subscription: rules.subscriptions[0],
                sink: rules.sinks[MAIL],
                lane: None,
                level: Level::Info,
                expires_at: now + DAY,
            },
            Planned {
                subscription: rules.subscriptions[0],
                sink: rules.sinks[HOOK],
                lane: None,
                level: Level::Info,
                expires_at: now + DAY,
            },
        ];
        self
    }

    /// One delivery, by mail, in a lane of its own.
    pub(crate) fn by_mail(mut self) -> Self {
        self.0.deliveries.truncate(1);
        self
    }

    /// One delivery, by hook, in a lane of its own.
    pub(crate) fn by_hook(mut self) -> Self {
        self.0.deliveries.remove(0);
        self
    }

    /// One delivery, by hook, in the lane of a resource.
    pub(crate) fn in_lane(mut self, lane: u64) -> Self {
        self.0.deliveries.remove(0);
        self.0.deliveries[0].lane = Some(lane);
        self
    }

    pub(crate) fn level(mut self, level: Level) -> Self {
        for planned in &mut self.0.deliveries {
            planned.level = level;
        }
        self
    }

    pub(crate) fn expires(mut self, after: Duration) -> Self {
        for planned in &mut self.0.deliveries {
            planned.expires_at = self.0.event.received_at + after;
        }
        self
    }

    /// The same under another id: what a sender's repeat looks like.
    pub(crate) fn under_id(mut self, n: u128) -> Self {
        self.0.event.id = EventId::from_uuid(Uuid::from_u128(n));
        self
    }

    pub(crate) fn fingerprint(mut self, fingerprint: u64) -> Self {
        self.0.fingerprint = fingerprint;
        self
    }

    pub(crate) fn id(&self) -> EventId {
        self.0.event.id
    }

    pub(crate) fn entry(self) -> Entry {
        Entry::Event(Box::new(self.0))
    }
}

pub(crate) fn ok() -> Outcome {
    Outcome::Delivered {
        reply: "250 queued".to_owned(),
    }
}

pub(crate) fn accepted(recorded: &Recorded) -> bool {
    matches!(
        recorded,
        Recorded::Accepted {
            conflict: false,
            ..
        }
    )
}

/// Numbers of the senders' ids of claimed messages, in the order of the claims.
pub(crate) fn told(claims: &Claims) -> Vec<u128> {
    claims
        .messages
        .iter()
        .map(|message| message.items[0].event.uuid().as_u128())
        .collect()
}
