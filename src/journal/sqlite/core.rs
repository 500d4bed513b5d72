//! What the writer holds in memory beside the database, and how it is taken back when a group
//! fails.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::counters::Counters;
use super::endpoints::Endpoints;
use super::fault::Fault;
use super::gauge::{Gauge, Pages};
use super::identity::Identities;
use super::names::Names;
use super::refused::Held;
use super::sql::Statements;
use crate::journal::endpoint::Permit;
use crate::journal::{Error, Fill};

/// What a verb does to the journal. `run` may be called a second time after everything the first
/// call did was taken back.
pub(super) trait Verb: Send + 'static {
    /// The answer.
    type Made: Send + 'static;

    /// Does it, inside a transaction.
    fn run(&mut self, core: &mut Core<'_>) -> Result<Self::Made, Fault>;

    /// How much of a group it takes up.
    fn weight(&self) -> usize {
        1
    }
}

/// The writer's view of the journal: its statements and what it remembers.
pub(super) struct Core<'c> {
    pub(super) path: PathBuf,
    pub(super) conn: &'c Connection,
    pub(super) sql: Statements<'c>,
    pub(super) count: Counters,
    pub(super) names: Arc<Names>,
    pub(super) identities: Identities,
    pub(super) endpoints: Endpoints,
    pub(super) gauge: Arc<Gauge>,
    pub(super) refused: Held,
    /// Claims by their attempt. Whoever is not here is stale.
    open: HashMap<i64, Open>,
    /// What waits per sink.
    waiting: HashMap<i64, i64>,
    /// Change of it, of the running group.
    backlog: HashMap<i64, i64>,
    /// Bytes of the entries that the running group took: they are in no count of pages yet.
    pub(super) taken: u64,
    /// Whether the running group made something due.
    pub(super) wakes: bool,
    /// Where the next look at events put aside by retention goes on.
    pub(super) kept_back_after: i64,
    /// To take back the running group.
    before: Counters,
    opened: Vec<i64>,
    closed: Vec<(i64, Open)>,
}

/// An open attempt.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) message: i64,
    pub(super) started: i64,
    /// The endpoint with the permit that was taken of it.
    pub(super) permit: Option<(i64, Permit)>,
    /// How long an ordered lane waits for its failing head.
    pub(super) patience: i64,
    /// One per member, in the message's order.
    pub(super) lanes: Vec<Lane>,
}

/// A lane as the claim found it; nothing else changes it while the attempt is open.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) head: i64,
    pub(super) sink: i64,
    pub(super) key: Option<i64>,
    pub(super) expires: i64,
    pub(super) charged: i64,
    pub(super) kills: i64,
    pub(super) since: Option<i64>,
    pub(super) uncounted: i64,
    pub(super) first_attempt: Option<i64>,
    pub(super) message: Option<i64>,
    pub(super) composed: Option<i64>,
    /// Bits of what is stored for the message: [`KEPT_TEXT`], [`KEPT_PROGRESS`], [`FROZEN`],
    /// [`MEMBERS`].
    pub(super) kept: i64,
    pub(super) last: Option<i64>,
    pub(super) level: i64,
    /// When it came up; NULL while in flight.
    pub(super) due: Option<i64>,
    /// When the head is tried again, where its lane passes it before.
    pub(super) again: Option<i64>,
    pub(super) late: bool,
    /// Attempts charged before it was replayed; `None` where it never was.
    pub(super) earlier: Option<i64>,
    /// How much this claim added to `uncounted`.
    pub(super) idle: i64,
}

/// There is a text in `message`.
pub(super) const KEPT_TEXT: i64 = 1;
/// There is a row in `checkpoint`.
pub(super) const KEPT_PROGRESS: i64 = 2;
/// The text must not change any more.
pub(super) const FROZEN: i64 = 4;
/// `message` lists several members.
pub(super) const MEMBERS: i64 = 8;

