//! A page of a list: how many rows it holds, how many are looked at for it, and where the next begins.

use crate::journal::{Cursor, Page, page_limit};

/// Rows looked at for one page. Chosen: some tens of milliseconds.
pub(super) const LOOKED_AT_MAX: usize = 20_000;

/// A page that is being filled.
pub(in crate::journal::sqlite) struct Paging<T> {
    rows: Vec<(i64, T)>,
    limit: usize,
    looked_at: usize,
    last: Option<i64>,
}

impl<T> Paging<T> {
    pub(in crate::journal::sqlite) fn new(limit: u32) -> Self {
        Self {
            rows: Vec::new(),
            limit: page_limit(limit),
            looked_at: 0,
            last: None,
        }
    }

    /// One row beyond the page is looked for, to know whether there is a next page.
    pub(in crate::journal::sqlite) fn goes_on(&self) -> bool {
        self.rows.len() <= self.limit && self.looked_at < LOOKED_AT_MAX
    }

    pub(in crate::journal::sqlite) fn add(&mut self, number: i64, row: Option<T>) {
        self.looked_at += 1;
        self.last = Some(number);
        self.rows.extend(row.map(|row| (number, row)));
    }

    /// The walk ended, the page is full, or enough was looked at.
    pub(in crate::journal::sqlite) fn done(mut self) -> Page<T> {
        let next = if self.rows.len() > self.limit {
            self.rows.truncate(self.limit);
            self.rows.last().map(|(number, _)| Cursor(*number))
        } else if self.looked_at >= LOOKED_AT_MAX {
            self.last.map(Cursor)
        } else {
            None
        };
        Page {
            rows: self.rows.into_iter().map(|(_, row)| row).collect(),
            next,
        }
    }
}
