//! What a start makes of the claims that nobody holds any more.

use std::collections::BTreeMap;

use herald_model::Phase;
use rusqlite::{Connection, OptionalExtension, params};

use super::core::{
    Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, LANE_COLUMNS, LANE_COLUMNS_COUNT, Lane, Open,
};
use super::finish::{DEAD, Ending, finish, left_lane};
use super::rows::{UNKNOWN, phase_number};
use super::settle::{Attempt, keep_form, keep_members, leader};
use crate::journal::endpoint::millis;
use crate::journal::{CUT_APART, CUT_OFF, KILLS_MAX, SUSPECT_APART, SUSPECT_AT, killed};

/// Ends every open attempt: it may have arrived, so it becomes *unknown*, its text is frozen, and
/// its lanes are due again; if this happened too often, a delivery is dead and a message of several
/// broken up. The lock file proves that nobody works on any of them.
pub(super) fn recover(core: &mut Core<'_>, now: i64) -> rusqlite::Result<()> {
    let open = open_messages(core.conn)?;
    if open.is_empty() {
        return Ok(());
    }
    core.begin()?;
    let mut suspects = open.values().filter(|message| is_suspect(message)).count();
    for (attempt, mut message) in open {
        message.lanes.sort_by_key(|lane| (lane.level, lane.head));
        let first = message.lanes.first();
        message.message = first.and_then(|lane| lane.message).unwrap_or(attempt);
        let dead = Dead {
            number: attempt,
            leader: leader(&message),
            now,
        };
        if is_suspect(&message) {
            suspects -= 1;
            let before = i64::try_from(suspects).unwrap_or(i64::MAX);
            let wait = before.saturating_mul(millis(SUSPECT_APART));
            dead.try_again(core, &message, now.saturating_add(wait))?;
        } else if kills(&message) < i64::from(KILLS_MAX) {
            dead.try_again(core, &message, now)?;
        } else if message.lanes.len() > 1 {
            dead.break_up(core, &message)?;
        } else {
            dead.bury(core, &message)?;
        }
    }
    core.commit()
}

/// How often in a row it was cut off, this time included.
fn kills(open: &Open) -> i64 {
    let kills = open.lanes.iter().map(|lane| lane.kills + 1);
    kills.max().unwrap_or(0)
}

fn is_suspect(open: &Open) -> bool {
    (i64::from(SUSPECT_AT)..i64::from(KILLS_MAX)).contains(&kills(open))
}

/// An attempt whose process is dead.
struct Dead {
    number: i64,
    leader: Option<i64>,
    now: i64,
}

impl Dead {
    /// The message is due again, as it was.
    fn try_again(&self, core: &mut Core<'_>, open: &Open, due: i64) -> rusqlite::Result<()> {
        let mut kept = freeze(core, open)?;
        kept |= keep_members(core, open)?;
        for lane in &open.lanes {
            let last = self.write(core, open, lane, CUT_OFF)?;
            let composed = lane.composed.unwrap_or(open.started);
            let message = Some((open.message, composed, kept));
            self.due_again(core, open, lane, due, lane.kills + 1, message, last)?;
        }
        Ok(())
    }

    /// There is no such message any more: each of its deliveries goes alone, under a key of its own.
    /// That one of them was cut off before is what keeps it alone.
    fn break_up(&self, core: &mut Core<'_>, open: &Open) -> rusqlite::Result<()> {
        core.sql.delete_message.execute([open.message])?;
        core.sql.delete_checkpoint.execute([open.message])?;
        for lane in &open.lanes {
            let last = self.write(core, open, lane, CUT_APART)?;
            self.due_again(core, open, lane, self.now, 1, None, last)?;
            // Without the one that it left its lane to go with, it is passed by it.
            for other in &open.lanes {
                if other.key.is_some() && left_lane(core, lane, other.key)? {
                    core.sql.mark_late.execute([lane.head])?;
                }
            }
        }
        Ok(())
    }

    /// The delivery is over. Its message stays, so that a replay goes on where it stopped.
    fn bury(&self, core: &mut Core<'_>, open: &Open) -> rusqlite::Result<()> {
        freeze(core, open)?;
        let reason = killed(KILLS_MAX);
        for lane in &open.lanes {
            let last = self.write(core, open, lane, CUT_OFF)?;
            let ending = Ending {
                state: DEAD,
                at: self.now,
                charged: None,
                attempt: Some(last),
                reason: Some(&reason),
            };
            finish(core, lane, &ending)?;
        }
        Ok(())
    }

    /// Writes down how it ended for one delivery.
    fn write(
        &self,
        core: &mut Core<'_>,
        open: &Open,
        lane: &Lane,
        words: &str,
    ) -> rusqlite::Result<i64> {
        Attempt {
            number: self.number,
            message: open.message,
            leader: self.leader,
            started: open.started,
            ended: self.now,
            outcome: UNKNOWN,
            charged: false,
            words,
        }
        .write(core, lane)
    }

    /// Makes a lane due again: in its message, given by its integer, when it was composed, and the
    /// bits of what is kept for it, or in none.
    #[expect(clippy::too_many_arguments, reason = "a row has many columns")]
    fn due_again(
        &self,
        core: &mut Core<'_>,
        open: &Open,
        lane: &Lane,
        due: i64,
        kills: i64,
        message: Option<(i64, i64, i64)>,
        last: i64,
    ) -> rusqlite::Result<()> {
        let phase = if due > self.now {
            Phase::Waiting
        } else {
            Phase::Due
        };
        core.sql.again_lane.execute(params![
            lane.head,
            due.min(lane.expires),
            phase_number(phase),
            lane.charged,
            kills,
            lane.uncounted,
            lane.first_attempt.unwrap_or(open.started),
            message.map(|(number, ..)| number),
            message.map(|(_, composed, _)| composed),
            message.map_or(0, |(.., kept)| kept),
            last,
            None::<i64>,
        ])?;
        Ok(())
    }
}

/// Keeps the text of an attempt that may have arrived, or the form that it is made from, for good.
/// Returns the bits of what is kept.
fn freeze(core: &mut Core<'_>, open: &Open) -> rusqlite::Result<i64> {
    let mut kept = kept(core, open.message)?;
    kept |= keep_form(core, open, kept)?;
    if kept & KEPT_TEXT != 0 {
        core.sql.freeze.execute([open.message])?;
        kept |= FROZEN;
    }
    Ok(kept)
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
