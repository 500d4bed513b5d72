//! Failures of SQLite, sorted by what they mean to a caller.

use std::path::Path;

use rusqlite::ffi::{self, ErrorCode};

use crate::journal::Error;

/// Why a verb did not take effect.
#[derive(Debug)]
pub(super) enum Fault {
    /// The verb was refused before it wrote anything; the rest of its group goes on.
    Refused(Error),
    /// The database failed; whatever the group wrote must be rolled back.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Broken(cause)
    }
}

/// What a failure says about the journal as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// No room; goes on when there is some.
    Full,
    /// What is on the disk is not known any more, or is damaged: no further writes.
    Fatal,
    /// This verb alone.
    Poison,
}

/// Sorts a failure.
pub(super) fn meaning(cause: &rusqlite::Error) -> Meaning {
    match cause.sqlite_error() {
        // The shared-memory file beside the log could not grow: SQLite calls that an I/O error,
        // but it is the disk that is full, and nothing was written.
        Some(error) if error.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Meaning::Full,
        Some(error) => match error.code {
            ErrorCode::DiskFull => Meaning::Full,
            ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Meaning::Fatal
            }
            _ => Meaning::Poison,
        },
        None => Meaning::Poison,
    }
}

/// The public form of a failure.
pub(super) fn error(path: &Path, cause: &rusqlite::Error) -> Error {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt {
            path: path.to_owned(),
            why: cause.to_string(),
        },
        _ if meaning(cause) == Meaning::Full => Error::Full,
        _ => Error::Failed(cause.to_string()),
    }
}

/// The public form of a failure while the file is opened.
pub(super) fn while_opening(path: &Path, cause: &rusqlite::Error) -> Error {
    match error(path, cause) {
        Error::Failed(why) => Error::Open {
            path: path.to_owned(),
            why,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: i32, expected: Meaning) {
        let cause = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(meaning(&cause), expected, "{cause}");
    }

    #[test]
    fn a_full_disk_passes() {
        check(ffi::SQLITE_FULL, Meaning::Full);
        check(ffi::SQLITE_IOERR_SHMSIZE, Meaning::Full);
    }

    #[test]
    fn after_a_failed_sync_nothing_more_is_written() {
        check(ffi::SQLITE_IOERR_FSYNC, Meaning::Fatal);
        check(ffi::SQLITE_IOERR_WRITE, Meaning::Fatal);
        check(ffi::SQLITE_CORRUPT, Meaning::Fatal);
    }

    #[test]
    fn anything_else_is_the_verbs_own_fault() {
        check(ffi::SQLITE_CONSTRAINT, Meaning::Poison);
        check(ffi::SQLITE_TOOBIG, Meaning::Poison);
    }

    #[test]
    fn damage_is_named_with_the_file() {
        let cause = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), None);
        let told = error(Path::new("/var/journal.db"), &cause);
        assert!(matches!(told, Error::Corrupt { .. }), "{told}");
    }
}
