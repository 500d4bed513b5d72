//! One story from its seed: what happens in which order, until everything has ended.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use herald::dispatch::Dispatcher;
use herald::in_force::{Current, InForce, Source, WayOut};
use herald::intake::{Framing, Limits};
use herald::journal::memory::MemoryJournal;
use herald::journal::{
    Cancel, DeliveryNo, DeliveryRow, Digest, Expire, Generation, Hand, HandVerb, Hands, Journal,
    Limit, Look, Policy, Pressure, Replay, Rules, Sweep,
};
use herald::pipeline::{Bringing, Pipeline};
use herald::plan::{Subscription, Subscriptions, Target};
use herald::probe::Probes;
use herald::render::{Setting, Templates};
use herald_model::delivery::Order;
use herald_model::event::{Form, Owner};
use herald_model::{DeliveryState, EventId, Language, RetrySchedule, Sink};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::{MESSAGES, PATIENCE, PER, RESERVE, World};
use crate::planted::Bug;
use crate::receiver::{FarSide, SINKS, endpoint};
use crate::seam::Seam;

/// Things that happen before everything heals.
const ACTS: u64 = 50;

/// Events of one story at most: what waits is looked through after every step.
const EVENTS: u32 = 12;

/// Milliseconds within which all that waits must end once every far side works: longer than any
/// wait that anybody may ask for.
const HEALED: i64 = 3 * 3_600_000;

/// Scheduling rounds after which nothing moves any more without the clock.
const ROUNDS: u32 = 40;

/// How a story ended.
pub(crate) struct Ended {
    pub(crate) broken: Option<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) steps: u64,
}

/// Tells the story of a seed.
pub(crate) fn tell(seed: u64, bug: Option<Bug>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let world = World::new(seed, bug);
    runtime.block_on(async {
        let mut story = Story::new(world.clone()).await;
        story.run().await;
    });
    drop(runtime);
    let mut model = world.lock();
    Ended {
        broken: model.broken.take(),
        trace: std::mem::take(&mut model.trace),
        steps: model.steps,
    }
}

/// One worker of the process that lives.
struct Worker {
    due: Arc<Notify>,
    stop: CancellationToken,
    runs: JoinHandle<()>,
}

struct Story {
    world: World,
    journal: Arc<MemoryJournal>,
    current: Current,
    pipeline: Pipeline,
    door: Arc<Seam>,
    workers: Vec<Worker>,
    zombies: Vec<JoinHandle<()>>,
    brought: u32,
    language: Language,
    without: Option<usize>,
    expires: Duration,
    keep: Duration,
    max_backlog: u64,
}

