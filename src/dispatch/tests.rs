//! Dispatching over the memory journal, with sinks that do what a test says.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use herald_model::delivery::Order;
use herald_model::event::Owner;
use herald_model::{
    DeliveryState, EndpointId, Markup, Notification, Outcome, Outcomes, Progress, RetrySchedule,
    Sink,
};
use tokio::time::timeout;

use super::*;
use crate::in_force::Source;
use crate::intake::{Framing, Limits};
use crate::journal::memory::MemoryJournal;
use crate::journal::{DeliveryFilter, DeliveryRow, Look, Policy, Rules, Saved};
use crate::pipeline::{Bringing, Pipeline};
use crate::plan::{Subscription, Subscriptions, Target};
use crate::render::{Setting, Templates};

mod flood;

/// Longer than anything here takes; a test that runs into it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the sink does at each attempt; the last one is repeated.
#[derive(Clone, Debug)]
enum Act {
    Answer(Outcome),
    Hang,
    Panic,
    SaveThenFail,
}

struct Scripted {
    acts: Mutex<VecDeque<Act>>,
    seen: Mutex<Vec<Notification>>,
    progress_seen: Mutex<Vec<Option<Vec<u8>>>>,
    running: AtomicU32,
    most_running: AtomicU32,
}

impl Scripted {
    fn new(acts: &[Act]) -> Arc<Self> {
        Arc::new(Self {
            acts: Mutex::new(acts.iter().cloned().collect()),
            seen: Mutex::default(),
            progress_seen: Mutex::default(),
            running: AtomicU32::new(0),
            most_running: AtomicU32::new(0),
        })
    }

    fn next(&self) -> Act {
        let mut acts = self.acts.lock().unwrap();
        if acts.len() > 1 {
            acts.pop_front().unwrap()
        } else {
            acts[0].clone()
        }
    }
}

struct Way(Arc<Scripted>);

#[async_trait]
impl Sink for Way {
    fn endpoint(&self) -> EndpointId {
        EndpointId::new("test", "way")
    }

    fn markup(&self) -> Markup {
        Markup::Plain
    }

    async fn deliver(&self, notification: &Notification, progress: &Progress<'_>) -> Outcomes {
        let now = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_running.fetch_max(now, Ordering::SeqCst);
        self.0.seen.lock().unwrap().push(notification.clone());
        self.0
            .progress_seen
            .lock()
            .unwrap()
            .push(progress.saved().map(<[u8]>::to_vec));
        tokio::task::yield_now().await;
        let act = self.0.next();
        let outcomes = match act {
            Act::Answer(outcome) => outcome.into(),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("the sink is broken"),
            Act::SaveThenFail => {
                progress.save(b"half".to_vec()).await.unwrap();
                Outcome::transient("451 later").into()
            }
        };
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        outcomes
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(3_600)
    }
}

struct Bench {
    journal: Arc<MemoryJournal>,
    pipeline: Pipeline,
    current: Current,
    stop: CancellationToken,
    cut: CancellationToken,
}

/// A way out to be put into force.
struct Out {
    name: &'static str,
    sink: Box<dyn Sink>,
    order: Order,
    concurrency: u32,
    policy: Policy,
}

fn quick() -> RetrySchedule {
    RetrySchedule::listed(vec![Duration::from_millis(1); 2], Duration::from_secs(60)).unwrap()
}

