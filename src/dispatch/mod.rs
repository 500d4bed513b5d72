//! Dispatch: claims what is due, hands it to the sinks, settles what came of it.
//!
//! Takes no input on purpose. It asks ahead for what becomes due, is woken by a signal or a timer, looks
//! at the journal, and does what is due: a first send, a retry, a send after a restart and a replay all
//! come through here.
//! It gets sinks as trait objects and never names a kind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::clock;
use crate::in_force::{Current, InForce, WayOut};
use crate::journal::{Ask, ClaimRequest, Claims, Error, Journal, Room, SinkNo};

mod attempt;
mod decide;
mod tally;

#[cfg(test)]
mod tests;

pub use decide::{RETRY_AFTER_MAX, next};
pub use tally::Tally;

/// Longest pause between two looks at the journal. A lost wake-up costs at most this, never a
/// delivery. Chosen.
const TICK: Duration = Duration::from_secs(5);

/// Pause after the journal refused a claim, so that a full disk is not asked in a loop. Chosen.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Brings due deliveries to their sinks.
pub struct Dispatcher {
    journal: Arc<dyn Journal>,
    current: Current,
    in_flight: Arc<InFlight>,
    clock: Clock,
    ended: Arc<Tally>,
    /// Counts the claims, so that each begins with another sink.
    turn: Arc<AtomicUsize>,
}

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Attempts under way, by sink. They are counted by the sink's integer, which a reload keeps.
#[derive(Default)]
pub(crate) struct InFlight {
    counts: Mutex<HashMap<SinkNo, u32>>,
    /// A sink has room again.
    freed: Notify,
}

impl InFlight {
    fn of(&self, sink: SinkNo) -> u32 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&sink).copied().unwrap_or(0)
    }

    fn begin(self: &Arc<Self>, sink: SinkNo) -> Place {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(sink).or_insert(0) += 1;
        Place {
            in_flight: Arc::clone(self),
            sink,
        }
    }
}

/// One attempt's place in its sink; given back when dropped.
pub(crate) struct Place {
    in_flight: Arc<InFlight>,
    sink: SinkNo,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .in_flight
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.sink) {
            *count = count.saturating_sub(1);
        }
        drop(counts);
        self.in_flight.freed.notify_one();
    }
}

