//! How sinks stand, for people.

use herald_model::Phase;
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::reader::Reader;
use super::rows::timestamp;
use crate::journal::endpoint::{Denied, Endpoint, Row, standing};
use crate::journal::{EndpointRow, SinkState};

/// Whether a sink may be used, and until when it may not.
pub(super) fn of(reader: &Reader, sink: i64) -> rusqlite::Result<(SinkState, Option<Timestamp>)> {
    let held = reader
        .conn
        .prepare_cached("SELECT 1 FROM pause WHERE sink = ?1")?
        .exists([sink])?;
    let found = reader
        .conn
        .prepare_cached(
            "SELECT w.limited, w.until, e.penalty_until, e.faults, e.probe_at FROM way w \
             LEFT JOIN endpoint e ON e.seq = w.endpoint WHERE w.sink = ?1",
        )?
        .query_row([sink], |row| {
            let until = row.get(1)?;
            let limited = row.get::<_, bool>(0)?.then_some(Denied { until });
            let stored = Row {
                penalty_until: row.get(2)?,
                faults: row.get::<_, Option<u32>>(3)?.unwrap_or(0),
                probe_at: row.get(4)?,
                ..Row::default()
            };
            Ok((Endpoint::from_row(&stored).closed(), limited))
        })
        .optional()?;
    let (closed, limited) = found.unwrap_or_default();
    let (state, until) = standing(held, closed, limited);
    Ok((state, until.map(timestamp)))
}

/// Every endpoint, by name.
pub(super) fn endpoints(reader: &Reader) -> rusqlite::Result<Vec<EndpointRow>> {
    let mut statement = reader.conn.prepare_cached(
        "SELECT name, starts, per, penalty_until, faults, probe_at FROM endpoint ORDER BY name",
    )?;
    let rows = statement.query_map([], |row| {
        let stored = Row {
            starts: row.get(1)?,
            per: row.get(2)?,
            penalty_until: row.get(3)?,
            faults: row.get(4)?,
            probe_at: row.get(5)?,
        };
        let name: String = row.get(0)?;
        Ok(Endpoint::from_row(&stored).shown(&name))
    })?;
    rows.collect()
}

/// Sinks that may stand otherwise than ready.
pub(super) fn restrained(reader: &Reader) -> rusqlite::Result<Vec<i64>> {
    let mut statement = reader
        .conn
        .prepare_cached("SELECT sink FROM way UNION SELECT sink FROM pause")?;
    let sinks = statement.query_map([], |row| row.get(0))?;
    sinks.collect()
}

/// What a head waits for that is not in flight, and until when.
pub(super) fn phase(
    reader: &Reader,
    sink: i64,
    own: Phase,
    due: Option<Timestamp>,
) -> rusqlite::Result<(Phase, Option<Timestamp>)> {
    let (state, until) = of(reader, sink)?;
    let due = due.filter(|_| own != Phase::Due);
    Ok(match state.phase(due, until, own) {
        Some(Phase::Held) => (Phase::Held, None),
        Some(phase) => (phase, until.max(due)),
        None => (own, due),
    })
}
