//! `settle`: closes an attempt and does what follows from it.

use herald_model::{Outcome, Phase, Signal};
use rusqlite::params;

use super::core::{Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, Lane, Open, Verb, take};
use super::fault::Fault;
use super::finish::{DEAD, DELIVERED, Ending, finish, forget_message};
use super::rows::{outcome_number, phase_number};
use crate::journal::{Next, Settled, SettledItem, Settlement};

/// An attempt to close.
pub(super) struct Settle {
    pub(super) settlement: Settlement,
}

impl Verb for Settle {
    type Made = Settled;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Settled, Fault> {
        let attempt = self.settlement.attempt.0;
        let Some(open) = core.claim(attempt) else {
            return Ok(Settled::Stale);
        };
        let heads = open.lanes.iter().map(|lane| lane.head);
        if !heads.eq(self.settlement.items.iter().map(|item| item.delivery.0)) {
            return Core::refuse("a settlement must name the items of its message, in order");
        }
        if let Some(open) = core.release(attempt) {
            settle(core, &open, &self.settlement)?;
        }
        Ok(Settled::Done)
    }
}

fn settle(core: &mut Core<'_>, open: &Open, settlement: &Settlement) -> Result<(), Fault> {
    let ended = settlement.ended.as_millisecond();
    let number = settlement.attempt.0;
    let kept = keep_message(core, open, &settlement.items)?;
    let leader = open.lanes.first().map(|lane| lane.head);
    for (lane, item) in open.lanes.iter().zip(&settlement.items) {
        let attempt = Attempt {
            number,
            message: open.message,
            leader: leader.filter(|leader| *leader != lane.head),
            started: open.started,
            ended,
            outcome: outcome_number(&item.outcome),
            charged: item.outcome.is_charged(),
            words: item.outcome.reason(),
        };
        let last = attempt.write(core, lane)?;
        let charged = lane.charged + i64::from(attempt.charged);
        let mut ending = Ending {
            state: DELIVERED,
            at: ended,
            charged: Some(charged),
            attempt: Some(last),
            reason: None,
        };
        match &item.next {
            Next::Delivered => finish(core, lane, &ending)?,
            Next::Dead(reason) => {
                ending.state = DEAD;
                ending.reason = Some(reason);
                finish(core, lane, &ending)?;
            }
            Next::Again(at) => {
                // Due no later than it expires, so that it is suppressed in time.
                let due = at.as_millisecond().min(lane.expires);
                core.sql.again_lane.execute(params![
                    lane.head,
                    due,
                    phase_number(Phase::Waiting),
                    charged,
                    0,
                    lane.uncounted,
                    lane.first_attempt.unwrap_or(open.started),
                    kept.is_some().then_some(open.message),
                    kept.is_some()
                        .then(|| lane.composed.unwrap_or(open.started)),
                    kept.unwrap_or(0),
                    last,
                ])?;
                core.wakes = true;
            }
        }
        if settlement.signal == Signal::Hold {
            let why = item.outcome.reason();
            core.sql.hold_sink.execute(params![lane.sink, ended, why])?;
        }
    }
    Ok(())
}

/// Keeps, freezes or drops what is stored for the message. Returns the bits of what is kept for
/// items that are tried again; `None` where they leave the message, because its members would not
/// be the same any more.
fn keep_message(
    core: &mut Core<'_>,
    open: &Open,
    items: &[SettledItem],
) -> rusqlite::Result<Option<i64>> {
    let mut kept = open.lanes.iter().fold(0, |bits, lane| bits | lane.kept);
    let again = |item: &SettledItem| matches!(item.next, Next::Again(_));
    if items.iter().all(again) {
        let arrived = items
            .iter()
            .any(|item| matches!(item.outcome, Outcome::Unknown { .. }));
        if kept & KEPT_TEXT != 0 && kept & FROZEN == 0 {
            if arrived || kept & KEPT_PROGRESS != 0 {
                core.sql.freeze.execute([open.message])?;
                kept |= FROZEN;
            } else {
                core.sql.delete_message.execute([open.message])?;
                kept &= !KEPT_TEXT;
            }
        }
        return Ok(Some(kept));
    }
    // What ends undelivered keeps its message, so that a replay goes on where it stopped.
    if !items.iter().any(|item| matches!(item.next, Next::Dead(_))) {
        forget_message(core, open.message, kept)?;
    }
    Ok(None)
}

/// A row of `attempt`.
pub(super) struct Attempt<'a> {
    pub(super) number: i64,
    pub(super) message: i64,
    pub(super) leader: Option<i64>,
    pub(super) started: i64,
    pub(super) ended: i64,
    pub(super) outcome: i64,
    pub(super) charged: bool,
    pub(super) words: &'a str,
}

impl Attempt<'_> {
    /// Appends it to the chain of the lane's head.
    pub(super) fn write(&self, core: &mut Core<'_>, lane: &Lane) -> rusqlite::Result<i64> {
        let seq = take(&mut core.count.next_attempt);
        core.sql.insert_attempt.execute(params![
            seq,
            self.number,
            self.message,
            self.leader,
            lane.head,
            lane.last,
            self.started,
            self.ended,
            self.outcome,
            self.charged,
            self.words,
        ])?;
        Ok(seq)
    }
}
