//! The index for people: a file of its own, filled behind the commits.
//!
//! It holds hashes of what people search by. Nothing depends on it: it is synced lazily, made anew
//! when it is missing, foreign or damaged, and pruned behind retention; whoever reads it scans what lies beyond its position
//! and verifies every hit.
//!
//! Hashes fall anywhere. So that neither filling nor pruning writes the whole index anew, it is made of
//! parts by commit order, each small enough for its pages to be met again and again while it is filled,
//! and given back whole when its events are gone. Whoever looks something up looks into each part.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use herald_model::{DeliveryId, EventId};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::gauge::{Gauge, Pages};
use super::names::Names;
use super::{beside, open, spawn};
use crate::journal::Error;
use crate::journal::texts::Texts;

mod prune;

/// Changes when what is stored changes; an index of another version is made anew.
const VERSION: i64 = 3;

/// Events to a part. Chosen: some three megabytes, and a look into the three hundred parts of ten million
/// events takes less than a millisecond once they were looked into.
const PART_EVENTS: i64 = 32_768;

/// Pause between two batches. A batch costs pages of the part that is filled, so that under load a few
/// large ones are cheaper than many small ones. What is recorded meanwhile is scanned by whoever looks.
/// Chosen: at full speed that is some ten thousand events, of which a scan takes some ten milliseconds.
const PAUSE: Duration = Duration::from_secs(1);

/// Hashes in one transaction of the index.
const BATCH_HASHES: usize = 65_536;

/// Events, and bytes of their text, read from the journal in one go: while it is read, its
/// write-ahead log cannot start over.
const READ_EVENTS: i64 = 1_024;
const READ_BYTES: usize = 1 << 20;

const SCHEMA: &str = "
    CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), journal BLOB, event INTEGER);
    CREATE TABLE part (part INTEGER PRIMARY KEY);
    CREATE TABLE event_id (part INTEGER, id BLOB, seq INTEGER NOT NULL, PRIMARY KEY (part, id)) WITHOUT ROWID;
    CREATE TABLE hash (part INTEGER, hash INTEGER, seq INTEGER, PRIMARY KEY (part, hash, seq)) WITHOUT ROWID;
    CREATE TABLE delivery (part INTEGER, hash INTEGER, seq INTEGER, PRIMARY KEY (part, hash, seq)) WITHOUT ROWID;";

/// What a hash was made of. Part of the hash, so that an ENI id never finds a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The sender's `id`; gives events.
    Sender,
    /// ENI id; gives events.
    Eni,
    /// Request id; gives events.
    Request,
    /// Delivery id; gives deliveries.
    Delivery,
}

/// The thread that fills the index.
pub(super) struct Handle {
    thread: JoinHandle<()>,
    tell: SyncSender<()>,
    stop: Arc<Stop>,
}

