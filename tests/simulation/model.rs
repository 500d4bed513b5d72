//! What must be true, kept apart from the journal: the plain bookkeeping of everything that was
//! asked and answered, and the invariants over it. Ids are those of ARCHITECTURE.md.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use herald::journal::{AttemptNo, Claimed, DeliveryRow, Planned, SettledItem, Totals};
use herald_model::{DeliveryId, DeliveryState, MessageId, Notification, Outcome, Phase, Signal};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::planted::Bug;
use crate::receiver::SINKS;

/// Messages that the shared robot takes in a window of [`PER`], of which one is kept for WARN.
pub(crate) const MESSAGES: u32 = 4;
pub(crate) const RESERVE: u32 = 1;
/// Milliseconds.
pub(crate) const PER: i64 = 10_000;
/// Milliseconds for which an ordered lane waits for its head.
pub(crate) const PATIENCE: i64 = 30_000;

/// Numbers from a seed (SplitMix64, Steele et al. 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// One delivery, as it was planned and what was seen of it since.
pub(crate) struct Known {
    pub(crate) sink: usize,
    pub(crate) lane: Option<u64>,
    pub(crate) charged: u32,
    pub(crate) charged_since_replay: u32,
    pub(crate) claims: u32,
    /// Replayed, or once in a message with others: its lane is its own affair from then on.
    pub(crate) out_of_lane: bool,
    pub(crate) accepted: bool,
    first_claim: Option<Timestamp>,
}

/// An attempt that was claimed and not ended.
pub(crate) struct Open {
    pub(crate) epoch: u32,
    pub(crate) message: MessageId,
    endpoint: Option<String>,
    pub(crate) items: Vec<i64>,
    lanes: Vec<(usize, u64)>,
}

/// What a receiver saw under one key.
struct Key {
    members: Vec<DeliveryId>,
    text: String,
    may_have_arrived: bool,
    in_attempt: bool,
}

/// An endpoint, counted from outside.
#[derive(Default)]
struct Way {
    permits: Vec<i64>,
    arrivals: Vec<i64>,
    in_flight: u32,
    /// A fault or a penalty since the last success: fewer may start than the limit says.
    cloudy: bool,
    penalty_until: i64,
}

pub(crate) struct Model {
    pub(crate) now: i64,
    pub(crate) dice: Dice,
    pub(crate) bug: Option<Bug>,
    pub(crate) trace: Vec<String>,
    pub(crate) broken: Option<String>,
    pub(crate) steps: u64,
    pub(crate) healed: bool,
    pub(crate) epoch: u32,
    pub(crate) dead: bool,
    /// Dead processes of which attempts live on.
    pub(crate) zombies: Vec<u32>,
    pub(crate) crash_at: Option<u64>,
    pub(crate) next_event: u128,
    pub(crate) known: BTreeMap<i64, Known>,
    pub(crate) numbers: HashMap<DeliveryId, i64>,
    pub(crate) open: BTreeMap<AttemptNo, Open>,
    /// Every claim ever made: its items, for what a dead process says of them.
    pub(crate) past: BTreeMap<AttemptNo, (u32, Vec<i64>)>,
    keys: HashMap<MessageId, Key>,
    ways: BTreeMap<String, Way>,
    /// Of the last messages of several, by sink.
    pub(crate) last_shared: BTreeMap<usize, MessageId>,
    /// When something happens by itself.
    pub(crate) alarms: Vec<i64>,
    /// The last event's id.
    pub(crate) last_event: u128,
}

/// The model, shared by everybody in the story.
#[derive(Clone)]
pub(crate) struct World {
    model: Arc<Mutex<Model>>,
    /// Time went on.
    pub(crate) turned: Arc<Notify>,
    /// The process died.
    pub(crate) died: Arc<Notify>,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let model = Model {
            now: 0,
            dice: Dice(seed),
            bug,
            trace: Vec::new(),
            broken: None,
            steps: 0,
            healed: false,
            epoch: 0,
            dead: false,
            zombies: Vec::new(),
            crash_at: None,
            next_event: 0,
            known: BTreeMap::new(),
            numbers: HashMap::new(),
            open: BTreeMap::new(),
            past: BTreeMap::new(),
            keys: HashMap::new(),
            ways: BTreeMap::new(),
            last_shared: BTreeMap::new(),
            alarms: Vec::new(),
            last_event: 0,
        };
        Self {
            model: Arc::new(Mutex::new(model)),
            turned: Arc::default(),
            died: Arc::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.lock().time()
    }
}

