//! Recent identities: a young set in memory, folded bit by bit into a tree on the disk.
//!
//! Identities are hashes, so each falls on another page of a large tree. Writing each at once
//! costs a page per identity and halves the rate of recording; the young set lets neighbours share
//! a page. Nothing is lost with it: identities are durable in the row of their event, and
//! `counter.identities_from` says from which event on they may be missing in the tree.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use herald_model::EventId;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::counters::Counters;
use super::sql::Statements;
use crate::journal::Identity;

/// Identities that may stand in memory only; about 5 MB when full. Chosen: more would share more
/// pages, but a start reads the events of that many again.
const YOUNG_MAX: usize = 65_536;

/// Identities folded in one group at most, so that no group is held up for long.
const FOLD_MAX: usize = 8_192;

/// Rows of the tree looked at per step of a sweep, for each event that may be looked at.
const SWEEP_FACTOR: i64 = 8;

/// Identity (first half in the order of the tree, second half) and fingerprint.
type Key = (i64, u64, u64);

/// What is known of an event's identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Never seen within the window.
    New,
    /// Seen with the same content.
    Same(EventId),
    /// Seen with other content.
    Other,
}

/// The young set and the positions of folding and sweeping.
#[derive(Debug)]
pub(super) struct Identities {
    young: BTreeMap<Key, i64>,
    young_max: usize,
    place: Place,
    place_before: Place,
    added: Vec<Key>,
    folded: Vec<Key>,
    sweep: SweepPlace,
}

/// Where folding stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Last key that was folded in this round.
    after: Option<Key>,
    /// Next event when this round began: once it is over, everything before is in the tree.
    round_from: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct SweepPlace {
    /// Last key looked at and what may go, while a turn goes on.
    turn: Option<(i64, Gone)>,
    /// First event kept by the last full turn.
    done: i64,
}

/// Whose identities may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    /// Events before this one are beyond the window.
    pub(super) old_before: i64,
    /// Events up to this one were removed, but for those kept back.
    pub(super) swept: i64,
}

impl Gone {
    /// The first event that is kept for sure.
    fn keep_from(self) -> i64 {
        self.old_before.max(self.swept + 1)
    }
}

impl Identities {
    /// Reads the identities that may be missing in the tree.
    pub(super) fn load(conn: &Connection, count: &Counters) -> rusqlite::Result<Self> {
        let mut young = BTreeMap::new();
        let mut statement = conn.prepare(
            "SELECT seq, identities FROM event WHERE seq >= ?1 AND identities IS NOT NULL",
        )?;
        let mut rows = statement.query([count.identities_from])?;
        while let Some(row) = rows.next()? {
            let event: i64 = row.get(0)?;
            if let Some((fingerprint, identities)) = decode(row.get_ref(1)?.as_blob()?) {
                for identity in identities {
                    young.insert(key(identity, fingerprint), event);
                }
            }
        }
        let place = Place {
            after: None,
            round_from: count.next_event,
        };
        Ok(Self {
            young,
            young_max: YOUNG_MAX,
            place,
            place_before: place,
            added: Vec::new(),
            folded: Vec::new(),
            sweep: SweepPlace::default(),
        })
    }

    /// Adds the identities of an event of the running group.
    pub(super) fn add(&mut self, event: i64, fingerprint: u64, identities: &[Identity]) {
        for identity in identities {
            let key = key(*identity, fingerprint);
            self.young.insert(key, event);
            self.added.push(key);
        }
    }

    /// Looks an event's identities up.
    pub(super) fn sight(
        &self,
        sql: &mut Statements<'_>,
        identities: &[Identity],
        fingerprint: u64,
        received: i64,
        window: Duration,
    ) -> rusqlite::Result<Sight> {
        let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let mut sight = Sight::New;
        for identity in identities {
            let (half, rest, _) = key(*identity, 0);
            let mut seen: Vec<i64> = self
                .young
                .range((half, rest, 0)..=(half, rest, u64::MAX))
                .map(|(_, event)| *event)
                .collect();
            if let Some(event) = find(sql, half)? {
                seen.push(event);
                let mut more = sql.find_identity_more.query([half])?;
                while let Some(row) = more.next()? {
                    seen.push(row.get(0)?);
                }
            }
            for event in seen {
                let Some((id, first_received, first)) = identified(sql, event)? else {
                    continue;
                };
                let fresh = received.saturating_sub(first_received) <= window;
                let Some((first_fingerprint, mut its)) = decode(&first) else {
                    continue;
                };
                if fresh && its.any(|it| it == *identity) {
                    if first_fingerprint == fingerprint {
                        return Ok(Sight::Same(id));
                    }
                    sight = Sight::Other;
                }
            }
        }
        Ok(sight)
    }

