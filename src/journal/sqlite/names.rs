//! Names and rule texts that stand in rows as integers, held in memory for both sides.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rusqlite::Connection;

/// What integers stand for. The writer adds to it before it commits a row that uses the integer,
/// so a reader always finds what it needs.
#[derive(Debug, Default)]
pub(super) struct Names {
    maps: RwLock<Maps>,
}

/// The maps themselves.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// Sinks and sources by integer.
    pub(super) names: HashMap<i64, Arc<str>>,
    /// And back.
    pub(super) numbers: HashMap<Arc<str>, i64>,
    /// Names of subscriptions by integer.
    pub(super) subscriptions: HashMap<i64, Arc<str>>,
    /// Integer of the last generation; 0 before the first.
    pub(super) generation: i64,
    /// What is in force, in order: row of `in_force`, subscription.
    pub(super) in_force: Vec<(i64, i64)>,
}

impl Names {
    /// Reads the tables.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let names = Self::default();
        names.reload(conn)?;
        Ok(names)
    }

    /// Reads the tables again, after a group that may have added to them was taken back.
    pub(super) fn reload(&self, conn: &Connection) -> rusqlite::Result<()> {
        let mut maps = Maps::default();
        let mut statement = conn.prepare("SELECT seq, text FROM name")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            maps.name(row.get(0)?, &row.get::<_, Arc<str>>(1)?);
        }
        let mut statement = conn.prepare("SELECT seq, name FROM subscription")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            maps.subscriptions.insert(row.get(0)?, row.get(1)?);
        }
        maps.generation =
            conn.query_row("SELECT coalesce(max(seq), 0) FROM generation", [], |row| {
                row.get(0)
            })?;
        let mut statement = conn.prepare(
            "SELECT seq, subscription FROM in_force WHERE last_generation IS NULL ORDER BY position",
        )?;
        maps.in_force = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        self.change(|mine| *mine = maps);
        Ok(())
    }

    /// Reads.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes; the writer only.
    pub(super) fn change(&self, change: impl FnOnce(&mut Maps)) {
        change(&mut self.maps.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Maps {
    /// Adds a name.
    pub(super) fn name(&mut self, number: i64, text: &Arc<str>) {
        self.names.insert(number, Arc::clone(text));
        self.numbers.insert(Arc::clone(text), number);
    }

    /// The name behind an integer, or a mark that says it is missing.
    pub(super) fn name_of(&self, number: i64) -> Arc<str> {
        self.names
            .get(&number)
            .map_or_else(|| Arc::from("?"), Arc::clone)
    }

    /// The subscription behind an integer, or a mark that says it is missing.
    pub(super) fn subscription_of(&self, number: i64) -> Arc<str> {
        self.subscriptions
            .get(&number)
            .map_or_else(|| Arc::from("?"), Arc::clone)
    }
}
