//! Refused bodies: kept up to a number and a share per source, the oldest going first.

use std::collections::HashMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteJournal;
use super::core::{Core, Verb};
use super::counters::take;
use super::fault::Fault;
use super::pause::note;
use super::reader::Reader;
use super::rows::timestamp;
use super::walk::{Paging, in_time};
use crate::journal::refused::{SOURCE_SHARE, check_step};
use crate::journal::{
    Error, Fill, Hand, Page, Refusals, RefusedEntry, RefusedFilter, RefusedNo, RefusedRow,
};

/// What is kept of each source, held in memory; read again when a group is taken back.
#[derive(Debug, Default)]
pub(super) struct Held {
    sources: HashMap<i64, Share>,
}

/// What is kept of one source.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    rows: i64,
    /// Bytes of the bodies as stored.
    bytes: i64,
}

impl Held {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut statement = conn.prepare(
            "SELECT source, count(*), coalesce(sum(length(body)), 0) FROM refused GROUP BY source",
        )?;
        let sources = statement.query_map([], |row| {
            let share = Share {
                rows: row.get(1)?,
                bytes: row.get(2)?,
            };
            Ok((row.get(0)?, share))
        })?;
        Ok(Self {
            sources: sources.collect::<Result<_, _>>()?,
        })
    }

    fn remove(&mut self, source: i64, bytes: i64) {
        if let Some(share) = self.sources.get_mut(&source) {
            share.rows -= 1;
            share.bytes -= bytes;
        }
    }
}

/// Writes down a refused body, and lets the oldest of its source go for it. Where the journal is
/// nearly full nothing is kept: the room is for events.
pub(super) fn keep(core: &mut Core<'_>, source: i64, entry: &RefusedEntry) -> rusqlite::Result<()> {
    let bounds = core.gauge.bounds();
    if bounds.refused == 0 || core.gauge.size().fill() >= Fill::Near {
        return Ok(());
    }
    let number = take(&mut core.count.next_refused);
    core.sql.insert_refused.execute(params![
        number,
        entry.at.as_millisecond(),
        source,
        entry.reason,
        entry.body,
        entry.form,
        i64::try_from(entry.bytes).unwrap_or(i64::MAX),
    ])?;
    let share = core.refused.sources.entry(source).or_default();
    share.rows += 1;
    let stored = entry.body.as_ref().map_or(0, Vec::len);
    share.bytes += i64::try_from(stored).unwrap_or(i64::MAX);
    let rows_max = i64::try_from(bounds.refused).unwrap_or(i64::MAX);
    let bytes_max = i64::try_from(bounds.max_size / SOURCE_SHARE).unwrap_or(i64::MAX);
    let too_much = |share: Share| share.rows > rows_max || share.bytes > bytes_max;
    let mut share = *share;
    while too_much(share) {
        let oldest: Option<i64> = core
            .sql
            .oldest_refused
            .query_row([source], |row| row.get(0))
            .optional()?;
        let Some(oldest) = oldest else { break };
        remove(core, oldest)?;
        share = core
            .refused
            .sources
            .get(&source)
            .copied()
            .unwrap_or_default();
    }
    Ok(())
}

/// Removes one; whether it was there.
fn remove(core: &mut Core<'_>, number: i64) -> rusqlite::Result<bool> {
    let gone: Option<(i64, i64)> = core
        .sql
        .delete_refused
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((source, bytes)) = gone {
        core.refused.remove(source, bytes);
    }
    Ok(gone.is_some())
}

/// Removes those from before `cut`, at most `rows_max`. Gives how many, and whether there may be
/// more.
pub(super) fn sweep(core: &mut Core<'_>, cut: i64, rows_max: u32) -> rusqlite::Result<(u64, bool)> {
    let old: Vec<(i64, i64)> = core
        .sql
        .old_refused
        .query_map([rows_max], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let full = old.len() == rows_max as usize;
    let mut removed = 0;
    for (number, at) in old {
        if at >= cut {
            return Ok((removed, false));
        }
        removed += u64::from(remove(core, number)?);
    }
    Ok((removed, full))
}

/// Rows that were taken after all.
struct Forgetting {
    numbers: Vec<RefusedNo>,
    hand: Option<Hand>,
}

impl Verb for Forgetting {
    type Made = u64;

    fn run(&mut self, core: &mut Core<'_>) -> Result<u64, Fault> {
        note(core, self.hand.as_ref())?;
        let mut gone = 0;
        for number in &self.numbers {
            gone += u64::from(remove(core, number.0)?);
        }
        Ok(gone)
    }

    fn weight(&self) -> usize {
        self.numbers.len().max(1)
    }
}

#[async_trait]
impl Refusals for SqliteJournal {
    async fn refused(&self, filter: RefusedFilter) -> Result<Page<RefusedRow>, Error> {
        self.reader.read(move |reader| list(reader, &filter)).await
    }

    async fn refusal(&self, number: RefusedNo) -> Result<Option<RefusedRow>, Error> {
        self.reader.read(move |reader| one(reader, number)).await
    }

    async fn forget(&self, numbers: Vec<RefusedNo>, hand: Option<Hand>) -> Result<u64, Error> {
        check_step(numbers.len())?;
        self.ask(Forgetting { numbers, hand }, true).await
    }
}

/// One page of refused bodies.
fn list(reader: &Reader, filter: &RefusedFilter) -> rusqlite::Result<Page<RefusedRow>> {
    let below = filter.cursor.map_or(i64::MAX, |cursor| cursor.0);
    let mut page = Paging::new(filter.limit);
    let mut statement = reader.conn.prepare_cached(
        "SELECT seq, at, source, reason, form, bytes, body IS NOT NULL FROM refused \
         WHERE seq < ?1 ORDER BY seq DESC",
    )?;
    let mut rows = statement.query([below])?;
    while page.goes_on()
        && let Some(found) = rows.next()?
    {
        let found = row(reader, found)?;
        let wanted = in_time(found.at, filter.since, filter.until)
            && filter
                .source
                .as_ref()
                .is_none_or(|source| **source == *found.source);
        page.add(found.number.0, wanted.then_some(found));
    }
    Ok(page.done())
}

fn one(reader: &Reader, number: RefusedNo) -> rusqlite::Result<Option<RefusedRow>> {
    reader
        .conn
        .prepare_cached(
            "SELECT seq, at, source, reason, form, bytes, body IS NOT NULL, body FROM refused \
             WHERE seq = ?1",
        )?
        .query_row([number.0], |found| {
            Ok(RefusedRow {
                body: found.get(7)?,
                ..row(reader, found)?
            })
        })
        .optional()
}

/// Reads `seq, at, source, reason, form, bytes, body IS NOT NULL`.
fn row(reader: &Reader, row: &Row<'_>) -> rusqlite::Result<RefusedRow> {
    Ok(RefusedRow {
        number: RefusedNo(row.get(0)?),
        at: timestamp(row.get(1)?),
        source: reader.names.read().name_of(row.get(2)?),
        reason: row.get(3)?,
        form: row.get(4)?,
        bytes: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        is_kept: row.get(6)?,
        body: None,
    })
}
