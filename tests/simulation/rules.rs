//! What is in force in a story, and what of it differs from story to story.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use herald::in_force::{InForce, WayOut};
use herald::intake::Limits;
use herald::journal::memory::MemoryJournal;
use herald::journal::{Bounds, Digest, Generation, Journal, Limit, Policy, Rules};
use herald::plan::{Subscription, Subscriptions, Target};
use herald::probe::Probes;
use herald::render::{Setting, Templates, form_alone};
use herald_model::delivery::Order;
use herald_model::event::{Form, Owner};
use herald_model::{Language, RetrySchedule, Sink};

use crate::dice::Dice;
use crate::model::World;
use crate::receiver::{FarSide, SINKS, endpoints};
use crate::seam::SUBSCRIPTIONS;

/// How long a repeat is recognised.
pub(crate) const DEDUP_WINDOW: Duration = Duration::from_secs(3_600);

/// How long an ordered lane waits for its head.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sink with bodies in a form.
const HOOK: usize = 2;

/// What stays the same for the length of a story.
pub(crate) struct Lot {
    pub(crate) expires: Duration,
    pub(crate) keep: Duration,
    max_backlog: u64,
    /// Bytes that the journal may hold.
    max_size: u64,
    /// Characters that each event has besides.
    pub(crate) padding: usize,
    /// Messages under way at a robot.
    in_flight: u32,
    /// Deliveries that a message has room for, by sink.
    room: [usize; SINKS.len()],
}

/// What a reload changes.
pub(crate) struct Words {
    /// Texts made anew differ in it.
    pub(crate) language: Language,
    /// The form of bodies where there is one, and no template of somebody's.
    pub(crate) form: Option<&'static str>,
    /// A sink that is not in the file.
    pub(crate) without: Option<usize>,
}

impl Lot {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let mut either =
            |sides, rare: u64, often: u64| if dice.one_in(sides) { rare } else { often };
        // Some of the events have room at a time, each a small part of what there is.
        let is_bound = either(3, 1, 0) == 1;
        Self {
            expires: Duration::from_secs(either(4, 90, 7 * 86_400)),
            keep: Duration::from_secs(either(3, 60, 86_400)),
            max_backlog: either(4, 4, 1_000),
            max_size: if is_bound { 33_000 } else { u64::MAX },
            padding: if is_bound { 3_000 } else { 0 },
            in_flight: if either(3, 1, 0) == 1 { 2 } else { 1 },
            room: [
                if either(2, 1, 0) == 1 { 3 } else { 5 },
                usize::MAX,
                usize::MAX,
                if either(3, 1, 0) == 1 { 1 } else { 2 },
            ],
        }
    }

    pub(crate) async fn begin(&self, journal: &MemoryJournal, world: &World) -> Generation {
        let rules = Rules {
            since: world.time(),
            subscriptions: SUBSCRIPTIONS
                .map(|name| (name.into(), "{}".into()))
                .to_vec(),
            sinks: SINKS.map(Into::into).to_vec(),
        };
        journal.bound(Bounds {
            max_size: self.max_size,
            ..Bounds::default()
        });
        journal.begin(rules).await.unwrap()
    }

    fn policy(&self, place: usize, form: Option<&'static str>) -> Policy {
        let is_robot = place < 2;
        let form = form.map(|form| serde_json::to_string(&form_alone(form)).unwrap());
        Policy {
            endpoints: endpoints(place),
            limit: is_robot.then_some(Limit {
                messages: 4,
                per: Duration::from_secs(10),
                in_flight: self.in_flight,
                reserve: 1,
            }),
            together: place % 2 == 1,
            digest: (place == 0).then_some(Digest {
                after: Duration::from_secs(5),
                items_max: 5,
            }),
            lane_patience: PATIENCE,
            max_backlog: self.max_backlog,
            form: form.map(Into::into),
        }
    }

    fn way_out(&self, world: &World, of: &Generation, words: &Words, place: usize) -> WayOut {
        let seconds = Duration::from_secs;
        let form = words.form.filter(|_| place == HOOK);
        let sink = FarSide {
            world: world.clone(),
            place,
            room: self.room[place],
            form,
        };
        WayOut {
            number: of.sinks[place],
            name: SINKS[place].into(),
            kind: "test",
            sink: Box::new(sink) as Box<dyn Sink>,
            concurrency: 3,
            policy: Arc::new(self.policy(place, form)),
            retry: RetrySchedule::growing(seconds(2), 2.0, seconds(40), seconds(600)).unwrap(),
            templates: Templates::default(),
            subscription_templates: HashMap::new(),
            setting: Setting {
                language: words.language,
                time_zone: jiff::tz::TimeZone::UTC,
                console_url: None,
            },
            probes: Probes::default(),
        }
    }

    pub(crate) fn in_force(&self, world: &World, of: &Generation, words: &Words) -> InForce {
        let target = |place: usize| Target {
            sink: of.sinks[place],
            name: SINKS[place].into(),
            order: if place < 2 {
                Order::None
            } else {
                Order::Resource
            },
        };
        let subscription = |index: usize, to: &[usize]| Subscription {
            number: of.subscriptions[index],
            name: SUBSCRIPTIONS[index].into(),
            pattern: None,
            form: Form::default(),
            owner: Owner::Everyone,
            to: to.iter().map(|place| target(*place)).collect(),
            expires: self.expires,
        };
        let places = (0..SINKS.len()).filter(|place| Some(*place) != words.without);
        let sinks = places.map(|place| self.way_out(world, of, words, place));
        InForce {
            generation: of.number,
            limits: Limits::default(),
            dedup_window: DEDUP_WINDOW,
            announcing: HashSet::new(),
            sources: HashMap::new(),
            subscriptions: Subscriptions::new(vec![
                subscription(0, &[0, 1, 2, 3]),
                subscription(1, &[1, 3]),
            ]),
            sinks: sinks.map(|way| (way.number, Arc::new(way))).collect(),
        }
    }
}
