//! Taking out of the index what retention has removed from the journal.
//!
//! Hashes lie anywhere, so a turn reads the whole index, slice by slice with the filling between
//! them, and begins only when it is worth it.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};

use super::Filler;

/// Rows of the index looked at in one slice. Chosen: some milliseconds.
const SLICE: i64 = 8_192;

/// A turn begins when so many times the events removed since the last one are more than those that
/// are left. Chosen: each turn writes most pages of the index anew, and so the index is at most half as
/// large again as it has to be, a twentieth of the journal.
const WORTH: i64 = 2;

/// One table of the index: how its next rows are read, one is removed, and how it is known that
/// the journal still has what it stands for.
struct Table {
    next: &'static str,
    delete: &'static str,
    is_there: &'static str,
    of_deliveries: bool,
}

const TABLES: [Table; 3] = [
    Table {
        next: "SELECT id, seq FROM event_id WHERE id > ?1 AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
        delete: "DELETE FROM event_id WHERE id = ?1 AND seq = ?2",
        is_there: "SELECT 1 FROM event WHERE seq = ?1",
        of_deliveries: false,
    },
    Table {
        next: "SELECT hash, seq FROM hash WHERE (hash, seq) > (?1, ?2) ORDER BY hash, seq LIMIT ?3",
        delete: "DELETE FROM hash WHERE hash = ?1 AND seq = ?2",
        is_there: "SELECT 1 FROM event WHERE seq = ?1",
        of_deliveries: false,
    },
    Table {
        next: "SELECT hash, seq FROM delivery WHERE (hash, seq) > (?1, ?2) \
               ORDER BY hash, seq LIMIT ?3",
        delete: "DELETE FROM delivery WHERE hash = ?1 AND seq = ?2",
        is_there: "SELECT 1 FROM delivery WHERE seq = ?1",
        of_deliveries: true,
    },
];

/// A row of the index: what it is found by, and the integer that it gives.
type Row = (Value, i64);

/// What a running turn looks for, the table that it is at, and the last row it looked at.
type Place = (Removed, usize, Row);

/// Where pruning stands.
#[derive(Debug, Default)]
pub(super) struct Turn {
    running: Option<Place>,
    /// The last event that the turn before had seen removed.
    done: i64,
}

/// How far retention has come.
#[derive(Debug, Clone, Copy)]
struct Removed {
    /// The last event that it has looked at.
    event: i64,
    /// Deliveries before this one belong to events up to that.
    delivery: i64,
}

impl Filler {
    /// Looks at one slice; whether there is more to be looked at.
    pub(super) fn prune(&mut self) -> rusqlite::Result<bool> {
        let Some((removed, place, after)) = self.next_slice()? else {
            return Ok(false);
        };
        let Some(table) = TABLES.get(place) else {
            self.turn = Turn {
                running: None,
                done: removed.event,
            };
            return Ok(false);
        };
        let rows: Vec<Row> = self
            .index
            .prepare_cached(table.next)?
            .query_map(params![after.0, after.1, SLICE], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        let full = i64::try_from(rows.len()).is_ok_and(|count| count == SLICE);
        let last = rows.last().cloned();
        let gone = self.gone(table, removed, rows)?;
        let transaction = self.index.transaction()?;
        for (key, seq) in gone {
            transaction
                .prepare_cached(table.delete)?
                .execute(params![key, seq])?;
        }
        transaction.commit()?;
        self.turn.running = Some(match last.filter(|_| full) {
            Some(last) => (removed, place, last),
            None => (removed, place + 1, (Value::Null, i64::MIN)),
        });
        Ok(true)
    }

    /// Where to go on, or to begin if that is worth it.
    fn next_slice(&mut self) -> rusqlite::Result<Option<Place>> {
        if let Some((removed, place, after)) = self.turn.running.take() {
            // Below every key of the table.
            let after = match (after, place) {
                ((Value::Null, _), 0) => (Value::Blob(Vec::new()), i64::MIN),
                ((Value::Null, _), _) => (Value::Integer(i64::MIN), i64::MIN),
                (after, _) => after,
            };
            return Ok(Some((removed, place, after)));
        }
        let (event, next): (i64, i64) = self
            .journal
            .prepare_cached("SELECT swept, next_event FROM counter")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let since = event - self.turn.done;
        if since <= 0 || since.saturating_mul(WORTH) <= next - event {
            return Ok(None);
        }
        let delivery: Option<i64> = self
            .journal
            .prepare_cached("SELECT first_delivery FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1")?
            .query_row([event], |row| row.get(0))
            .optional()?;
        let removed = Removed {
            event,
            delivery: delivery.unwrap_or(i64::MAX),
        };
        Ok(Some((removed, 0, (Value::Blob(Vec::new()), i64::MIN))))
    }

    /// Of these rows, those whose event or delivery the journal has no more.
    fn gone(&self, table: &Table, removed: Removed, rows: Vec<Row>) -> rusqlite::Result<Vec<Row>> {
        let mut is_there = self.journal.prepare_cached(table.is_there)?;
        let mut gone = Vec::new();
        for (key, seq) in rows {
            let is_old = if table.of_deliveries {
                seq < removed.delivery
            } else {
                seq <= removed.event
            };
            // What was kept back is old and there.
            if is_old && !is_there.exists([seq])? {
                gone.push((key, seq));
            }
        }
        Ok(gone)
    }
}
