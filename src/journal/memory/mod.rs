//! The journal in memory, for tests: the same promises, in the plainest way that keeps them.
//!
//! One lock, no index: what is due is found by looking at everything that is pending. What differs
//! from the file is only that it ends with its process; [`MemoryJournal::crash`] does to it what a
//! killed process does to the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use herald_model::Phase;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    AttemptNo, Bounds, ClaimRequest, Claims, Entry, Error, Fill, Generation, Journal, Learned,
    Recorded, Rules, Saved, Settled, Settlement, Size, Sweep, Swept,
};

mod claim;
mod hands;
mod look;
mod record;
mod refused;
mod settle;
mod state;
mod sweep;

pub use look::Glance;
use state::State;

/// A journal that lives as long as its process.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    /// Held for the length of one verb; no verb waits while it holds it.
    state: Mutex<State>,
    due: Arc<Notify>,
    tight: Arc<Notify>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what a killed process and a new start at `now` do: every open attempt becomes
    /// *unknown*, and whoever held its claim is stale.
    pub fn crash(&self, now: Timestamp) {
        self.locked().crash(now);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.locked();
        if state.closed {
            return Err(Error::Closed);
        }
        Ok(state)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn begin(&self, rules: Rules) -> Result<Generation, Error> {
        Ok(self.open()?.begin(&rules))
    }

    async fn record(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, Error> {
        let recorded = self.open()?.record(&entries)?;
        self.due.notify_one();
        if self.locked().size().fill() > Fill::Roomy {
            self.tight.notify_one();
        }
        Ok(recorded)
    }

    async fn learn(&self, learned: Learned) -> Result<bool, Error> {
        let is_learned = self.open()?.learn(&learned)?;
        self.due.notify_one();
        Ok(is_learned)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        let mut state = self.open()?;
        state.wakes = false;
        let claims = state.claim(&request);
        let wakes = state.wakes;
        drop(state);
        if wakes {
            self.due.notify_one();
        }
        Ok(claims)
    }

    async fn save(&self, attempt: AttemptNo, saved: Saved) -> Result<(), Error> {
        self.open()?.save(attempt, saved)
    }

    async fn shorten(&self, attempt: AttemptNo, items: usize) -> Result<(), Error> {
        self.open()?.shorten(attempt, items)?;
        self.due.notify_one();
        Ok(())
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, Error> {
        let settled = self.open()?.settle(&settlement)?;
        self.due.notify_one();
        Ok(settled)
    }

    async fn wait(
        &self,
        attempt: AttemptNo,
        until: Timestamp,
        phase: Phase,
    ) -> Result<Settled, Error> {
        let settled = self.open()?.wait(attempt, until, phase);
        self.due.notify_one();
        Ok(settled)
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error> {
        Ok(self.open()?.sweep(&sweep))
    }

    fn bound(&self, bounds: Bounds) {
        self.locked().bounds = bounds;
    }

    fn size(&self) -> Size {
        self.locked().size()
    }

    fn tight_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.tight)
    }

    fn due_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    async fn close(&self) {
        self.locked().closed = true;
    }
}
