//! More than a far side takes, on a clock that only moves when a test says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use herald_model::delivery::Order;
use herald_model::event::Level;
use herald_model::{
    EndpointId, EventId, Markup, MessageId, Notification, Outcome, Outcomes, Progress, Rendered,
    Signal, Sink,
};

use super::super::*;
use super::{Bench, Out, bench_of};
use crate::in_force::Source;
use crate::intake::Framing;
use crate::journal::{Digest, Limit, Look, Policy};
use crate::pipeline::Bringing;

const MINUTE: i64 = 60_000;

/// Milliseconds since the beginning.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn turn(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + self.now()).unwrap()
    }
}

impl Bench {
    async fn bring_at(&self, hands: &Hands, id: u32, level: Level) {
        let source = Source {
            name: "t".into(),
            accounts: None,
            products: None,
        };
        let body = format!(
            r#"{{"ver":"1.0","id":"{id}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:eni/eni-f{id:04}","level":"{level}","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1","regionId":"cn-hangzhou","content":{{"eniId":"eni-f{id:04}","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"accomplished","requestId":"r-{id}"}}}}"#
        );
        let (framing, now) = (Framing::Document, hands.time());
        let taken = self
            .pipeline
            .take(&source, Bringing::Events, body.as_bytes(), framing, now);
        taken.await.unwrap();
    }

    fn dispatcher(&self, hands: &Hands) -> Dispatcher {
        let journal = Arc::clone(&self.journal) as Arc<dyn Journal>;
        let hands = hands.clone();
        Dispatcher::new(journal, Arc::clone(&self.current))
            .with_clock(Arc::new(move || hands.time()))
    }
}

/// Claims what is due and lets it run as far as it can without time passing.
async fn step(dispatcher: &Dispatcher, attempts: &mut JoinSet<()>) -> Duration {
    let pause = dispatcher
        .claim_what_is_due(attempts, &CancellationToken::new())
        .await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    while attempts.try_join_next().is_some() {}
    pause
}

/// What a robot got.
struct Got {
    arrived: i64,
    items: Vec<(EventId, Level)>,
    text: String,
}

/// A robot as the vendor runs it: more than 20 messages within a minute, as it counts their
/// arrivals, and it refuses everything for ten.
#[derive(Default)]
struct Robot {
    got: Vec<Got>,
    punished_until: i64,
    refusals: u32,
}

struct Chat {
    robot: Arc<Mutex<Robot>>,
    hands: Hands,
}

#[async_trait]
impl Sink for Chat {
    fn endpoint(&self) -> EndpointId {
        EndpointId::new("test", "robot")
    }

    fn markup(&self) -> Markup {
        Markup::Plain
    }

    fn fits(&self, _: MessageId, rendered: &Rendered) -> bool {
        rendered.text.len() < 18_000
    }

    async fn deliver(&self, notification: &Notification, _: &Progress<'_>) -> Outcomes {
        let mut robot = self.robot.lock().unwrap();
        // The way there takes now longer, now shorter, which moves the arrivals together.
        let way = i64::try_from(robot.got.len() % 5).unwrap() * 150 + 20;
        self.hands.turn(way);
        let arrived = self.hands.now();
        let recent = robot
            .got
            .iter()
            .filter(|got| got.arrived > arrived - MINUTE);
        if recent.count() >= 20 {
            robot.punished_until = arrived + 10 * MINUTE;
        }
        if arrived < robot.punished_until {
            robot.refusals += 1;
            let refused = Outcomes::same(Outcome::transient("130101 send too fast"));
            return refused.with_signal(Signal::Penalty(Duration::from_secs(600)));
        }
        let item = |item: &herald_model::Item| (item.event.id, item.event.level);
        robot.got.push(Got {
            arrived,
            items: notification.items.iter().map(item).collect(),
            text: notification.rendered.text.clone(),
        });
        self.hands.turn(30);
        Outcome::Delivered {
            reply: "0 ok".to_owned(),
        }
        .into()
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(10)
    }
}

fn robots() -> Policy {
    Policy {
        endpoints: vec![EndpointId::new("test", "robot")],
        limit: Some(Limit {
            messages: 18,
            per: Duration::from_secs(60),
            in_flight: 1,
            reserve: 3,
        }),
        together: true,
        digest: Some(Digest {
            after: Duration::from_secs(5),
            items_max: 200,
        }),
        ..Policy::default()
    }
}

/// Five hundred in five seconds: one of fifty is a WARN, one of all is CRITICAL.
fn level(id: u32) -> Level {
    match id {
        333 => Level::Critical,
        _ if id % 50 == 49 => Level::Warn,
        _ => Level::Info,
    }
}

