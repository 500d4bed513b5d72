//! `max_backlog`: what there is no room for is suppressed.

use super::claimed::{RawClaims, RawItem};
use super::core::{Core, Lane};
use super::fault::Fault;
use super::finish::{Ending, finish_queued, suppress};
use super::gather::{item, item_of};
use crate::journal::{BACKLOG, SUPPRESSED_MAX};

/// Levels as they are stored, least urgent first.
const LEVELS: [i64; 3] = [2, 1, 0];

/// The least urgent one alone.
pub(super) const INFO: [i64; 1] = [2];

/// Deliveries behind the heads of ordered lanes that are looked at in one step.
const QUEUED_MAX: usize = 4 * SUPPRESSED_MAX;

/// Suppresses what is too much for a sink, a bounded number per call: the oldest of the least
/// urgent level first. What is in flight stays.
pub(super) fn trim(
    core: &mut Core<'_>,
    sink: i64,
    max_backlog: u64,
    now: i64,
    made: &mut RawClaims,
) -> Result<(), Fault> {
    let too_many = core.waits_for(sink).saturating_sub(max_backlog);
    let too_many = usize::try_from(too_many).unwrap_or(usize::MAX);
    let gone = crowd_out(core, sink, &LEVELS, too_many, now)?;
    made.crowded_out.extend(gone);
    Ok(())
}

/// Suppresses so many of a sink's deliveries of these levels, one level after the other, the oldest
/// of a level first; at most [`SUPPRESSED_MAX`], and fewer where fewer wait. What is in flight
/// stays.
pub(super) fn crowd_out(
    core: &mut Core<'_>,
    sink: i64,
    levels: &[i64],
    wanted: usize,
    now: i64,
) -> Result<Vec<RawItem>, Fault> {
    let mut left = wanted.min(SUPPRESSED_MAX);
    let mut gone = Vec::new();
    if left == 0 {
        return Ok(gone);
    }
    let ending = Ending::suppressed(now, BACKLOG);
    for level in levels.iter().copied() {
        // Deliveries behind a head are as old as the heads of other lanes, but the head of their
        // own lane may be in flight, so both are asked.
        for lane in waiting(core, sink, level, left)? {
            gone.push(item(core, &lane)?);
            suppress(core, &lane, now, BACKLOG)?;
            left -= 1;
        }
        if left == 0 {
            return Ok(gone);
        }
        for delivery in queued(core, sink, level, left)? {
            gone.push(item_of(core, delivery)?);
            finish_queued(core, delivery, sink, &ending)?;
            left -= 1;
        }
        if left == 0 {
            return Ok(gone);
        }
    }
    Ok(gone)
}

fn waiting(
    core: &mut Core<'_>,
    sink: i64,
    level: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Lane>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    core.sql
        .waiting_lanes
        .query_map([sink, level, limit], Lane::read)?
        .collect()
}

fn queued(core: &mut Core<'_>, sink: i64, level: i64, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let page = i64::try_from(QUEUED_MAX).unwrap_or(i64::MAX);
    let rows: Vec<(i64, i64)> = core
        .sql
        .queue_page
        .query_map([sink, page], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(rows
        .into_iter()
        .filter(|(_, found)| *found == level)
        .map(|(delivery, _)| delivery)
        .take(limit)
        .collect())
}
