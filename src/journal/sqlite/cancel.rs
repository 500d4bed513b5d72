//! `cancel` and `expire`: suppressing what waits.

use rusqlite::OptionalExtension;

use super::core::{Core, Lane, Verb};
use super::fault::Fault;
use super::finish::{Ending, finish_queued, suppress};
use super::gather::item_of;
use super::pause::note;
use crate::journal::{Cancel, Cancelled, DeliveryNo, EXPIRED, Expire, Expired};

/// Deliveries to suppress.
pub(super) struct Cancelling {
    pub(super) cancel: Cancel,
}

impl Verb for Cancelling {
    type Made = Cancelled;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Cancelled, Fault> {
        let now = self.cancel.now.as_millisecond();
        note(core, self.cancel.hand.as_ref())?;
        let mut made = Cancelled::default();
        for delivery in &self.cancel.deliveries {
            cancel(core, delivery.0, now, &self.cancel.reason, &mut made)?;
        }
        Ok(made)
    }

    fn weight(&self) -> usize {
        self.cancel.deliveries.len().max(1)
    }
}

fn cancel(
    core: &mut Core<'_>,
    delivery: i64,
    now: i64,
    reason: &str,
    made: &mut Cancelled,
) -> rusqlite::Result<()> {
    let in_flight: Option<bool> = core
        .sql
        .in_flight
        .query_row([delivery], |row| row.get(0))
        .optional()?;
    match in_flight {
        Some(true) => made.in_flight += 1,
        Some(false) => {
            let lane = lane(core, delivery)?;
            suppress(core, &lane, now, reason)?;
            made.suppressed += 1;
        }
        None => made.suppressed += u64::from(cancel_queued(core, delivery, now, reason)?),
    }
    Ok(())
}

/// Suppresses what stands behind the head of its lane; false where it does not.
fn cancel_queued(
    core: &mut Core<'_>,
    delivery: i64,
    now: i64,
    reason: &str,
) -> rusqlite::Result<bool> {
    let sink: Option<i64> = core
        .sql
        .queued_for
        .query_row([delivery], |row| row.get(0))
        .optional()?;
    let Some(sink) = sink else { return Ok(false) };
    finish_queued(core, delivery, sink, &Ending::suppressed(now, reason))?;
    Ok(true)
}

fn lane(core: &mut Core<'_>, head: i64) -> rusqlite::Result<Lane> {
    core.sql.lane_by_head.query_row([head], Lane::read)
}

/// A look for what has expired.
pub(super) struct Expiring {
    pub(super) expire: Expire,
}

impl Verb for Expiring {
    type Made = Expired;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Expired, Fault> {
        let now = self.expire.now.as_millisecond();
        let after = self.expire.after.map_or(0, |after| after.0);
        let lanes: Vec<(i64, i64, bool)> = core
            .sql
            .next_lanes
            .query_map([after, i64::from(self.expire.lanes_max)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let full = lanes.len() >= self.expire.lanes_max as usize;
        let mut made = Expired {
            deliveries: Vec::new(),
            next: lanes.last().filter(|_| full).map(|last| DeliveryNo(last.0)),
        };
        for (head, expires, in_flight) in lanes {
            if in_flight || expires > now {
                continue;
            }
            made.deliveries.push(item_of(core, head)?.id());
            let lane = lane(core, head)?;
            suppress(core, &lane, now, EXPIRED)?;
        }
        Ok(made)
    }
}