async fn bench(sinks: &[(&'static str, Arc<Scripted>, Order, u32)]) -> Bench {
    let outs = sinks
        .iter()
        .map(|(name, scripted, order, concurrency)| Out {
            name,
            sink: Box::new(Way(Arc::clone(scripted))),
            order: *order,
            concurrency: *concurrency,
            policy: Policy::default(),
        });
    bench_of(outs.collect()).await
}

async fn bench_of(outs: Vec<Out>) -> Bench {
    let journal = Arc::new(MemoryJournal::new());
    let rules = Rules {
        since: Timestamp::UNIX_EPOCH,
        subscriptions: vec![("all".into(), "{}".into())],
        sinks: outs.iter().map(|out| out.name.into()).collect(),
    };
    let generation = journal.begin(rules).await.unwrap();
    let mut to = Vec::new();
    let mut ways_out = HashMap::new();
    for (out, number) in outs.into_iter().zip(&generation.sinks) {
        to.push(Target {
            sink: *number,
            name: out.name.into(),
            order: out.order,
        });
        let way_out = WayOut {
            number: *number,
            name: out.name.into(),
            kind: "test",
            sink: out.sink,
            concurrency: out.concurrency,
            policy: Arc::new(out.policy),
            retry: quick(),
            templates: Templates::default(),
            subscription_templates: HashMap::new(),
            setting: Setting {
                language: herald_model::Language::En,
                time_zone: jiff::tz::TimeZone::UTC,
                console_url: None,
            },
            probes: crate::probe::Probes::default(),
        };
        ways_out.insert(*number, Arc::new(way_out));
    }
    let subscription = Subscription {
        number: generation.subscriptions[0],
        name: "all".into(),
        pattern: None,
        form: herald_model::event::Form::default(),
        owner: Owner::Everyone,
        to,
        expires: Duration::from_secs(3_600),
    };
    let current: Current = Arc::new(ArcSwap::from_pointee(InForce {
        generation: generation.number,
        limits: Limits::default(),
        dedup_window: Duration::from_secs(60),
        announcing: HashSet::new(),
        sources: HashMap::new(),
        subscriptions: Subscriptions::new(vec![subscription]),
        sinks: ways_out,
    }));
    let pipeline = Pipeline::new(
        Arc::clone(&journal) as Arc<dyn Journal>,
        Arc::clone(&current),
        1_000,
    );
    Bench {
        journal,
        pipeline,
        current,
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
    }
}

impl Bench {
    async fn bring(&self, id: u32) {
        let source = Source {
            name: "t".into(),
            accounts: None,
            products: None,
        };
        let body = format!(
            r#"{{"id":"{id}","name":"A:B","resourceId":"r","userId":"1","content":{{"n":{id}}}}}"#
        );
        let taken = self.pipeline.take(
            &source,
            Bringing::Events,
            body.as_bytes(),
            Framing::Document,
            clock::now(),
        );
        taken.await.unwrap();
    }

    fn run(&self) -> tokio::task::JoinHandle<()> {
        let journal = Arc::clone(&self.journal) as Arc<dyn Journal>;
        let dispatcher = Dispatcher::new(journal, Arc::clone(&self.current));
        tokio::spawn(dispatcher.run(self.stop.clone(), self.cut.clone()))
    }

    async fn deliveries(&self) -> Vec<DeliveryRow> {
        let page = self
            .journal
            .deliveries(DeliveryFilter::default())
            .await
            .unwrap();
        let mut rows = Vec::new();
        for row in page.rows.iter().rev() {
            rows.push(self.journal.delivery(row.id).await.unwrap().unwrap());
        }
        rows
    }

    /// Waits until `done` holds of the deliveries, oldest first.
    async fn until(&self, done: impl Fn(&[DeliveryRow]) -> bool) -> Vec<DeliveryRow> {
        let waiting = async {
            loop {
                let rows = self.deliveries().await;
                if done(&rows) {
                    return rows;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .expect("it did not come to that")
    }
}

fn all(state: DeliveryState) -> impl Fn(&[DeliveryRow]) -> bool {
    move |rows| !rows.is_empty() && rows.iter().all(|row| row.state == state)
}

fn delivered() -> Act {
    Act::Answer(Outcome::Delivered {
        reply: "250 ok".to_owned(),
    })
}

#[tokio::test]
async fn what_is_recorded_is_delivered_and_settled() {
    let scripted = Scripted::new(&[delivered()]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::None, 4)]).await;
    bench.run();
    bench.bring(1).await;
    let rows = bench.until(all(DeliveryState::Delivered)).await;
    assert_eq!(rows[0].attempts.len(), 1);
    assert_eq!(rows[0].attempts[0].reply, "250 ok");
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_with_the_same_message() {
    let busy = Act::Answer(Outcome::transient("503 busy"));
    let scripted = Scripted::new(&[busy, Act::Answer(Outcome::unknown("cut")), delivered()]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::None, 1)]).await;
    bench.run();
    bench.bring(1).await;
    let rows = bench.until(all(DeliveryState::Delivered)).await;
    assert_eq!(rows[0].charged, 3);
    let seen = scripted.seen.lock().unwrap();
    assert_eq!(
        seen.iter().map(|one| one.attempt).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(seen.iter().all(|one| one.message == seen[0].message));
    assert!(seen.iter().all(|one| one.rendered == seen[0].rendered));
}

#[tokio::test]
async fn a_used_up_schedule_is_a_dead_letter_with_the_last_reason() {
    let scripted = Scripted::new(&[Act::Answer(Outcome::transient("503 busy"))]);
    let bench = bench(&[("way", scripted, Order::None, 1)]).await;
    bench.run();
    bench.bring(1).await;
    let rows = bench.until(all(DeliveryState::Dead)).await;
    assert_eq!(
        rows[0].charged, 3,
        "one attempt and the schedule's two waits"
    );
    assert_eq!(
        rows[0].reason.as_deref(),
        Some("given up after 3 attempts; the last: 503 busy")
    );
}

#[tokio::test]
async fn a_sink_that_never_answers_delays_no_other() {
    let hanging = Scripted::new(&[Act::Hang]);
    let sound = Scripted::new(&[delivered()]);
    let bench = bench(&[
        ("hanging", hanging, Order::None, 2),
        ("sound", Arc::clone(&sound), Order::None, 2),
    ])
    .await;
    bench.run();
    for id in 0..20 {
        bench.bring(id).await;
    }
    let done = |rows: &[DeliveryRow]| {
        rows.iter()
            .filter(|row| row.state == DeliveryState::Delivered)
            .count()
            == 20
    };
    let rows = bench.until(done).await;
    assert!(
        rows.iter()
            .all(|row| (row.state == DeliveryState::Delivered) == (&*row.sink == "sound"))
    );
}

#[tokio::test]
async fn a_sink_gets_no_more_than_its_concurrency() {
    let scripted = Scripted::new(&[delivered()]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::None, 3)]).await;
    for id in 0..30 {
        bench.bring(id).await;
    }
    bench.run();
    bench
        .until(|rows| rows.len() == 30 && all(DeliveryState::Delivered)(rows))
        .await;
    assert!(scripted.most_running.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn a_resource_keeps_its_order() {
    let busy = Act::Answer(Outcome::transient("503"));
    let scripted = Scripted::new(&[busy.clone(), busy, delivered()]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::Resource, 8)]).await;
    for id in 0..5 {
        bench.bring(id).await;
    }
    bench.run();
    bench
        .until(|rows| rows.len() == 5 && all(DeliveryState::Delivered)(rows))
        .await;
    let seen = scripted.seen.lock().unwrap();
    let order: Vec<_> = seen
        .iter()
        .map(|one| one.items[0].event.sender_id.clone().unwrap())
        .collect();
    assert_eq!(order, ["0", "0", "0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn progress_reaches_the_next_attempt() {
    let scripted = Scripted::new(&[Act::SaveThenFail, delivered()]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::None, 1)]).await;
    bench.run();
    bench.bring(1).await;
    bench.until(all(DeliveryState::Delivered)).await;
    assert_eq!(
        *scripted.progress_seen.lock().unwrap(),
        [None, Some(b"half".to_vec())]
    );
}

#[tokio::test]
async fn a_sink_that_panics_costs_an_attempt_and_nothing_else() {
    let scripted = Scripted::new(&[Act::Panic, delivered()]);
    let bench = bench(&[("way", scripted, Order::None, 1)]).await;
    bench.run();
    bench.bring(1).await;
    let rows = bench.until(all(DeliveryState::Delivered)).await;
    assert_eq!(rows[0].attempts[0].outcome, Some("unknown"));
}

#[tokio::test]
async fn stopping_lets_what_is_in_flight_end_and_cutting_records_it_unknown() {
    let scripted = Scripted::new(&[Act::Hang]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::None, 1)]).await;
    let running = bench.run();
    bench.bring(1).await;
    let in_flight = |_: &[DeliveryRow]| !scripted.seen.lock().unwrap().is_empty();
    bench.until(in_flight).await;
    bench.stop.cancel();
    tokio::task::yield_now().await;
    assert!(!running.is_finished(), "it waits for what is in flight");
    bench.cut.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
    let rows = bench.deliveries().await;
    assert_eq!(rows[0].state, DeliveryState::Pending);
    assert_eq!(rows[0].attempts[0].outcome, Some("unknown"));
    assert!(
        rows[0].attempts[0].reason.contains("cut off"),
        "{:?}",
        rows[0].attempts
    );
}

#[tokio::test]
async fn a_text_that_may_have_arrived_is_not_written_anew() {
    let scripted = Scripted::new(&[Act::Answer(Outcome::unknown("no answer")), delivered()]);
    let bench = bench(&[("way", Arc::clone(&scripted), Order::None, 1)]).await;
    bench.bring(1).await;
    let sink = *bench.current.load().sinks.keys().next().unwrap();
    let request = ClaimRequest {
        now: clock::now(),
        room: vec![Room::plain(sink, 1)],
    };
    let claimed = bench
        .journal
        .claim(request)
        .await
        .unwrap()
        .messages
        .remove(0);
    let text = r#"{"title":"as it was","text":"then"}"#.to_owned();
    bench
        .journal
        .save(claimed.attempt, Saved::Text(text))
        .await
        .unwrap();
    bench.journal.crash(clock::now());
    bench.run();
    bench.until(all(DeliveryState::Delivered)).await;
    let seen = scripted.seen.lock().unwrap();
    assert!(
        seen.iter().all(|one| one.rendered.title == "as it was"),
        "{seen:?}"
    );
}
