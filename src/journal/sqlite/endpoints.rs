//! The endpoints, and how each sink stands to its own, held in memory and written once per group.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};

use super::sql::Statements;
use crate::journal::SinkNo;
use crate::journal::endpoint::{Denied, Endpoint, Row};

/// What the tables `endpoint`, `way` and `pause` hold.
#[derive(Default)]
pub(super) struct Endpoints {
    numbers: HashMap<String, i64>,
    all: HashMap<i64, Endpoint>,
    ways: HashMap<i64, Way>,
    held: HashSet<i64>,
    /// As it was before the running group; `None` for what the group made.
    endpoints_before: HashMap<i64, Option<Endpoint>>,
    ways_before: HashMap<i64, Option<Way>>,
    /// Whether it was held.
    held_before: HashMap<i64, bool>,
}

/// A sink's endpoint, and whether the last claim left something behind for want of a permit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) endpoint: Option<i64>,
    pub(super) limited: Option<Denied>,
}

/// Who holds a sink, and why.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) at: i64,
    pub(super) who: &'a str,
    pub(super) why: &'a str,
}

impl Endpoints {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut mine = Self::default();
        let mut statement = conn.prepare(
            "SELECT seq, name, starts, per, penalty_until, faults, probe_at FROM endpoint",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let number = row.get(0)?;
            mine.numbers.insert(row.get(1)?, number);
            let stored = Row {
                starts: row.get(2)?,
                per: row.get(3)?,
                penalty_until: row.get(4)?,
                faults: row.get(5)?,
                probe_at: row.get(6)?,
            };
            mine.all.insert(number, Endpoint::from_row(&stored));
        }
        let mut statement = conn.prepare("SELECT sink, endpoint, limited, until FROM way")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let until = row.get(3)?;
            let way = Way {
                endpoint: row.get(1)?,
                limited: row.get::<_, bool>(2)?.then_some(Denied { until }),
            };
            mine.ways.insert(row.get(0)?, way);
        }
        let mut statement = conn.prepare("SELECT sink FROM pause")?;
        mine.held = statement
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(mine)
    }

    /// The integer of an endpoint, which is made where it is new.
    pub(super) fn number(&mut self, sql: &mut Statements<'_>, name: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        let number = self.all.keys().max().map_or(1, |last| last + 1);
        sql.insert_endpoint.execute(params![number, name])?;
        self.numbers.insert(name.to_owned(), number);
        self.all.insert(number, Endpoint::default());
        self.endpoints_before.insert(number, None);
        Ok(number)
    }

    pub(super) fn get(&self, number: i64) -> Option<&Endpoint> {
        self.all.get(&number)
    }

    /// To change it; what it was is remembered until the group ends.
    pub(super) fn change(&mut self, number: i64) -> Option<&mut Endpoint> {
        let endpoint = self.all.get_mut(&number)?;
        self.endpoints_before
            .entry(number)
            .or_insert_with(|| Some(endpoint.clone()));
        Some(endpoint)
    }

    /// How a sink stands to its endpoint from now on.
    pub(super) fn stands(&mut self, sink: i64, way: Way) {
        if self.ways.get(&sink) == Some(&way) {
            return;
        }
        let before = self.ways.insert(sink, way);
        self.ways_before.entry(sink).or_insert(before);
    }

    /// Only these sinks are there: the others wait for no permit, since nothing is claimed for them.
    pub(super) fn forget_ways_but(&mut self, sinks: &[SinkNo]) {
        let gone: Vec<i64> = self
            .ways
            .keys()
            .filter(|sink| !sinks.contains(&SinkNo(**sink)))
            .copied()
            .collect();
        for sink in gone {
            self.stands(sink, Way::default());
        }
    }

    /// Whether a sink waits for a person.
    pub(super) fn is_held(&self, sink: i64) -> bool {
        self.held.contains(&sink)
    }

    /// Holds a sink until a person lets it go; false where it is held already.
    pub(super) fn hold(
        &mut self,
        sql: &mut Statements<'_>,
        sink: i64,
        by: By<'_>,
    ) -> rusqlite::Result<bool> {
        if !self.held.insert(sink) {
            return Ok(false);
        }
        self.held_before.entry(sink).or_insert(false);
        sql.hold_sink
            .execute(params![sink, by.at, by.who, by.why])?;
        Ok(true)
    }

    /// Lets a sink go; false where it is not held.
    pub(super) fn let_go(&mut self, sql: &mut Statements<'_>, sink: i64) -> rusqlite::Result<bool> {
        if !self.held.remove(&sink) {
            return Ok(false);
        }
        self.held_before.entry(sink).or_insert(true);
        sql.let_go.execute([sink])?;
        Ok(true)
    }

    /// Writes the rows that the group changed.
    pub(super) fn write(&mut self, sql: &mut Statements<'_>) -> rusqlite::Result<()> {
        for (number, before) in &self.endpoints_before {
            let Some(endpoint) = self.all.get(number) else {
                continue;
            };
            if before
                .as_ref()
                .is_some_and(|before| endpoint.is_stored_as(before))
            {
                continue;
            }
            let row = endpoint.row();
            sql.write_endpoint.execute(params![
                number,
                row.starts,
                row.per,
                row.penalty_until,
                row.faults,
                row.probe_at
            ])?;
        }
        for (sink, before) in &self.ways_before {
            let Some(way) = self.ways.get(sink).filter(|way| *before != Some(**way)) else {
                continue;
            };
            sql.write_way.execute(params![
                sink,
                way.endpoint,
                way.limited.is_some(),
                way.limited.and_then(|denied| denied.until),
            ])?;
        }
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        self.endpoints_before.clear();
        self.ways_before.clear();
        self.held_before.clear();
    }

    pub(super) fn roll_back(&mut self) {
        for (number, before) in self.endpoints_before.drain() {
            if let Some(before) = before {
                self.all.insert(number, before);
            } else {
                self.all.remove(&number);
                self.numbers.retain(|_, other| *other != number);
            }
        }
        for (sink, before) in self.ways_before.drain() {
            if let Some(before) = before {
                self.ways.insert(sink, before);
            } else {
                self.ways.remove(&sink);
            }
        }
        for (sink, was_held) in self.held_before.drain() {
            if was_held {
                self.held.insert(sink);
            } else {
                self.held.remove(&sink);
            }
        }
    }
}
