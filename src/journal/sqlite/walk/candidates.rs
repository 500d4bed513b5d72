//! Which rows a list may want: their integers, read ahead by key, from the index where a text is asked
//! for.

use rusqlite::Params;

use crate::journal::sqlite::find::position;
use crate::journal::sqlite::finish::DELIVERED;
use crate::journal::sqlite::index::Kind;
use crate::journal::sqlite::reader::Reader;

/// Integers read ahead in one go.
const STRIDE: i64 = 256;

/// Integers that may be wanted, newest first.
pub(super) struct Candidates<'f> {
    from: From<'f>,
    below: i64,
    ahead: Vec<i64>,
}

enum From<'f> {
    /// Every row of a table.
    Table(&'static str),
    /// Deliveries that ended so.
    State(i64),
    /// Deliveries that have not ended.
    Pending,
    /// Events beyond the index's position, then what the index finds.
    Tail(Kind, &'f str, i64),
    Index(Kind, &'f str),
    /// No more than what was read ahead.
    Listed,
}

impl<'f> Candidates<'f> {
    pub(super) fn all(table: &'static str, below: i64) -> Self {
        Self::of(From::Table(table), below)
    }

    pub(super) fn state(state: i64, below: i64) -> Self {
        debug_assert_ne!(state, DELIVERED);
        Self::of(From::State(state), below)
    }

    pub(super) fn pending(below: i64) -> Self {
        Self::of(From::Pending, below)
    }

    /// `numbers` in rising order.
    pub(super) fn listed(numbers: Vec<i64>) -> Self {
        let mut listed = Self::of(From::Listed, 0);
        listed.ahead = numbers;
        listed
    }

    pub(super) fn found(
        reader: &Reader,
        kind: Kind,
        text: &'f str,
        below: i64,
    ) -> rusqlite::Result<Self> {
        Ok(Self::of(From::Tail(kind, text, position(reader)), below))
    }

    const fn of(from: From<'f>, below: i64) -> Self {
        Self {
            from,
            below,
            ahead: Vec::new(),
        }
    }

    pub(super) fn next(&mut self, reader: &Reader) -> rusqlite::Result<Option<i64>> {
        if self.ahead.is_empty() {
            self.read_ahead(reader)?;
        }
        Ok(self.ahead.pop())
    }

    fn read_ahead(&mut self, reader: &Reader) -> rusqlite::Result<()> {
        let below = self.below;
        self.ahead = match self.from {
            From::Table("event") => numbers(
                reader,
                "SELECT seq FROM event WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                [below, STRIDE],
            )?,
            From::Table(_) => numbers(
                reader,
                "SELECT seq FROM delivery WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                [below, STRIDE],
            )?,
            From::State(state) => numbers(
                reader,
                "SELECT delivery FROM finish WHERE state <> 1 AND state = ?3 AND delivery < ?1 \
                 ORDER BY delivery DESC LIMIT ?2",
                [below, STRIDE, state],
            )?,
            From::Pending => {
                let mut both = numbers(
                    reader,
                    "SELECT head FROM lane WHERE head < ?1 ORDER BY head DESC LIMIT ?2",
                    [below, STRIDE],
                )?;
                both.extend(numbers(
                    reader,
                    "SELECT delivery FROM queue WHERE delivery < ?1 ORDER BY delivery DESC LIMIT ?2",
                    [below, STRIDE],
                )?);
                both.sort_unstable_by(|a, b| b.cmp(a));
                // What lies below the end of either half could still be above rows of the other.
                both.truncate(usize::try_from(STRIDE).unwrap_or(usize::MAX));
                both
            }
            From::Tail(kind, text, position) => {
                let tail = numbers(
                    reader,
                    "SELECT seq FROM event WHERE seq < ?1 AND seq > ?3 ORDER BY seq DESC LIMIT ?2",
                    [below, STRIDE, position],
                )?;
                if tail.is_empty() {
                    self.from = From::Index(kind, text);
                    self.below = below.min(position + 1);
                    return self.read_ahead(reader);
                }
                tail
            }
            From::Index(kind, text) => match &reader.index {
                Some(index) => index
                    .find(kind, text.as_bytes(), below, 256)
                    .unwrap_or_default(),
                None => Vec::new(),
            },
            From::Listed => Vec::new(),
        };
        if let Some(last) = self.ahead.last() {
            self.below = *last;
        }
        self.ahead.reverse();
        Ok(())
    }
}

fn numbers(reader: &Reader, text: &str, params: impl Params) -> rusqlite::Result<Vec<i64>> {
    reader
        .conn
        .prepare_cached(text)?
        .query_map(params, |row| row.get(0))?
        .collect()
}
