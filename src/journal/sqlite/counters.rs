//! The row `counter`: totals, next integers and positions.

use rusqlite::{Connection, OptionalExtension, params};

use super::sql::Statements;
use crate::journal::Totals;

/// All of it. The writer keeps it in memory and writes it once a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) events: i64,
    pub(super) planned: i64,
    pub(super) delivered: i64,
    pub(super) dead: i64,
    pub(super) suppressed: i64,
    pub(super) pending: i64,
    pub(super) removed: i64,
    pub(super) next_event: i64,
    pub(super) next_delivery: i64,
    pub(super) next_attempt: i64,
    pub(super) next_claim: i64,
    pub(super) next_operation: i64,
    pub(super) identities_from: i64,
    pub(super) swept: i64,
    pub(super) next_refused: i64,
}

impl Counters {
    /// Reads the row.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        conn.query_row(
            "SELECT events, planned, delivered, dead, suppressed, pending, removed, next_event, \
             next_delivery, next_attempt, next_claim, next_operation, identities_from, swept, \
             next_refused \
             FROM counter",
            [],
            |row| {
                Ok(Self {
                    events: row.get(0)?,
                    planned: row.get(1)?,
                    delivered: row.get(2)?,
                    dead: row.get(3)?,
                    suppressed: row.get(4)?,
                    pending: row.get(5)?,
                    removed: row.get(6)?,
                    next_event: row.get(7)?,
                    next_delivery: row.get(8)?,
                    next_attempt: row.get(9)?,
                    next_claim: row.get(10)?,
                    next_operation: row.get(11)?,
                    identities_from: row.get(12)?,
                    swept: row.get(13)?,
                    next_refused: row.get(14)?,
                })
            },
        )
    }

    /// Writes the row, inside the group's transaction.
    pub(super) fn write(&self, sql: &mut Statements<'_>) -> rusqlite::Result<()> {
        sql.write_counter
            .execute(params![
                self.events,
                self.planned,
                self.delivered,
                self.dead,
                self.suppressed,
                self.pending,
                self.removed,
                self.next_event,
                self.next_delivery,
                self.next_attempt,
                self.next_claim,
                self.next_operation,
                self.identities_from,
                self.swept,
                self.next_refused,
            ])
            .map(drop)
    }
}

/// The totals as committed.
pub(super) fn totals(conn: &Connection) -> rusqlite::Result<Totals> {
    let count = Counters::load(conn).optional()?.unwrap_or_default();
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(Totals {
        events: unsigned(count.events),
        planned: unsigned(count.planned),
        delivered: unsigned(count.delivered),
        dead: unsigned(count.dead),
        suppressed: unsigned(count.suppressed),
        pending: unsigned(count.pending),
        removed: unsigned(count.removed),
    })
}

/// The next integer of a counter.
pub(super) fn take(counter: &mut i64) -> i64 {
    let number = *counter;
    *counter += 1;
    number
}