impl Story {
    async fn new(world: World) -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let (expires, keep, max_backlog) = {
            let dice = &mut world.lock().dice;
            let expires = [90, 7 * 86_400][usize::from(!dice.one_in(4))];
            let keep = [60, 86_400][usize::from(!dice.one_in(3))];
            let backlog = [4, 1_000][usize::from(!dice.one_in(4))];
            (
                Duration::from_secs(expires),
                Duration::from_secs(keep),
                backlog,
            )
        };
        let generation = begin(&journal, &world).await;
        let sinks = ways_out(&world, &generation, Language::En, None, max_backlog);
        let in_force = in_force(&generation, sinks, expires);
        let current: Current = Arc::new(ArcSwap::from_pointee(in_force));
        let door = seam(&world, &journal);
        let pipeline = pipeline(&door, &current);
        let mut story = Self {
            world,
            journal,
            current,
            pipeline,
            door,
            workers: Vec::new(),
            zombies: Vec::new(),
            brought: 0,
            language: Language::En,
            without: None,
            expires,
            keep,
            max_backlog,
        };
        story.start();
        story
    }

    /// Two workers on one journal.
    fn start(&mut self) {
        for _ in 0..2 {
            let seam = seam(&self.world, &self.journal);
            let due = Arc::clone(&seam.due);
            let clock = self.world.clone();
            let dispatcher = Dispatcher::new(seam, Arc::clone(&self.current))
                .with_clock(Arc::new(move || clock.time()));
            let stop = CancellationToken::new();
            let runs = tokio::spawn(dispatcher.run(stop.clone(), CancellationToken::new()));
            self.workers.push(Worker { due, stop, runs });
        }
    }

    fn is_broken(&self) -> bool {
        self.world.lock().broken.is_some()
    }

    fn roll(&self, sides: u64) -> u64 {
        self.world.lock().dice.below(sides)
    }

    async fn run(&mut self) {
        for _ in 0..ACTS {
            if self.roll(8) == 0 {
                let mut model = self.world.lock();
                let soon = model.dice.below(12) + 1;
                model.crash_at = Some(model.steps + soon);
            }
            self.act().await;
            self.quiet().await;
            if self.is_broken() {
                return;
            }
        }
        self.heal().await;
    }

    /// Lets everything run as far as it can without time passing; what died is started again.
    async fn quiet(&mut self) {
        loop {
            let woken = self.roll(2).try_into().unwrap_or(0);
            for place in [woken, 1 - woken] {
                let worker: &Worker = &self.workers[place];
                worker.due.notify_one();
                for _ in 0..ROUNDS {
                    tokio::task::yield_now().await;
                }
            }
            if !self.world.lock().dead {
                return;
            }
            self.restart().await;
        }
    }

    async fn restart(&mut self) {
        let zombie = {
            let model = self.world.lock();
            model.zombies.contains(&model.epoch)
        };
        for worker in self.workers.drain(..) {
            worker.stop.cancel();
            if zombie {
                self.zombies.push(worker.runs);
            } else {
                worker.runs.abort();
            }
        }
        for _ in 0..ROUNDS {
            tokio::task::yield_now().await;
        }
        let now = self.world.time();
        let bug = self.world.lock().bug;
        if bug != Some(Bug::LeaseNeverExpires) {
            self.journal.crash(now);
        }
        if bug == Some(Bug::LanePassedOnCrash) {
            self.pass_lanes().await;
        }
        {
            let mut model = self.world.lock();
            model.crashed();
            model.epoch += 1;
            model.dead = false;
        }
        self.door = seam(&self.world, &self.journal);
        self.pipeline = pipeline(&self.door, &self.current);
        self.start();
        self.door.check().await;
    }

    /// The planted bug: what was cut off leaves its lane, and the next of it goes.
    async fn pass_lanes(&self) {
        let now = self.world.time();
        let cut: Vec<i64> = {
            let model = self.world.lock();
            model
                .open
                .values()
                .flat_map(|open| open.items.clone())
                .collect()
        };
        let deliveries: Vec<DeliveryNo> = cut.iter().copied().map(DeliveryNo).collect();
        let cancel = Cancel {
            now,
            deliveries: deliveries.clone(),
            reason: "planted".into(),
            hand: None,
        };
        self.journal.cancel(cancel).await.unwrap();
        let suppressed = DeliveryState::Suppressed;
        let replay = Replay {
            now,
            deliveries: deliveries
                .into_iter()
                .map(|one| (one, suppressed))
                .collect(),
            hand: None,
        };
        self.journal.replay(replay).await.unwrap();
        let mut model = self.world.lock();
        for number in cut {
            let known = model.known.get_mut(&number).unwrap();
            known.charged_since_replay = 0;
        }
    }

    async fn act(&mut self) {
        match self.roll(24) {
            0..=5 if self.brought < EVENTS => self.bring().await,
            0..=15 => self.turn(),
            16 => self.pause().await,
            17 => self.resume().await,
            18 | 19 => self.replay().await,
            20 => self.cancel().await,
            21 => self.reload().await,
            22 => self.expire().await,
            _ => self.sweep().await,
        }
    }

    /// Posts an event; a sender that gets no answer posts it again.
    async fn bring(&mut self) {
        self.brought += 1;
        let id = self.brought;
        let level = ["INFO", "INFO", "WARN", "CRITICAL"][self.roll(4) as usize];
        let resource = self.roll(3);
        let body = format!(
            r#"{{"ver":"1.0","id":"{id}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:eni/eni-{resource}","level":"{level}","name":"A:B","userId":"1","regionId":"cn-hangzhou","content":{{"n":{id}}}}}"#
        );
        self.world
            .lock()
            .say(&format!("event {id} {level} of eni-{resource}"));
        let source = Source {
            name: "t".into(),
            accounts: None,
            products: None,
        };
        loop {
            let now = self.world.time();
            let framing = Framing::Document;
            let taken =
                self.pipeline
                    .take(&source, Bringing::Events, body.as_bytes(), framing, now);
            let answered = tokio::select! {
                biased;
                taken = taken => taken.is_ok(),
                () = self.world.died.notified() => false,
            };
            if answered {
                return;
            }
            if self.world.lock().dead {
                self.restart().await;
            }
        }
    }

    /// Time goes on: to the next thing that happens by itself, or by some seconds.
    fn turn(&self) {
        let mut model = self.world.lock();
        let by = match model.dice.below(3) {
            0 => model.dice.below(20_000).cast_signed(),
            _ => 5_000,
        };
        let now = model.now;
        let alarm = model.alarms.iter().copied().filter(|at| *at > now).min();
        model.now = alarm.map_or(now + by, |at| at.min(now + by));
        let now = model.now;
        model.alarms.retain(|at| *at > now);
        drop(model);
        self.world.turned.notify_waiters();
    }

    fn hand(&self, verb: HandVerb, what: &str) -> Hand {
        Hand {
            at: self.world.time(),
            who: "somebody".into(),
            verb,
            what: what.to_owned(),
            why: None,
        }
    }

    async fn pause(&self) {
        let sink = SINKS[self.roll(4) as usize];
        self.world.lock().say(&format!("pause {sink}"));
        let hand = self.hand(HandVerb::Pause, sink);
        self.journal.pause(sink, hand).await.unwrap();
    }

    async fn resume(&self) {
        let sink = SINKS[self.roll(4) as usize];
        self.world.lock().say(&format!("resume {sink}"));
        let hand = self.hand(HandVerb::Resume, sink);
        self.journal.resume(sink, hand).await.unwrap();
    }

    async fn one(&self, is: impl Fn(&DeliveryRow) -> bool) -> Option<DeliveryRow> {
        let rows: Vec<DeliveryRow> = self.door.rows().await.into_iter().filter(is).collect();
        let place = self.roll(rows.len() as u64) as usize;
        rows.into_iter().nth(place)
    }

    async fn replay(&self) {
        let Some(row) = self.one(|row| row.state != DeliveryState::Pending).await else {
            return;
        };
        let replay = Replay {
            now: self.world.time(),
            deliveries: vec![(row.number, row.state)],
            hand: None,
        };
        let count = self.journal.replay(replay).await.unwrap();
        let mut model = self.world.lock();
        model.say(&format!("replay {} ({:?}): {count}", row.number.0, row.state).to_lowercase());
        if let Some(known) = model.known.get_mut(&row.number.0).filter(|_| count > 0) {
            known.out_of_lane = true;
            known.charged_since_replay = 0;
        }
    }

    async fn cancel(&self) {
        let Some(row) = self.one(|row| row.state == DeliveryState::Pending).await else {
            return;
        };
        let cancel = Cancel {
            now: self.world.time(),
            deliveries: vec![row.number],
            reason: "not wanted".into(),
            hand: None,
        };
        let made = self.journal.cancel(cancel).await.unwrap();
        let said = format!("cancel {}: {made:?}", row.number.0);
        self.world.lock().say(&said);
        self.door.check().await;
    }

    /// Another language, so that a text made anew differs; now and then a sink less.
    async fn reload(&mut self) {
        self.language = match self.language {
            Language::En => Language::Zh,
            Language::Zh => Language::En,
        };
        let place = self.roll(8) as usize;
        self.put_in_force(Some(place).filter(|place| *place < SINKS.len()))
            .await;
    }

    async fn put_in_force(&mut self, without: Option<usize>) {
        self.without = without;
        self.world
            .lock()
            .say(&format!("reload, {:?}, without {without:?}", self.language));
        let generation = begin(&self.journal, &self.world).await;
        let backlog = self.max_backlog;
        let sinks = ways_out(&self.world, &generation, self.language, without, backlog);
        let next = in_force(&generation, sinks, self.expires);
        self.current.store(Arc::new(next));
    }

    async fn expire(&self) {
        let expire = Expire {
            now: self.world.time(),
            after: None,
            lanes_max: 100,
        };
        let expired = self.journal.expire(expire).await.unwrap();
        let count = expired.deliveries.len();
        self.world.lock().say(&format!("expire: {count}"));
        self.door.check().await;
    }

    async fn sweep(&self) {
        let sweep = Sweep {
            now: self.world.time(),
            keep: self.keep,
            dedup_window: self.keep,
            events_max: 5,
            pressure: Pressure::None,
        };
        let swept = self.journal.sweep(sweep).await.unwrap();
        self.world
            .lock()
            .say(&format!("sweep: {}", swept.deliveries));
        self.door.check().await;
    }

    /// Every far side works, nothing is held and nothing crashes any more: all that waits ends.
    async fn heal(&mut self) {
        {
            let mut model = self.world.lock();
            model.healed = true;
            model.crash_at = None;
            model.say("everything heals");
        }
        self.put_in_force(None).await;
        let until = self.world.lock().now + HEALED;
        while !self.is_broken() && self.journal.totals().await.unwrap().pending > 0 {
            for sink in SINKS {
                let hand = self.hand(HandVerb::Resume, sink);
                self.journal.resume(sink, hand).await.unwrap();
            }
            self.quiet().await;
            let rows = self.door.rows().await;
            let mut model = self.world.lock();
            let waits = rows.iter().find(|row| row.state == DeliveryState::Pending);
            if let Some(row) = waits.filter(|_| model.now >= until) {
                let (number, phase) = (row.number.0, row.phase);
                model.holds(false, || {
                    format!("D10 delivery {number} is stuck {phase:?} though every way works")
                });
                return;
            }
            let now = model.now;
            let alarm = model.alarms.iter().copied().filter(|at| *at > now).min();
            model.now = alarm.unwrap_or(now + 5_000 * 60).max(now + 1);
            let now = model.now;
            model.alarms.retain(|at| *at > now);
            drop(model);
            self.world.turned.notify_waiters();
        }
        self.door.check().await;
    }
}

