//! `pause` and `resume`: holding a sink back; and the rows that say who did what.

use std::sync::Arc;

use rusqlite::params;

use super::core::{Core, Verb};
use super::endpoints::By;
use super::fault::Fault;
use super::reader::Reader;
use super::rows::timestamp;
use crate::journal::{Hand, HandVerb, Pause, Paused};

/// A sink to hold back or to let go, as the hand's verb says.
pub(super) struct Pausing {
    pub(super) sink: String,
    pub(super) hand: Hand,
}

impl Verb for Pausing {
    type Made = Paused;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Paused, Fault> {
        let number = core.names.read().numbers.get(&*self.sink).copied();
        let Some(number) = number else {
            return Ok(Paused::NoSuchSink);
        };
        let Core { endpoints, sql, .. } = &mut *core;
        let changed = if self.hand.verb == HandVerb::Pause {
            let by = By {
                at: self.hand.at.as_millisecond(),
                who: &self.hand.who,
                why: self.hand.why.as_deref().unwrap_or_default(),
            };
            endpoints.hold(sql, number, by)?
        } else {
            endpoints.let_go(sql, number)?
        };
        if !changed {
            return Ok(Paused::Already);
        }
        core.wakes |= self.hand.verb == HandVerb::Resume;
        note(core, Some(&self.hand))?;
        Ok(Paused::Done)
    }
}

/// Writes down what a person did.
pub(super) fn note(core: &mut Core<'_>, hand: Option<&Hand>) -> rusqlite::Result<()> {
    let Some(hand) = hand else { return Ok(()) };
    core.sql.insert_hand.execute(params![
        hand.at.as_millisecond(),
        hand.who,
        hand.verb.as_str(),
        hand.what,
        hand.why,
    ])?;
    Ok(())
}

/// The sinks that are held back.
pub(super) fn pauses(reader: &Reader) -> rusqlite::Result<Vec<Pause>> {
    reader
        .conn
        .prepare_cached("SELECT sink, at, who, why FROM pause ORDER BY sink")?
        .query_map([], |row| {
            Ok(Pause {
                sink: reader.names.read().name_of(row.get(0)?),
                at: timestamp(row.get(1)?),
                who: row.get::<_, Arc<str>>(2)?,
                why: row.get(3)?,
            })
        })?
        .collect()
}

/// What people did, newest first. A verb that this version does not know is left out.
pub(super) fn hands(reader: &Reader, limit: u32) -> rusqlite::Result<Vec<Hand>> {
    let mut statement = reader
        .conn
        .prepare_cached("SELECT at, who, verb, what, why FROM hand ORDER BY seq DESC LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut hands = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(verb) = HandVerb::named(row.get_ref(2)?.as_str()?) else {
            continue;
        };
        hands.push(Hand {
            at: timestamp(row.get(0)?),
            who: row.get(1)?,
            verb,
            what: row.get(3)?,
            why: row.get(4)?,
        });
    }
    Ok(hands)
}
