//! The engines under test.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use herald::journal::Journal;
use herald::journal::memory::MemoryJournal;
use herald::journal::sqlite::SqliteJournal;
use jiff::Timestamp;
use tempfile::TempDir;

/// A journal that can lose its process.
#[async_trait]
pub(crate) trait Engine: Send {
    /// The journal.
    fn journal(&self) -> &dyn Journal;

    /// Ends the process without a goodbye and starts it again at `now`.
    async fn restart(&mut self, now: Timestamp);

    /// Its file, if it has one.
    fn file(&self) -> Option<PathBuf> {
        None
    }
}

pub(crate) struct Memory(MemoryJournal);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(MemoryJournal::new())
    }
}

#[async_trait]
impl Engine for Memory {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }

    async fn restart(&mut self, now: Timestamp) {
        self.0.crash(now);
    }
}

pub(crate) struct Sqlite {
    journal: Option<SqliteJournal>,
    dir: TempDir,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(dir.path().join("journal.db"), crate::world::start());
        Self {
            journal: Some(journal.unwrap()),
            dir,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        file(self.dir.path())
    }

    pub(crate) fn stop(&mut self) {
        self.journal = None;
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

#[async_trait]
impl Engine for Sqlite {
    fn journal(&self) -> &dyn Journal {
        self.journal.as_ref().unwrap()
    }

    async fn restart(&mut self, now: Timestamp) {
        self.stop();
        self.journal = Some(SqliteJournal::open(self.path(), now).unwrap());
    }

    fn file(&self) -> Option<PathBuf> {
        Some(self.path())
    }
}
