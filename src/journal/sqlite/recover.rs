//! What a start makes of the claims that nobody holds any more.

use std::collections::BTreeMap;

use herald_model::Phase;
use rusqlite::{Connection, OptionalExtension, params};

use super::core::{
    Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, LANE_COLUMNS, LANE_COLUMNS_COUNT, Lane, Open,
};
use super::finish::{DEAD, Ending, finish};
use super::rows::{UNKNOWN, phase_number};
use super::settle::{Attempt, keep_form, keep_members, leader};
use crate::journal::{CUT_OFF, KILLS_MAX, killed};

/// Ends every open attempt: it may have arrived, so it becomes *unknown*, its text is frozen, and
/// its lane is due again, or dead if this happened too often. The lock file proves that nobody
/// works on any of them.
pub(super) fn recover(core: &mut Core<'_>, now: i64) -> rusqlite::Result<()> {
    let open = open_messages(core.conn)?;
    if open.is_empty() {
        return Ok(());
    }
    core.begin()?;
    for (attempt, mut message) in open {
        message.lanes.sort_by_key(|lane| (lane.level, lane.head));
        end_dead(core, attempt, message, now)?;
    }
    core.commit()
}

/// Ends one attempt.
fn end_dead(core: &mut Core<'_>, number: i64, mut open: Open, now: i64) -> rusqlite::Result<()> {
    let started = open.started;
    let first = open.lanes.first();
    open.message = first.and_then(|lane| lane.message).unwrap_or(number);
    let leader = leader(&open);
    let killed_off = |lane: &Lane| lane.kills + 1 >= i64::from(KILLS_MAX);
    // A message that loses a member is none any more.
    let stays = !open.lanes.iter().any(killed_off);
    let mut kept = kept(core, open.message)?;
    kept |= keep_form(core, &open, kept)?;
    if kept & KEPT_TEXT != 0 {
        core.sql.freeze.execute([open.message])?;
        kept |= FROZEN;
    }
    if stays {
        kept |= keep_members(core, &open)?;
    }
    for lane in &open.lanes {
        let last = Attempt {
            number,
            message: open.message,
            leader,
            started,
            ended: now,
            outcome: UNKNOWN,
            charged: false,
            words: CUT_OFF,
        }
        .write(core, lane)?;
        if killed_off(lane) {
            let reason = killed(KILLS_MAX);
            let ending = Ending {
                state: DEAD,
                at: now,
                charged: None,
                attempt: Some(last),
                reason: Some(&reason),
            };
            finish(core, lane, &ending)?;
            continue;
        }
        core.sql.again_lane.execute(params![
            lane.head,
            now.min(lane.expires),
            phase_number(Phase::Due),
            lane.charged,
            lane.kills + 1,
            lane.uncounted,
            lane.first_attempt.unwrap_or(started),
            stays.then_some(open.message),
            stays.then(|| lane.composed.unwrap_or(started)),
            if stays { kept } else { 0 },
            last,
            None::<i64>,
        ])?;
    }
    Ok(())
}

/// The messages whose attempt is open, in the order of their claims.
fn open_messages(conn: &Connection) -> rusqlite::Result<BTreeMap<i64, Open>> {
    let mut statement = conn.prepare(&format!(
        "SELECT {LANE_COLUMNS}, attempt, started FROM lane WHERE attempt IS NOT NULL"
    ))?;
    let mut rows = statement.query([])?;
    let mut open = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let started = row.get(LANE_COLUMNS_COUNT + 1)?;
        let message = open.entry(row.get(LANE_COLUMNS_COUNT)?).or_insert(Open {
            message: 0,
            started,
            permit: None,
            patience: i64::MAX,
            lanes: Vec::new(),
        });
        message.lanes.push(Lane::read(row)?);
    }
    Ok(open)
}

/// What is stored for a message. While an attempt is open its lane does not say so.
fn kept(core: &mut Core<'_>, message: i64) -> rusqlite::Result<i64> {
    let exists = |table: &str, key: &str| {
        core.conn
            .query_row(
                &format!("SELECT 1 FROM {table} WHERE {key} = ?1"),
                [message],
                |_| Ok(()),
            )
            .optional()
    };
    let mut kept = 0;
    if exists("message", "text IS NOT NULL AND number")?.is_some() {
        kept |= KEPT_TEXT;
    }
    if exists("checkpoint", "message")?.is_some() {
        kept |= KEPT_PROGRESS;
    }
    Ok(kept)
}
