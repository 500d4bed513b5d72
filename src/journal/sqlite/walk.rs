//! Lists for people: walked by key, newest first, each hit verified, a bounded number of rows
//! looked at per page.

use herald_model::DeliveryState;
use jiff::Timestamp;
use rusqlite::OptionalExtension;

mod candidates;
mod paging;

use self::candidates::Candidates;
use self::paging::LOOKED_AT_MAX;
pub(super) use self::paging::Paging;
use super::find::{deliveries_of, event_number, event_of, is_added};
use super::finish::{DEAD, SUPPRESSED};
use super::index::Kind;
use super::look::{Attempts, delivery, event};
use super::reader::Reader;
use super::rows::timestamp;
use crate::journal::texts::Texts;
use crate::journal::{
    Cursor, DeliveryFilter, DeliveryRow, EventFilter, EventRow, OperationFilter, OperationRow, Page,
};

/// How far receive times may run against the integers (clock steps, slow senders), in
/// milliseconds; a walk bounded by time goes on that much longer.
const DISORDER: i64 = 3_600_000;

/// One page of events.
pub(super) fn events(reader: &Reader, filter: &EventFilter) -> rusqlite::Result<Page<EventRow>> {
    let below = start(reader, filter.cursor, filter.until)?;
    let mut candidates = match key(&filter.sender_id, &filter.eni, &filter.request) {
        Some((kind, text)) => Candidates::found(reader, kind, text, below)?,
        None => Candidates::all("event", below),
    };
    let since = filter.since.map(|since| since.as_millisecond() - DISORDER);
    let mut page = Paging::new(filter.limit);
    while page.goes_on()
        && let Some(number) = candidates.next(reader)?
    {
        let Some(row) = event(reader, number)? else {
            continue;
        };
        if since.is_some_and(|since| row.received_at.as_millisecond() < since) {
            break;
        }
        let wanted = in_time(row.received_at, filter.since, filter.until)
            && texts_match(&row.text, &filter.sender_id, &filter.eni, &filter.request);
        page.add(number, wanted.then_some(row));
    }
    Ok(page.done())
}

/// One page of deliveries.
pub(super) fn deliveries(
    reader: &Reader,
    filter: &DeliveryFilter,
) -> rusqlite::Result<Page<DeliveryRow>> {
    let below = filter.cursor.map_or(i64::MAX, |cursor| cursor.0);
    let mut candidates = delivery_candidates(reader, filter, below)?;
    let since = filter.since.map(|since| since.as_millisecond() - DISORDER);
    let mut page = Paging::new(filter.limit);
    while page.goes_on()
        && let Some(number) = candidates.next(reader)?
    {
        let Some((event, received)) = event_of(reader, number)? else {
            continue;
        };
        if since.is_some_and(|since| received.as_millisecond() < since) {
            // One that was planned after its event stands among younger ones.
            if is_added(reader, number)? {
                continue;
            }
            break;
        }
        let mut wanted = in_time(received, filter.since, filter.until);
        if wanted && (filter.eni.is_some() || filter.request.is_some()) {
            let text: String = reader
                .conn
                .prepare_cached("SELECT text FROM event WHERE seq = ?1")?
                .query_row([event], |row| row.get(0))?;
            wanted = texts_match(&text, &None, &filter.eni, &filter.request);
        }
        let row = if wanted {
            delivery(reader, number, Attempts::Last)?.filter(|row| is_wanted(row, filter))
        } else {
            None
        };
        page.add(number, row);
    }
    Ok(page.done())
}

fn is_wanted(row: &DeliveryRow, filter: &DeliveryFilter) -> bool {
    filter.sink.as_deref().is_none_or(|sink| *row.sink == *sink)
        && filter
            .subscription
            .as_deref()
            .is_none_or(|subscription| *row.subscription == *subscription)
        && filter.state.is_none_or(|state| row.state == state)
        && filter.event.is_none_or(|event| row.event == event)
}