fn seam(world: &World, journal: &Arc<MemoryJournal>) -> Arc<Seam> {
    let epoch = world.lock().epoch;
    Arc::new(Seam {
        world: world.clone(),
        journal: Arc::clone(journal),
        epoch,
        due: Arc::default(),
    })
}

fn pipeline(door: &Arc<Seam>, current: &Current) -> Pipeline {
    let world = door.world.clone();
    let next_id = move || {
        let mut model = world.lock();
        model.last_event += 1;
        EventId::from_uuid(Uuid::from_u128(model.last_event))
    };
    Pipeline::new(
        Arc::clone(door) as Arc<dyn Journal>,
        Arc::clone(current),
        1_000,
    )
    .with_ids(Arc::new(next_id))
}

async fn begin(journal: &MemoryJournal, world: &World) -> Generation {
    let rules = Rules {
        since: world.time(),
        subscriptions: ["all", "more"]
            .map(|name| (name.into(), "{}".into()))
            .to_vec(),
        sinks: SINKS.map(Into::into).to_vec(),
    };
    journal.begin(rules).await.unwrap()
}

fn policy(place: usize, max_backlog: u64) -> Policy {
    let robot = place < 2;
    Policy {
        endpoints: vec![endpoint(place)],
        limit: robot.then_some(Limit {
            messages: MESSAGES,
            per: Duration::from_millis(PER.unsigned_abs()),
            in_flight: 1,
            reserve: RESERVE,
        }),
        together: place % 2 == 1,
        digest: (place == 0).then_some(Digest {
            after: Duration::from_secs(5),
            items_max: 5,
        }),
        lane_patience: Duration::from_millis(PATIENCE.unsigned_abs()),
        max_backlog,
        form: None,
    }
}

