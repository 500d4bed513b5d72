//! Refused bodies in memory.

use async_trait::async_trait;

use super::MemoryJournal;
use super::look::{in_time, is_below, page, same};
use super::state::State;
use crate::journal::refused::{SOURCE_SHARE, check_step};
use crate::journal::{
    Error, Fill, Hand, Page, Refusals, RefusedEntry, RefusedFilter, RefusedNo, RefusedRow,
};

#[async_trait]
impl Refusals for MemoryJournal {
    async fn refused(&self, filter: RefusedFilter) -> Result<Page<RefusedRow>, Error> {
        let state = self.open()?;
        let found = state
            .refused
            .iter()
            .rev()
            .filter(|(number, _)| is_below(filter.cursor, **number))
            .filter(|(_, entry)| in_time(entry.at, filter.since, filter.until))
            .filter(|(_, entry)| same(&filter.source, Some(&entry.source)))
            .map(|(number, entry)| {
                let row = RefusedRow {
                    body: None,
                    ..row(*number, entry)
                };
                (*number, row)
            });
        Ok(page(found, filter.limit))
    }

    async fn refusal(&self, number: RefusedNo) -> Result<Option<RefusedRow>, Error> {
        let state = self.open()?;
        let found = state.refused.get(&number.0);
        Ok(found.map(|entry| row(number.0, entry)))
    }

    async fn forget(&self, numbers: Vec<RefusedNo>, hand: Option<Hand>) -> Result<u64, Error> {
        check_step(numbers.len())?;
        let mut state = self.open()?;
        state.hands.extend(hand);
        let mut gone = 0;
        for number in numbers {
            gone += u64::from(state.forget(number.0));
        }
        Ok(gone)
    }
}

impl State {
    /// Keeps a refused body, and lets the oldest of its source go for it.
    pub(super) fn keep(&mut self, entry: &RefusedEntry) {
        if self.bounds.refused == 0 || self.size().fill() >= Fill::Near {
            return;
        }
        self.last_refused += 1;
        self.bytes += length(entry);
        self.refused.insert(self.last_refused, entry.clone());
        loop {
            let its = |kept: &&RefusedEntry| kept.source == entry.source;
            let rows = self.refused.values().filter(its).count() as u64;
            let bytes: u64 = self.refused.values().filter(its).map(length).sum();
            if rows <= self.bounds.refused && bytes <= self.bounds.max_size / SOURCE_SHARE {
                return;
            }
            let oldest = self.refused.iter().find(|(_, kept)| its(kept));
            let Some(oldest) = oldest.map(|(number, _)| *number) else {
                return;
            };
            self.forget(oldest);
        }
    }

    pub(super) fn forget(&mut self, number: i64) -> bool {
        let gone = self.refused.remove(&number);
        self.bytes -= gone.as_ref().map_or(0, length);
        gone.is_some()
    }
}

fn length(entry: &RefusedEntry) -> u64 {
    entry.body.as_ref().map_or(0, |body| body.len() as u64)
}

fn row(number: i64, entry: &RefusedEntry) -> RefusedRow {
    RefusedRow {
        number: RefusedNo(number),
        at: entry.at,
        source: entry.source.clone(),
        reason: entry.reason.clone(),
        form: entry.form.clone(),
        bytes: entry.bytes,
        is_kept: entry.body.is_some(),
        body: entry.body.clone(),
    }
}
