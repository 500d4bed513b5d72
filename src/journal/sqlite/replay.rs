//! `replay`: makes what is over due again.

use herald_model::DeliveryState;
use rusqlite::{OptionalExtension, params};

use super::core::{Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, Verb};
use super::counters::take;
use super::fault::Fault;
use super::finish::{DEAD, DELIVERED};
use super::pause::note;
use super::rows::{ARRIVED, UNKNOWN, state};
use crate::journal::Replay;

/// Deliveries to make due again.
pub(super) struct Replaying {
    pub(super) replay: Replay,
}

impl Verb for Replaying {
    type Made = u64;

    fn run(&mut self, core: &mut Core<'_>) -> Result<u64, Fault> {
        let now = self.replay.now.as_millisecond();
        note(core, self.replay.hand.as_ref())?;
        let mut count = 0;
        for (delivery, seen) in &self.replay.deliveries {
            count += u64::from(replay(core, delivery.0, *seen, now)?);
        }
        core.wakes |= count > 0;
        Ok(count)
    }

    fn weight(&self) -> usize {
        self.replay.deliveries.len().max(1)
    }
}

fn replay(
    core: &mut Core<'_>,
    delivery: i64,
    seen: DeliveryState,
    now: i64,
) -> rusqlite::Result<bool> {
    let end: Option<(i64, Option<i64>, i64)> = core
        .sql
        .end_of
        .query_row([delivery], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((ended, last, charged)) = end.filter(|end| state(end.0) == seen) else {
        return Ok(false);
    };
    let (sink, level, expires, received): (i64, i64, i64, i64) =
        core.sql.replayed_delivery.query_row([delivery], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    // What was delivered leaves under a new key: under the old one a receiver that knows it would
    // pass it over.
    let stopped = match ended {
        DELIVERED => Stopped::default(),
        _ => stopped(core, last, now)?,
    };
    core.sql.delete_finish.execute([delivery, delivery])?;
    core.sql.replay_lane.execute(params![
        delivery,
        sink,
        level,
        now,
        now.saturating_add(expires.saturating_sub(received)),
        stopped.message,
        stopped.composed,
        stopped.kept,
        last,
        charged,
    ])?;
    match ended {
        DELIVERED => core.count.delivered -= 1,
        DEAD => core.count.dead -= 1,
        _ => core.count.suppressed -= 1,
    }
    core.pending(sink, 1);
    Ok(true)
}

/// Where a message stopped.
#[derive(Default)]
struct Stopped {
    message: Option<i64>,
    composed: Option<i64>,
    kept: i64,
}

/// The message of the last attempt and what is stored for it.
fn stopped(core: &mut Core<'_>, last: Option<i64>, now: i64) -> rusqlite::Result<Stopped> {
    let mut message = None;
    let mut composed = None;
    let (mut arrived, mut shared) = (false, false);
    let mut next = last;
    while let Some(attempt) = next {
        type Row = (i64, Option<i64>, i64, i64, Option<i64>);
        let made: Option<Row> = core
            .sql
            .attempt_made
            .query_row([attempt], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })
            .optional()?;
        let Some((number, leader, started, outcome, previous)) = made else {
            break;
        };
        if message.is_some_and(|known| known != number) {
            break;
        }
        // As of what was delivered: a replay that was suppressed changes nothing of that.
        if outcome == ARRIVED {
            return Ok(Stopped::default());
        }
        message = Some(number);
        composed = Some(started);
        arrived |= outcome == UNKNOWN;
        shared |= leader.is_some();
        next = previous;
    }
    let Some(number) = message else {
        return Ok(Stopped::default());
    };
    let progress = core.sql.stored_progress.exists([number])?;
    let stored: Option<(i64, bool, bool, bool)> = core
        .sql
        .stored_message
        .query_row([number], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (first, several, frozen, text) = stored.unwrap_or((now, false, false, false));
    if shared || several {
        return split_off(core, number, progress, now);
    }
    let mut kept = if progress { KEPT_PROGRESS } else { 0 };
    if text && (frozen || arrived || progress) {
        core.sql.freeze.execute([number])?;
        kept |= KEPT_TEXT | FROZEN;
    } else if text {
        core.sql.delete_message.execute([number])?;
    }
    Ok(Stopped {
        message,
        composed: if stored.is_some() {
            Some(first)
        } else {
            composed
        },
        kept,
    })
}

/// A message of its own for a delivery that shared one: the old key stands for other members. What
/// was done already is not done again.
fn split_off(
    core: &mut Core<'_>,
    shared: i64,
    progress: bool,
    now: i64,
) -> rusqlite::Result<Stopped> {
    if !progress {
        return Ok(Stopped::default());
    }
    let number = take(&mut core.count.next_claim);
    core.sql.copy_progress.execute([shared, number])?;
    Ok(Stopped {
        message: Some(number),
        composed: Some(now),
        kept: KEPT_PROGRESS,
    })
}
