//! One event or one delivery, found by its public id.

use herald_model::{DeliveryId, EventId};
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::index::Kind;
use super::look::{Attempts, delivery, delivery_id};
use super::reader::Reader;
use super::rows::timestamp;
use crate::journal::DeliveryRow;

/// The integer of an event.
pub(super) fn event_number(reader: &Reader, id: EventId) -> rusqlite::Result<Option<i64>> {
    // Asked before the index: what is indexed meanwhile is looked at twice, never missed.
    let position = position(reader);
    let indexed = match &reader.index {
        Some(index) => index.event(id).ok().flatten(),
        None => None,
    };
    let is_it = |number: i64| -> rusqlite::Result<bool> {
        let found: Option<[u8; 16]> = reader
            .conn
            .prepare_cached("SELECT id FROM event WHERE seq = ?1")?
            .query_row([number], |row| row.get(0))
            .optional()?;
        Ok(found.is_some_and(|found| found == *id.uuid().as_bytes()))
    };
    if let Some(number) = indexed
        && is_it(number)?
    {
        return Ok(Some(number));
    }
    reader
        .conn
        .prepare_cached("SELECT seq FROM event WHERE seq > ?1 AND id = ?2")?
        .query_row(rusqlite::params![position, id.uuid().as_bytes()], |row| {
            row.get(0)
        })
        .optional()
}

/// A delivery with all its attempts.
pub(super) fn delivery_by_id(
    reader: &Reader,
    id: DeliveryId,
) -> rusqlite::Result<Option<DeliveryRow>> {
    // Before the index, as above.
    let position = position(reader);
    let hits = match &reader.index {
        Some(index) => index
            .find(Kind::Delivery, id.uuid().as_bytes(), i64::MAX, 8)
            .unwrap_or_default(),
        None => Vec::new(),
    };
    for number in hits {
        if delivery_id(reader, number)? == Some(id) {
            return delivery(reader, number, Attempts::All);
        }
    }
    let added: Option<i64> = reader
        .conn
        .prepare_cached("SELECT delivery FROM added WHERE id = ?1")?
        .query_row([id.uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    if let Some(number) = added {
        return delivery(reader, number, Attempts::All);
    }
    let mut tail = reader
        .conn
        .prepare_cached("SELECT seq FROM delivery WHERE event > ?2 AND seq >= ?1 ORDER BY seq")?;
    let from: Option<i64> = reader
        .conn
        .prepare_cached("SELECT first_delivery FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1")?
        .query_row([position], |row| row.get(0))
        .optional()?;
    let Some(from) = from else { return Ok(None) };
    let mut rows = tail.query([from, position])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        if delivery_id(reader, number)? == Some(id) {
            return delivery(reader, number, Attempts::All);
        }
    }
    Ok(None)
}

/// The deliveries of an event, in order.
pub(super) fn deliveries_of(reader: &Reader, event: i64) -> rusqlite::Result<Vec<i64>> {
    let range: Option<(i64, i64)> = reader
        .conn
        .prepare_cached("SELECT first_delivery, deliveries FROM event WHERE seq = ?1")?
        .query_row([event], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut all = range.map_or_else(Vec::new, |(first, count)| (first..first + count).collect());
    let mut added = reader
        .conn
        .prepare_cached("SELECT delivery FROM added WHERE event = ?1 ORDER BY delivery")?;
    let mut rows = added.query([event])?;
    while let Some(row) = rows.next()? {
        all.push(row.get(0)?);
    }
    Ok(all)
}

/// Whether a delivery was planned after its event was recorded.
pub(super) fn is_added(reader: &Reader, delivery: i64) -> rusqlite::Result<bool> {
    reader
        .conn
        .prepare_cached("SELECT 1 FROM added WHERE delivery = ?1")?
        .exists([delivery])
}

pub(super) fn event_of(
    reader: &Reader,
    delivery: i64,
) -> rusqlite::Result<Option<(i64, Timestamp)>> {
    reader
        .conn
        .prepare_cached(
            "SELECT e.seq, e.received FROM delivery d JOIN event e ON e.seq = d.event \
             WHERE d.seq = ?1",
        )?
        .query_row([delivery], |row| Ok((row.get(0)?, timestamp(row.get(1)?))))
        .optional()
}

/// How far the index reaches.
pub(super) fn position(reader: &Reader) -> i64 {
    reader
        .index
        .as_ref()
        .and_then(|index| index.position().ok())
        .unwrap_or(0)
}
