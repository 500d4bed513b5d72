//! Dispatch: claims what is due, hands it to the sinks, settles what came of it.
//!
//! Takes no input on purpose. It is woken by a signal or a timer, looks at the journal, and does
//! what is due: a first send, a retry, a send after a restart and a replay all come through here.
//! It gets sinks as trait objects and never names a kind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::clock;
use crate::in_force::{Current, InForce, WayOut};
use crate::journal::{ClaimRequest, Claims, Journal, Room, SinkNo};

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
    turn: AtomicUsize,
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
            turn: AtomicUsize::new(0),
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
        while !stop.is_cancelled() {
            let pause = self.claim_what_is_due(&mut attempts, &cut).await;
            let due = self.journal.due_signal();
            // In this order, so that what happens follows from what there is and from nothing else.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = due.notified() => {}
                () = self.in_flight.freed.notified() => {}
                () = tokio::time::sleep(pause) => {}
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
        // One snapshot for the claim and for what is done with it: a sink that was asked for is there.
        let in_force = self.current.load_full();
        let room = self.room(&in_force);
        if room.is_empty() {
            return TICK;
        }
        let now = (self.clock)();
        let claims = match self.journal.claim(ClaimRequest { now, room }).await {
            Ok(claims) => claims,
            Err(error) => {
                error!(%error, "cannot claim what is due");
                return REFUSED_PAUSE;
            }
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

    /// Every sink, also one without room: its backlog is looked after all the same. Each time
    /// another comes first, since sinks on one endpoint are served in this order.
    fn room(&self, in_force: &InForce) -> Vec<Room> {
        let room = |way_out: &Arc<WayOut>| Room {
            sink: way_out.number,
            messages: way_out
                .concurrency
                .saturating_sub(self.in_flight.of(way_out.number)),
            policy: Arc::clone(&way_out.policy),
        };
        let mut room: Vec<Room> = in_force.sinks.values().map(room).collect();
        if !room.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % room.len();
            room.rotate_left(turn);
        }
        room
    }
}

fn pause(claims: &Claims, now: Timestamp) -> Duration {
    match claims.next_due {
        Some(at) => Duration::try_from(at.duration_since(now))
            .unwrap_or_default()
            .min(TICK),
        None => TICK,
    }
}
