//! The plain bookkeeping of every delivery: what was asked and answered, and so what must be in the
//! journal. Lanes, retries and endings are followed here by the design's words alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use herald::journal::{
    AttemptNo, Claimed, DeliveryNo, DeliveryRow, KILLS_MAX, Next, Planned, Policy, SUSPECT_APART,
    SUSPECT_AT, SettledItem, SinkNo, Swept,
};
use herald_model::event::Level;
use herald_model::{DeliveryId, DeliveryState, EventId, MessageId, Outcome, Phase};
use jiff::Timestamp;

use crate::model::{Held, holds};
use crate::receiver::SINKS;
use crate::ways::{Permit, Ways};

/// One delivery, as it was planned and what was seen of it since.
pub(crate) struct Known {
    pub(crate) id: DeliveryId,
    pub(crate) sink: usize,
    lane: Option<u64>,
    pub(crate) level: Level,
    pub(crate) state: DeliveryState,
    pub(crate) is_open: bool,
    is_removed: bool,
    due: Timestamp,
    expires: Timestamp,
    /// From receipt, or from its replay, until then.
    lasts: Duration,
    charged: u32,
    charged_since_replay: u32,
    pub(crate) claims: u32,
    kills: u32,
    first_attempt: Option<Timestamp>,
    /// How long it was due since then and nobody claimed it.
    uncounted: Duration,
    /// When its lane need not wait for it any more.
    passes_at: Option<Timestamp>,
    late: bool,
    replayed: bool,
    accepted: bool,
}

/// An event that was accepted.
pub(crate) struct Accepted {
    /// What its sender calls it.
    sender: u32,
    received: Timestamp,
    deliveries: Vec<usize>,
    is_removed: bool,
}

/// An attempt that was claimed and not ended.
pub(crate) struct Open {
    pub(crate) epoch: u32,
    pub(crate) message: MessageId,
    pub(crate) sink: usize,
    pub(crate) items: Vec<i64>,
    pub(crate) permit: Option<Permit>,
    started: Timestamp,
    patience: Duration,
    /// What the claim added to the uncounted time of each item.
    idle: Vec<Duration>,
}

/// What a claim asked for.
pub(crate) struct Asked {
    pub(crate) sink: usize,
    pub(crate) messages: u32,
    pub(crate) policy: std::sync::Arc<Policy>,
}

/// All deliveries; the integer of one is its place plus one.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) known: Vec<Known>,
    numbers: HashMap<DeliveryId, usize>,
    events: HashMap<EventId, Accepted>,
    pub(crate) open: BTreeMap<AttemptNo, Open>,
    /// Lanes that one claim passed on. What comes up by that is claimed with the next.
    moved: Vec<(usize, u64)>,
    /// By which processes a message was ever claimed.
    claimed_by: HashMap<MessageId, Vec<u32>>,
}

pub(crate) fn place(sink: SinkNo) -> usize {
    usize::try_from(sink.0 - 1).unwrap()
}

fn index(number: i64) -> usize {
    usize::try_from(number - 1).unwrap()
}

impl Known {
    /// The ordered lane in which it stands.
    fn in_lane(&self) -> Option<u64> {
        self.lane.filter(|_| !self.late && !self.replayed)
    }

    fn is_pending(&self) -> bool {
        self.state == DeliveryState::Pending && !self.is_removed
    }

    pub(crate) fn waits(&self) -> bool {
        self.is_pending() && !self.is_open
    }
}

