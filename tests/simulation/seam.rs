//! The seam between Herald and its journal: every verb passes here. Here processes die and disks are
//! full, here is looked whether everything holds, and here bugs are planted; the journal behind it
//! is the real one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use herald::journal::memory::MemoryJournal;
use herald::journal::{
    Ahead, Ask, AttemptNo, Bounds, Cancel, ClaimRequest, Claims, Entry, Error, Generation, Hands,
    Journal, Learned, Look, Next, Pressure, Recorded, Rules, Saved, Settled, SettledItem,
    Settlement, Size, Sweep, Swept,
};
use herald_model::event::Level;
use herald_model::{EventId, Outcome, Phase, Signal};
use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::model::{Model, Verb, World};
use crate::planted::Bug;

/// The subscriptions, in the order of their integers.
pub(crate) const SUBSCRIPTIONS: [&str; 2] = ["all", "more"];

/// The journal as one worker of one process sees it.
pub(crate) struct Seam {
    pub(crate) world: World,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) epoch: u32,
    /// Wakes this worker alone.
    pub(crate) due: Arc<Notify>,
}

impl Seam {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.world.lock().has(bug)
    }

    /// A step begins or is over: here the process may die. What a dead process asked for is never
    /// answered, but for the attempts of a zombie.
    async fn step(&self, ends_an_attempt: bool) {
        let goes_on = {
            let mut model = self.world.lock();
            model.steps += 1;
            model.moves += 1;
            if !model.dead && model.epoch == self.epoch && model.crash_at == Some(model.steps) {
                self.die(&mut model);
                false
            } else if model.dead || model.epoch != self.epoch {
                ends_an_attempt && model.zombies.contains(&self.epoch)
            } else {
                true
            }
        };
        if !goes_on {
            std::future::pending::<()>().await;
        }
    }

    fn die(&self, model: &mut Model) {
        model.dead = true;
        model.crash_at = None;
        let is_zombie = model.dice.one_in(2) && !model.has(Bug::LeaseNeverExpires);
        if is_zombie {
            model.zombies.push(self.epoch);
        }
        let word = if is_zombie {
            ", its attempts live on: a zombie"
        } else {
            ""
        };
        model.say(|| format!("crash of p{}{word}", self.epoch));
        self.world.died.notify_one();
    }

    /// Looks whether everything holds.
    pub(crate) async fn check(&self) {
        let totals = self.totals().await.unwrap();
        self.world.lock().look(&self.journal, totals);
    }

    /// As a settlement would be made that has the planted bug.
    fn twisted_settlement(&self, settlement: &mut Settlement) {
        let model = self.world.lock();
        if model.has(Bug::PenaltyForgotten) {
            settlement.signal = Signal::None;
        }
        if model.has(Bug::WaitForgotten) {
            for item in &mut settlement.items {
                if let Next::Again(at) = &mut item.next {
                    *at = settlement.ended;
                }
            }
        }
        if let Some(open) = model.book.open.get(&settlement.attempt)
            && model.has(Bug::SplitLost)
        {
            let lost = open.items.iter().skip(settlement.items.len());
            let lost: Vec<SettledItem> = lost
                .map(|number| SettledItem {
                    delivery: herald::journal::DeliveryNo(*number),
                    outcome: Outcome::delivered("with the others"),
                    next: Next::Delivered,
                })
                .collect();
            settlement.items.extend(lost);
        }
    }

    /// The settlement as if it were of the attempt that is open now.
    fn of_another(&self, settlement: &Settlement) -> Option<Settlement> {
        let model = self.world.lock();
        let items = || settlement.items.iter().map(|item| item.delivery.0);
        let mut all = model.book.open.iter();
        let (attempt, _) = all.find(|(_, open)| items().eq(open.items.iter().copied()))?;
        Some(Settlement {
            attempt: *attempt,
            ..settlement.clone()
        })
    }
}

/// The lanes as a record would write them that has the planted bug.
fn twisted_lanes(bug: Bug, entries: &mut [Entry]) {
    for entry in entries {
        let Entry::Event(event) = entry else { continue };
        for planned in &mut event.deliveries {
            let second = planned.subscription.0 > 1;
            if bug == Bug::LaneReleasedEarly || (bug == Bug::LaneOfSeveralReleased && second) {
                planned.lane = None;
            }
        }
    }
}

#[async_trait]
impl Journal for Seam {
    async fn begin(&self, rules: Rules) -> Result<Generation, Error> {
        self.journal.begin(rules).await
    }

    async fn record(&self, mut entries: Vec<Entry>) -> Result<Vec<Recorded>, Error> {
        self.step(false).await;
        let refused = self.world.lock().refuses(Verb::Record);
        if self.has(Bug::RefusedIsAnswered) && refused.is_err() {
            let id = EventId::from_uuid(Uuid::from_u128(1 << 64));
            let conflict = false;
            return Ok(vec![Recorded::Accepted { id, conflict }; entries.len()]);
        }
        refused?;
        let mut planned = Vec::new();
        for entry in &entries {
            let Entry::Event(event) = entry else { continue };
            planned.push((event.event.received_at, event.deliveries.clone()));
        }
        let bug = self.world.lock().bug;
        if let Some(bug) = bug {
            twisted_lanes(bug, &mut entries);
        }
        let recorded = self.journal.record(entries).await?;
        {
            let mut model = self.world.lock();
            let sender = model.bringing;
            for ((received, planned), answer) in planned.iter().zip(&recorded) {
                if let Recorded::Accepted { id, .. } = answer {
                    let book = &mut model.book;
                    book.planned(*id, sender, *received, planned, &SUBSCRIPTIONS);
                }
            }
        }
        self.check().await;
        self.fill().await;
        self.step(false).await;
        Ok(recorded)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        self.step(false).await;
        let claims = self.claim_at_once(self.epoch, request).await?;
        self.step(false).await;
        Ok(claims)
    }

