//! The end of a delivery, and what comes after it in its lane.

use rusqlite::{OptionalExtension, params};

use super::core::{Core, KEPT_PROGRESS, KEPT_TEXT, Lane, MEMBERS};

/// State of a finished delivery as stored: it arrived.
pub(super) const DELIVERED: i64 = 1;
/// It is over without success.
pub(super) const DEAD: i64 = 2;
/// It was deliberately not made.
pub(super) const SUPPRESSED: i64 = 3;

/// How a delivery ends.
pub(super) struct Ending<'a> {
    pub(super) state: i64,
    pub(super) at: i64,
    /// Attempts that used up a step of the schedule.
    pub(super) charged: Option<i64>,
    /// Row of the last attempt, where it is newer than the lane knows.
    pub(super) attempt: Option<i64>,
    pub(super) reason: Option<&'a str>,
}

impl<'a> Ending<'a> {
    /// Deliberately not made.
    pub(super) const fn suppressed(at: i64, reason: &'a str) -> Self {
        Self {
            state: SUPPRESSED,
            at,
            charged: None,
            attempt: None,
            reason: Some(reason),
        }
    }
}

/// Ends the head of a lane, removes the lane, and makes the next head due.
pub(super) fn finish(
    core: &mut Core<'_>,
    lane: &Lane,
    ending: &Ending<'_>,
) -> rusqlite::Result<()> {
    finish_before(core, lane, ending, None)
}

/// The same, where a delivery that left the lane to go with its head may have to come back: `heir`
/// becomes the head.
pub(super) fn finish_before(
    core: &mut Core<'_>,
    lane: &Lane,
    ending: &Ending<'_>,
    heir: Option<i64>,
) -> rusqlite::Result<()> {
    core.sql.insert_finish.execute(params![
        lane.head,
        ending.state,
        ending.at,
        ending.attempt.or(lane.last),
        ending.charged.unwrap_or(lane.charged),
        ending.reason,
        lane.late,
    ])?;
    core.sql.delete_lane.execute([lane.head])?;
    count(core, lane.sink, ending.state);
    match (lane.key, heir) {
        (Some(key), Some(heir)) => core.sql.inherit_lane.execute([heir, key]).map(drop),
        (Some(key), None) => promote(core, lane.sink, key, ending.at),
        (None, _) => Ok(()),
    }
}

/// Suppresses a delivery that stands behind the head of its lane.
pub(super) fn finish_queued(
    core: &mut Core<'_>,
    delivery: i64,
    sink: i64,
    ending: &Ending<'_>,
) -> rusqlite::Result<()> {
    core.sql.delete_queue.execute([delivery])?;
    core.sql.insert_finish.execute(params![
        delivery,
        ending.state,
        ending.at,
        None::<i64>,
        0,
        ending.reason,
        false,
    ])?;
    count(core, sink, ending.state);
    Ok(())
}

fn count(core: &mut Core<'_>, sink: i64, state: i64) {
    match state {
        DELIVERED => core.count.delivered += 1,
        DEAD => core.count.dead += 1,
        _ => core.count.suppressed += 1,
    }
    core.pending(sink, -1);
}

/// Lets the lane go on without its head, which is tried again at `due` in a lane of its own.
pub(super) fn pass(core: &mut Core<'_>, lane: &Lane, due: i64, now: i64) -> rusqlite::Result<()> {
    core.sql.pass_lane.execute([lane.head, due])?;
    match lane.key {
        Some(key) => promote(core, lane.sink, key, now),
        None => Ok(()),
    }
}

/// Removes what is stored for a message.
pub(super) fn forget_message(core: &mut Core<'_>, message: i64, kept: i64) -> rusqlite::Result<()> {
    if kept & (KEPT_TEXT | MEMBERS) != 0 {
        core.sql.delete_message.execute([message])?;
    }
    if kept & KEPT_PROGRESS != 0 {
        core.sql.delete_checkpoint.execute([message])?;
    }
    Ok(())
}

/// Makes the next delivery of an ordered lane its head.
fn promote(core: &mut Core<'_>, sink: i64, key: i64, at: i64) -> rusqlite::Result<()> {
    let next: Option<i64> = core
        .sql
        .next_in_queue
        .query_row([sink, key], |row| row.get(0))
        .optional()?;
    let Some(delivery) = next else { return Ok(()) };
    core.sql.delete_queue.execute([delivery])?;
    let (level, expires): (i64, i64) = core
        .sql
        .queued_delivery
        .query_row([delivery], |row| Ok((row.get(0)?, row.get(1)?)))?;
    core.sql.insert_lane.execute(params![
        delivery,
        sink,
        level,
        at.min(expires),
        key,
        expires
    ])?;
    core.wakes = true;
    Ok(())
}
