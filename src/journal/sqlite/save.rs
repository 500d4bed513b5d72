//! `save`, `shorten` and `wait`: what happens to a claim before it is settled.

use herald_model::Phase;
use jiff::Timestamp;
use rusqlite::params;

use super::core::{Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, Lane, Verb};
use super::fault::Fault;
use super::finish::{forget_message, left_lane};
use super::rows::phase_number;
use crate::journal::{AttemptNo, Error, Saved, Settled, TRIED_BEFORE};

/// Text or progress to store.
pub(super) struct Save {
    pub(super) attempt: AttemptNo,
    pub(super) saved: Saved,
}

impl Verb for Save {
    type Made = ();

    fn run(&mut self, core: &mut Core<'_>) -> Result<(), Fault> {
        let Some(open) = core.claim(self.attempt.0) else {
            return Err(Fault::Refused(Error::Stale));
        };
        let message = open.message;
        let first = open.lanes.first();
        let composed = first.and_then(|lane| lane.composed).unwrap_or(open.started);
        let frozen = first.is_some_and(|lane| lane.kept & FROZEN != 0);
        let bit = match &self.saved {
            // The same key must bring the same words once one attempt may have arrived.
            Saved::Text(_) if frozen => return Ok(()),
            Saved::Text(text) => {
                core.sql
                    .save_text
                    .execute(params![message, composed, text])?;
                KEPT_TEXT
            }
            Saved::Progress(bytes) => {
                core.sql.save_progress.execute(params![message, bytes])?;
                KEPT_PROGRESS
            }
        };
        core.keep(self.attempt.0, bit);
        Ok(())
    }
}

/// A message to be made of fewer deliveries.
pub(super) struct Shorten {
    pub(super) attempt: AttemptNo,
    pub(super) items: usize,
}

impl Verb for Shorten {
    type Made = ();

    fn run(&mut self, core: &mut Core<'_>) -> Result<(), Fault> {
        let Some(open) = core.claim(self.attempt.0) else {
            return Err(Fault::Refused(Error::Stale));
        };
        let tried = |lane: &Lane| lane.message.is_some();
        if self.items == 0 || open.lanes.iter().any(tried) {
            return Core::refuse(TRIED_BEFORE);
        }
        let started = open.started;
        let kept = open.lanes.iter().take(self.items);
        let keys: Vec<i64> = kept.filter_map(|lane| lane.key).collect();
        for lane in core.shorten(self.attempt.0, self.items) {
            if !stand_behind(core, &lane, &keys)? {
                let due = lane.due.unwrap_or(started);
                core.sql.return_lane.execute([lane.head, due])?;
            }
        }
        core.wakes = true;
        Ok(())
    }
}

/// What left its lane only to go with one that goes without it, and was never tried, stands behind it
/// again; false where it did not.
fn stand_behind(core: &mut Core<'_>, lane: &Lane, keys: &[i64]) -> rusqlite::Result<bool> {
    if lane.first_attempt.is_some() {
        return Ok(false);
    }
    for key in keys {
        if left_lane(core, lane, Some(*key))? {
            core.sql.delete_lane.execute([lane.head])?;
            core.sql
                .insert_queue
                .execute([lane.head, lane.sink, *key])?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// A claim to give back unspent.
pub(super) struct Wait {
    pub(super) attempt: AttemptNo,
    pub(super) until: Timestamp,
    pub(super) phase: Phase,
}

impl Verb for Wait {
    type Made = Settled;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Settled, Fault> {
        let Some(open) = core.release(self.attempt.0) else {
            return Ok(Settled::Stale);
        };
        if let Some((number, permit)) = open.permit
            && let Some(endpoint) = core.endpoints.change(number)
        {
            endpoint.give_back(permit);
        }
        let until = self.until.as_millisecond();
        let counts = !matches!(self.phase, Phase::Held | Phase::Limited);
        for lane in &open.lanes {
            let mut kept = lane.kept;
            if lane.message.is_none() {
                // Nothing of this message has left, so it never was one.
                forget_message(core, open.message, kept)?;
                kept = 0;
            }
            core.sql.wait_lane.execute(params![
                lane.head,
                until.min(lane.expires),
                phase_number(self.phase),
                (!counts).then_some(open.started),
                lane.uncounted,
                kept,
            ])?;
        }
        core.wakes = true;
        Ok(Settled::Done)
    }
}