/// Ends the thread between two batches.
#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn ask(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for `time`, or until it is asked to end; whether it is.
    fn wait(&self, time: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(asked, time, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Handle {
    /// Starts it; what was recorded before is indexed first.
    ///
    /// The file is opened, or made anew, before anybody else can have it open: removing a database
    /// under an open connection would pull its shared memory away.
    pub(super) fn start(
        journal: &Path,
        names: Arc<Names>,
        gauge: Arc<Gauge>,
    ) -> Result<Self, Error> {
        let filler = Filler::open(journal, PART_EVENTS)
            .inspect_err(|cause| tracing::warn!(error = %cause, "the journal has no index"))
            .ok();
        let (tell, told) = sync_channel(1);
        let stop = Arc::new(Stop::default());
        let thread = {
            let stop = Arc::clone(&stop);
            spawn("journal-index", move || {
                if let Some(filler) = filler {
                    follow(filler, &names, &gauge, &told, &stop);
                }
            })?
        };
        let _ = tell.try_send(());
        Ok(Self { thread, tell, stop })
    }

    /// By what it is told that there is more.
    pub(super) fn teller(&self) -> SyncSender<()> {
        self.tell.clone()
    }

    /// Ends after the batch it is at; the next start goes on from there.
    pub(super) fn end(self) {
        self.stop.ask();
        drop(self.tell);
        let _ = self.thread.join();
    }
}

fn follow(mut filler: Filler, names: &Names, gauge: &Gauge, told: &Receiver<()>, stop: &Stop) {
    while told.recv().is_ok() {
        loop {
            let more = filler.fill(names).unwrap_or_else(|cause| {
                // What is not indexed is scanned: nothing is wrong yet but the time it takes.
                tracing::warn!(error = %cause, "the journal's index was not filled");
                false
            });
            let pruned = filler.prune().unwrap_or_else(|cause| {
                tracing::warn!(error = %cause, "the journal's index was not pruned");
                false
            });
            if let Ok(pages) = filler.pages() {
                gauge.index(pages);
            }
            let more = more || pruned;
            let pause = if more { Duration::ZERO } else { PAUSE };
            if stop.wait(pause) {
                return;
            }
            if !more {
                break;
            }
        }
    }
}

/// The two connections of the thread.
struct Filler {
    journal: Connection,
    index: Connection,
    position: i64,
    part_events: i64,
    turn: prune::Turn,
}

impl Filler {
    fn open(path: &Path, part_events: i64) -> Result<Self, Error> {
        let journal = open::reader(path)?;
        let of: Vec<u8> = journal
            .query_row("SELECT value FROM meta WHERE key = 'journal'", [], |row| {
                row.get(0)
            })
            .map_err(|cause| failed(&cause))?;
        let last: i64 = journal
            .query_row("SELECT next_event - 1 FROM counter", [], |row| row.get(0))
            .map_err(|cause| failed(&cause))?;
        let file = file(path);
        let usable = |conn: Connection| {
            let position = position_for(&conn, &of).ok().flatten()?;
            // Beyond the journal's end: it was restored from a backup.
            (position <= last).then_some((conn, position))
        };
        let (index, position) = match writable(&file).ok().and_then(usable) {
            Some(found) => found,
            None => (make(&file, &of).map_err(|cause| failed(&cause))?, 0),
        };
        Ok(Self {
            journal,
            index,
            position,
            part_events,
            turn: prune::Turn::default(),
        })
    }

    /// Indexes one batch; whether there may be more.
    fn fill(&mut self, names: &Names) -> Result<bool, Error> {
        let mut batch = Batch {
            ids: Vec::new(),
            hashes: Vec::new(),
            deliveries: Vec::new(),
            last: self.position,
        };
        let mut more = true;
        while more && batch.hashes.len() + batch.deliveries.len() < BATCH_HASHES {
            more = self
                .read(names, &mut batch)
                .map_err(|cause| failed(&cause))?;
        }
        if batch.last > self.position {
            batch.hashes.sort_unstable();
            batch.deliveries.sort_unstable();
            self.position = self.write(batch).map_err(|cause| failed(&cause))?;
        }
        Ok(more)
    }

    /// Its size.
    fn pages(&self) -> rusqlite::Result<Pages> {
        let count = |name| self.index.pragma_query_value(None, name, |row| row.get(0));
        Ok(Pages {
            all: count("page_count")?,
            free: count("freelist_count")?,
        })
    }

    /// Adds the next events to a batch; whether there may be more.
    fn read(&self, names: &Names, batch: &mut Batch) -> rusqlite::Result<bool> {
        let mut events = self.journal.prepare_cached(
            "SELECT seq, id, text, first_delivery, deliveries FROM event \
             WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut deliveries = self.journal.prepare_cached(
            "SELECT seq, subscription, sink FROM delivery WHERE seq BETWEEN ?1 AND ?2",
        )?;
        let mut rows = events.query([batch.last, READ_EVENTS])?;
        let mut left = READ_BYTES;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let part = seq / self.part_events;
            let id: [u8; 16] = row.get(1)?;
            let texts = Texts::of(row.get_ref(2)?.as_str()?);
            for (kind, text) in [
                (Kind::Sender, texts.sender_id),
                (Kind::Eni, texts.eni),
                (Kind::Request, texts.request),
            ] {
                if let Some(text) = text {
                    let hash = hash(kind, text.as_bytes());
                    batch.hashes.push([part, hash, seq]);
                }
            }
            let first: i64 = row.get(3)?;
            let last = first + row.get::<_, i64>(4)? - 1;
            let event = EventId::from_uuid(Uuid::from_bytes(id));
            let mut its = deliveries.query([first, last])?;
            while let Some(delivery) = its.next()? {
                let maps = names.read();
                let id = DeliveryId::derive(
                    event,
                    &maps.subscription_of(delivery.get(1)?),
                    &maps.name_of(delivery.get(2)?),
                );
                let hash = hash(Kind::Delivery, id.uuid().as_bytes());
                batch.deliveries.push([part, hash, delivery.get(0)?]);
            }
            batch.ids.push((part, id, seq));
            batch.last = seq;
            count += 1;
            let bytes = row.get_ref(2)?.as_bytes()?.len();
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return Ok(true),
            }
        }
        Ok(count == READ_EVENTS)
    }

    fn write(&mut self, batch: Batch) -> rusqlite::Result<i64> {
        let transaction = self.index.transaction()?;
        {
            let mut add_part =
                transaction.prepare_cached("INSERT OR IGNORE INTO part VALUES (?1)")?;
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO event_id VALUES (?1, ?2, ?3)")?;
            let mut last_part = None;
            for (part, id, seq) in batch.ids {
                if last_part.replace(part) != Some(part) {
                    add_part.execute([part])?;
                }
                insert.execute(params![part, id, seq])?;
            }
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO hash VALUES (?1, ?2, ?3)")?;
            for row in batch.hashes {
                insert.execute(row)?;
            }
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO delivery VALUES (?1, ?2, ?3)")?;
            for row in batch.deliveries {
                insert.execute(row)?;
            }
            transaction.execute("UPDATE position SET event = ?1", [batch.last])?;
        }
        transaction.commit()?;
        Ok(batch.last)
    }
}

