//! What a start makes of the claims that nobody holds any more.

use herald_model::Phase;
use rusqlite::{Connection, OptionalExtension, params};

use super::core::{Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, LANE_COLUMNS, Lane};
use super::finish::{DEAD, Ending, finish};
use super::rows::{UNKNOWN, phase_number};
use super::settle::Attempt;
use crate::journal::{CUT_OFF, KILLS_MAX, killed};

/// Ends every open attempt: it may have arrived, so it becomes *unknown*, its text is frozen, and
/// its lane is due again, or dead if this happened too often. The lock file proves that nobody
/// works on any of them.
pub(super) fn recover(core: &mut Core<'_>, now: i64) -> rusqlite::Result<()> {
    let open = open_lanes(core.conn)?;
    if open.is_empty() {
        return Ok(());
    }
    core.begin()?;
    for (mut lane, attempt, started) in open {
        let message = lane.message.unwrap_or(attempt);
        lane.kept = kept(core, message)?;
        if lane.kept & KEPT_TEXT != 0 {
            core.sql.freeze.execute([message])?;
            lane.kept |= FROZEN;
        }
        lane.kills += 1;
        let last = Attempt {
            number: attempt,
            message,
            leader: None,
            started,
            ended: now,
            outcome: UNKNOWN,
            charged: false,
            words: CUT_OFF,
        }
        .write(core, &lane)?;
        if lane.kills >= i64::from(KILLS_MAX) {
            let reason = killed(KILLS_MAX);
            let ending = Ending {
                state: DEAD,
                at: now,
                charged: None,
                attempt: Some(last),
                reason: Some(&reason),
            };
            finish(core, &lane, &ending)?;
            continue;
        }
        core.sql.again_lane.execute(params![
            lane.head,
            now.min(lane.expires),
            phase_number(Phase::Due),
            lane.charged,
            lane.kills,
            lane.uncounted,
            lane.first_attempt.unwrap_or(started),
            message,
            lane.composed.unwrap_or(started),
            lane.kept,
            last,
        ])?;
    }
    core.commit()
}

fn open_lanes(conn: &Connection) -> rusqlite::Result<Vec<(Lane, i64, i64)>> {
    let mut statement = conn.prepare(&format!(
        "SELECT {LANE_COLUMNS}, attempt, started FROM lane WHERE attempt IS NOT NULL ORDER BY attempt"
    ))?;
    let lanes =
        statement.query_map([], |row| Ok((Lane::read(row)?, row.get(13)?, row.get(14)?)))?;
    lanes.collect()
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
    if exists("message", "number")?.is_some() {
        kept |= KEPT_TEXT;
    }
    if exists("checkpoint", "message")?.is_some() {
        kept |= KEPT_PROGRESS;
    }
    Ok(kept)
}
