//! A consistent copy of a journal, also while it is in use.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::fault::error;
use super::schema::APPLICATION_ID;
use super::{counters, open};
use crate::journal::{Error, Totals};

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackedUp {
    /// Size of the file.
    pub bytes: u64,
    /// The counters as they stood at the instant that was copied.
    pub totals: Totals,
}

/// Copies the journal at `journal` into the new file `to`, as it stood at one instant, and reads
/// the copy through once. A Herald started on the copy goes on from that instant: what was in
/// flight then is tried again.
///
/// The copy is made through a read transaction of its own, so a running Herald goes on beside it;
/// its write-ahead log cannot start over until the copy is done. Only the folder of `to` needs
/// room. Until it is whole, the copy stands under the name of `to` with `.part` after it.
///
/// # Errors
/// The journal cannot be read or is damaged; `to` is there already or cannot be written. Nothing
/// is left behind.
pub fn backup(journal: &Path, to: &Path) -> Result<BackedUp, Error> {
    let part = Part::make(to)?;
    let made = copy(journal, &part.path)?;
    part.take(to)?;
    Ok(made)
}

fn copy(journal: &Path, to: &Path) -> Result<BackedUp, Error> {
    open::check_version()?;
    if !journal.is_file() {
        return Err(Error::Open {
            path: journal.to_owned(),
            why: "there is no such file".to_owned(),
        });
    }
    let reading = |cause: rusqlite::Error| error(journal, &cause);
    let writing = |cause: rusqlite::Error| refused(to, &cause.to_string());
    let source = open::reader(journal)?;
    let application: i64 = source
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(reading)?;
    if application != APPLICATION_ID {
        return Err(Error::Corrupt {
            path: journal.to_owned(),
            why: "it is not a journal of Herald".to_owned(),
        });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(writing)?;
    let copying = Backup::new(&source, &mut target).map_err(reading)?;
    // All pages in one step: a copy in several would begin again at every commit between them.
    match copying.step(-1).map_err(writing)? {
        StepResult::Done => {}
        _ => return Err(refused(to, "the journal is locked")),
    }
    drop(copying);
    // A file that needs no log beside it.
    target
        .pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
        .map_err(writing)?;
    let verdict: String = target
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(writing)?;
    if verdict != "ok" {
        return Err(Error::Corrupt {
            path: journal.to_owned(),
            why: verdict,
        });
    }
    let totals = counters::totals(&target).map_err(writing)?;
    let bytes = std::fs::metadata(to).map_err(|cause| refused(to, &cause.to_string()))?;
    Ok(BackedUp {
        bytes: bytes.len(),
        totals,
    })
}

/// The copy before it is whole; removed when it does not become so.
struct Part {
    path: PathBuf,
}

impl Part {
    /// Makes it empty, for its owner's eyes only: events hold personal data.
    fn make(to: &Path) -> Result<Self, Error> {
        if to.exists() {
            return Err(refused(to, "it is there already; name another file"));
        }
        let mut name: OsString = to.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| refused(&path, &cause.to_string()))?;
        Ok(Self { path })
    }

    /// Makes it durable under its own name.
    fn take(self, to: &Path) -> Result<(), Error> {
        let moved = || {
            File::open(&self.path)?.sync_all()?;
            std::fs::rename(&self.path, to)?;
            match to.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
                _ => File::open(".")?.sync_all(),
            }
        };
        moved().map_err(|cause: std::io::Error| refused(to, &cause.to_string()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn refused(to: &Path, why: &str) -> Error {
    Error::Failed(format!("cannot write the copy {}: {why}", to.display()))
}
