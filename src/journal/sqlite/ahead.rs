//! Claims that stand open until a group makes something due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::claim::Claim;
use super::claimed::RawClaims;
use super::writer::{Asked, Job};
use crate::journal::{Ahead, Ask, Error};

/// The claims that stand open, the oldest first.
#[derive(Default)]
pub(super) struct Standing(Mutex<VecDeque<Open>>);

/// Empty once it was taken back or begun, whichever comes first.
type Wish = Arc<Mutex<Option<Ask>>>;

struct Open {
    wish: Wish,
    answer: oneshot::Sender<Result<RawClaims, Error>>,
}

impl Standing {
    /// Lets a claim stand.
    pub(super) fn open(&self, ask: Ask) -> Ahead {
        let wish: Wish = Arc::new(Mutex::new(Some(ask)));
        let (answer, answered) = oneshot::channel();
        let open = Open {
            wish: Arc::clone(&wish),
            answer,
        };
        let mut standing = locked(&self.0);
        standing.retain(|open| locked(&open.wish).is_some());
        standing.push_back(open);
        let claimed = async { Ok(answered.await.unwrap_or(Err(Error::Closed))?.finish()) };
        Ahead::new(claimed, move || locked(&wish).take().is_some())
    }

    /// The oldest of them, as a job; from here on it cannot be taken back.
    pub(super) fn begin(&self) -> Option<Box<dyn Job>> {
        let mut standing = locked(&self.0);
        let (ask, answer) = loop {
            let open = standing.pop_front()?;
            if let Some(ask) = locked(&open.wish).take() {
                break (ask, open.answer);
            }
        };
        drop(standing);
        Some(Asked::answering(Claim { request: ask() }, answer))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
