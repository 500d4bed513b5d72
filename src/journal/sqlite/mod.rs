//! The embedded journal: one SQLite file, one thread that writes to it in groups.
//!
//! `docs/journal.md` tells what the tables are and why. Here: `schema` (versions), `sql` (every
//! statement of the writer), `writer` (group commit) with `core` (what it holds in memory), one
//! file per verb (`begin`, `record`, `claim` with `gather`, `backlog`, `claimed` and `ahead`, `save`,
//! `settle`, `sweep`), `refused` (bodies), `gauge` (how large it is), `endpoints` (permits, penalties, breakers), `recover` (what a start does),
//! `checkpoint` (beside the writer); for people `reader`, `look`, `find`, `walk`, `standing` and `index`,
//! and what they do: `hands` with `replay`, `cancel` and `pause`; `backup`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use herald_model::Phase;
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use super::{
    Ahead, Ask, AttemptNo, Bounds, ClaimRequest, Claims, Entry, Error, Generation, Journal,
    Learned, OnCommit, Recorded, Rules, Saved, Settled, Settlement, Size, Sweep, Swept,
};

mod ahead;
mod backlog;
mod backup;
mod begin;
mod cancel;
mod checkpoint;
mod claim;
mod claimed;
mod core;
#[cfg(test)]
mod cost;
mod counters;
mod endpoints;
mod fault;
mod find;
mod finish;
mod gather;
mod gauge;
mod hands;
mod identity;
mod index;
mod learn;
mod lock;
mod look;
mod names;
mod open;
mod pause;
mod reader;
mod record;
mod recover;
mod refused;
mod replay;
mod rows;
mod save;
mod schema;
mod settle;
mod sql;
mod standing;
mod sweep;
mod walk;
mod writer;

pub use backup::{BackedUp, backup};
pub use checkpoint::{WAL_BYTES_MAX, WAL_BYTES_START};

use self::core::Verb;
use self::writer::{Asked, Job, Telling};

/// The journal in a file. Cheap calls from any task; the work is done on threads of its own.
///
/// Dropping it closes it as [`Journal::close`] does, but blocks the thread that drops it.
pub struct SqliteJournal {
    reader: Arc<reader::Pool>,
    due: Arc<Notify>,
    ahead: Arc<ahead::Waiting>,
    gauge: Arc<gauge::Gauge>,
    on_commit: Arc<OnceLock<OnCommit>>,
    running: Mutex<Option<Running>>,
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
}

/// What must end before the file is free. The lock is last: it is let go of when all is closed.
struct Running {
    writer: JoinHandle<()>,
    checkpointer: JoinHandle<()>,
    index: index::Handle,
    path: PathBuf,
    copied: Arc<checkpoint::Copied>,
    lock: lock::Lock,
}

impl SqliteJournal {
    /// Opens the journal at `path`, making it where there is none, and ends the attempts that were
    /// open when the last process died: `now` is when that was noticed.
    ///
    /// Blocks the calling thread while it reads the disk.
    ///
    /// # Errors
    /// The file is in use, cannot be opened, is damaged, or was written by a newer Herald; or the
    /// linked SQLite must not write.
    pub fn open(path: impl Into<PathBuf>, now: Timestamp) -> Result<Self, Error> {
        let path: PathBuf = path.into();
        open::check_version()?;
        let lock = lock::Lock::take(&path)?;
        let conn = open::writer(&path)?;
        let names = names::Names::load(&conn)
            .map(Arc::new)
            .map_err(|cause| fault::while_opening(&path, &cause))?;
        let bulk = open::checkpointer(&path)?;
        let copied = checkpoint::Copied::open(&path).map_err(|cause| Error::Open {
            path: path.clone(),
            why: cause.to_string(),
        })?;
        let copied = Arc::new(copied);
        let gauge = Arc::new(gauge::Gauge::default());
        let index = index::Handle::start(&path, Arc::clone(&names), Arc::clone(&gauge))?;

        let due = Arc::new(Notify::new());
        let ahead = Arc::new(ahead::Waiting::default());
        let rest = Arc::new(AtomicBool::new(false));
        let on_commit = Arc::new(OnceLock::new());
        let (ask_bulk, bulk_asked) = sync_channel(1);
        let (jobs, waiting) = mpsc::channel(writer::WAITING_MAX);
        let (ready, is_ready) = sync_channel(1);
        let telling = Telling {
            due: Arc::clone(&due),
            ahead: Arc::clone(&ahead),
            index: index.teller(),
            on_commit: Arc::clone(&on_commit),
            wal: checkpoint::WalGauge {
                bulk: ask_bulk,
                rest: Arc::clone(&rest),
            },
        };
        let writer = {
            let (path, names) = (path.clone(), Arc::clone(&names));
            let gauge = Arc::clone(&gauge);
            spawn("journal-writer", move || {
                let loading = writer::Loading {
                    path: &path,
                    names,
                    gauge,
                    now: now.as_millisecond(),
                };
                writer::write(loading, &conn, waiting, &ready, telling);
            })?
        };
        let checkpointer = {
            let copied = Arc::clone(&copied);
            spawn("journal-wal", move || {
                checkpoint::copy(&bulk, &copied, &bulk_asked, &rest);
            })?
        };
        let journal = Self {
            reader: Arc::new(reader::Pool::new(path.clone(), names)),
            due,
            ahead,
            gauge,
            on_commit,
            running: Mutex::new(Some(Running {
                writer,
                checkpointer,
                index,
                path,
                copied,
                lock,
            })),
            jobs: Mutex::new(Some(jobs)),
        };
        match is_ready.recv() {
            Ok(Ok(())) => Ok(journal),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(Error::Closed),
        }
    }

