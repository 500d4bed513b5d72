//! One process per journal.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::journal::Error;

/// Holds the journal for this process until it is dropped; the system lets go of it when the
/// process dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the journal at `path`, or says who is in the way.
    ///
    /// A file of its own, because SQLite's own locks would let a second process in as a reader and
    /// are lost when any descriptor of the database is closed.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(beside(path, ".lock"))
            .map_err(|cause| open_error(path, &cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(cause)) => Err(open_error(path, &cause)),
        }
    }
}

/// The file that stands beside the journal under its name with `suffix`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn open_error(path: &Path, cause: &std::io::Error) -> Error {
    Error::Open {
        path: path.to_owned(),
        why: cause.to_string(),
    }
}