/// Rows of it, each with its part.
struct Batch {
    ids: Vec<(i64, [u8; 16], i64)>,
    /// Of what people search events by.
    hashes: Vec<[i64; 3]>,
    /// Of the ids of deliveries.
    deliveries: Vec<[i64; 3]>,
    /// The last event of it.
    last: i64,
}

/// A reader of the index.
pub(super) struct Lookup {
    conn: Connection,
}

impl Lookup {
    /// Opens the index of the journal at `path`; `None` while there is none to be read.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let conn = open::reader(&file(path)).ok()?;
        Some(Self { conn })
    }

    /// The last event that is indexed.
    pub(super) fn position(&self) -> rusqlite::Result<i64> {
        self.conn
            .prepare_cached("SELECT event FROM position")?
            .query_row([], |row| row.get(0))
    }

    /// Integer of the event with this id, if it is indexed.
    pub(super) fn event(&self, id: EventId) -> rusqlite::Result<Option<i64>> {
        self.conn
            .prepare_cached(FIND_EVENT)?
            .query_row([id.uuid().as_bytes()], |row| row.get(0))
            .optional()
    }

    /// Integers below `below` that may be meant by `bytes`, newest first.
    pub(super) fn find(
        &self,
        kind: Kind,
        bytes: &[u8],
        below: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<i64>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let text = match kind {
            Kind::Delivery => FIND_DELIVERIES,
            Kind::Sender | Kind::Eni | Kind::Request => FIND_EVENTS,
        };
        self.conn
            .prepare_cached(text)?
            .query_map([hash(kind, bytes), below, limit], |row| row.get(0))?
            .collect()
    }
}

/// A part after the other, so that nothing needs sorting: integers rise from part to part.
const FIND_EVENT: &str = "SELECT e.seq FROM part p CROSS JOIN event_id e \
     WHERE e.part = p.part AND e.id = ?1 ORDER BY p.part DESC LIMIT 1";
const FIND_EVENTS: &str = "SELECT h.seq FROM part p CROSS JOIN hash h \
     WHERE h.part = p.part AND h.hash = ?1 AND h.seq < ?2 \
     ORDER BY p.part DESC, h.seq DESC LIMIT ?3";
const FIND_DELIVERIES: &str = "SELECT d.seq FROM part p CROSS JOIN delivery d \
     WHERE d.part = p.part AND d.hash = ?1 AND d.seq < ?2 \
     ORDER BY p.part DESC, d.seq DESC LIMIT ?3";

/// Part of a SHA-256: senders choose the texts, and must not be able to pile them on one hash.
fn hash(kind: Kind, bytes: &[u8]) -> i64 {
    let digest = Sha256::new_with_prefix([kind as u8])
        .chain_update(bytes)
        .finalize();
    let mut half = [0; 8];
    half.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(half)
}

fn file(journal: &Path) -> PathBuf {
    beside(journal, ".index")
}

fn writable(file: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 4000; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(conn)
}

/// The position, if this is an index of that journal in the present version.
fn position_for(conn: &Connection, journal: &[u8]) -> rusqlite::Result<Option<i64>> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        return Ok(None);
    }
    conn.query_row(
        "SELECT event FROM position WHERE journal = ?1",
        [journal],
        |row| row.get(0),
    )
    .optional()
}

/// Makes an empty index in place of whatever is there.
fn make(file: &Path, journal: &[u8]) -> rusqlite::Result<Connection> {
    for name in [file.to_owned(), beside(file, "-wal"), beside(file, "-shm")] {
        let _ = std::fs::remove_file(name);
    }
    let mut conn = writable(file)?;
    let transaction = conn.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO position VALUES (1, ?1, 0)", [journal])?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(conn)
}

fn failed(cause: &rusqlite::Error) -> Error {
    Error::Failed(cause.to_string())
}

#[cfg(test)]
mod tests;
