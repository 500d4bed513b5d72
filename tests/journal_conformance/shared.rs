//! One robot, several sinks, everything that can happen: a long story told from a seed, judged after every
//! claim by the words of the design alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    ClaimRequest, Claimed, Hand, HandVerb, Limit, Next, Policy, SUSPECT_AT, Settlement,
};
use herald_model::event::Level;
use herald_model::{EndpointId, Outcome, Signal};
use jiff::Timestamp;

use crate::engine::Engine;
use crate::world::{HOOK, MAIL, Sample, World, ok};

const SECOND: Duration = Duration::from_secs(1);
const STEPS: u32 = 900;

const LIMIT: Limit = Limit {
    messages: 6,
    per: Duration::from_secs(60),
    in_flight: 3,
    reserve: 2,
};

/// A delivery that has not arrived.
struct Waiting {
    sink: usize,
    level: Level,
    due: Timestamp,
    /// Cut off in a row.
    kills: u32,
}

/// What the story did so far.
#[derive(Default)]
struct Story {
    waiting: BTreeMap<u128, Waiting>,
    /// Claims that are held, and whether each is the probe.
    open: Vec<(Claimed, bool)>,
    starts: Vec<Timestamp>,
    paused: [bool; 2],
    penalty_until: Option<Timestamp>,
    probe_from: Option<Timestamp>,
    last: u128,
    random: u64,
}

