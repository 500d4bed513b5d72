//! Connections that are kept from one mail to the next.
//!
//! A session is in the pool or in somebody's hands, never both, and it comes back only after a
//! transaction that ended in step. A send that is cut off drops the session it holds; so the late
//! reply to one mail can never be taken for the answer to another, which is what a pool of borrowed
//! connections leads to (a refusal read as a success).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::session::Session;

/// How long an idle session is trusted. Chosen: servers give up after minutes (RFC 5321 section
/// 4.5.3.2.7 asks for five), some busy relays after seconds.
const IDLE: Duration = Duration::from_secs(20);

/// At most so many connections, used and idle together.
pub(super) struct Pool {
    permits: Semaphore,
    idle: Mutex<Vec<(Instant, Session)>>,
}

impl Pool {
    pub(super) fn new(connections: usize) -> Self {
        Self {
            permits: Semaphore::new(connections),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The right to hold one connection; waits for it.
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.permits.acquire().await.ok()
    }

    /// A kept session, the freshest first; those that were idle for too long are closed.
    pub(super) fn take(&self) -> Option<Session> {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, _)| now.duration_since(*since) < IDLE);
        idle.pop().map(|(_, session)| session)
    }

    /// Keeps a session that is ready for another transaction. The caller still holds its permit, so
    /// there are never more than there are permits.
    pub(super) fn keep(&self, session: Session) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((Instant::now(), session));
    }
}