fn order(place: usize) -> Order {
    if place < 2 {
        Order::None
    } else {
        Order::Resource
    }
}

fn ways_out(
    world: &World,
    generation: &Generation,
    language: Language,
    without: Option<usize>,
    max_backlog: u64,
) -> Vec<WayOut> {
    let seconds = Duration::from_secs;
    let way_out = |place: usize| WayOut {
        number: generation.sinks[place],
        name: SINKS[place].into(),
        kind: "test",
        sink: Box::new(FarSide {
            world: world.clone(),
            place,
        }) as Box<dyn Sink>,
        concurrency: 3,
        policy: Arc::new(policy(place, max_backlog)),
        retry: RetrySchedule::growing(seconds(2), 2.0, seconds(40), seconds(600)).unwrap(),
        templates: Templates::default(),
        subscription_templates: HashMap::new(),
        setting: Setting {
            language,
            time_zone: jiff::tz::TimeZone::UTC,
            console_url: None,
        },
        probes: Probes::default(),
    };
    let places = 0..SINKS.len();
    places
        .filter(|place| Some(*place) != without)
        .map(way_out)
        .collect()
}

fn in_force(generation: &Generation, sinks: Vec<WayOut>, expires: Duration) -> InForce {
    let target = |place: usize| Target {
        sink: generation.sinks[place],
        name: SINKS[place].into(),
        order: order(place),
    };
    let subscription = |index: usize, name: &str, to: &[usize]| Subscription {
        number: generation.subscriptions[index],
        name: name.into(),
        pattern: None,
        form: Form::default(),
        owner: Owner::Everyone,
        to: to.iter().map(|place| target(*place)).collect(),
        expires,
    };
    InForce {
        generation: generation.number,
        limits: Limits::default(),
        dedup_window: Duration::from_secs(3_600),
        announcing: HashSet::new(),
        sources: HashMap::new(),
        subscriptions: Subscriptions::new(vec![
            subscription(0, "all", &[0, 1, 2, 3]),
            subscription(1, "more", &[1, 3]),
        ]),
        sinks: sinks
            .into_iter()
            .map(|way| (way.number, Arc::new(way)))
            .collect(),
    }
}