impl Dispatcher {
    /// A dispatcher of what `journal` holds, by the configuration in force.
    pub fn new(journal: Arc<dyn Journal>, current: Current) -> Self {
        Self {
            journal,
            current,
            in_flight: Arc::default(),
            clock: Arc::new(clock::now),
            ended: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// The same by another clock, for tests that cannot wait.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How attempts ended, as it goes on.
    pub fn ended(&self) -> Arc<Tally> {
        Arc::clone(&self.ended)
    }

    /// Works until `stop`; then claims nothing more and lets what is in flight end until `cut`,
    /// which closes every open attempt as unknown. Returns when nothing is open.
    pub async fn run(self, stop: CancellationToken, cut: CancellationToken) {
        let mut attempts = JoinSet::new();
        let mut pause = self.claim_what_is_due(&mut attempts, &cut).await;
        while !stop.is_cancelled() {
            let asked = Asked::default();
            let mut ahead = self.journal.claim_ahead(self.ask(&asked));
            let due = self.journal.due_signal();
            // In this order, so that what happens follows from what there is and from nothing else.
            let filled = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                () = due.notified() => None,
                () = self.in_flight.freed.notified() => None,
                claims = ahead.claims() => Some(claims),
                () = tokio::time::sleep(pause) => None,
            };
            if let Some(claims) = filled {
                pause = self.start(claims, &asked, &mut attempts, &cut);
            } else {
                if let Some(claims) = ahead.withdraw().await {
                    self.start(claims, &asked, &mut attempts, &cut);
                }
                if !stop.is_cancelled() {
                    pause = self.claim_what_is_due(&mut attempts, &cut).await;
                }
            }
            while attempts.try_join_next().is_some() {}
        }
        while attempts.join_next().await.is_some() {}
    }

    /// Starts an attempt for everything that is due and has room; says how long nothing else will
    /// be due.
    async fn claim_what_is_due(
        &self,
        attempts: &mut JoinSet<()>,
        cut: &CancellationToken,
    ) -> Duration {
        let asked = Asked::default();
        let request = self.ask(&asked)();
        if request.room.is_empty() {
            return TICK;
        }
        let claims = self.journal.claim(request).await;
        self.start(claims, &asked, attempts, cut)
    }

    /// Starts an attempt for everything that was claimed; says how long nothing else will be due.
    fn start(
        &self,
        claims: Result<Claims, Error>,
        asked: &Asked,
        attempts: &mut JoinSet<()>,
        cut: &CancellationToken,
    ) -> Duration {
        let claims = match claims {
            Ok(claims) => claims,
            Err(error) => {
                error!(%error, "cannot claim what is due");
                return REFUSED_PAUSE;
            }
        };
        let Some(&Snapshot { ref in_force, now }) = asked.get() else {
            return TICK;
        };
        let pause = pause(&claims, now);
        for delivery in &claims.expired {
            warn!(%delivery, "suppressed: expired before it could be delivered");
        }
        for delivery in &claims.crowded_out {
            warn!(%delivery, "suppressed: more waits for its sink than max_backlog has room for");
        }
        for claimed in claims.messages {
            let Some(way_out) = in_force.sinks.get(&claimed.sink) else {
                continue;
            };
            let place = self.in_flight.begin(claimed.sink);
            let journal = Arc::clone(&self.journal);
            let way_out = Arc::clone(way_out);
            let cut = cut.clone();
            let clock = Arc::clone(&self.clock);
            let ended = Arc::clone(&self.ended);
            attempts.spawn(async move {
                let of = attempt::Of {
                    journal: &*journal,
                    way_out: &way_out,
                    clock: &clock,
                    ended: &ended,
                };
                attempt::attempt(of, claimed, now, &cut).await;
                drop(place);
            });
        }
        pause
    }

    /// What to claim, once that is known. The one snapshot that it is made from stands in `asked` then:
    /// a sink that was asked for is there for what is done with the claims.
    fn ask(&self, asked: &Asked) -> Ask {
        let current = Arc::clone(&self.current);
        let in_flight = Arc::clone(&self.in_flight);
        let clock = Arc::clone(&self.clock);
        let turn = Arc::clone(&self.turn);
        let asked = Arc::clone(asked);
        Box::new(move || {
            let (in_force, now) = (current.load_full(), clock());
            let room = room(&in_force, &in_flight, turn.fetch_add(1, Ordering::Relaxed));
            // Set once, since a request is made once.
            let _ = asked.set(Snapshot { in_force, now });
            ClaimRequest { now, room }
        })
    }
}

/// What a request for claims was made from.
struct Snapshot {
    in_force: Arc<InForce>,
    now: Timestamp,
}

/// There once the request was made.
type Asked = Arc<OnceLock<Snapshot>>;

/// Every sink, also one without room: its backlog is looked after all the same. Each `turn` another
/// comes first, since sinks on one endpoint are served in this order.
fn room(in_force: &InForce, in_flight: &InFlight, turn: usize) -> Vec<Room> {
    let room = |way_out: &Arc<WayOut>| Room {
        sink: way_out.number,
        messages: way_out
            .concurrency
            .saturating_sub(in_flight.of(way_out.number)),
        policy: Arc::clone(&way_out.policy),
    };
    let mut room: Vec<Room> = in_force.sinks.values().map(room).collect();
    if !room.is_empty() {
        let first = turn % room.len();
        room.rotate_left(first);
    }
    room
}

fn pause(claims: &Claims, now: Timestamp) -> Duration {
    match claims.next_due {
        Some(at) => Duration::try_from(at.duration_since(now))
            .unwrap_or_default()
            .min(TICK),
        None => TICK,
    }
}
