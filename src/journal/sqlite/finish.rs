//! The end of a delivery, and what comes after it in its lane.

use rusqlite::{OptionalExtension, params};

use super::core::{Core, KEPT_PROGRESS, KEPT_TEXT, Lane, MEMBERS};
use super::gather::numbers;

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
        ending.charged.unwrap_or(lane.charged) + lane.earlier.unwrap_or(0),
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

/// Suppresses the head of a lane that waits. A message that it was a member of is none any more,
/// and who left the lane only to go with it takes the lane over.
pub(super) fn suppress(
    core: &mut Core<'_>,
    lane: &Lane,
    at: i64,
    reason: &str,
) -> rusqlite::Result<()> {
    forget_replayed(core, lane)?;
    let heir = companions(core, lane)?.first().copied();
    finish_before(core, lane, &Ending::suppressed(at, reason), heir)
}

/// Removes what a replay took along into a message that was never tried: no attempt names it, so
/// retention would not find it.
fn forget_replayed(core: &mut Core<'_>, lane: &Lane) -> rusqlite::Result<()> {
    let Some(message) = lane.message else {
        return Ok(());
    };
    if lane.earlier.is_none() || lane.first_attempt.is_some() || lane.kept & KEPT_PROGRESS == 0 {
        return Ok(());
    }
    let tried: Option<i64> = core
        .sql
        .attempt_made
        .query_row([lane.last], |row| row.get(0))
        .optional()?;
    if tried != Some(message) {
        core.sql.delete_checkpoint.execute([message])?;
    }
    Ok(())
}

/// Who left the lane of this head only to go with it in its message.
fn companions(core: &mut Core<'_>, lane: &Lane) -> rusqlite::Result<Vec<i64>> {
    let mut companions = Vec::new();
    let Some(message) = lane
        .message
        .filter(|_| lane.key.is_some() && lane.kept & MEMBERS != 0)
    else {
        return Ok(companions);
    };
    for head in members_of(core, message)? {
        let other = core
            .sql
            .lane_by_head
            .query_row([head], Lane::read)
            .optional()?;
        if let Some(other) = other.filter(|other| other.message == Some(message))
            && left_lane(core, &other, lane.key)?
        {
            companions.push(head);
        }
    }
    Ok(companions)
}

/// Whether a delivery left this ordered lane only to go with its head. One that the lane passed or
/// that was replayed never comes back to it.
pub(super) fn left_lane(
    core: &mut Core<'_>,
    other: &Lane,
    key: Option<i64>,
) -> rusqlite::Result<bool> {
    if other.key.is_some() || other.late || other.earlier.is_some() {
        return Ok(false);
    }
    let planned: Option<i64> = core
        .sql
        .lane_key
        .query_row([other.head], |row| row.get(0))?;
    Ok(planned == key)
}

/// The members that are written down for a message of several.
pub(super) fn members_of(core: &mut Core<'_>, message: i64) -> rusqlite::Result<Vec<i64>> {
    let listed: Option<String> = core
        .sql
        .saved_members
        .query_row([message], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(numbers(&listed.unwrap_or_default()))
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
    for head in companions(core, lane)? {
        core.sql.mark_late.execute([head])?;
    }
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
