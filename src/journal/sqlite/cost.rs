//! What verbs cost, counted in the steps of SQLite's machine: no clock is asked, so no busy machine
//! changes the answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herald_model::event::Level;
use herald_model::{Addressee, Event, EventId, Outcome, Signal};
use jiff::Timestamp;
use rusqlite::Connection;
use uuid::Uuid;

use super::begin::Begin;
use super::claim::Claim;
use super::claimed::RawClaims;
use super::core::{Core, Verb};
use super::gauge::Gauge;
use super::names::Names;
use super::record::Record;
use super::schema;
use super::settle::Settle;
use crate::journal::{
    AttemptNo, ClaimRequest, DeliveryNo, Entry, EventEntry, Generation, Next, Planned, Room, Rules,
    SettledItem, Settlement,
};

/// Deliveries of one event: as many subscriptions want it.
const FANOUT: u64 = 500;

/// Messages in one claim.
const ROOM: u32 = 8;

/// The sink for which everything waits, and the one for which one delivery does.
const FULL: usize = 0;
const IDLE: usize = 1;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

struct Bench<'c> {
    core: Core<'c>,
    rules: Generation,
    events: u64,
}

impl<'c> Bench<'c> {
    fn new(conn: &'c Connection) -> Self {
        let names = Arc::new(Names::load(conn).unwrap());
        let core = Core::load("journal.db".into(), conn, names, Arc::new(Gauge::default()));
        let mut bench = Self {
            core: core.unwrap(),
            rules: Generation {
                number: crate::journal::GenerationNo(0),
                subscriptions: Vec::new(),
                sinks: Vec::new(),
            },
            events: 0,
        };
        let text = |n: u64| (Arc::from(format!("s{n}")), Arc::from("{}"));
        bench.rules = bench.run(Begin {
            rules: Rules {
                since: now(),
                subscriptions: (0..FANOUT).map(text).collect(),
                sinks: vec![Arc::from("full"), Arc::from("idle")],
            },
        });
        bench
    }

    /// Runs a verb in a group of its own.
    fn run<V: Verb>(&mut self, mut verb: V) -> V::Made {
        self.core.begin().unwrap();
        let made = verb.run(&mut self.core).unwrap();
        self.core.commit().unwrap();
        made
    }

    /// Plans so many deliveries, the first ones of an event each.
    fn wait_for(&mut self, sink: usize, deliveries: u64, lane: Option<u64>) {
        let mut left = deliveries;
        while left > 0 {
            let some = left.min(FANOUT);
            let planned = self.rules.subscriptions.iter().take(some as usize);
            let planned = planned.map(|subscription| Planned {
                subscription: *subscription,
                sink: self.rules.sinks[sink],
                lane,
                level: Level::Info,
                expires_at: Timestamp::MAX,
            });
            let deliveries = planned.collect();
            self.events += 1;
            let entry = entry(&self.rules, self.events, deliveries);
            self.run(Record {
                entries: vec![entry],
            });
            left -= some;
        }
    }

    fn claim(&mut self, sink: usize) -> RawClaims {
        self.run(Claim {
            request: ClaimRequest {
                now: now(),
                room: vec![Room::plain(self.rules.sinks[sink], ROOM)],
            },
        })
    }

    fn deliver(&mut self, claims: &RawClaims) {
        for claimed in &claims.messages {
            self.run(Settle {
                settlement: Settlement {
                    attempt: AttemptNo(claimed.attempt),
                    ended: now(),
                    items: vec![SettledItem {
                        delivery: DeliveryNo(claimed.items[0].delivery),
                        outcome: Outcome::Delivered {
                            reply: "200".to_owned(),
                        },
                        next: Next::Delivered,
                    }],
                    signal: Signal::None,
                },
            });
        }
    }

    /// Steps of one round: a record, a claim from each sink, and the settlements.
    fn round(&mut self) -> [i64; 4] {
        self.core.sql.steps();
        self.wait_for(IDLE, 1, None);
        let recorded = self.core.sql.steps();
        let idle = self.claim(IDLE);
        assert_eq!(idle.messages.len(), 1, "it waits for nobody else");
        let claimed_idle = self.core.sql.steps();
        let full = self.claim(FULL);
        let claimed_full = self.core.sql.steps();
        self.deliver(&idle);
        self.deliver(&full);
        [recorded, claimed_idle, claimed_full, self.core.sql.steps()]
    }
}

fn entry(rules: &Generation, n: u64, deliveries: Vec<Planned>) -> Entry {
    let text: Arc<str> = Arc::from(format!(r#"{{"id":"{n}"}}"#));
    Entry::Event(Box::new(EventEntry {
        event: Event {
            id: EventId::from_uuid(Uuid::from_u128(n.into())),
            text: Arc::clone(&text),
            sender_id: None,
            product: "ECS".to_owned(),
            name: "Disk:Full".to_owned(),
            level: Level::Info,
            user_id: "1".to_owned(),
            region_id: "cn-hangzhou".to_owned(),
            resource_id: None,
            occurred_at: now(),
            received_at: now(),
            source: "api".to_owned(),
            addressee: Addressee::User("1".to_owned()),
            eni: None,
        },
        text_in_conflict: text,
        original: None,
        identities: Vec::new(),
        fingerprint: 1,
        dedup_window: Duration::ZERO,
        generation: rules.number,
        matched: rules.subscriptions.clone(),
        deliveries,
    }))
}

fn journal() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, Path::new("journal.db")).unwrap();
    conn
}

/// Rounds at 100, 10,000 and 200,000 waiting, and once more with a history behind it.
#[track_caller]
fn stays_flat(lane: Option<u64>) {
    let conn = journal();
    let mut bench = Bench::new(&conn);
    bench.wait_for(FULL, 100, lane);
    // What is seen for the first time costs once more.
    bench.round();
    let few = bench.round();
    assert!(few.iter().all(|steps| *steps > 0), "{few:?}");
    for waiting in [10_000, 200_000] {
        bench.wait_for(
            FULL,
            waiting - bench.core.waits_for(bench.rules.sinks[FULL].0),
            lane,
        );
        assert_eq!(bench.round(), few, "with {waiting} waiting");
    }
    for _ in 0..300 {
        let claims = bench.claim(FULL);
        bench.deliver(&claims);
    }
    assert_eq!(bench.round(), few, "with a history");
}

#[test]
fn whatever_waits_for_a_sink_its_claims_and_those_of_others_cost_the_same() {
    stays_flat(None);
}

#[test]
fn whatever_waits_in_one_lane_its_claims_and_those_of_others_cost_the_same() {
    stays_flat(Some(7));
}