#[tokio::test]
async fn a_burst_reaches_a_robot_whole_and_without_a_refusal() {
    const EVENTS: u32 = 500;
    let hands = Hands::default();
    let robot = Arc::new(Mutex::new(Robot::default()));
    // Two sinks on one robot.
    let out = |name| Out {
        name,
        sink: Box::new(Chat {
            robot: Arc::clone(&robot),
            hands: hands.clone(),
        }),
        order: Order::None,
        concurrency: 1,
        policy: robots(),
    };
    let bench = bench_of(vec![out("one"), out("two")]).await;
    let dispatcher = bench.dispatcher(&hands);
    let mut attempts = JoinSet::new();
    let (mut next, mut brought) = (0, BTreeMap::new());
    while bench.journal.totals().await.unwrap().delivered < 2 * u64::from(EVENTS) {
        assert!(hands.now() < 20 * MINUTE, "it must end");
        while next < EVENTS && i64::from(next) * 10 <= hands.now() {
            bench.bring_at(&hands, next, level(next)).await;
            brought.insert(next, hands.now());
            next += 1;
        }
        let before = hands.now();
        let pause = step(&dispatcher, &mut attempts).await;
        if hands.now() == before {
            let pause = i64::try_from(pause.as_millis()).unwrap().max(1);
            let pause = if next < EVENTS { pause.min(10) } else { pause };
            hands.turn(pause);
        }
    }
    let robot = robot.lock().unwrap();
    assert_eq!(robot.refusals, 0);
    for got in &robot.got {
        let minute = got.arrived..got.arrived + MINUTE;
        let within = robot.got.iter().filter(|one| minute.contains(&one.arrived));
        assert!(within.count() <= 20, "at {}", got.arrived);
        assert!(
            got.items
                .is_sorted_by_key(|(_, level)| std::cmp::Reverse(*level)),
            "the most urgent first"
        );
    }
    for (id, at) in &brought {
        let named = |got: &&Got| got.text.contains(&format!("eni-f{id:04}"));
        let in_which: Vec<_> = robot.got.iter().filter(named).collect();
        assert_eq!(in_which.len(), 2, "event {id}, once by each sink");
        if level(*id) > Level::Info {
            let took = in_which[0].arrived - at;
            assert!(took < 10_000, "{id} is urgent and took {took} ms");
        }
    }
    assert!(robot.got.len() < 100, "{} messages", robot.got.len());
}

/// Takes what comes and notes how long it was under way; or takes it and never answers.
struct Plain {
    took: Arc<Mutex<Vec<i64>>>,
    hands: Hands,
    hangs: bool,
}

#[async_trait]
impl Sink for Plain {
    fn endpoint(&self) -> EndpointId {
        EndpointId::new("test", if self.hangs { "hanging" } else { "sound" })
    }

    fn markup(&self) -> Markup {
        Markup::Plain
    }

    async fn deliver(&self, notification: &Notification, _: &Progress<'_>) -> Outcomes {
        if self.hangs {
            return std::future::pending().await;
        }
        let received = notification.items[0].event.received_at;
        let took = self.hands.time().duration_since(received).as_millis();
        self.took.lock().unwrap().push(i64::try_from(took).unwrap());
        Outcome::Delivered {
            reply: "200".to_owned(),
        }
        .into()
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(3_600)
    }
}

/// How long each of many events took to a sound sink, and with whom beside it.
async fn latencies(beside: bool) -> Vec<i64> {
    let hands = Hands::default();
    let took = Arc::new(Mutex::new(Vec::new()));
    let plain = |name, hangs, policy| Out {
        name,
        sink: Box::new(Plain {
            took: if name == "sound" {
                Arc::clone(&took)
            } else {
                Arc::default()
            },
            hands: hands.clone(),
            hangs,
        }),
        order: Order::None,
        concurrency: 4,
        policy,
    };
    let mut limited = robots();
    limited.limit = limited.limit.map(|limit| Limit {
        messages: 1,
        ..limit
    });
    let mut outs = vec![plain("sound", false, Policy::default())];
    if beside {
        outs.push(plain("hanging", true, Policy::default()));
        outs.push(plain("limited", false, limited));
    }
    let bench = bench_of(outs).await;
    let dispatcher = bench.dispatcher(&hands);
    let mut attempts = JoinSet::new();
    for id in 0..200 {
        bench.bring_at(&hands, id, level(id)).await;
        step(&dispatcher, &mut attempts).await;
        hands.turn(10);
    }
    attempts.abort_all();
    let took = took.lock().unwrap();
    took.clone()
}

#[tokio::test]
async fn hanging_and_limited_sinks_change_nothing_for_the_others() {
    let alone = latencies(false).await;
    assert_eq!(alone.len(), 200);
    assert_eq!(latencies(true).await, alone);
}