/// While an attempt is open, above the bits: the name of what stands for a text that was not saved.
const FORM_SHIFT: u32 = 8;

/// The bits alone.
pub(super) const fn bits_of(kept: i64) -> i64 {
    kept & ((1 << FORM_SHIFT) - 1)
}

/// The integer of the form's name.
pub(super) const fn form_of(kept: i64) -> Option<i64> {
    match kept >> FORM_SHIFT {
        0 => None,
        name => Some(name),
    }
}

/// The bits with the form of that name.
pub(super) fn in_form(kept: i64, name: Option<i64>) -> i64 {
    bits_of(kept) | name.unwrap_or(0) << FORM_SHIFT
}

/// Columns of [`Lane`], in the order that [`Lane::read`] expects.
pub(super) const LANE_COLUMNS: &str = "head, sink, key, expires, charged, kills, since, \
     uncounted, first_attempt, message, composed, kept, last, level, due, again, late, earlier";

/// How many there are.
pub(super) const LANE_COLUMNS_COUNT: usize = 18;

impl Lane {
    /// Forgets the message that it was a member of.
    pub(super) fn leave_message(&mut self) {
        self.message = None;
        self.composed = None;
        self.kept = 0;
    }

    /// Reads the columns of [`LANE_COLUMNS`].
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            head: row.get(0)?,
            sink: row.get(1)?,
            key: row.get(2)?,
            expires: row.get(3)?,
            charged: row.get(4)?,
            kills: row.get(5)?,
            since: row.get(6)?,
            uncounted: row.get(7)?,
            first_attempt: row.get(8)?,
            message: row.get(9)?,
            composed: row.get(10)?,
            kept: row.get(11)?,
            last: row.get(12)?,
            level: row.get(13)?,
            due: row.get(14)?,
            again: row.get(15)?,
            late: row.get(16)?,
            earlier: row.get(17)?,
            idle: 0,
        })
    }
}

impl<'c> Core<'c> {
    /// Reads what must be remembered from the database.
    pub(super) fn load(
        path: PathBuf,
        conn: &'c Connection,
        names: Arc<Names>,
        gauge: Arc<Gauge>,
    ) -> rusqlite::Result<Self> {
        let count = Counters::load(conn)?;
        let mut core = Self {
            path,
            conn,
            sql: Statements::prepare(conn)?,
            identities: Identities::load(conn, &count)?,
            endpoints: Endpoints::load(conn)?,
            waiting: waiting(conn)?,
            count,
            names,
            gauge,
            refused: Held::load(conn)?,
            open: HashMap::new(),
            backlog: HashMap::new(),
            taken: 0,
            wakes: false,
            kept_back_after: 0,
            before: count,
            opened: Vec::new(),
            closed: Vec::new(),
        };
        let pages = core.pages()?;
        core.gauge.journal(pages, core.count.events);
        Ok(core)
    }

    /// Refuses intake where what is there and what its group has taken come to the reserve.
    pub(super) fn make_sure_of_room(&self) -> Result<(), Fault> {
        let size = self.gauge.size();
        if size.takes_more_than(self.taken) {
            return Ok(());
        }
        let (used, max) = (size.used, size.max);
        Err(Fault::Refused(Error::NoRoom { used, max }))
    }

    /// How near the journal is to its bound, as the running transaction leaves it.
    pub(super) fn fill(&mut self) -> rusqlite::Result<Fill> {
        let pages = self.pages()?;
        Ok(self.gauge.fill_with(pages))
    }

    /// The pages as the running transaction leaves them.
    fn pages(&mut self) -> rusqlite::Result<Pages> {
        Ok(Pages {
            all: self.sql.page_count.query_row([], |row| row.get(0))?,
            free: self.sql.free_pages.query_row([], |row| row.get(0))?,
        })
    }

