//! How connections are opened and set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::while_opening;
use super::schema;
use crate::journal::Error;

/// The oldest SQLite that may write: versions before it can corrupt a database in WAL mode when
/// one connection checkpoints while another writes (SQLite 3.51.3 release notes, "WAL-reset bug").
const SQLITE_MIN: i32 = 3_051_003;

/// Longest wait for another connection of this process. Only the writer ever waits, for readers
/// that need the write-ahead log when it should start over; it tries again later.
const BUSY: Duration = Duration::from_millis(100);

/// Refuses an SQLite that must not write.
pub(super) fn check_version() -> Result<(), Error> {
    check_version_number(rusqlite::version_number())
}

fn check_version_number(number: i32) -> Result<(), Error> {
    if number >= SQLITE_MIN {
        return Ok(());
    }
    Err(Error::UnsafeSqlite {
        found: format!(
            "{}.{}.{}",
            number / 1_000_000,
            number / 1_000 % 1_000,
            number % 1_000
        ),
    })
}

/// The writer's connection, with the schema brought to the present version.
pub(super) fn writer(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = open(path, flags)?;
    let fail = |cause: rusqlite::Error| while_opening(path, &cause);
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(fail)?;
    if mode != "wal" {
        return Err(Error::Open {
            path: path.to_owned(),
            why: format!("the file system allows no write-ahead log (journal mode {mode})"),
        });
    }
    // FULL syncs the log at every commit; with NORMAL the last answered commits could vanish in a
    // power cut. Checkpoints are the other connection's.
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -8192;
         PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;",
    )
    .map_err(fail)?;
    // Plans must not depend on bound values: SQLite would otherwise prepare the statements on
    // partial indexes anew each time a value changes, which costs more than running them.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(fail)?;
    schema::migrate(&mut conn, path)?;
    Ok(conn)
}

/// The connection that copies the write-ahead log.
pub(super) fn checkpointer(path: &Path) -> Result<Connection, Error> {
    let conn = open(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -256;",
    )
    .map_err(|cause| while_opening(path, &cause))?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let conn = open(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1024;")
        .map_err(|cause| while_opening(path, &cause))?;
    Ok(conn)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let fail = |cause: rusqlite::Error| while_opening(path, &cause);
    let conn = Connection::open_with_flags(path, flags).map_err(fail)?;
    conn.busy_timeout(BUSY).map_err(fail)?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_sqlite_is_safe() {
        assert!(rusqlite::version_number() >= SQLITE_MIN);
    }

    #[test]
    fn the_writer_syncs_each_commit_to_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let conn = writer(&folder.path().join("journal.db")).unwrap();
        let pragma = |name: &str| {
            conn.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
        assert_eq!(pragma("synchronous").unwrap(), 2.into(), "FULL");
        assert_eq!(
            pragma("wal_autocheckpoint").unwrap(),
            0.into(),
            "copying is the other connection's"
        );
    }

    #[test]
    fn an_sqlite_with_the_wal_defect_is_refused_by_its_version() {
        let refused = check_version_number(3_051_002).unwrap_err();
        assert!(refused.to_string().contains("SQLite 3.51.2"), "{refused}");
        check_version_number(3_051_003).unwrap();
    }
}
