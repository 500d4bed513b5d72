//! `settle`: closes an attempt and does what follows from it.

use herald_model::{Outcome, Phase, Signal};
use rusqlite::{OptionalExtension, params};

use super::core::{
    Core, FROZEN, KEPT_PROGRESS, KEPT_TEXT, Lane, MEMBERS, Open, Verb, bits_of, form_of,
};
use super::counters::take;
use super::endpoints::By;
use super::fault::Fault;
use super::finish::{DEAD, DELIVERED, Ending, finish_before, forget_message, left_lane};
use super::gather;
use super::rows::{outcome_number, phase_number};
use crate::journal::endpoint::Verdict;
use crate::journal::{HERALD, Next, Settled, SettledItem, Settlement};

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
    end_permit(core, open, settlement);
    let kept = keep_message(core, open, &settlement.items)?;
    let leader = leader(open);
    let heirs = heirs(core, open, settlement)?;
    let mut over = Vec::new();
    for (lane, item) in open.lanes.iter().zip(&settlement.items) {
        let attempt = Attempt {
            number,
            message: open.message,
            leader,
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
            Next::Delivered => over.push((lane, ending)),
            Next::Dead(reason) => {
                ending.state = DEAD;
                ending.reason = Some(reason);
                over.push((lane, ending));
            }
            Next::Again(at) => {
                let at = at.as_millisecond();
                again(
                    core,
                    open,
                    lane,
                    Again {
                        at,
                        ended,
                        charged,
                        last,
                        leads: lane.key.is_some()
                            || heirs.iter().any(|(_, heir)| *heir == lane.head),
                    },
                    kept,
                )?;
            }
        }
        if settlement.signal == Signal::Hold {
            let by = By {
                at: ended,
                who: HERALD,
                why: item.outcome.reason(),
            };
            let Core { endpoints, sql, .. } = &mut *core;
            endpoints.hold(sql, lane.sink, by)?;
        }
    }
    for (lane, ending) in over {
        let heir = heirs.iter().find(|(over, _)| *over == lane.head);
        finish_before(core, lane, &ending, heir.map(|(_, heir)| *heir))?;
    }
    Ok(())
}

/// Gives the permit back to its endpoint, with what the attempt says about the way.
fn end_permit(core: &mut Core<'_>, open: &Open, settlement: &Settlement) {
    let Some((endpoint, permit)) = open.permit else {
        return;
    };
    if let Some(endpoint) = core.endpoints.change(endpoint) {
        let held_back = endpoint.holds_back();
        let outcomes = settlement.items.iter().map(|item| &item.outcome);
        let ended = settlement.ended.as_millisecond();
        endpoint.end(permit, ended, Verdict::of(outcomes), &settlement.signal);
        core.wakes |= held_back;
    }
}

/// A delivery that is tried again.
#[derive(Clone, Copy)]
struct Again {
    at: i64,
    ended: i64,
    charged: i64,
    last: i64,
    /// Whether it is, or becomes, the head of an ordered lane.
    leads: bool,
}

fn again(
    core: &mut Core<'_>,
    open: &Open,
    lane: &Lane,
    how: Again,
    kept: Option<i64>,
) -> rusqlite::Result<()> {
    // Due no later than it expires, so that it is suppressed in time.
    let at = how.at.min(lane.expires);
    let first = lane.first_attempt.unwrap_or(open.started);
    let patience_ends = first
        .saturating_add(lane.uncounted)
        .saturating_add(open.patience);
    // An ordered lane comes up when its patience ends, and passes its head then.
    let comes_up = match how.leads {
        true => at.min(patience_ends.max(how.ended)),
        false => at,
    };
    core.sql.again_lane.execute(params![
        lane.head,
        comes_up,
        phase_number(Phase::Waiting),
        how.charged,
        0,
        lane.uncounted,
        first,
        kept.is_some().then_some(open.message),
        kept.is_some()
            .then(|| lane.composed.unwrap_or(open.started)),
        kept.unwrap_or(0),
        how.last,
        (comes_up < at).then_some(at),
    ])?;
    core.wakes = true;
    Ok(())
}

/// Who takes over the lane of each delivery that is over: another of the same message that is not,
/// and that left the lane only to go with it. Pairs of the one and the other.
fn heirs(
    core: &mut Core<'_>,
    open: &Open,
    settlement: &Settlement,
) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut heirs = Vec::new();
    if open.lanes.len() == 1 {
        return Ok(heirs);
    }
    let again = |item: &SettledItem| matches!(item.next, Next::Again(_));
    for (lane, item) in open.lanes.iter().zip(&settlement.items) {
        if lane.key.is_none() || again(item) {
            continue;
        }
        for (other, item) in open.lanes.iter().zip(&settlement.items) {
            if again(item) && left_lane(core, other, lane.key)? {
                heirs.push((lane.head, other.head));
                break;
            }
        }
    }
    Ok(heirs)
}

