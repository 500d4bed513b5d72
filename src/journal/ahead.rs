//! A claim that is asked for before there is anything to claim.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::{ClaimRequest, Claims, Error};

/// Makes the request of a claim, when it is made: its time, its room and its policies are those of that
/// moment. Called from the engine's own thread, so it must return at once.
pub type Ask = Box<dyn FnOnce() -> ClaimRequest + Send>;

type Claimed = Pin<Box<dyn Future<Output = Result<Claims, Error>> + Send>>;

/// A claim that was asked for ahead: the commit that makes something due fills it, so that what was
/// just recorded leaves one commit sooner.
///
/// Made by [`claim_ahead`](super::Journal::claim_ahead). Whoever has it waits for
/// [`claims`](Self::claims) or takes it back by [`withdraw`](Self::withdraw). Dropped before it was
/// begun, it claims nothing; dropped between that and its answer, what it has claimed is held by nobody
/// until the next start.
pub struct Ahead {
    claimed: Claimed,
    take_back: Box<dyn Fn() -> bool + Send>,
}

impl Ahead {
    /// `take_back` says whether the claim is not begun and never will be; where it was, `claimed`
    /// answers. It is called a second time when all is over.
    pub fn new(
        claimed: impl Future<Output = Result<Claims, Error>> + Send + 'static,
        take_back: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        Self {
            claimed: Box::pin(claimed),
            take_back: Box::new(take_back),
        }
    }

    /// One that is never filled.
    pub fn never() -> Self {
        Self::new(std::future::pending(), || true)
    }

    /// What was claimed, once a commit made something due. May be dropped and called again until it
    /// has answered.
    ///
    /// # Errors
    /// Nothing was claimed.
    pub async fn claims(&mut self) -> Result<Claims, Error> {
        self.claimed.as_mut().await
    }

    /// Takes the claim back. What a commit that is under way has filled it with is returned: it is
    /// held, and must be attempted or given back.
    pub async fn withdraw(mut self) -> Option<Result<Claims, Error>> {
        if (self.take_back)() {
            return None;
        }
        Some(self.claims().await)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        (self.take_back)();
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ahead").finish_non_exhaustive()
    }
}
