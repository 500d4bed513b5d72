//! Lists for people: walked by key, newest first, each hit verified, a bounded number of rows
//! looked at per page.

use herald_model::{DeliveryId, DeliveryState, EventId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Params};

use super::finish::{DEAD, DELIVERED, SUPPRESSED};
use super::index::Kind;
use super::look::{Attempts, delivery, delivery_id, event};
use super::reader::Reader;
use super::rows::timestamp;
use crate::journal::texts::Texts;
use crate::journal::{
    Cursor, DeliveryFilter, DeliveryRow, EventFilter, EventRow, OperationFilter, OperationRow,
    Page, page_limit,
};

/// Rows looked at for one page. Chosen: some tens of milliseconds.
const LOOKED_AT_MAX: usize = 20_000;

/// Integers read ahead in one go.
const STRIDE: i64 = 256;

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
fn is_added(reader: &Reader, delivery: i64) -> rusqlite::Result<bool> {
    reader
        .conn
        .prepare_cached("SELECT 1 FROM added WHERE delivery = ?1")?
        .exists([delivery])
}

fn event_of(reader: &Reader, delivery: i64) -> rusqlite::Result<Option<(i64, Timestamp)>> {
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
fn position(reader: &Reader) -> i64 {
    reader
        .index
        .as_ref()
        .and_then(|index| index.position().ok())
        .unwrap_or(0)
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

/// Integers that may be wanted, newest first.
struct Candidates<'f> {
    from: From<'f>,
    below: i64,
    ahead: Vec<i64>,
}

enum From<'f> {
    /// Every row of a table.
    Table(&'static str),
    /// Deliveries that ended so.
    State(i64),
    /// Deliveries that have not ended.
    Pending,
    /// Events beyond the index's position, then what the index finds.
    Tail(Kind, &'f str, i64),
    Index(Kind, &'f str),
    /// No more than what was read ahead.
    Listed,
}

impl<'f> Candidates<'f> {
    fn all(table: &'static str, below: i64) -> Self {
        Self::of(From::Table(table), below)
    }

    fn state(state: i64, below: i64) -> Self {
        debug_assert_ne!(state, DELIVERED);
        Self::of(From::State(state), below)
    }

    fn pending(below: i64) -> Self {
        Self::of(From::Pending, below)
    }

    /// `numbers` in rising order.
    fn listed(numbers: Vec<i64>) -> Self {
        let mut listed = Self::of(From::Listed, 0);
        listed.ahead = numbers;
        listed
    }

    fn found(reader: &Reader, kind: Kind, text: &'f str, below: i64) -> rusqlite::Result<Self> {
        Ok(Self::of(From::Tail(kind, text, position(reader)), below))
    }

    const fn of(from: From<'f>, below: i64) -> Self {
        Self {
            from,
            below,
            ahead: Vec::new(),
        }
    }

    fn next(&mut self, reader: &Reader) -> rusqlite::Result<Option<i64>> {
        if self.ahead.is_empty() {
            self.read_ahead(reader)?;
        }
        Ok(self.ahead.pop())
    }

    fn read_ahead(&mut self, reader: &Reader) -> rusqlite::Result<()> {
        let below = self.below;
        self.ahead = match self.from {
            From::Table("event") => numbers(
                reader,
                "SELECT seq FROM event WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                [below, STRIDE],
            )?,
            From::Table(_) => numbers(
                reader,
                "SELECT seq FROM delivery WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
                [below, STRIDE],
            )?,
            From::State(state) => numbers(
                reader,
                "SELECT delivery FROM finish WHERE state <> 1 AND state = ?3 AND delivery < ?1 \
                 ORDER BY delivery DESC LIMIT ?2",
                [below, STRIDE, state],
            )?,
            From::Pending => {
                let mut both = numbers(
                    reader,
                    "SELECT head FROM lane WHERE head < ?1 ORDER BY head DESC LIMIT ?2",
                    [below, STRIDE],
                )?;
                both.extend(numbers(
                    reader,
                    "SELECT delivery FROM queue WHERE delivery < ?1 ORDER BY delivery DESC LIMIT ?2",
                    [below, STRIDE],
                )?);
                both.sort_unstable_by(|a, b| b.cmp(a));
                // What lies below the end of either half could still be above rows of the other.
                both.truncate(usize::try_from(STRIDE).unwrap_or(usize::MAX));
                both
            }
            From::Tail(kind, text, position) => {
                let tail = numbers(
                    reader,
                    "SELECT seq FROM event WHERE seq < ?1 AND seq > ?3 ORDER BY seq DESC LIMIT ?2",
                    [below, STRIDE, position],
                )?;
                if tail.is_empty() {
                    self.from = From::Index(kind, text);
                    self.below = below.min(position + 1);
                    return self.read_ahead(reader);
                }
                tail
            }
            From::Index(kind, text) => match &reader.index {
                Some(index) => index
                    .find(kind, text.as_bytes(), below, 256)
                    .unwrap_or_default(),
                None => Vec::new(),
            },
            From::Listed => Vec::new(),
        };
        if let Some(last) = self.ahead.last() {
            self.below = *last;
        }
        self.ahead.reverse();
        Ok(())
    }
}

fn numbers(reader: &Reader, text: &str, params: impl Params) -> rusqlite::Result<Vec<i64>> {
    reader
        .conn
        .prepare_cached(text)?
        .query_map(params, |row| row.get(0))?
        .collect()
}

/// A page that is being filled.
pub(super) struct Paging<T> {
    rows: Vec<(i64, T)>,
    limit: usize,
    looked_at: usize,
    last: Option<i64>,
}

impl<T> Paging<T> {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            rows: Vec::new(),
            limit: page_limit(limit),
            looked_at: 0,
            last: None,
        }
    }

    /// One row beyond the page is looked for, to know whether there is a next page.
    pub(super) fn goes_on(&self) -> bool {
        self.rows.len() <= self.limit && self.looked_at < LOOKED_AT_MAX
    }

    pub(super) fn add(&mut self, number: i64, row: Option<T>) {
        self.looked_at += 1;
        self.last = Some(number);
        self.rows.extend(row.map(|row| (number, row)));
    }

    /// The walk ended, the page is full, or enough was looked at.
    pub(super) fn done(mut self) -> Page<T> {
        let next = if self.rows.len() > self.limit {
            self.rows.truncate(self.limit);
            self.rows.last().map(|(number, _)| Cursor(*number))
        } else if self.looked_at >= LOOKED_AT_MAX {
            self.last.map(Cursor)
        } else {
            None
        };
        Page {
            rows: self.rows.into_iter().map(|(_, row)| row).collect(),
            next,
        }
    }
}
