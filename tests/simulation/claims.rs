//! Claims as they pass the seam: at once, and ahead. One that was asked for ahead is filled in the same
//! step that makes something due, so that no crash comes between.

use std::collections::VecDeque;
use std::sync::Arc;

use herald::journal::{
    Ahead, Ask, ClaimRequest, Claimed, Claims, Error, Journal, Limit, Next, SettledItem, Settlement,
};
use herald_model::{Outcome, Phase, Signal};
use tokio::sync::oneshot;

use crate::book::{Asked, place};
use crate::model::{Model, Verb};
use crate::planted::Bug;
use crate::receiver::SINKS;
use crate::seam::Seam;

/// A claim that was asked for ahead.
struct One {
    number: u64,
    epoch: u32,
    ask: Ask,
    answer: oneshot::Sender<Result<Claims, Error>>,
}

/// Those that wait to be filled, the oldest first.
#[derive(Default)]
pub(crate) struct Waiting {
    all: VecDeque<One>,
    last: u64,
}

impl Waiting {
    /// Removes one; says whether it was there.
    fn remove(&mut self, number: u64) -> bool {
        let before = self.all.len();
        self.all.retain(|one| one.number != number);
        self.all.len() < before
    }

    /// The oldest of a process.
    fn first_of(&mut self, epoch: u32) -> Option<One> {
        self.all.retain(|one| one.epoch >= epoch);
        self.all.pop_front()
    }
}

impl Seam {
    /// As a claim would be made that has the planted bug.
    fn twisted(&self, mut request: ClaimRequest) -> ClaimRequest {
        let Some(bug) = self.world.lock().bug else {
            return request;
        };
        for room in &mut request.room {
            let policy = Arc::make_mut(&mut room.policy);
            policy.limit = policy.limit.map(|limit| twisted_limit(bug, limit));
            match bug {
                Bug::OneWayOnly => policy.endpoints.truncate(1),
                Bug::FormForgotten => policy.form = None,
                _ => {}
            }
        }
        request
    }

    async fn twist(&self, claims: &mut Claims) {
        let Some(bug) = self.world.lock().bug else {
            return;
        };
        for claimed in &mut claims.messages {
            match bug {
                Bug::RenderedAnew => claimed.frozen = None,
                Bug::KeyReused if claimed.items.len() > 1 => {
                    let mut model = self.world.lock();
                    let last = &mut model.last_shared[place(claimed.sink)];
                    claimed.message = *last.get_or_insert(claimed.message);
                }
                Bug::SettleBeforeSend => self.settle_early(claimed).await,
                _ => {}
            }
        }
    }

    async fn settle_early(&self, claimed: &Claimed) {
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

    /// The planted bug: what could not be written down is sent all the same.
    async fn claim_nothing(&self, request: ClaimRequest) -> Claims {
        let now = request.now;
        let claims = self.journal.claim(request).await.unwrap();
        for claimed in &claims.messages {
            let back = self.journal.wait(claimed.attempt, now, Phase::Due);
            back.await.unwrap();
        }
        claims
    }

    /// A claim of a worker of the process `epoch`.
    pub(crate) async fn claim_at_once(
        &self,
        epoch: u32,
        request: ClaimRequest,
    ) -> Result<Claims, Error> {
        let refused = self.world.lock().refuses(Verb::Claim);
        if self.has(Bug::RefusedIsSent) && refused.is_err() {
            return Ok(self.claim_nothing(request).await);
        }
        refused?;
        let now = request.now;
        let mut asked: Vec<Asked> = request
            .room
            .iter()
            .map(|room| Asked {
                sink: place(room.sink),
                messages: room.messages,
                policy: Arc::clone(&room.policy),
            })
            .collect();
        let mut claims = self.journal.claim(self.twisted(request)).await?;
        self.twist(&mut claims).await;
        {
            let mut guard = self.world.lock();
            let model = &mut *guard;
            let held = model.book.crowded_out(&claims.crowded_out, &asked);
            model.note(held);
            let held = model.book.expired(&claims.expired, now);
            model.note(held);
            model.look_for_late(&self.journal);
            for claimed in &claims.messages {
                let mut asked = asked.iter_mut();
                let ask = asked.find(|ask| ask.sink == place(claimed.sink)).unwrap();
                ask.messages -= 1;
                let by = (&*ask.policy, &model.held[..]);
                let ways = &mut model.ways;
                let held = model.book.claimed(epoch, claimed, by, ways, now);
                model.say(|| told_claim(epoch, claimed));
                model.note(held);
            }
            let held = model
                .book
                .nothing_is_passed_over(&asked, &model.held, &mut model.ways, now);
            model.note(held);
            let (expired, crowded) = (claims.expired.len(), claims.crowded_out.len());
            if expired > 0 {
                model.say(|| format!("{expired} suppressed: expired"));
            }
            if crowded > 0 {
                model.say(|| format!("{crowded} suppressed: backlog"));
            }
            if let Some(at) = claims.next_due {
                model.alarms.insert(Model::millis(at));
            }
        }
        self.check().await;
        Ok(claims)
    }

    pub(crate) fn ask_ahead(&self, ask: Ask) -> Ahead {
        let (answer, answered) = oneshot::channel();
        let mut model = self.world.lock();
        model.ahead.last += 1;
        let number = model.ahead.last;
        model.ahead.all.push_back(One {
            number,
            epoch: self.epoch,
            ask,
            answer,
        });
        let world = self.world.clone();
        let claimed = async { answered.await.unwrap_or(Err(Error::Closed)) };
        Ahead::new(claimed, move || world.lock().ahead.remove(number))
    }

    /// Fills the oldest claim that the process that lives asked for ahead.
    pub(crate) async fn fill(&self) {
        let (epoch, one) = {
            let mut model = self.world.lock();
            let epoch = model.epoch;
            let lives = !model.dead;
            let one = lives.then(|| model.ahead.first_of(epoch)).flatten();
            (epoch, one)
        };
        let Some(one) = one else { return };
        self.world
            .lock()
            .say(|| format!("p{epoch} had asked ahead"));
        let mut claims = self.claim_at_once(epoch, (one.ask)()).await;
        if self.world.lock().has(Bug::AheadIsLost) {
            claims = Ok(Claims::default());
        }
        // Its worker may be gone, as after a crash.
        let _ = one.answer.send(claims);
    }
}

fn twisted_limit(bug: Bug, limit: Limit) -> Limit {
    match bug {
        Bug::PermitOffByOne => Limit {
            messages: limit.messages + 1,
            ..limit
        },
        Bug::PermitTakenTwice => Limit {
            messages: limit.messages / 2,
            ..limit
        },
        Bug::ReserveForgotten => Limit {
            reserve: 0,
            ..limit
        },
        _ => limit,
    }
}

fn told_claim(epoch: u32, claimed: &Claimed) -> String {
    let items: Vec<i64> = claimed.items.iter().map(|item| item.number.0).collect();
    let shared = if items.len() > 1 {
        " digest or together"
    } else {
        ""
    };
    let frozen = match &claimed.frozen {
        Some(text) if text.contains("\"form\":") => " frozen form",
        Some(_) => " frozen",
        None => "",
    };
    let (attempt, sink) = (claimed.attempt.0, SINKS[place(claimed.sink)]);
    let by = claimed.endpoint.as_ref().map(ToString::to_string);
    let by = by.unwrap_or_default();
    format!("p{epoch} claims {attempt} of {sink} by {by}{shared}{frozen}: {items:?}")
}