fn delivery_candidates<'f>(
    reader: &Reader,
    filter: &'f DeliveryFilter,
    below: i64,
) -> rusqlite::Result<Candidates<'f>> {
    if let Some(id) = filter.event {
        let mut numbers = match event_number(reader, id)? {
            Some(number) => deliveries_of(reader, number)?,
            None => Vec::new(),
        };
        numbers.retain(|number| *number < below);
        return Ok(Candidates::listed(numbers));
    }
    if let Some((kind, text)) = key(&None, &filter.eni, &filter.request) {
        // The events are few; one whose deliveries lie above the cursor is passed over below.
        let mut events = Candidates::found(reader, kind, text, i64::MAX)?;
        let mut numbers = Vec::new();
        while numbers.len() < LOOKED_AT_MAX
            && let Some(event) = events.next(reader)?
        {
            let its = deliveries_of(reader, event)?;
            numbers.extend(its.into_iter().rev().filter(|number| *number < below));
        }
        numbers.reverse();
        return Ok(Candidates::listed(numbers));
    }
    let until_below = match start(reader, None, filter.until)? {
        i64::MAX => i64::MAX,
        event => reader
            .conn
            .prepare_cached(
                "SELECT first_delivery FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1",
            )?
            .query_row([event], |row| row.get(0))
            .optional()?
            .unwrap_or(i64::MAX),
    };
    let below = below.min(until_below);
    Ok(match filter.state {
        Some(DeliveryState::Dead) => Candidates::state(DEAD, below),
        Some(DeliveryState::Suppressed) => Candidates::state(SUPPRESSED, below),
        Some(DeliveryState::Pending) => Candidates::pending(below),
        Some(DeliveryState::Delivered) | None => Candidates::all("delivery", below),
    })
}

/// One page of operation results.
pub(super) fn operations(
    reader: &Reader,
    filter: &OperationFilter,
) -> rusqlite::Result<Page<OperationRow>> {
    let below = filter.cursor.map_or(i64::MAX, |cursor| cursor.0);
    let since = filter.since.map(|since| since.as_millisecond() - DISORDER);
    let mut page = Paging::new(filter.limit);
    let mut statement = reader.conn.prepare_cached(
        "SELECT seq, received, text, reason FROM operation WHERE seq < ?1 ORDER BY seq DESC",
    )?;
    let mut rows = statement.query([below])?;
    while page.goes_on()
        && let Some(row) = rows.next()?
    {
        let received: i64 = row.get(1)?;
        if since.is_some_and(|since| received < since) {
            break;
        }
        let found = OperationRow {
            received_at: timestamp(received),
            operation: row.get(2)?,
            reason: row.get(3)?,
        };
        let wanted = in_time(found.received_at, filter.since, filter.until)
            && filter
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == found.reason);
        page.add(row.get(0)?, wanted.then_some(found));
    }
    Ok(page.done())
}

/// Below which event a list begins.
fn start(
    reader: &Reader,
    cursor: Option<Cursor>,
    until: Option<Timestamp>,
) -> rusqlite::Result<i64> {
    let below = cursor.map_or(i64::MAX, |cursor| cursor.0);
    let Some(until) = until else { return Ok(below) };
    let until = until.as_millisecond() + DISORDER;
    let mut statement = reader
        .conn
        .prepare_cached("SELECT seq, received FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    let (mut low, mut high): (i64, i64) =
        reader
            .conn
            .query_row("SELECT swept + 1, next_event FROM counter", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
    let last = high;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = statement
            .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((event, received)) if received < until => low = event + 1,
            _ => high = middle,
        }
    }
    Ok(if low >= last { below } else { below.min(low) })
}

fn key<'f>(
    sender: &'f Option<String>,
    eni: &'f Option<String>,
    request: &'f Option<String>,
) -> Option<(Kind, &'f str)> {
    // The most telling first: a request names one operation, an ENI has many.
    let of = |kind, text: &'f Option<String>| Some((kind, text.as_deref()?));
    of(Kind::Sender, sender)
        .or_else(|| of(Kind::Request, request))
        .or_else(|| of(Kind::Eni, eni))
}

pub(super) fn in_time(at: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}

fn texts_match(
    text: &str,
    sender: &Option<String>,
    eni: &Option<String>,
    request: &Option<String>,
) -> bool {
    if sender.is_none() && eni.is_none() && request.is_none() {
        return true;
    }
    let texts = Texts::of(text);
    let same = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
    };
    same(sender, texts.sender_id.as_deref())
        && same(eni, texts.eni.as_deref())
        && same(request, texts.request.as_deref())
}