/// Keeps, freezes or drops what is stored for the message. Returns the bits of what is kept for
/// items that are tried again; `None` where they leave the message, because its members would not
/// be the same any more.
fn keep_message(
    core: &mut Core<'_>,
    open: &Open,
    items: &[SettledItem],
) -> rusqlite::Result<Option<i64>> {
    let bits = open.lanes.iter().map(|lane| bits_of(lane.kept));
    let mut kept = bits.fold(0, |all, bits| all | bits);
    let again = |item: &SettledItem| matches!(item.next, Next::Again(_));
    if items.iter().all(again) {
        kept |= keep_members(core, open)?;
        let arrived = items
            .iter()
            .any(|item| matches!(item.outcome, Outcome::Unknown { .. }));
        if arrived || kept & KEPT_PROGRESS != 0 {
            kept |= keep_form(core, open, kept)?;
        }
        if kept & KEPT_TEXT != 0 && kept & FROZEN == 0 {
            if arrived || kept & KEPT_PROGRESS != 0 {
                core.sql.freeze.execute([open.message])?;
                kept |= FROZEN;
            } else {
                let forget = match kept & MEMBERS {
                    0 => &mut core.sql.delete_message,
                    _ => &mut core.sql.drop_text,
                };
                forget.execute([open.message])?;
                kept &= !KEPT_TEXT;
            }
        }
        return Ok(Some(kept));
    }
    // What ends undelivered keeps its message, so that a replay goes on where it stopped.
    if items.iter().any(|item| matches!(item.next, Next::Dead(_))) {
        keep_form(core, open, kept)?;
    } else {
        forget_message(core, open.message, kept)?;
    }
    Ok(None)
}

/// Stores the form of a message in place of a text that was not saved.
pub(super) fn keep_form(core: &mut Core<'_>, open: &Open, kept: i64) -> rusqlite::Result<i64> {
    let first = open.lanes.first();
    let Some(form) = first.and_then(|lane| form_of(lane.kept)) else {
        return Ok(0);
    };
    if kept & KEPT_TEXT != 0 {
        return Ok(0);
    }
    let composed = first.and_then(|lane| lane.composed).unwrap_or(open.started);
    let form = core.names.read().name_of(form);
    core.sql
        .save_text
        .execute(params![open.message, composed, form])?;
    Ok(KEPT_TEXT)
}

/// Writes down who goes in a message of several.
pub(super) fn keep_members(core: &mut Core<'_>, open: &Open) -> rusqlite::Result<i64> {
    if open.lanes.len() == 1 {
        return Ok(0);
    }
    let first = open.lanes.first();
    let composed = first.and_then(|lane| lane.composed).unwrap_or(open.started);
    let members = gather::list(&open.lanes);
    core.sql
        .save_members
        .execute(params![open.message, composed, members])?;
    Ok(MEMBERS)
}

/// The first member of a message of several.
pub(super) fn leader(open: &Open) -> Option<i64> {
    let first = open.lanes.first().filter(|_| open.lanes.len() > 1);
    first.map(|lane| lane.head)
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
    /// Appends it to the chain of the lane's head. Where even the reserve is used up, it takes the
    /// place of the one before it in its message, so that trying goes on for ever in the same room.
    pub(super) fn write(&self, core: &mut Core<'_>, lane: &Lane) -> rusqlite::Result<i64> {
        let mut previous = lane.last;
        if let Some(last) = previous.filter(|_| core.gauge.size().is_brimful()) {
            let made: Option<(i64, Option<i64>)> = core
                .sql
                .attempt_made
                .query_row([last], |row| Ok((row.get(0)?, row.get(4)?)))
                .optional()?;
            if let Some((_, before)) = made.filter(|(message, _)| *message == self.message) {
                core.sql.delete_attempt.query_row([last], |_| Ok(()))?;
                previous = before;
            }
        }
        let seq = take(&mut core.count.next_attempt);
        core.sql.insert_attempt.execute(params![
            seq,
            self.number,
            self.message,
            self.leader,
            lane.head,
            previous,
            self.started,
            self.ended,
            self.outcome,
            self.charged,
            self.words,
        ])?;
        Ok(seq)
    }
}
