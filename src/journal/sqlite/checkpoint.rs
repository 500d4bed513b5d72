//! Copying the write-ahead log into the database beside the writer.
//!
//! The log starts over when everything in it was copied and no reader needs it. Under constant
//! load the tail is never copied by itself, so the two share the work: the bulk is copied, and synced, by
//! [`copy`] on a connection of its own while the writer goes on; when little is left, the writer copies
//! that between two groups, and its next group starts the log over.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::Connection;

/// Size of a page, and nearly that of a frame of the log.
const PAGE_BYTES: i64 = 4_096;

/// Uncopied part of the log at which copying begins, in bytes. Chosen: small enough to stay in the
/// system's cache, large enough that a hot page is copied once for many times it was written.
pub const WAL_BYTES_START: i64 = 32 << 20;

/// Size of the log past which the writer waits for the copying, in bytes.
pub const WAL_BYTES_MAX: i64 = 256 << 20;

/// What may be left for the writer to copy between two groups, in bytes.
const REST_BYTES: i64 = 4 << 20;

/// Passes of the bulk copy in a row before the rest is left to the next time.
const PASSES_MAX: u32 = 8;

/// Looks at the log after each commit, on the writer's thread.
pub(super) struct WalGauge {
    pub(super) bulk: SyncSender<()>,
    pub(super) rest: Arc<AtomicBool>,
}

impl WalGauge {
    /// Asks for copying, or copies the rest.
    pub(super) fn after_commit(&mut self, conn: &Connection) {
        let Ok(log) = look(conn, "NOOP") else { return };
        if log.uncopied() * PAGE_BYTES > WAL_BYTES_START {
            // Full means that it is asked for already.
            let _ = self.bulk.try_send(());
        }
        let rest_is_small = self.rest.load(Ordering::Acquire);
        let too_large = log.frames * PAGE_BYTES > WAL_BYTES_MAX && log.uncopied() > 0;
        if rest_is_small || too_large {
            // Unlike PASSIVE it waits for readers that still need the log, up to the busy time-out.
            if let Err(cause) = look(conn, "RESTART") {
                tracing::warn!(error = %cause, "the rest of the write-ahead log was not copied");
            }
            self.rest.store(false, Ordering::Release);
        }
    }
}

/// The database's file beside SQLite, which syncs what it copied only when all of the log is copied: that
/// would be the writer, and everybody would wait for megabytes instead of for the rest.
///
/// Closing a descriptor takes the process's locks off the file (`fcntl(2)`), so this one stays open
/// until nobody uses the journal any more.
pub(super) struct Copied(File);

impl Copied {
    /// Opens the file of the database at `path`.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Makes durable what was copied. What fails here SQLite finds out when it syncs itself.
    fn sync(&self) {
        let _ = self.0.sync_data();
    }
}

/// Copies the bulk each time it is asked to; ends when the writer is gone.
pub(super) fn copy(conn: &Connection, copied_to: &Copied, asked: &Receiver<()>, rest: &AtomicBool) {
    while asked.recv().is_ok() {
        // Only one can copy at a time: while the rest is the writer's, this one stays away.
        if rest.load(Ordering::Acquire) {
            continue;
        }
        let mut copied = -1;
        for _ in 0..PASSES_MAX {
            match look(conn, "PASSIVE") {
                Ok(log) => {
                    copied_to.sync();
                    // Where the writer is as fast as the copying, little is never left; then the
                    // writer must wait for a larger rest before the log is too large.
                    let overtaken = log.frames * PAGE_BYTES > WAL_BYTES_MAX / 2;
                    if overtaken || log.uncopied() * PAGE_BYTES <= REST_BYTES {
                        rest.store(true, Ordering::Release);
                        break;
                    }
                    // A reader needs what is left: the next commit asks again.
                    if log.copied == copied {
                        break;
                    }
                    copied = log.copied;
                }
                Err(cause) => {
                    tracing::warn!(error = %cause, "the write-ahead log was not copied");
                    break;
                }
            }
        }
    }
}

/// The log: frames in it, and how many of them were copied.
#[derive(Debug, Clone, Copy)]
struct Log {
    frames: i64,
    copied: i64,
}

impl Log {
    const fn uncopied(self) -> i64 {
        self.frames - self.copied
    }
}

/// Runs a checkpoint of `mode`; `NOOP` only looks.
fn look(conn: &Connection, mode: &str) -> rusqlite::Result<Log> {
    let text = match mode {
        "NOOP" => "PRAGMA wal_checkpoint(NOOP)",
        "RESTART" => "PRAGMA wal_checkpoint(RESTART)",
        _ => "PRAGMA wal_checkpoint(PASSIVE)",
    };
    conn.prepare_cached(text)?.query_row([], |row| {
        Ok(Log {
            frames: row.get(1)?,
            copied: row.get(2)?,
        })
    })
}

/// Copies everything and empties the log, when everybody else has closed. What fails here is done
/// by the next start.
pub(super) fn leave_nothing(path: &Path) {
    if let Ok(conn) = super::open::checkpointer(path) {
        let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}
