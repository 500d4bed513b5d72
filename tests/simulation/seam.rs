//! The seam between Herald and its journal: every verb passes here. Here processes die, here is
//! looked whether everything holds, and here bugs are planted; the journal behind it is the real one.

use std::sync::Arc;

use async_trait::async_trait;
use herald::journal::memory::MemoryJournal;
use herald::journal::{
    AttemptNo, Bounds, Cancel, Cancelled, ClaimRequest, Claims, DeliveryFilter, DeliveryRow,
    EndpointRow, Entry, Error, EventFilter, EventNo, EventRow, Expire, Expired, Generation,
    GenerationNo, GenerationRow, Hand, Hands, Journal, Learned, Limit, Look, Next, OperationFilter,
    OperationRow, Page, Pause, Paused, Recorded, Refusals, RefusedFilter, RefusedNo, RefusedRow,
    Replay, Rules, Saved, Settled, SettledItem, Settlement, SinkRow, Size, Sweep, Swept, Totals,
};
use herald_model::{DeliveryId, EventId, Outcome, Phase, Signal};
use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::model::World;
use crate::planted::Bug;

/// The journal as one worker of one process sees it.
pub(crate) struct Seam {
    pub(crate) world: World,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) epoch: u32,
    /// Wakes this worker alone.
    pub(crate) due: Arc<Notify>,
}

impl Seam {
    fn bug(&self) -> Option<Bug> {
        self.world.lock().bug
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug() == Some(bug)
    }

