//! `[journal]`: where the record is kept, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use herald_model::duration;
use herald_model::settings::Table;

use super::reading::{File, word_or};

const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;

/// The durable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// What keeps it, by default SQLite in `herald.db` beside the file.
    pub engine: Engine,
    /// How long what is finished is kept, 1h to 3650d, by default 30d: a month's review can still
    /// ask why.
    pub keep: Duration,
    /// Bytes in use on the disk, the log beside it not counted, 64 MiB to 16 TiB, by default 10 GiB
    /// (chosen: some five million events). Towards it finished rows go, oldest first; at it, less a
    /// reserve, intake answers `503`.
    pub max_size: u64,
    /// How long ago a repeat of an event may lie to be recognised, 0s to `keep`, by default 24h:
    /// longer than any sender is known to retry.
    pub dedup_window: Duration,
    /// Refused bodies kept per source, 0 to 1,000,000, by default 1,000 (chosen: enough to see
    /// what a sender does wrong); together at most a 64th of `max_size`.
    pub refused: u64,
}

/// What keeps the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// SQLite in this process, in the file at this path.
    Embedded(PathBuf),
}

/// Reads `[journal]`.
pub(super) fn read<'t>(file: &File<'t>, root: &Table<'t>) -> Journal {
    let table = file.section(root, "journal");
    let engines = [("embedded", true), ("postgres", false)];
    let is_in_this_build = word_or(&table, "engine", &engines, true);
    if !is_in_this_build {
        table.reading().mistake(
            table.span_of("engine"),
            "engine `postgres` is not in this build; use engine = \"embedded\"",
        );
    }
    let hour = Duration::from_secs(3_600);
    let journal = Journal {
        engine: Engine::Embedded(path(&table)),
        keep: table.duration("keep", hour..=3_650 * DAY).or(30 * DAY),
        max_size: table
            .size("max_size", 64 * MIB..=(16 << 20) * MIB)
            .or(10_240 * MIB),
        dedup_window: table
            .duration("dedup_window", Duration::ZERO..=3_650 * DAY)
            .or(DAY),
        refused: table.number("refused", 0..=1_000_000).or(1_000),
    };
    if journal.dedup_window > journal.keep {
        let key = if table.names().any(|name| name == "dedup_window") {
            "dedup_window"
        } else {
            "keep"
        };
        let text = format!(
            "`journal.dedup_window` ({}) must not be longer than `journal.keep` ({}): \
             a repeat is answered with the event that is kept",
            duration::write(journal.dedup_window),
            duration::write(journal.keep),
        );
        table.reading().mistake(table.span_of(key), text);
    }
    table.finish();
    journal
}

fn path(table: &Table<'_>) -> PathBuf {
    let path = table.text("path").or("herald.db".to_owned());
    table.reading().resolve(&path)
}
