//! Claims that were asked for ahead and wait until a group makes something due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::claim::Claim;
use super::claimed::RawClaims;
use super::writer::{Asked, Job};
use crate::journal::{Ahead, Ask, Error};

/// The claims that wait to be begun, the oldest first.
#[derive(Default)]
pub(super) struct Waiting(Mutex<VecDeque<One>>);

/// Empty once it was taken back or begun, whichever comes first.
type Wish = Arc<Mutex<Option<Ask>>>;

struct One {
    wish: Wish,
    answer: oneshot::Sender<Result<RawClaims, Error>>,
}

impl Waiting {
    /// Lets a claim wait.
    pub(super) fn ask(&self, ask: Ask) -> Ahead {
        let wish: Wish = Arc::new(Mutex::new(Some(ask)));
        let (answer, answered) = oneshot::channel();
        let one = One {
            wish: Arc::clone(&wish),
            answer,
        };
        let mut waiting = locked(&self.0);
        waiting.retain(|one| locked(&one.wish).is_some());
        waiting.push_back(one);
        let claimed = async { Ok(answered.await.unwrap_or(Err(Error::Closed))?.finish()) };
        Ahead::new(claimed, move || locked(&wish).take().is_some())
    }

    /// The oldest of them, as a job; from here on it cannot be taken back.
    pub(super) fn begin(&self) -> Option<Box<dyn Job>> {
        let mut waiting = locked(&self.0);
        let (ask, answer) = loop {
            let one = waiting.pop_front()?;
            if let Some(ask) = locked(&one.wish).take() {
                break (ask, one.answer);
            }
        };
        drop(waiting);
        Some(Asked::answering(Claim { request: ask() }, answer))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