    /// Starts a group.
    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.before = self.count;
        self.sql.begin.execute([]).map(drop)
    }

    /// Writes the counters and makes the group durable.
    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.identities.fold(&mut self.sql, &mut self.count)?;
        if self.count != self.before {
            self.count.write(&mut self.sql)?;
        }
        for (sink, change) in self.backlog.iter().filter(|(_, change)| **change != 0) {
            self.sql.write_backlog.execute(params![sink, change])?;
        }
        self.endpoints.write(&mut self.sql)?;
        let pages = self.pages()?;
        self.sql.commit.execute([])?;
        self.gauge.journal(pages, self.count.events);
        self.identities.committed();
        self.endpoints.committed();
        self.forget_group();
        Ok(())
    }

    /// Takes the group back, in the database and in memory.
    pub(super) fn roll_back(&mut self) -> rusqlite::Result<()> {
        self.count = self.before;
        for attempt in self.opened.drain(..) {
            self.open.remove(&attempt);
        }
        for (attempt, open) in self.closed.drain(..).rev() {
            self.open.insert(attempt, open);
        }
        for (sink, change) in &self.backlog {
            *self.waiting.entry(*sink).or_default() -= change;
        }
        self.identities.roll_back();
        self.endpoints.roll_back();
        self.wakes = false;
        self.forget_group();
        // SQLite has rolled back by itself after some failures.
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        self.refused = Held::load(self.conn)?;
        self.names.reload(self.conn)
    }

    fn forget_group(&mut self) {
        self.backlog.clear();
        self.taken = 0;
        self.opened.clear();
        self.closed.clear();
    }

    /// The claim of `attempt`, if it is held.
    pub(super) fn claim(&self, attempt: i64) -> Option<&Open> {
        self.open.get(&attempt)
    }

    /// Remembers that something is stored for the message of a claim.
    pub(super) fn keep(&mut self, attempt: i64, bit: i64) {
        if let Some(open) = self.open.get_mut(&attempt) {
            self.closed.push((attempt, open.clone()));
            for lane in &mut open.lanes {
                lane.kept |= bit;
            }
        }
    }

    /// Holds a claim.
    pub(super) fn hold(&mut self, attempt: i64, open: Open) {
        self.open.insert(attempt, open);
        self.opened.push(attempt);
    }

    /// Lets go of a claim.
    pub(super) fn release(&mut self, attempt: i64) -> Option<Open> {
        let open = self.open.remove(&attempt)?;
        self.closed.push((attempt, open.clone()));
        Some(open)
    }

    /// Counts a delivery in or out of what waits for its sink.
    pub(super) fn pending(&mut self, sink: i64, change: i64) {
        self.count.pending += change;
        *self.backlog.entry(sink).or_default() += change;
        *self.waiting.entry(sink).or_default() += change;
    }

    /// The sink for which most waits.
    pub(super) fn fullest(&self) -> Option<i64> {
        let waiting = self.waiting.iter().filter(|(_, count)| **count > 0);
        waiting
            .max_by_key(|(sink, count)| (**count, **sink))
            .map(|(sink, _)| *sink)
    }

    /// How much waits for a sink.
    pub(super) fn waits_for(&self, sink: i64) -> u64 {
        let waiting = self.waiting.get(&sink).copied().unwrap_or(0);
        u64::try_from(waiting).unwrap_or(0)
    }

    /// Takes the deliveries after the first `items` out of a claim.
    pub(super) fn shorten(&mut self, attempt: i64, items: usize) -> Vec<Lane> {
        let Some(open) = self.open.get_mut(&attempt) else {
            return Vec::new();
        };
        self.closed.push((attempt, open.clone()));
        open.lanes.split_off(items.min(open.lanes.len()))
    }

    /// Refuses a verb before it wrote anything.
    pub(super) fn refuse<T>(why: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::Refused(Error::Failed(why.into())))
    }
}

fn waiting(conn: &Connection) -> rusqlite::Result<HashMap<i64, i64>> {
    let mut statement = conn.prepare("SELECT sink, pending FROM backlog")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
