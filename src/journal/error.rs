//! Why the journal could not do what was asked.

use std::path::PathBuf;

/// An error of the journal. None of them leaves anything half-written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another process holds the journal.
    #[error(
        "journal {path} is in use by another process; stop that one, or set another `journal.path`"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be opened.
    #[error(
        "cannot open journal {path}: {why}; `journal.path` must lie in a folder that this user may write"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Written by a newer Herald.
    #[error(
        "journal {path} has schema {found}, this Herald knows up to {known}; run the newer one, or restore a backup"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Of the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "journal {path} is damaged ({why}); nothing is served from it: restore a backup, or move it away to start with an empty one"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The SQLite that was linked has a known defect.
    #[error(
        "SQLite {found} can corrupt a database in WAL mode; at least 3.51.3 is needed: build with the locked dependencies"
    )]
    UnsafeSqlite {
        /// Its version.
        found: String,
    },
    /// No room on the disk.
    #[error("the disk of the journal is full; make room, nothing was written")]
    Full,
    /// At its bound.
    #[error(
        "the journal holds {used} of the {max} bytes of `journal.max_size`, and the rest is kept for what it has accepted; try again later, or raise it"
    )]
    NoRoom {
        /// Bytes in use.
        used: u64,
        /// `journal.max_size`.
        max: u64,
    },
    /// Reading or writing failed.
    #[error("journal: {0}")]
    Failed(String),
    /// The claim is not held any more.
    #[error("the claim is no longer held")]
    Stale,
    /// It was closed.
    #[error("the journal is closed")]
    Closed,
    /// More work waits than is allowed.
    #[error("the journal cannot keep up: {waiting} requests wait, which is the limit")]
    Overloaded {
        /// Requests that wait.
        waiting: usize,
    },
}