    fn jobs(&self) -> Result<mpsc::Sender<Box<dyn Job>>, Error> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.clone().ok_or(Error::Closed)
    }

    /// Asks the writer and waits for the answer. Where too much waits already, `patient` callers
    /// queue up and others are refused.
    async fn ask<V: Verb>(&self, verb: V, patient: bool) -> Result<V::Made, Error> {
        let (job, answered) = Asked::job(verb);
        let jobs = self.jobs()?;
        if patient {
            jobs.send(job).await.map_err(|_| Error::Closed)?;
        } else {
            jobs.try_send(job).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => Error::Overloaded {
                    waiting: writer::WAITING_MAX,
                },
                mpsc::error::TrySendError::Closed(_) => Error::Closed,
            })?;
        }
        drop(jobs);
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Takes what must end, once.
    fn stop(&self) -> Option<Running> {
        // Without senders the writer finishes what waits and ends; the others end after it.
        drop(
            self.jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Running {
    fn end(self) {
        // A thread that panicked has nothing left to write.
        let _ = self.writer.join();
        let _ = self.checkpointer.join();
        self.index.end();
        checkpoint::leave_nothing(&self.path);
        drop(self.copied);
        drop(self.lock);
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        if let Some(running) = self.stop() {
            self.reader.close();
            running.end();
        }
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn begin(&self, rules: Rules) -> Result<Generation, Error> {
        self.ask(begin::Begin { rules }, true).await
    }

    async fn record(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, Error> {
        self.ask(record::Record { entries }, false).await
    }

    async fn learn(&self, learned: Learned) -> Result<bool, Error> {
        self.ask(learn::Learn { learned }, false).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error> {
        let made = self.ask(claim::Claim { request }, true).await?;
        Ok(made.finish())
    }

    fn claim_ahead(&self, ask: Ask) -> Ahead {
        self.ahead.ask(ask)
    }

    async fn save(&self, attempt: AttemptNo, saved: Saved) -> Result<(), Error> {
        self.ask(save::Save { attempt, saved }, true).await
    }

    async fn shorten(&self, attempt: AttemptNo, items: usize) -> Result<(), Error> {
        self.ask(save::Shorten { attempt, items }, true).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Settled, Error> {
        self.ask(settle::Settle { settlement }, true).await
    }

    async fn wait(
        &self,
        attempt: AttemptNo,
        until: Timestamp,
        phase: Phase,
    ) -> Result<Settled, Error> {
        let wait = save::Wait {
            attempt,
            until,
            phase,
        };
        self.ask(wait, true).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error> {
        self.ask(sweep::Sweeping { sweep }, true).await
    }

    fn bound(&self, bounds: Bounds) {
        self.gauge.bound(bounds);
    }

    fn size(&self) -> Size {
        self.gauge.size()
    }

    fn tight_signal(&self) -> Arc<Notify> {
        self.gauge.tight()
    }

    fn on_commit(&self, tell: OnCommit) {
        let _ = self.on_commit.set(tell);
    }

    fn due_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    async fn close(&self) {
        if let Some(running) = self.stop() {
            self.reader.close();
            // The threads end by themselves even if nobody waits for this any more.
            let _ = tokio::task::spawn_blocking(|| running.end()).await;
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|cause| Error::Failed(format!("cannot start thread {name}: {cause}")))
}

/// The file that stands beside the journal under its name with `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    lock::beside(path, suffix)
}