impl Story {
    /// xorshift, so that the story is the same on every machine.
    fn any(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn inside(&self, now: Timestamp) -> usize {
        let counts = |start: &&Timestamp| **start + LIMIT.per > now;
        self.starts.iter().filter(counts).count()
    }

    /// Whether a message of this level may start now.
    fn may_start(&self, level: Level, now: Timestamp) -> bool {
        let kept = if level == Level::Info {
            LIMIT.reserve
        } else {
            0
        };
        let waits = |from: Option<Timestamp>| from.is_some_and(|from| from > now);
        let is_probed = self.probe_from.is_some() && self.open.iter().any(|(_, probe)| *probe);
        !waits(self.penalty_until)
            && !waits(self.probe_from)
            && !is_probed
            && self.open.len() < LIMIT.in_flight as usize
            && self.inside(now) < (LIMIT.messages - kept) as usize
    }

    fn number(claimed: &Claimed) -> u128 {
        claimed.items[0].event.uuid().as_u128()
    }

    /// Claims for both sinks and compares what started with what may.
    async fn claim(&mut self, world: &World<'_>) {
        let now = world.now;
        let mut room = vec![(MAIL, 9), (HOOK, 9)];
        if self.any(2) == 0 {
            room.reverse();
        }
        let request: ClaimRequest = world.request(&room);
        let claims = world.journal().claim(request).await.unwrap();
        for claimed in claims.messages {
            let number = Self::number(&claimed);
            let one = &self.waiting[&number];
            assert!(!self.paused[one.sink], "{number} left by a paused sink");
            assert!(one.due <= now, "{number} left before its time");
            assert!(
                self.may_start(one.level, now),
                "{number} had no permit: {} of the window, {} open",
                self.inside(now),
                self.open.len()
            );
            self.starts.push(now);
            let probe = self.probe_from.is_some();
            self.open.push((claimed, probe));
        }
        let held: Vec<u128> = self.open.iter().map(|(one, _)| Self::number(one)).collect();
        for (number, one) in &self.waiting {
            let is_eligible = one.due <= now && !self.paused[one.sink] && !held.contains(number);
            assert!(
                !(is_eligible && self.may_start(one.level, now)),
                "a permit was wasted on {number} ({}): {} of the window, {} open",
                one.level,
                self.inside(now),
                self.open.len()
            );
        }
    }

    /// Ends one of the open attempts in some way.
    async fn end(&mut self, world: &World<'_>) {
        if self.open.is_empty() {
            return;
        }
        let which = usize::try_from(self.any(self.open.len() as u64)).unwrap();
        let (claimed, probe) = self.open.remove(which);
        let number = Self::number(&claimed);
        let wait = u32::try_from(self.any(40)).unwrap() * SECOND;
        let at = world.now + wait;
        let (outcome, next, signal) = match self.any(12) {
            0 => (Outcome::unknown("cut"), Next::Again(at), Signal::None),
            1 => (Outcome::transient("busy"), Next::Again(at), Signal::None),
            2 => {
                let signal = Signal::Penalty(30 * SECOND);
                (Outcome::transient("too fast"), Next::Again(at), signal)
            }
            _ => (ok(), Next::Delivered, Signal::None),
        };
        let is_over = next == Next::Delivered;
        let settlement = world.settlement(&claimed, &outcome, &next);
        let settlement = Settlement {
            signal: signal.clone(),
            ..settlement
        };
        world.journal().settle(settlement).await.unwrap();
        match (signal, is_over) {
            (Signal::Penalty(wait), _) => {
                let until = world.now + wait;
                self.penalty_until = self.penalty_until.max(Some(until));
                self.probe_from = self.penalty_until;
            }
            (_, true) => self.probe_from = None,
            // A probe that says nothing is repeated after the first wait of a breaker.
            _ if probe => self.probe_from = Some(world.now + 10 * SECOND),
            _ => {}
        }
        if is_over {
            self.waiting.remove(&number);
        } else if let Some(one) = self.waiting.get_mut(&number) {
            (one.due, one.kills) = (at, 0);
        }
    }

    async fn bring(&mut self, world: &World<'_>) {
        self.last += 1;
        let sink = usize::from(self.any(2) == 0);
        let level = [Level::Info, Level::Warn, Level::Critical][self.any(3) as usize];
        let event: Sample = match sink {
            MAIL => world.event(self.last).by_mail(),
            _ => world.event(self.last).by_hook(),
        };
        let entries = vec![event.level(level).entry()];
        world.journal().record(entries).await.unwrap();
        let due = world.now;
        let one = Waiting {
            sink,
            level,
            due,
            kills: 0,
        };
        self.waiting.insert(self.last, one);
    }

    async fn turn(&mut self, world: &World<'_>) {
        let sink = usize::from(self.any(2) == 0);
        let name = ["mail", "hook"][sink];
        let is_paused = self.paused[sink];
        let hand = Hand {
            at: world.now,
            who: Arc::from("ops"),
            verb: if is_paused {
                HandVerb::Resume
            } else {
                HandVerb::Pause
            },
            what: name.to_owned(),
            why: None,
        };
        let done = match is_paused {
            true => world.journal().resume(name, hand).await,
            false => world.journal().pause(name, hand).await,
        };
        done.unwrap();
        self.paused[sink] = !is_paused;
    }

    async fn die(&mut self, world: &mut World<'_>) {
        // One more, and it would be tried apart from the others.
        let is_suspect =
            |(one, _): &(Claimed, bool)| self.waiting[&Self::number(one)].kills + 2 > SUSPECT_AT;
        if self.open.iter().any(is_suspect) {
            return;
        }
        for (claimed, _) in std::mem::take(&mut self.open) {
            if let Some(one) = self.waiting.get_mut(&Self::number(&claimed)) {
                one.kills += 1;
                one.due = world.now;
            }
        }
        world.restart().await;
    }
}

pub(crate) async fn on_a_shared_robot_never_too_many_and_no_permit_wasted(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let policy = Arc::new(Policy {
        endpoints: vec![EndpointId::new("test", "robot")],
        limit: Some(LIMIT),
        ..Policy::default()
    });
    world.policies = [Arc::clone(&policy), policy];
    let mut story = Story {
        random: 0x9e37_79b9_7f4a_7c15,
        ..Story::default()
    };
    for _ in 0..STEPS {
        match story.any(12) {
            0..=3 => story.bring(&world).await,
            4..=7 => story.end(&world).await,
            8 | 9 => world.pass(Duration::from_secs(story.any(20))),
            10 => story.turn(&world).await,
            _ => story.die(&mut world).await,
        }
        story.claim(&world).await;
    }
    for start in &story.starts {
        let inside = |other: &&Timestamp| (*start..*start + LIMIT.per).contains(*other);
        let window = story.starts.iter().filter(inside).count();
        assert!(window <= LIMIT.messages as usize, "{window} in one window");
    }
    assert!(story.starts.len() > 60, "{} left", story.starts.len());
    world.conserves().await;
}
