//! Time goes on for what is held: what has expired is suppressed, also at sinks that nothing is
//! claimed from.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock;
use crate::journal::{Expire, Journal};

/// Pause between two steps. Chosen: a delivery is suppressed about this long after it expired
/// while fewer than [`STEP`] lanes wait, and that many times as long for each further [`STEP`].
const PAUSE: Duration = Duration::from_secs(1);

/// Lanes looked at in one step, which holds up the writer for about a millisecond. Chosen.
const STEP: u32 = 2_000;

/// Looks at everything that waits, round and round in small steps, until `stop`.
pub(super) async fn expire(journal: Arc<dyn Journal>, stop: CancellationToken) {
    let mut after = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
        let look = Expire {
            now: clock::now(),
            after,
            lanes_max: STEP,
        };
        match journal.expire(look).await {
            Ok(expired) => {
                after = expired.next;
                for delivery in expired.deliveries {
                    warn!(%delivery, "suppressed: expired before it could be delivered");
                }
            }
            Err(error) => warn!(%error, "cannot look for what has expired"),
        }
    }
}
