//! `save` and `wait`: what happens to a claim before it is settled.

use herald_model::Phase;
use jiff::Timestamp;
use rusqlite::params;

use super::core::{Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, Verb};
use super::fault::Fault;
use super::finish::forget_message;
use super::rows::phase_number;
use crate::journal::{AttemptNo, Error, Saved, Settled};

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