    /// Folds what the young set holds too much of into the tree, inside the group's transaction.
    pub(super) fn fold(
        &mut self,
        sql: &mut Statements<'_>,
        count: &mut Counters,
    ) -> rusqlite::Result<()> {
        self.place_before = self.place;
        let excess = self
            .young
            .len()
            .saturating_sub(self.young_max)
            .min(FOLD_MAX);
        while self.folded.len() < excess {
            let from = self.place.after.map_or(Bound::Unbounded, Bound::Excluded);
            let wanted = excess - self.folded.len();
            let start = self.folded.len();
            for (key, event) in self.young.range((from, Bound::Unbounded)).take(wanted) {
                fold_one(sql, key.0, *event)?;
                self.folded.push(*key);
            }
            self.place.after = self.folded.last().copied();
            if self.folded.len() - start < wanted {
                count.identities_from = self.place.round_from;
                self.place = Place {
                    after: None,
                    round_from: count.next_event,
                };
            }
        }
        Ok(())
    }

    /// The group is durable.
    pub(super) fn committed(&mut self) {
        for key in self.folded.drain(..) {
            self.young.remove(&key);
        }
        self.added.clear();
    }

    /// The group was taken back.
    pub(super) fn roll_back(&mut self) {
        for key in self.added.drain(..) {
            self.young.remove(&key);
        }
        if !self.folded.is_empty() {
            self.place = self.place_before;
            self.folded.clear();
        }
    }

    /// Removes identities of what is `gone`, in one small step. Returns how many, and whether
    /// another step would find more.
    pub(super) fn sweep(
        &mut self,
        sql: &mut Statements<'_>,
        gone: Gone,
        next_event: i64,
        events_max: u32,
    ) -> rusqlite::Result<(u64, bool)> {
        let keep_from = gone.keep_from();
        let (after, gone) = match self.sweep.turn {
            Some(turn) => turn,
            // A turn reads the whole tree, so it waits until it is worth it.
            None if (keep_from - self.sweep.done).saturating_mul(8) > next_event - keep_from
                && keep_from > self.sweep.done =>
            {
                (i64::MIN, gone)
            }
            None => return Ok((0, false)),
        };
        let mut removed = 0;
        if after == i64::MIN {
            let before = self.young.len();
            // An identity that stays in memory after a rollback is only an old one that is found
            // to be too old, so this needs no taking back.
            self.young.retain(|_, event| *event >= gone.old_before);
            removed += before - self.young.len();
        }
        let slice = i64::from(events_max).saturating_mul(SWEEP_FACTOR);
        let upto: Option<i64> = sql
            .identity_slice
            .query_row([after, slice], |row| row.get(0))
            .optional()?;
        let upto_key = upto.unwrap_or(i64::MAX);
        let range = params![after, upto_key, gone.old_before, gone.swept];
        removed += sql.delete_identities.execute(range)?;
        removed += sql.delete_identities_more.execute(range)?;
        self.sweep.turn = upto.map(|upto| (upto, gone));
        if upto.is_none() {
            self.sweep.done = gone.keep_from();
        }
        Ok((u64::try_from(removed).unwrap_or(0), upto.is_some()))
    }
}

/// Identities as they stand in the row of an event; `None` for an event without any.
pub(super) fn encode(fingerprint: u64, identities: &[Identity]) -> Option<Vec<u8>> {
    if identities.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(8 + 16 * identities.len());
    bytes.extend_from_slice(&fingerprint.to_le_bytes());
    for identity in identities {
        bytes.extend_from_slice(&identity.0.to_le_bytes());
    }
    Some(bytes)
}

fn decode(bytes: &[u8]) -> Option<(u64, impl Iterator<Item = Identity> + '_)> {
    let (fingerprint, identities) = bytes.split_first_chunk::<8>()?;
    let identities = identities
        .chunks_exact(16)
        .filter_map(|chunk| chunk.try_into().ok())
        .map(|chunk| Identity(u128::from_le_bytes(chunk)));
    Some((u64::from_le_bytes(*fingerprint), identities))
}

fn key(identity: Identity, fingerprint: u64) -> Key {
    let bytes = identity.0.to_be_bytes();
    let (mut half, mut rest) = ([0; 8], [0; 8]);
    half.copy_from_slice(&bytes[..8]);
    rest.copy_from_slice(&bytes[8..]);
    (
        i64::from_be_bytes(half),
        u64::from_be_bytes(rest),
        fingerprint,
    )
}

fn find(sql: &mut Statements<'_>, half: i64) -> rusqlite::Result<Option<i64>> {
    sql.find_identity
        .query_row([half], |row| row.get(0))
        .optional()
}

type Identified = (EventId, i64, Vec<u8>);

fn identified(sql: &mut Statements<'_>, event: i64) -> rusqlite::Result<Option<Identified>> {
    sql.identified_event
        .query_row([event], |row| {
            let id = EventId::from_uuid(Uuid::from_bytes(row.get(0)?));
            let identities: Option<Vec<u8>> = row.get(2)?;
            Ok((id, row.get(1)?, identities.unwrap_or_default()))
        })
        .optional()
}

fn fold_one(sql: &mut Statements<'_>, half: i64, event: i64) -> rusqlite::Result<()> {
    if sql.insert_identity.execute([half, event])? == 1 {
        return Ok(());
    }
    match find(sql, half)? {
        // Folded before a restart.
        Some(there) if there == event => {}
        Some(there) if identified(sql, there)?.is_some() => {
            sql.insert_identity_more.execute([half, event])?;
        }
        _ => {
            sql.replace_identity.execute([half, event])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