    fn claim_ahead(&self, ask: Ask) -> Ahead {
        self.ask_ahead(ask)
    }

    async fn save(&self, attempt: AttemptNo, saved: Saved) -> Result<(), Error> {
        self.step(true).await;
        self.world.lock().refuses(Verb::Save)?;
        let answer = self.journal.save(attempt, saved).await;
        let answer = if self.has(Bug::SettleBeforeSend) {
            Ok(())
        } else {
            answer
        };
        self.check().await;
        self.step(true).await;
        answer
    }

    async fn shorten(&self, attempt: AttemptNo, items: usize) -> Result<(), Error> {
        self.step(true).await;
        self.world.lock().refuses(Verb::Save)?;
        if self.has(Bug::SplitLost) {
            return Ok(());
        }
        self.journal.shorten(attempt, items).await?;
        {
            let mut model = self.world.lock();
            model.say(|| format!("p{} splits {}: {items} go", self.epoch, attempt.0));
            let held = model.book.shortened(attempt, items);
            model.note(held);
        }
        self.check().await;
        self.fill().await;
        self.step(true).await;
        Ok(())
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, Error> {
        self.step(true).await;
        self.world.lock().refuses(Verb::Settle)?;
        let mut attempt = settlement.attempt;
        let mut written = settlement.clone();
        self.twisted_settlement(&mut written);
        let mut settled = self.journal.settle(written).await?;
        if settled == Settled::Stale
            && self.has(Bug::StaleSettles)
            && let Some(other) = self.of_another(&settlement)
        {
            attempt = other.attempt;
            settled = self.journal.settle(other).await?;
        }
        {
            let mut model = self.world.lock();
            let word = match settled {
                Settled::Done => "",
                Settled::Stale => " stale",
            };
            let time = model.time();
            model.say(|| {
                let next = told_next(&settlement, time);
                format!("p{} settles{word} {}: {next:?}", self.epoch, attempt.0)
            });
            if settled == Settled::Done {
                model.settled(self.epoch, attempt, &settlement);
            }
        }
        self.check().await;
        self.fill().await;
        self.step(true).await;
        Ok(settled)
    }

    async fn wait(
        &self,
        attempt: AttemptNo,
        until: Timestamp,
        phase: Phase,
    ) -> Result<Settled, Error> {
        self.journal.wait(attempt, until, phase).await
    }

    async fn learn(&self, learned: Learned) -> Result<bool, Error> {
        self.journal.learn(learned).await
    }

    async fn sweep(&self, mut sweep: Sweep) -> Result<Swept, Error> {
        let (now, pressure) = (sweep.now, sweep.pressure);
        let kept_since = now - sweep.keep.max(sweep.dedup_window);
        if self.has(Bug::UrgentGivesWay) && pressure == Pressure::Waiting {
            self.cancel_urgent(now).await;
        }
        if self.has(Bug::RepeatForgotten) {
            sweep.dedup_window = std::time::Duration::ZERO;
        }
        let swept = self.journal.sweep(sweep).await?;
        {
            let mut there = BTreeMap::new();
            self.journal.glance(|seen| {
                there.insert(seen.number.0, seen.state);
            });
            let mut model = self.world.lock();
            let kept_since = (pressure == Pressure::None).then_some(kept_since);
            let held = model.book.swept(&swept, &there, kept_since);
            model.say(|| format!("sweep, {pressure:?}: {swept:?}").to_lowercase());
            model.note(held);
        }
        self.check().await;
        Ok(swept)
    }

    fn bound(&self, bounds: Bounds) {
        self.journal.bound(bounds);
    }

    fn size(&self) -> Size {
        self.journal.size()
    }

    fn tight_signal(&self) -> Arc<Notify> {
        self.journal.tight_signal()
    }

    fn due_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    async fn close(&self) {
        self.journal.close().await;
    }
}

impl Seam {
    /// The planted bug: something urgent is suppressed to make room.
    async fn cancel_urgent(&self, now: Timestamp) {
        let urgent = {
            let model = self.world.lock();
            let mut kept = model.book.kept();
            let found = kept.find(|(_, known)| known.waits() && known.level > Level::Info);
            found.map(|(number, _)| number)
        };
        let cancel = Cancel {
            now,
            deliveries: urgent.into_iter().collect(),
            reason: "backlog".into(),
            hand: None,
        };
        self.journal.cancel(cancel).await.unwrap();
    }
}

fn told_next(settlement: &Settlement, time: Timestamp) -> Vec<String> {
    let next = settlement.items.iter().map(|item| match &item.next {
        Next::Delivered => "delivered".to_owned(),
        Next::Dead(_) => "dead".to_owned(),
        Next::Again(at) => format!("again in {}", at.duration_since(time).as_millis()),
    });
    next.collect()
}