impl Model {
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + self.now).unwrap()
    }

    pub(crate) fn say(&mut self, what: &str) {
        let line = format!("{:>9} ms  {what}", self.now);
        self.trace.push(line);
    }

    /// Notes the first thing that does not hold.
    pub(crate) fn holds(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            let what = what();
            self.say(&format!("BROKEN {what}"));
            self.broken = Some(what);
        }
    }

    pub(crate) fn planned(&mut self, planned: &[Planned]) {
        for one in planned {
            let number = i64::try_from(self.known.len()).unwrap() + 1;
            let known = Known {
                sink: usize::try_from(one.sink.0 - 1).unwrap(),
                lane: one.lane,
                charged: 0,
                charged_since_replay: 0,
                claims: 0,
                out_of_lane: false,
                accepted: false,
                first_claim: None,
            };
            self.known.insert(number, known);
        }
    }

    /// D3, D2, D4 over all rows.
    pub(crate) fn check_rows(&mut self, totals: Totals, rows: &[DeliveryRow]) {
        let count = |state| rows.iter().filter(|row| row.state == state).count() as u64;
        let counted = Totals {
            events: totals.events,
            planned: self.known.len() as u64,
            delivered: count(DeliveryState::Delivered),
            dead: count(DeliveryState::Dead),
            suppressed: count(DeliveryState::Suppressed),
            pending: count(DeliveryState::Pending),
            removed: (self.known.len() - rows.len()) as u64,
        };
        self.holds(totals == counted && totals.are_conserved(), || {
            format!("D3 the journal says {totals:?}, counted are {counted:?}")
        });
        let time = self.time();
        for row in rows {
            let number = row.number.0;
            let Some(known) = self.known.get(&number) else {
                self.holds(false, || format!("D3 delivery {number} was never planned"));
                return;
            };
            let (accepted, charged, first) = (known.accepted, known.charged, known.first_claim);
            self.holds(row.state != DeliveryState::Delivered || accepted, || {
                format!("D2 delivery {number} is delivered, and no sink accepted it")
            });
            self.holds(row.charged == charged, || {
                let says = row.charged;
                format!("D4 delivery {number} has {says} attempts, and {charged} were settled")
            });
            let waited = first.map_or(-1, |first| time.duration_since(first).as_millis());
            self.holds(!row.late || waited >= i128::from(PATIENCE), || {
                format!("D8 delivery {number} was passed by its lane after {waited} ms")
            });
        }
    }

    /// D6, D8, D4 of a new claim.
    pub(crate) fn claimed(&mut self, epoch: u32, claimed: &Claimed, rows: &[DeliveryRow]) {
        let time = self.time();
        let items: Vec<i64> = claimed.items.iter().map(|item| item.number.0).collect();
        let row = |number: i64| rows.iter().find(|row| row.number.0 == number);
        let mut lanes = Vec::new();
        let shared = items.len() > 1;
        let sink = usize::try_from(claimed.sink.0 - 1).unwrap();
        for item in &claimed.items {
            let number = item.number.0;
            self.numbers.insert(item.id, number);
            let twice = self.open.values().any(|open| open.items.contains(&number));
            self.holds(!twice, || format!("D6 two hold delivery {number}"));
            let Some(known) = self.known.get_mut(&number) else {
                continue;
            };
            known.out_of_lane |= shared;
            known.claims += 1;
            known.first_claim.get_or_insert(time);
            let (lane, out) = (known.lane, known.out_of_lane);
            let (charged, says) = (known.charged_since_replay, item.charged);
            self.holds(says == charged, || {
                format!("D4 delivery {number} is claimed with {says} attempts, not {charged}")
            });
            let Some(lane) = lane else { continue };
            if out || row(number).is_none_or(|row| row.late) {
                continue;
            }
            let held = self
                .open
                .values()
                .any(|open| open.lanes.contains(&(sink, lane)));
            self.holds(!held, || {
                format!("D6 two hold the lane of delivery {number}")
            });
            lanes.push((sink, lane));
            let earlier = self.known.range(..number).find(|(other, known)| {
                known.sink == sink
                    && known.lane == Some(lane)
                    && !known.out_of_lane
                    && row(**other)
                        .is_some_and(|row| row.state == DeliveryState::Pending && !row.late)
            });
            let earlier = earlier.map(|(other, _)| *other);
            self.holds(earlier.is_none(), || {
                format!("D8 delivery {number} goes before {earlier:?} of its lane")
            });
        }
        let endpoint = claimed.endpoint.as_ref().map(ToString::to_string);
        if let Some(name) = &endpoint {
            let now = self.now;
            let way = self.ways.entry(name.clone()).or_default();
            way.permits.push(now);
            way.in_flight += 1;
        }
        let digest = if shared { " digest or together" } else { "" };
        let frozen = if claimed.frozen.is_some() {
            " frozen"
        } else {
            ""
        };
        self.say(&format!(
            "p{epoch} claims {:?} of {}{digest}{frozen}: {items:?}",
            claimed.attempt.0, SINKS[sink]
        ));
        self.past.insert(claimed.attempt, (epoch, items.clone()));
        self.open.insert(
            claimed.attempt,
            Open {
                epoch,
                message: claimed.message,
                endpoint,
                items,
                lanes,
            },
        );
    }

    /// D9: of the sinks that were asked for, nothing waits for a permit that is there.
    pub(crate) fn check_permits(&mut self, asked: &[usize], rows: &[DeliveryRow]) {
        let now = self.now;
        for (name, way) in &self.ways {
            let inside = way.permits.iter().filter(|at| **at + PER > now).count();
            let free = !way.cloudy
                && way.penalty_until <= now
                && way.in_flight == 0
                && inside < (MESSAGES - RESERVE) as usize;
            if !free || !name.contains("robot") {
                continue;
            }
            let waits = rows.iter().find(|row| {
                row.phase == Some(Phase::Limited)
                    && asked
                        .iter()
                        .any(|sink| *sink < 2 && SINKS[*sink] == &*row.sink)
            });
            if let Some(row) = waits {
                let number = row.number.0;
                let what =
                    format!("D9 wasted: delivery {number} waits, and only {inside} have started");
                self.holds(false, || what);
                return;
            }
        }
    }

    /// D5 and D9, as the far side sees it.
    pub(crate) fn received(&mut self, notification: &Notification) {
        let message = notification.message;
        let members: Vec<DeliveryId> = notification
            .items
            .iter()
            .map(|item| item.delivery)
            .collect();
        let text = format!("{:?}", notification.rendered);
        let key = self.keys.entry(message).or_insert_with(|| Key {
            members: members.clone(),
            text: text.clone(),
            may_have_arrived: false,
            in_attempt: true,
        });
        let same_members = key.members == members;
        let same_text = !key.may_have_arrived || key.text == text;
        key.in_attempt = true;
        key.text = text;
        self.holds(same_members, || {
            format!("D5 members: {message} came with others than before")
        });
        self.holds(same_text, || {
            format!("D5 text: {message} came with another text after an unknown")
        });
        let Some(endpoint) = &notification.endpoint else {
            return;
        };
        let (name, now) = (endpoint.to_string(), self.now);
        let way = self.ways.entry(name.clone()).or_default();
        way.arrivals.push(now);
        let inside = way.arrivals.iter().filter(|at| **at + PER > now).count();
        self.holds(
            !name.contains("robot") || inside <= MESSAGES as usize,
            || format!("D9 too many: {inside} messages within {PER} ms at {name}"),
        );
    }

    pub(crate) fn accepted(&mut self, notification: &Notification, index: usize) {
        let number = self.numbers.get(&notification.items[index].delivery);
        if let Some(known) = number.and_then(|number| self.known.get_mut(number)) {
            known.accepted = true;
        }
    }

    /// A settlement took effect.
    pub(crate) fn settled(
        &mut self,
        epoch: u32,
        attempt: AttemptNo,
        items: &[SettledItem],
        signal: &Signal,
    ) {
        let Some(open) = self.open.remove(&attempt) else {
            self.holds(false, || {
                format!("D6 attempt {} was settled, and nobody holds it", attempt.0)
            });
            return;
        };
        self.holds(open.epoch == epoch && self.epoch == epoch, || {
            format!("D6 attempt {} was settled by a dead process", attempt.0)
        });
        for item in items {
            if let Some(known) = self.known.get_mut(&item.delivery.0)
                && item.outcome.is_charged()
            {
                known.charged += 1;
                known.charged_since_replay += 1;
            }
        }
        if let Some(key) = self.keys.get_mut(&open.message) {
            let unknown = |item: &SettledItem| matches!(item.outcome, Outcome::Unknown { .. });
            key.may_have_arrived |= key.in_attempt && items.iter().any(unknown);
            key.in_attempt = false;
        }
        let now = self.now;
        if let Some(way) = open.endpoint.and_then(|name| self.ways.get_mut(&name)) {
            way.in_flight = way.in_flight.saturating_sub(1);
            let any = |is: fn(&Outcome) -> bool| items.iter().any(|item| is(&item.outcome));
            if any(|one| matches!(one, Outcome::Delivered { .. } | Outcome::Permanent { .. })) {
                way.cloudy = false;
            } else if any(|one| matches!(one, Outcome::SinkFault { .. })) {
                way.cloudy = true;
            }
            if let Signal::Penalty(wait) = signal {
                way.cloudy = true;
                let until = now + i64::try_from(wait.as_millis()).unwrap();
                way.penalty_until = way.penalty_until.max(until);
            }
        }
    }

    /// The process died, with everything that was open.
    pub(crate) fn crashed(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            if let Some(key) = self.keys.get_mut(&open.message) {
                key.may_have_arrived |= key.in_attempt;
                key.in_attempt = false;
            }
        }
        for way in self.ways.values_mut() {
            way.in_flight = 0;
        }
    }
}