    /// A step begins or is over: here the process may die. What a dead process asked for is never
    /// answered, but for the attempts of a zombie.
    async fn step(&self, ends_an_attempt: bool) {
        let goes_on = {
            let mut model = self.world.lock();
            model.steps += 1;
            if !model.dead && model.epoch == self.epoch && model.crash_at == Some(model.steps) {
                model.dead = true;
                model.crash_at = None;
                let zombie = model.dice.one_in(2) && model.bug != Some(Bug::LeaseNeverExpires);
                if zombie {
                    model.zombies.push(self.epoch);
                }
                let word = if zombie {
                    ", its attempts live on: a zombie"
                } else {
                    ""
                };
                model.say(&format!("crash of p{}{word}", self.epoch));
                self.world.died.notify_one();
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

    pub(crate) async fn rows(&self) -> Vec<DeliveryRow> {
        let filter = DeliveryFilter {
            limit: herald::journal::PAGE_MAX,
            ..DeliveryFilter::default()
        };
        self.deliveries(filter).await.unwrap().rows
    }

    /// Looks whether everything holds.
    pub(crate) async fn check(&self) {
        let rows = self.rows().await;
        let totals = self.journal.totals().await.unwrap();
        self.world.lock().check_rows(totals, &rows);
    }

    fn count_from_claim(&self, row: &mut DeliveryRow) {
        if self.has(Bug::CountedAtClaim)
            && let Some(known) = self.world.lock().known.get(&row.number.0)
        {
            row.charged = row.charged.max(known.claims);
        }
    }

    /// As a claim would be made that has the planted bug.
    fn twisted(&self, mut request: ClaimRequest) -> ClaimRequest {
        let bug = self.bug();
        for room in &mut request.room {
            let policy = Arc::make_mut(&mut room.policy);
            policy.limit = policy.limit.map(|limit| match bug {
                Some(Bug::PermitOffByOne) => Limit {
                    messages: limit.messages + 1,
                    ..limit
                },
                Some(Bug::PermitTakenTwice) => Limit {
                    messages: limit.messages / 2,
                    ..limit
                },
                _ => limit,
            });
        }
        request
    }

    async fn twist(&self, claims: &mut Claims) {
        for claimed in &mut claims.messages {
            if self.has(Bug::RenderedAnew) {
                claimed.frozen = None;
            }
            if self.has(Bug::KeyReused) && claimed.items.len() > 1 {
                let sink = usize::try_from(claimed.sink.0 - 1).unwrap();
                let mut model = self.world.lock();
                let last = *model.last_shared.entry(sink).or_insert(claimed.message);
                claimed.message = last;
            }
            if self.has(Bug::SettleBeforeSend) {
                let items = claimed.items.iter().map(|item| SettledItem {
                    delivery: item.number,
                    outcome: Outcome::delivered("not yet"),
                    next: Next::Delivered,
                });
                let early = Settlement {
                    attempt: claimed.attempt,
                    ended: self.world.time(),
                    items: items.collect(),
                    signal: Signal::None,
                };
                self.journal.settle(early).await.unwrap();
            }
        }
    }

    /// The settlement as if it were of the attempt that is open now.
    fn of_another(&self, settlement: &Settlement) -> Option<Settlement> {
        let model = self.world.lock();
        let items: Vec<i64> = settlement
            .items
            .iter()
            .map(|item| item.delivery.0)
            .collect();
        let (attempt, _) = model.open.iter().find(|(_, open)| open.items == items)?;
        Some(Settlement {
            attempt: *attempt,
            ..settlement.clone()
        })
    }
}

#[async_trait]
impl Journal for Seam {
    async fn begin(&self, rules: Rules) -> Result<Generation, Error> {
        self.journal.begin(rules).await
    }

    async fn record(&self, mut entries: Vec<Entry>) -> Result<Vec<Recorded>, Error> {
        self.step(false).await;
        for entry in &mut entries {
            let Entry::Event(event) = entry else { continue };
            // Else a seed would be another story each time.
            let mut model = self.world.lock();
            model.next_event += 1;
            event.event.id = EventId::from_uuid(Uuid::from_u128(model.next_event));
        }
        let mut written = entries.clone();
        if self.has(Bug::LaneReleasedEarly) {
            for entry in &mut written {
                let Entry::Event(event) = entry else { continue };
                event.deliveries.iter_mut().for_each(|one| one.lane = None);
            }
        }
        let recorded = self.journal.record(written).await?;
        for (entry, answer) in entries.iter().zip(&recorded) {
            if let (Entry::Event(event), Recorded::Accepted { .. }) = (entry, answer) {
                self.world.lock().planned(&event.deliveries);
            }
        }
        self.check().await;
        self.step(false).await;
        Ok(recorded)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        self.step(false).await;
        let request = self.twisted(request);
        let asked = request.room.iter().filter(|room| room.messages > 0);
        let asked: Vec<usize> = asked
            .map(|room| usize::try_from(room.sink.0 - 1).unwrap())
            .collect();
        let mut claims = self.journal.claim(request).await?;
        self.twist(&mut claims).await;
        let totals = self.journal.totals().await?;
        let rows = self.rows().await;
        {
            let mut model = self.world.lock();
            for claimed in &claims.messages {
                model.claimed(self.epoch, claimed, &rows);
            }
            model.check_permits(&asked, &rows);
            model.check_rows(totals, &rows);
            let (expired, crowded) = (claims.expired.len(), claims.crowded_out.len());
            if expired > 0 {
                model.say(&format!("{expired} suppressed: expired"));
            }
            if crowded > 0 {
                model.say(&format!("{crowded} suppressed: backlog"));
            }
            if rows.iter().any(|row| row.late) {
                model.say("one is late");
            }
            // The clock is turned by hand, never by a timer of the real one.
            if let Some(at) = claims.next_due.take() {
                let wait = at.duration_since(model.time()).as_millis();
                let at = model.now + i64::try_from(wait).unwrap();
                model.alarms.push(at);
            }
        }
        self.step(false).await;
        Ok(claims)
    }

    async fn save(&self, attempt: AttemptNo, saved: Saved) -> Result<(), Error> {
        self.step(true).await;
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
        self.journal.shorten(attempt, items).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, Error> {
        self.step(true).await;
        let mut attempt = settlement.attempt;
        let mut settled = self.journal.settle(settlement.clone()).await?;
        if settled == Settled::Stale
            && self.has(Bug::StaleSettles)
            && let Some(other) = self.of_another(&settlement)
        {
            attempt = other.attempt;
            settled = self.journal.settle(other).await?;
        }
        {
            let mut model = self.world.lock();
            match settled {
                Settled::Done => {
                    model.settled(self.epoch, attempt, &settlement.items, &settlement.signal);
                }
                Settled::Stale => {}
            }
            let next: Vec<String> = settlement
                .items
                .iter()
                .map(|item| match &item.next {
                    Next::Delivered => "delivered".to_owned(),
                    Next::Dead(_) => "dead".to_owned(),
                    Next::Again(at) => {
                        format!("again in {}", at.duration_since(model.time()).as_millis())
                    }
                })
                .collect();
            let word = if settled == Settled::Stale {
                " stale"
            } else {
                ""
            };
            model.say(&format!(
                "p{} settles{word} {}: {next:?}",
                self.epoch, attempt.0
            ));
        }
        self.check().await;
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

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error> {
        self.journal.sweep(sweep).await
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

#[async_trait]
impl Look for Seam {
    async fn events(&self, filter: EventFilter) -> Result<Page<EventRow>, Error> {
        self.journal.events(filter).await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>, Error> {
        self.journal.event(id).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<DeliveryRow>, Error> {
        let mut page = self.journal.deliveries(filter).await?;
        page.rows
            .iter_mut()
            .for_each(|row| self.count_from_claim(row));
        Ok(page)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, Error> {
        self.journal.delivery(id).await
    }

    async fn deliveries_of(&self, event: EventNo) -> Result<Vec<DeliveryRow>, Error> {
        self.journal.deliveries_of(event).await
    }

    async fn operations(&self, filter: OperationFilter) -> Result<Page<OperationRow>, Error> {
        self.journal.operations(filter).await
    }

    async fn bookmark(&self, source: &str) -> Result<Option<String>, Error> {
        self.journal.bookmark(source).await
    }

    async fn generation(&self, number: GenerationNo) -> Result<Option<GenerationRow>, Error> {
        self.journal.generation(number).await
    }

    async fn sinks(&self) -> Result<Vec<SinkRow>, Error> {
        self.journal.sinks().await
    }

    async fn endpoints(&self) -> Result<Vec<EndpointRow>, Error> {
        self.journal.endpoints().await
    }

    async fn totals(&self) -> Result<Totals, Error> {
        self.journal.totals().await
    }
}

#[async_trait]
impl Hands for Seam {
    async fn replay(&self, replay: Replay) -> Result<u64, Error> {
        self.journal.replay(replay).await
    }

    async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, Error> {
        self.journal.cancel(cancel).await
    }

    async fn pause(&self, sink: &str, hand: Hand) -> Result<Paused, Error> {
        self.journal.pause(sink, hand).await
    }

    async fn resume(&self, sink: &str, hand: Hand) -> Result<Paused, Error> {
        self.journal.resume(sink, hand).await
    }

    async fn expire(&self, expire: Expire) -> Result<Expired, Error> {
        self.journal.expire(expire).await
    }

    async fn hands(&self, limit: u32) -> Result<Vec<Hand>, Error> {
        self.journal.hands(limit).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        self.journal.pauses().await
    }
}

#[async_trait]
impl Refusals for Seam {
    async fn refused(&self, filter: RefusedFilter) -> Result<Page<RefusedRow>, Error> {
        self.journal.refused(filter).await
    }

    async fn refusal(&self, number: RefusedNo) -> Result<Option<RefusedRow>, Error> {
        self.journal.refusal(number).await
    }

    async fn forget(&self, numbers: Vec<RefusedNo>, hand: Option<Hand>) -> Result<u64, Error> {
        self.journal.forget(numbers, hand).await
    }
}
