//! The schema's versions and the way from one to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::fault::while_opening;
use crate::journal::Error;

/// Marks the file as a journal (`HRLD`), so that another program's database is not taken for one.
pub(super) const APPLICATION_ID: i64 = 0x4852_4c44;

/// The steps from an empty file to the present schema; step `n` makes version `n + 1`. A released
/// step is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/bookmarks.sql"),
    include_str!("schema/refused.sql"),
    include_str!("schema/added.sql"),
];

/// Brings the file to the present version, each step in a transaction of its own. Safe to be
/// interrupted: the version is part of the step.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), Error> {
    migrate_through(conn, path, MIGRATIONS)
}

fn migrate_through(conn: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), Error> {
    let fail = |cause: rusqlite::Error| while_opening(path, &cause);
    let application: i64 = pragma(conn, "application_id").map_err(fail)?;
    let found: i64 = pragma(conn, "user_version").map_err(fail)?;
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fail)?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if application != APPLICATION_ID && (tables > 0 || found != 0) {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            why: "it is an SQLite file, but not a journal of Herald".to_owned(),
        });
    }
    if found > known {
        return Err(Error::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for (version, step) in (1..).zip(steps).skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        transaction.execute_batch(step).map_err(fail)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fail)?;
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(fail)?;
        transaction.commit().map_err(fail)?;
    }
    Ok(())
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(conn: &Connection) -> i64 {
        pragma(conn, "user_version").unwrap()
    }

    #[test]
    fn an_older_schema_is_carried_forward_with_its_rows() {
        let path = Path::new("journal.db");
        let mut conn = Connection::open_in_memory().unwrap();
        let first: &[&str] = &["CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('kept')"];
        migrate_through(&mut conn, path, first).unwrap();
        assert_eq!(version(&conn), 1);
        let both: &[&str] = &[
            first[0],
            "ALTER TABLE note ADD COLUMN seen INTEGER DEFAULT 7",
        ];
        migrate_through(&mut conn, path, both).unwrap();
        assert_eq!(version(&conn), 2);
        let row: (String, i64) = conn
            .query_row("SELECT text, seen FROM note", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, ("kept".to_owned(), 7));
        migrate_through(&mut conn, path, both).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let path = Path::new("journal.db");
        let mut conn = Connection::open_in_memory().unwrap();
        let steps: &[&str] = &["CREATE TABLE a (x)", "CREATE TABLE b (x); NONSENSE"];
        assert!(migrate_through(&mut conn, path, steps).is_err());
        assert_eq!(version(&conn), 1);
        let tables: i64 = conn
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1, "nothing of the second step is left");
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        conn.pragma_update(None, "user_version", MIGRATIONS.len() as i64 + 1)
            .unwrap();
        let refused = migrate(&mut conn, Path::new("journal.db")).unwrap_err();
        assert!(matches!(refused, Error::TooNew { .. }), "{refused}");
    }
}