impl Book {
    /// An event was written down.
    pub(crate) fn planned(
        &mut self,
        event: EventId,
        sender: u32,
        received: Timestamp,
        planned: &[Planned],
        subscriptions: &[&str],
    ) {
        let first = self.known.len();
        for one in planned {
            let sink = place(one.sink);
            let subscription = subscriptions[index(one.subscription.0)];
            let id = DeliveryId::derive(event, subscription, SINKS[sink]);
            self.numbers.insert(id, self.known.len());
            let lasts = one.expires_at.duration_since(received);
            self.known.push(Known {
                id,
                sink,
                lane: one.lane,
                level: one.level,
                state: DeliveryState::Pending,
                is_open: false,
                is_removed: false,
                due: received,
                expires: one.expires_at,
                lasts: lasts.try_into().unwrap(),
                charged: 0,
                charged_since_replay: 0,
                claims: 0,
                kills: 0,
                first_attempt: None,
                uncounted: Duration::ZERO,
                passes_at: None,
                late: false,
                replayed: false,
                accepted: false,
            });
        }
        let accepted = Accepted {
            sender,
            received,
            deliveries: (first..self.known.len()).collect(),
            is_removed: false,
        };
        self.events.insert(event, accepted);
    }

    /// Deliveries, removed ones not counted.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (DeliveryNo, &Known)> {
        let all = self.known.iter().zip(1..);
        all.filter(|(known, _)| !known.is_removed)
            .map(|(known, number)| (DeliveryNo(number), known))
    }

    /// E1 and E2: what a sender was told is there, and a repeat of what came since `window` is told
    /// to be one.
    pub(crate) fn answered(
        &self,
        sender: u32,
        event: EventId,
        is_new: bool,
        window: Timestamp,
    ) -> Held {
        let found = self.events.get(&event);
        holds(found.is_some_and(|found| found.sender == sender), || {
            format!("E1 event {sender} was acknowledged as {event}, which is not in the journal")
        })?;
        let mut others = self.events.iter();
        let first = others.find(|(id, other)| {
            let is_kept = !other.is_removed && other.received >= window;
            other.sender == sender && **id != event && is_kept
        });
        holds(!is_new || first.is_none(), || {
            format!("E2 event {sender} was planned a second time while the first was kept")
        })
    }

    /// D2, D3, D4: one delivery as the journal has it.
    pub(crate) fn check(&self, number: DeliveryNo, state: DeliveryState, charged: u32) -> Held {
        let number = number.0;
        let known = self.known.get(index(number));
        let Some(known) = known.filter(|known| !known.is_removed) else {
            return Err(format!(
                "D3 delivery {number} is in the journal and should not be"
            ));
        };
        holds(state != DeliveryState::Delivered || known.accepted, || {
            format!("D2 delivery {number} is delivered, and no sink accepted it")
        })?;
        holds(state == known.state, || {
            format!(
                "D3 delivery {number} is {state:?}, and should be {:?}",
                known.state
            )
        })?;
        holds(charged == known.charged, || {
            let counted = known.charged;
            format!("D4 delivery {number} has {charged} attempts, and {counted} were settled")
        })?;
        Ok(())
    }

    /// D8: a delivery is marked late.
    pub(crate) fn is_late(&mut self, number: DeliveryNo, now: Timestamp) -> Held {
        let number = number.0;
        let Some(known) = self.known.get_mut(index(number)) else {
            return Ok(());
        };
        let (was_late, passes_at) = (known.late, known.passes_at.take());
        self.moved
            .extend(known.in_lane().map(|lane| (known.sink, lane)));
        known.late = true;
        holds(was_late || passes_at.is_some_and(|at| at <= now), || {
            format!("D8 delivery {number} was passed by its lane, which waits until {passes_at:?}")
        })
    }

    /// D3 and D4: what people are shown of a delivery.
    pub(crate) fn seen(&self, row: &DeliveryRow) -> Held {
        let number = row.number.0;
        let known = &self.known[index(number)];
        let is_open = row.phase == Some(Phase::InFlight);
        let is_so = row.id == known.id
            && row.state == known.state
            && row.charged == known.charged
            && row.late == known.late
            && is_open == known.is_open;
        holds(is_so, || {
            format!("D3 delivery {number} is shown as {row:?}")
        })?;
        let mut ended = row.attempts.iter().filter(|one| one.ended.is_some());
        let has_reason = ended.all(|one| match one.outcome {
            None => false,
            Some("delivered") => true,
            Some(_) => !one.reason.is_empty(),
        });
        holds(has_reason, || {
            let attempts = &row.attempts;
            format!("D4 delivery {number} has an attempt without a reason: {attempts:?}")
        })
    }

    /// How often it was ever claimed.
    pub(crate) fn claims(&self, number: DeliveryNo) -> u32 {
        self.known
            .get(index(number.0))
            .map_or(0, |known| known.claims)
    }

    /// How many there should be: kept, and removed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let removed = self.known.iter().filter(|known| known.is_removed).count() as u64;
        (self.known.len() as u64 - removed, removed)
    }

    /// D1, D4, D6, D8, D9, D11 of a new claim.
    pub(crate) fn claimed(
        &mut self,
        epoch: u32,
        claimed: &Claimed,
        (policy, held): (&Policy, &[bool]),
        ways: &mut Ways,
        now: Timestamp,
    ) -> Held {
        holds(!held[place(claimed.sink)], || {
            format!(
                "D11 attempt {} goes by a sink that is held",
                claimed.attempt.0
            )
        })?;
        let items: Vec<i64> = claimed.items.iter().map(|item| item.number.0).collect();
        for item in &claimed.items {
            self.may_be_claimed(item.number.0, &items, now)?;
            let known = &mut self.known[index(item.number.0)];
            let number = item.number.0;
            holds(item.id == known.id, || {
                format!(
                    "D1 delivery {number} is {}, and should be {}",
                    item.id, known.id
                )
            })?;
            let (says, charged) = (item.charged, known.charged_since_replay);
            holds(says == charged, || {
                format!("D4 delivery {number} is claimed with {says} attempts, not {charged}")
            })?;
        }
        let mut idle = Vec::with_capacity(items.len());
        for number in &items {
            let known = &mut self.known[index(*number)];
            known.is_open = true;
            known.claims += 1;
            // Journals count in whole milliseconds.
            let waited = now.as_millisecond() - known.due.as_millisecond();
            let waited = Duration::from_millis(waited.try_into().unwrap_or(0));
            idle.push(known.first_attempt.map_or(Duration::ZERO, |_| waited));
            known.uncounted += *idle.last().unwrap();
        }
        let level = items.iter().map(|number| self.known[index(*number)].level);
        let level = level.max().unwrap();
        let endpoint = claimed.endpoint.as_ref();
        let permit = endpoint
            .map(|endpoint| ways.started(endpoint, policy, level, now.as_millisecond()))
            .transpose()?;
        let by = self.claimed_by.entry(claimed.message).or_default();
        by.push(epoch);
        let open = Open {
            epoch,
            message: claimed.message,
            sink: place(claimed.sink),
            items,
            permit,
            started: now,
            patience: policy.lane_patience,
            idle,
        };
        self.open.insert(claimed.attempt, open);
        Ok(())
    }

    /// Whether one delivery may go now, in a message of these.
    fn may_be_claimed(&self, number: i64, items: &[i64], now: Timestamp) -> Held {
        let known = &self.known[index(number)];
        holds(!known.is_open, || format!("D6 two hold delivery {number}"))?;
        holds(known.is_pending(), || {
            let state = known.state;
            format!("D6 delivery {number} is claimed, and is {state:?}")
        })?;
        holds(known.due <= now && now < known.expires, || {
            let (due, expires) = (known.due, known.expires);
            format!("D11 delivery {number} goes at {now}, due from {due} to {expires}")
        })?;
        let Some(lane) = known.in_lane() else {
            return Ok(());
        };
        let others = self.known.iter().zip(1..).filter(|(other, place)| {
            other.sink == known.sink
                && other.in_lane() == Some(lane)
                && other.is_pending()
                && !items.contains(place)
        });
        for (other, place) in others {
            holds(!other.is_open, || {
                format!("D6 two hold the lane of deliveries {number} and {place}")
            })?;
            holds(place > number, || {
                format!("D8 delivery {number} goes before {place} of its lane")
            })?;
        }
        Ok(())
    }

    /// D8, D9, D10, D11: after a claim nothing waits for what is there, and nothing that is over
    /// waits on, of the sinks that were asked for.
    pub(crate) fn nothing_is_passed_over(
        &mut self,
        asked: &[Asked],
        held: &[bool],
        ways: &mut Ways,
        now: Timestamp,
    ) -> Held {
        let mut lanes = std::mem::take(&mut self.moved);
        for (known, number) in self.known.iter().zip(1_i64..) {
            if !known.is_pending() {
                continue;
            }
            if let Some(lane) = known.in_lane() {
                if lanes.contains(&(known.sink, lane)) {
                    continue;
                }
                lanes.push((known.sink, lane));
            }
            let Some(ask) = asked.iter().find(|ask| ask.sink == known.sink) else {
                continue;
            };
            if known.is_open {
                continue;
            }
            holds(now < known.expires, || {
                format!(
                    "D11 delivery {number} waits on, and expired at {}",
                    known.expires
                )
            })?;
            if known.due > now {
                holds(known.passes_at.is_none_or(|at| at > now), || {
                    format!("D8 the lane of delivery {number} waits longer than its patience")
                })?;
                continue;
            }
            if ask.messages == 0 || held[known.sink] {
                continue;
            }
            let way = ways.first(&ask.policy, known.level, now.as_millisecond());
            holds(way.is_none(), || match ask.policy.limit {
                Some(_) => format!("D9 wasted: delivery {number} waits, with a permit at {way:?}"),
                None => format!("D10 delivery {number} waits for nothing"),
            })?;
        }
        Ok(())
    }

    /// D6: what is sent was claimed: by a process that lives, or by a dead one whose attempts go on.
    pub(crate) fn may_be_sent(&self, message: MessageId, items: usize, zombies: &[u32]) -> Held {
        let is_of = |open: &Open| open.message == message && open.items.len() == items;
        let lives = self.open.values().any(is_of);
        let by = self.claimed_by.get(&message);
        let goes_on = || by.is_some_and(|by| by.iter().any(|epoch| zombies.contains(epoch)));
        holds(lives || goes_on(), || {
            format!("D6 {message} is sent, and nobody holds it")
        })
    }

    pub(crate) fn accepted(&mut self, delivery: DeliveryId) {
        if let Some(place) = self.numbers.get(&delivery) {
            self.known[*place].accepted = true;
        }
    }

    /// The attempt goes on with fewer items; the others are as if they had not been claimed.
    pub(crate) fn shortened(&mut self, attempt: AttemptNo, items: usize) -> Held {
        let Some(open) = self.open.get_mut(&attempt) else {
            return Err(format!(
                "D6 attempt {} was split, and nobody holds it",
                attempt.0
            ));
        };
        let idle = open.idle.split_off(items);
        for (number, idle) in open.items.split_off(items).into_iter().zip(idle) {
            let known = &mut self.known[index(number)];
            known.is_open = false;
            known.claims -= 1;
            known.uncounted -= idle;
        }
        Ok(())
    }

    /// D6: a settlement took effect.
    pub(crate) fn settled(
        &mut self,
        epoch: u32,
        attempt: AttemptNo,
        items: &[SettledItem],
        ended: Timestamp,
    ) -> Result<Open, String> {
        let Some(open) = self.open.remove(&attempt) else {
            return Err(format!(
                "D6 attempt {} was settled, and nobody holds it",
                attempt.0
            ));
        };
        holds(open.epoch == epoch, || {
            format!("D6 attempt {} was settled by a dead process", attempt.0)
        })?;
        for item in items {
            let known = &mut self.known[index(item.delivery.0)];
            known.is_open = false;
            known.kills = 0;
            known.first_attempt.get_or_insert(open.started);
            let charged = u32::from(item.outcome.is_charged());
            known.charged += charged;
            known.charged_since_replay += charged;
            known.passes_at = None;
            match item.next {
                Next::Delivered => known.state = DeliveryState::Delivered,
                Next::Dead(_) => known.state = DeliveryState::Dead,
                Next::Again(at) => {
                    known.due = at.min(known.expires);
                    let first = known.first_attempt.unwrap_or(open.started);
                    let ends = first + known.uncounted + open.patience;
                    let ends = known.in_lane().map(|_| ends.max(ended));
                    known.passes_at = ends.filter(|ends| *ends < known.due);
                }
            }
        }
        Ok(open)
    }

    /// The process died, with everything that was open.
    pub(crate) fn crashed(&mut self, now: Timestamp) -> Vec<Open> {
        let cut: Vec<Open> = std::mem::take(&mut self.open).into_values().collect();
        let mut suspects = 0;
        for open in cut.iter().rev() {
            let kills = open
                .items
                .iter()
                .map(|one| self.known[index(*one)].kills + 1);
            let kills = kills.max().unwrap();
            let is_deadly = kills >= KILLS_MAX;
            let is_suspect = kills >= SUSPECT_AT && !is_deadly;
            // Suspects are tried one after the other, the last claimed first.
            let due = now + SUSPECT_APART * if is_suspect { suspects } else { 0 };
            suspects += u32::from(is_suspect);
            let mut lanes = Vec::new();
            for number in &open.items {
                let known = &mut self.known[index(*number)];
                // A message that is broken up leaves its lane to the first of it alone.
                if let Some(lane) = known.in_lane().filter(|_| is_deadly) {
                    known.late = lanes.contains(&lane);
                    lanes.push(lane);
                }
                known.is_open = false;
                known.first_attempt.get_or_insert(open.started);
                known.due = due.min(known.expires);
                known.passes_at = None;
                known.kills += 1;
                match (is_deadly, open.items.len()) {
                    (true, 1) => known.state = DeliveryState::Dead,
                    // Each goes alone from here on.
                    (true, _) => known.kills = 1,
                    (false, _) => {}
                }
            }
        }
        cut
    }

    fn suppress(&mut self, place: usize) -> Held {
        let known = &mut self.known[place];
        holds(known.waits(), || {
            format!("D3 delivery {} was suppressed, and did not wait", place + 1)
        })?;
        known.state = DeliveryState::Suppressed;
        // Who takes its lane over is passed at its own next attempt at the soonest.
        if let (sink, Some(lane)) = (known.sink, known.in_lane()) {
            self.moved.push((sink, lane));
            for other in &mut self.known[place + 1..] {
                if other.sink == sink && other.in_lane() == Some(lane) {
                    other.passes_at = None;
                }
            }
        }
        Ok(())
    }

    /// D11: these were suppressed since they had expired.
    pub(crate) fn expired(&mut self, expired: &[DeliveryId], now: Timestamp) -> Held {
        for id in expired {
            let place = self.numbers[id];
            self.suppress(place)?;
            let expires = self.known[place].expires;
            holds(expires <= now, || {
                format!("D11 delivery {} expired before {expires}", place + 1)
            })?;
        }
        Ok(())
    }

    /// D3: these were suppressed since their sinks had no room for them, the oldest of the least
    /// urgent.
    pub(crate) fn crowded_out(&mut self, crowded: &[DeliveryId], asked: &[Asked]) -> Held {
        for id in crowded {
            self.suppress(self.numbers[id])?;
        }
        for id in crowded {
            let place = self.numbers[id];
            let (sink, rank) = (self.known[place].sink, (self.known[place].level, place));
            let ask = asked.iter().find(|ask| ask.sink == sink);
            let most = ask.map_or(0, |ask| ask.policy.max_backlog);
            let left = self.known.iter().zip(0..);
            let left = left.filter(|(other, _)| other.sink == sink && other.is_pending());
            let (mut count, mut before) = (0, false);
            for (other, place) in left {
                count += 1;
                before |= !other.is_open && (other.level, place) < rank;
            }
            holds(count >= most && !before, || {
                format!("D3 delivery {} gave way, and need not have", place + 1)
            })?;
        }
        Ok(())
    }

    /// A person had it suppressed.
    pub(crate) fn cancelled(&mut self, number: DeliveryNo) -> Held {
        self.suppress(index(number.0))
    }

    /// A person made it due again.
    pub(crate) fn replayed(&mut self, number: DeliveryNo, now: Timestamp) {
        let known = &mut self.known[index(number.0)];
        known.state = DeliveryState::Pending;
        known.replayed = true;
        known.late = false;
        known.due = now;
        known.expires = now + known.lasts;
        known.charged_since_replay = 0;
        known.kills = 0;
        known.first_attempt = None;
        known.uncounted = Duration::ZERO;
        known.passes_at = None;
    }

    /// A bug that is planted began these anew.
    pub(crate) fn counted_anew(&mut self, numbers: &[i64]) {
        for number in numbers {
            self.known[index(*number)].charged_since_replay = 0;
        }
    }

    /// D3: a sweep removed what is over and counted it; under pressure, the oldest INFO of a sink
    /// gave way. `there` says of each delivery how it stands in the journal, if it does.
    pub(crate) fn swept(
        &mut self,
        swept: &Swept,
        there: &BTreeMap<i64, DeliveryState>,
        kept_since: Option<Timestamp>,
    ) -> Held {
        let (mut removed, mut gave_way) = (0, Vec::new());
        for place in 0..self.known.len() {
            let number = i64::try_from(place).unwrap() + 1;
            let state = there.get(&number).copied();
            if self.known[place].is_removed {
                continue;
            }
            if self.known[place].is_pending() && state != Some(DeliveryState::Pending) {
                self.suppress(place)?;
                gave_way.push(place);
            }
            if state.is_none() {
                self.known[place].is_removed = true;
                removed += 1;
            }
        }
        holds(removed == swept.deliveries, || {
            let says = swept.deliveries;
            format!("D3 {removed} deliveries were removed, and the sweep says {says}")
        })?;
        let told = swept.crowded_out.as_ref();
        let (sink, count) = told.map_or(("", 0), |(sink, count)| (&**sink, *count));
        let is_told = gave_way
            .iter()
            .all(|one| SINKS[self.known[*one].sink] == sink);
        holds(is_told && gave_way.len() as u64 == count, || {
            format!("D3 {gave_way:?} gave way, and the sweep says {count} of {sink:?}")
        })?;
        for place in gave_way {
            let (gone, mut older) = (&self.known[place], self.known[..place].iter());
            let passed =
                older.any(|one| one.waits() && one.sink == gone.sink && one.level == Level::Info);
            holds(gone.level == Level::Info && !passed, || {
                format!("D3 delivery {} gave way, and need not have", place + 1)
            })?;
        }
        for (id, event) in &mut self.events {
            let gone = |place: &usize| self.known[*place].is_removed;
            let count = event.deliveries.iter().filter(|place| gone(place)).count();
            let whole = count == 0 || count == event.deliveries.len();
            holds(whole, || format!("D3 a part of event {id} was removed"))?;
            if count > 0 && !event.is_removed {
                event.is_removed = true;
                let is_old = kept_since.is_none_or(|since| event.received < since);
                holds(is_old, || {
                    format!("D3 event {id} was removed before its time")
                })?;
            }
        }
        Ok(())
    }

    /// Whether an outcome of these may have arrived without being told.
    pub(crate) fn any_unknown(items: &[SettledItem]) -> bool {
        let unknown = |item: &SettledItem| matches!(item.outcome, Outcome::Unknown { .. });
        items.iter().any(unknown)
    }

    /// The first that waits.
    pub(crate) fn first_pending(&self) -> Option<usize> {
        self.known.iter().position(Known::is_pending)
    }
}
