//! `[journal]`: where the record is kept, and for how long.

use std::path::PathBuf;
use std::time::Duration;

/// The durable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// What keeps it.
    pub engine: Engine,
    /// How long finished events and refused operation results are kept.
    pub keep: Duration,
    /// Bytes on disk; towards it finished rows go, oldest first, and at it intake answers `503`.
    pub max_size: u64,
    /// How long ago a repeat of an event may lie to be recognised; not longer than `keep`.
    pub dedup_window: Duration,
    /// Refused bodies kept per source.
    pub refused: u64,
}

/// What keeps the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// SQLite in this process, in the file at this path.
    Embedded(PathBuf),
}
