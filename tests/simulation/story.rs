//! One story from its seed: what happens in which order, until everything has ended.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use herald::dispatch::Dispatcher;
use herald::in_force::Current;
use herald::journal::memory::MemoryJournal;
use herald::journal::{Cancel, DeliveryFilter, DeliveryNo, Hands, Journal, Look, PAGE_MAX, Replay};
use herald::pipeline::Pipeline;
use herald_model::{DeliveryState, EventId, Language};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::model::World;
use crate::planted::Bug;
use crate::receiver::SINKS;
use crate::rules::{Lot, Words};
use crate::seam::Seam;

/// Things that happen before everything heals.
const ACTS: u64 = 50;

/// Milliseconds within which all that waits must end once every far side works: longer than any
/// wait that anybody may ask for.
const HEALED: i64 = 3 * 3_600_000;

/// Milliseconds by which time goes on where nothing is known to happen by itself.
const IDLE: i64 = 300_000;

/// Scheduling rounds without a move after which nothing moves any more without the clock. Each runs
/// everything that can run.
const STILL: u32 = 4;

/// How a story ended.
pub(crate) struct Ended {
    pub(crate) broken: Option<String>,
    /// Empty unless it was told aloud.
    pub(crate) trace: Vec<String>,
    pub(crate) steps: u64,
}

/// Goes through the story of a seed.
pub(crate) fn live(seed: u64, bug: Option<Bug>) -> Ended {
    story(seed, bug, false)
}

/// Goes through it and tells it, step by step.
pub(crate) fn tell(seed: u64, bug: Option<Bug>) -> Ended {
    story(seed, bug, true)
}

fn story(seed: u64, bug: Option<Bug>, aloud: bool) -> Ended {
    // Timers follow the made-up clock, too, which is turned by hand.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = World::new(seed, bug, aloud);
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

/// What a sender wants taken.
pub(crate) struct Told {
    pub(crate) id: u32,
    pub(crate) body: String,
}

pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) journal: Arc<MemoryJournal>,
    current: Current,
    pub(crate) pipeline: Pipeline,
    pub(crate) door: Arc<Seam>,
    workers: Vec<Worker>,
    pub(crate) lot: Lot,
    pub(crate) words: Words,
    pub(crate) brought: u32,
    pub(crate) unanswered: Vec<Told>,
    pub(crate) answered: Vec<Told>,
    /// Whether the last sweep did.
    pub(crate) made_room: bool,
}

impl Story {
    async fn new(world: World) -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let lot = Lot::draw(&mut world.lock().dice);
        let words = Words {
            language: Language::En,
            form: Some("short"),
            without: None,
        };
        let generation = lot.begin(&journal, &world).await;
        let in_force = lot.in_force(&world, &generation, &words);
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
            lot,
            words,
            brought: 0,
            unanswered: Vec::new(),
            answered: Vec::new(),
            made_room: false,
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

    pub(crate) fn roll(&self, sides: u64) -> u64 {
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
                self.settle_down().await;
            }
            if !self.restart_if_dead().await {
                return;
            }
        }
    }

    async fn settle_down(&self) {
        let (mut moves, mut still) = (0, 0);
        while still < STILL {
            tokio::task::yield_now().await;
            let model = self.world.lock();
            if model.broken.is_some() {
                return;
            }
            still = if model.moves == moves { still + 1 } else { 0 };
            moves = model.moves;
        }
    }

    /// Starts the process again where it died; says whether it did.
    pub(crate) async fn restart_if_dead(&mut self) -> bool {
        let is_dead = self.world.lock().dead;
        if is_dead {
            self.restart().await;
        }
        is_dead
    }

    async fn restart(&mut self) {
        let is_zombie = {
            let model = self.world.lock();
            model.zombies.contains(&model.epoch)
        };
        for worker in self.workers.drain(..) {
            worker.stop.cancel();
            if !is_zombie {
                worker.runs.abort();
            }
        }
        self.settle_down().await;
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
            let open = model.book.open.values();
            open.flat_map(|open| open.items.clone()).collect()
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
        self.world.lock().book.counted_anew(&cut);
    }

    pub(crate) async fn put_in_force(&mut self) {
        self.world.lock().say(|| {
            let words = &self.words;
            let (language, form, without) = (words.language, words.form, words.without);
            format!("reload, {language:?}, form {form:?}, without {without:?}")
        });
        let generation = self.lot.begin(&self.journal, &self.world).await;
        let next = self.lot.in_force(&self.world, &generation, &self.words);
        self.current.store(Arc::new(next));
    }

    /// Time goes on: to the next thing that happens by itself, or by some seconds.
    pub(crate) async fn turn(&self) {
        let by = match self.roll(3) {
            0 => self.roll(20_000).cast_signed(),
            _ => 5_000,
        };
        self.pass(by, by).await;
    }

    /// Turns the clock to the next alarm, but at most by `most`; by `else_by` where there is none.
    async fn pass(&self, most: i64, else_by: i64) {
        let by = {
            let mut model = self.world.lock();
            let now = model.now;
            model.alarms = model.alarms.split_off(&(now + 1));
            let alarm = model.alarms.first().map(|at| (at - now).min(most));
            let by = alarm.unwrap_or(else_by);
            model.now += by;
            by
        };
        tokio::time::advance(Duration::from_millis(by.unsigned_abs())).await;
    }

    /// Every far side works, nothing is held and nothing crashes any more: all that waits ends.
    async fn heal(&mut self) {
        {
            let mut model = self.world.lock();
            model.healed = true;
            model.crash_at = None;
            model.refused_until = [0; 4];
            model.say(|| "everything heals");
        }
        self.words.without = None;
        self.put_in_force().await;
        let until = self.world.lock().now + HEALED;
        while !self.is_broken() && self.goes_on().await {
            for place in 0..SINKS.len() {
                if self.world.lock().held[place] {
                    self.let_go(place).await;
                }
            }
            self.sweep().await;
            if let Some(told) = self.unanswered.pop() {
                self.post(told).await;
            }
            self.quiet().await;
            {
                let mut model = self.world.lock();
                if model.now >= until {
                    let stuck = model.book.first_pending().map(|place| place + 1);
                    let posts = self.unanswered.len();
                    model.note(Err(format!(
                        "D10 delivery {stuck:?} is stuck, and {posts} posts, though every way works"
                    )));
                }
            }
            self.pass(HEALED, IDLE).await;
        }
        self.door.check().await;
        self.look().await;
    }

    async fn goes_on(&self) -> bool {
        let pending = self.journal.totals().await.unwrap().pending;
        pending > 0 || !self.unanswered.is_empty()
    }

    /// Looks at everything as people see it.
    pub(crate) async fn look(&self) {
        let filter = DeliveryFilter {
            limit: PAGE_MAX,
            ..DeliveryFilter::default()
        };
        let rows = self.door.deliveries(filter).await.unwrap().rows;
        let mut model = self.world.lock();
        model.say(|| "somebody looks");
        for row in &rows {
            let held = model.book.seen(row);
            model.note(held);
        }
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
    // Else a seed would be another story each time.
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
