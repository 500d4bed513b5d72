//! Giving back the parts of the index whose events retention has removed from the journal.
//!
//! A part is given back when retention has passed all of it, slice by slice with the filling between
//! them. What retention passed over, because it is not finished, stays, and its part is looked at again.

use rusqlite::{Connection, OptionalExtension};

use super::Filler;

/// Slices in which the rows of a table leave, by their hashes. Chosen: some milliseconds each.
const SLICES: i64 = 8;

/// Hashes to a slice: 2 to the power of 64, divided by that.
const SLICE_WIDTH: i64 = 1 << 61;

/// What a slice is of: ids of events, all at once, then an eighth of the hashes of either table.
const STEPS: i64 = 1 + 2 * SLICES;

/// Where pruning stands.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The part that is given back, and the next step of it.
    running: Option<(i64, i64)>,
    /// The first part that retention had not passed when it was last looked at.
    passed: i64,
    /// The last part that was looked at again.
    again: i64,
    /// Whether a part is to be looked at again: one for each that was given back.
    owes: bool,
}

impl Filler {
    /// Takes one slice out; whether there is more to be taken out.
    pub(super) fn prune(&mut self) -> rusqlite::Result<bool> {
        let Some((part, step)) = self.next_slice()? else {
            return Ok(false);
        };
        let transaction = self.index.transaction()?;
        take_out(&transaction, part, step)?;
        if step + 1 == STEPS {
            transaction
                .prepare_cached(
                    "DELETE FROM part WHERE part = ?1 \
                     AND NOT EXISTS (SELECT 1 FROM event_id e WHERE e.part = ?1)",
                )?
                .execute([part])?;
        }
        transaction.commit()?;
        self.turn.running = (step + 1 < STEPS).then_some((part, step + 1));
        Ok(true)
    }

    /// The part and the step to go on with, or to begin.
    fn next_slice(&mut self) -> rusqlite::Result<Option<(i64, i64)>> {
        if let Some(running) = self.turn.running {
            return Ok(Some(running));
        }
        let swept: i64 = self
            .journal
            .prepare_cached("SELECT swept FROM counter")?
            .query_row([], |row| row.get(0))?;
        let passed = (swept + 1) / self.part_events;
        let mut next = self.index.prepare_cached(
            "SELECT part FROM part WHERE part >= ?1 AND part < ?2 ORDER BY part LIMIT 1",
        )?;
        let mut first_within = |from: i64, below: i64| {
            next.query_row([from, below], |row| row.get::<_, i64>(0))
                .optional()
        };
        let part = match first_within(self.turn.passed, passed)? {
            Some(part) => {
                self.turn.passed = part + 1;
                self.turn.owes = true;
                Some(part)
            }
            None if self.turn.owes => {
                self.turn.owes = false;
                let after = first_within(self.turn.again + 1, passed)?;
                let again = match after {
                    Some(part) => Some(part),
                    None => first_within(0, passed)?,
                };
                self.turn.again = again.unwrap_or_default();
                again
            }
            None => None,
        };
        drop(next);
        let Some(part) = part else { return Ok(None) };
        self.note_kept(part)?;
        Ok(Some((part, 0)))
    }

    /// Notes, where the slices of a part see it, what retention passed over in it.
    fn note_kept(&self, part: i64) -> rusqlite::Result<()> {
        self.index.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS kept (seq INTEGER PRIMARY KEY);
             CREATE TEMP TABLE IF NOT EXISTS kept_delivery (seq INTEGER PRIMARY KEY);
             DELETE FROM temp.kept; DELETE FROM temp.kept_delivery;",
        )?;
        let mut kept = self.journal.prepare_cached(
            "SELECT e.seq, e.first_delivery, e.deliveries FROM kept_back k \
             JOIN event e ON e.seq = k.event WHERE k.event BETWEEN ?1 AND ?2",
        )?;
        let first = part * self.part_events;
        let mut rows = kept.query([first, first + self.part_events - 1])?;
        let mut keep = self
            .index
            .prepare_cached("INSERT INTO temp.kept VALUES (?1)")?;
        let mut keep_delivery = self
            .index
            .prepare_cached("INSERT INTO temp.kept_delivery VALUES (?1)")?;
        while let Some(row) = rows.next()? {
            keep.execute([row.get::<_, i64>(0)?])?;
            let (first, count): (i64, i64) = (row.get(1)?, row.get(2)?);
            for delivery in first..first + count {
                keep_delivery.execute([delivery])?;
            }
        }
        Ok(())
    }
}

/// Takes one slice of a part out, but for what is kept.
fn take_out(index: &Connection, part: i64, step: i64) -> rusqlite::Result<()> {
    if step == 0 {
        let text =
            "DELETE FROM event_id WHERE part = ?1 AND seq NOT IN (SELECT seq FROM temp.kept)";
        index.prepare_cached(text)?.execute([part])?;
        return Ok(());
    }
    let (text, slice) = match step {
        step if step <= SLICES => (
            "DELETE FROM hash WHERE part = ?1 AND hash BETWEEN ?2 AND ?3 \
             AND seq NOT IN (SELECT seq FROM temp.kept)",
            step - 1,
        ),
        step => (
            "DELETE FROM delivery WHERE part = ?1 AND hash BETWEEN ?2 AND ?3 \
             AND seq NOT IN (SELECT seq FROM temp.kept_delivery)",
            step - 1 - SLICES,
        ),
    };
    // Hashes are spread over all of `i64`, whose width it cannot hold itself.
    let first = i64::MIN.wrapping_add(slice.wrapping_mul(SLICE_WIDTH));
    let last = first.wrapping_add(SLICE_WIDTH - 1);
    index.prepare_cached(text)?.execute([part, first, last])?;
    Ok(())
}
