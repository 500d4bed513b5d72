//! `look`: the journal as people see it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use herald_model::{DeliveryId, DeliveryState, EventId, MessageId, Phase};
use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::SqliteJournal;
use super::reader::Reader;
use super::rows::{outcome_word, phase, state, timestamp};
use super::{counters, find, standing, walk};
use crate::journal::{
    AttemptRow, DeliveryFilter, DeliveryNo, DeliveryRow, EndpointRow, Error, EventFilter, EventNo,
    EventRow, GenerationNo, GenerationRow, Look, OperationFilter, OperationRow, Page, SinkRow,
    SinkState, Totals,
};

/// How many attempts of a delivery are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempts {
    All,
    Last,
}

#[async_trait]
impl Look for SqliteJournal {
    async fn events(&self, filter: EventFilter) -> Result<Page<EventRow>, Error> {
        self.reader
            .read(move |reader| walk::events(reader, &filter))
            .await
    }

    async fn event(&self, id: EventId) -> Result<Option<EventRow>, Error> {
        self.reader
            .read(move |reader| match find::event_number(reader, id)? {
                Some(number) => event(reader, number),
                None => Ok(None),
            })
            .await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<DeliveryRow>, Error> {
        self.reader
            .read(move |reader| walk::deliveries(reader, &filter))
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, Error> {
        self.reader
            .read(move |reader| find::delivery_by_id(reader, id))
            .await
    }

    async fn deliveries_of(&self, of: EventNo) -> Result<Vec<DeliveryRow>, Error> {
        self.reader
            .read(move |reader| {
                let mut rows = Vec::new();
                for number in find::deliveries_of(reader, of.0)? {
                    rows.extend(delivery(reader, number, Attempts::All)?);
                }
                Ok(rows)
            })
            .await
    }

    async fn operations(&self, filter: OperationFilter) -> Result<Page<OperationRow>, Error> {
        self.reader
            .read(move |reader| walk::operations(reader, &filter))
            .await
    }

    async fn bookmark(&self, source: &str) -> Result<Option<String>, Error> {
        let source = source.to_owned();
        self.reader
            .read(move |reader| {
                reader
                    .conn
                    .prepare_cached(
                        "SELECT b.text FROM bookmark b JOIN name n ON n.seq = b.source \
                         WHERE n.text = ?1",
                    )?
                    .query_row([source], |row| row.get(0))
                    .optional()
            })
            .await
    }

    async fn generation(&self, number: GenerationNo) -> Result<Option<GenerationRow>, Error> {
        self.reader
            .read(move |reader| generation(reader, number))
            .await
    }

    async fn sinks(&self) -> Result<Vec<SinkRow>, Error> {
        self.reader.read(sinks).await
    }

    async fn endpoints(&self) -> Result<Vec<EndpointRow>, Error> {
        self.reader.read(standing::endpoints).await
    }

    async fn totals(&self) -> Result<Totals, Error> {
        self.reader
            .read(|reader| counters::totals(&reader.conn))
            .await
    }
}

/// Loads an event.
pub(super) fn event(reader: &Reader, number: i64) -> rusqlite::Result<Option<EventRow>> {
    reader
        .conn
        .prepare_cached(
            "SELECT seq, id, text, received, generation, matched FROM event WHERE seq = ?1",
        )?
        .query_row([number], |row| {
            let matched: String = row.get(5)?;
            let maps = reader.names.read();
            Ok(EventRow {
                number: EventNo(row.get(0)?),
                id: event_id(row, 1)?,
                text: row.get(2)?,
                received_at: timestamp(row.get(3)?),
                generation: GenerationNo(row.get(4)?),
                matched: matched
                    .trim_matches(['[', ']'])
                    .split(',')
                    .filter_map(|number| number.parse().ok())
                    .map(|number| maps.subscription_of(number))
                    .collect(),
            })
        })
        .optional()
}

/// Loads a delivery with its attempts.
pub(super) fn delivery(
    reader: &Reader,
    number: i64,
    attempts: Attempts,
) -> rusqlite::Result<Option<DeliveryRow>> {
    let found = reader
        .conn
        .prepare_cached(
            "SELECT e.id, d.subscription, d.sink FROM delivery d JOIN event e ON e.seq = d.event \
             WHERE d.seq = ?1",
        )?
        .query_row([number], |row| {
            Ok((event_id(row, 0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((event, subscription, sink)) = found else {
        return Ok(None);
    };
    let sink_number: i64 = sink;
    let (subscription, sink) = {
        let maps = reader.names.read();
        (maps.subscription_of(subscription), maps.name_of(sink))
    };
    let mut row = DeliveryRow {
        number: DeliveryNo(number),
        id: DeliveryId::derive(event, &subscription, &sink),
        event,
        subscription,
        sink,
        state: DeliveryState::Pending,
        // In no lane and not finished: it stands behind another in its lane.
        phase: Some(Phase::Waiting),
        reason: None,
        next_attempt: None,
        charged: 0,
        late: false,
        attempts: Vec::new(),
    };
    let last = match finished(reader, &mut row)? {
        Some(last) => last,
        None => waiting(reader, &mut row, sink_number)?,
    };
    add_attempts(reader, &mut row, last, attempts)?;
    row.attempts.reverse();
    Ok(Some(row))
}

/// Fills in the end of a delivery. Gives the integer of its last attempt, or nothing if the
/// delivery has not ended.
fn finished(reader: &Reader, into: &mut DeliveryRow) -> rusqlite::Result<Option<Option<i64>>> {
    reader
        .conn
        .prepare_cached(
            "SELECT state, charged, reason, attempt, late FROM finish WHERE delivery = ?1",
        )?
        .query_row([into.number.0], |row| {
            into.state = state(row.get(0)?);
            into.phase = None;
            into.charged = row.get(1)?;
            into.reason = row.get(2)?;
            into.late = row.get(4)?;
            row.get(3)
        })
        .optional()
}

/// Fills in what the head of a lane waits for; its open attempt comes first. Gives the integer of
/// its last attempt that has ended.
fn waiting(reader: &Reader, into: &mut DeliveryRow, sink: i64) -> rusqlite::Result<Option<i64>> {
    let number = into.number.0;
    let found = reader
        .conn
        .prepare_cached(
            "SELECT attempt, started, message, phase, coalesce(again, due), \
             charged + coalesce(earlier, 0), last, late \
             FROM lane WHERE head = ?1",
        )?
        .query_row([number], |row| {
            into.charged = row.get(5)?;
            into.late = row.get(7)?;
            let open: Option<i64> = row.get(0)?;
            let open = match open {
                Some(attempt) => Some((attempt, row.get(1)?, row.get::<_, Option<i64>>(2)?)),
                None => None,
            };
            let own = phase(row.get(3)?);
            let due = row.get::<_, Option<i64>>(4)?.map(timestamp);
            Ok((open, own, due, row.get(6)?))
        })
        .optional()?;
    let Some((open, own, due, last)) = found else {
        if standing::of(reader, sink)?.0 == SinkState::Held {
            into.phase = Some(Phase::Held);
        }
        return Ok(None);
    };
    if let Some((attempt, started, message)) = open {
        into.phase = Some(Phase::InFlight);
        let leader = leader(reader, attempt)?.unwrap_or(into.id);
        into.attempts.push(AttemptRow {
            message: message_id(leader, message.unwrap_or(attempt)),
            started: timestamp(started),
            ended: None,
            outcome: None,
            charged: false,
            reason: String::new(),
            reply: String::new(),
        });
    } else {
        let (phase, until) = standing::phase(reader, sink, own, due)?;
        into.phase = Some(phase);
        into.next_attempt = until;
    }
    Ok(last)
}

/// The first member of a message whose attempt is open.
fn leader(reader: &Reader, attempt: i64) -> rusqlite::Result<Option<DeliveryId>> {
    let head: Option<i64> = reader
        .conn
        .prepare_cached("SELECT head FROM lane WHERE attempt = ?1 ORDER BY level, head LIMIT 1")?
        .query_row([attempt], |row| row.get(0))
        .optional()?;
    match head {
        Some(head) => delivery_id(reader, head),
        None => Ok(None),
    }
}

/// Adds the attempts of a chain, newest first.
fn add_attempts(
    reader: &Reader,
    into: &mut DeliveryRow,
    last: Option<i64>,
    attempts: Attempts,
) -> rusqlite::Result<()> {
    let mut statement = reader.conn.prepare_cached(
        "SELECT message, leader, started, ended, outcome, charged, words, previous FROM attempt \
         WHERE seq = ?1",
    )?;
    let mut next = last;
    let mut first = true;
    while let Some(seq) = next {
        let mut rows = statement.query([seq])?;
        let Some(row) = rows.next()? else { break };
        let outcome = outcome_word(row.get(4)?);
        let words: String = row.get(6)?;
        let (reason, reply) = if outcome == "delivered" {
            (String::new(), words)
        } else {
            (words, String::new())
        };
        if first && into.reason.is_none() && !reason.is_empty() {
            into.reason = Some(reason.clone());
        }
        first = false;
        if attempts == Attempts::All || into.attempts.is_empty() {
            let leader = match row.get::<_, Option<i64>>(1)? {
                Some(leader) => delivery_id(reader, leader)?,
                None => None,
            };
            into.attempts.push(AttemptRow {
                message: message_id(leader.unwrap_or(into.id), row.get(0)?),
                started: timestamp(row.get(2)?),
                ended: Some(timestamp(row.get(3)?)),
                outcome: Some(outcome),
                charged: row.get(5)?,
                reason,
                reply,
            });
        }
        if attempts == Attempts::Last {
            break;
        }
        next = row.get(7)?;
    }
    Ok(())
}

/// The public id of a delivery.
pub(super) fn delivery_id(reader: &Reader, number: i64) -> rusqlite::Result<Option<DeliveryId>> {
    reader
        .conn
        .prepare_cached(
            "SELECT e.id, d.subscription, d.sink FROM delivery d JOIN event e ON e.seq = d.event \
             WHERE d.seq = ?1",
        )?
        .query_row([number], |row| {
            let maps = reader.names.read();
            Ok(DeliveryId::derive(
                event_id(row, 0)?,
                &maps.subscription_of(row.get(1)?),
                &maps.name_of(row.get(2)?),
            ))
        })
        .optional()
}

fn generation(reader: &Reader, number: GenerationNo) -> rusqlite::Result<Option<GenerationRow>> {
    let since: Option<i64> = reader
        .conn
        .prepare_cached("SELECT since FROM generation WHERE seq = ?1")?
        .query_row([number.0], |row| row.get(0))
        .optional()?;
    let Some(since) = since else { return Ok(None) };
    let subscriptions = reader
        .conn
        .prepare_cached(
            "SELECT s.name, s.text FROM in_force f JOIN subscription s ON s.seq = f.subscription \
             WHERE f.first_generation <= ?1 AND (f.last_generation IS NULL OR f.last_generation >= ?1) \
             ORDER BY f.position",
        )?
        .query_map([number.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(Some(GenerationRow {
        since: timestamp(since),
        subscriptions,
    }))
}

/// What waits, by sink. The oldest of a sink is the first of its deliveries in `lane`, which is in
/// commit order, or in an ordered lane's queue, whose head is older still.
fn sinks(reader: &Reader) -> rusqlite::Result<Vec<SinkRow>> {
    let mut statement = reader
        .conn
        .prepare_cached("SELECT sink, pending FROM backlog WHERE pending > 0")?;
    let mut pending: BTreeMap<i64, i64> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for sink in standing::restrained(reader)? {
        pending.entry(sink).or_insert(0);
    }
    let mut sinks: Vec<(i64, SinkRow)> = Vec::new();
    for (number, pending) in pending {
        let (state, until) = standing::of(reader, number)?;
        if pending == 0 && state == SinkState::Ready {
            continue;
        }
        let row = SinkRow {
            name: reader.names.read().name_of(number),
            pending: u64::try_from(pending).unwrap_or(0),
            oldest: None,
            state,
            until,
        };
        sinks.push((number, row));
    }
    let mut missing = sinks.iter().filter(|(_, row)| row.pending > 0).count();
    let mut lanes = reader
        .conn
        .prepare_cached("SELECT sink, head FROM lane ORDER BY head")?;
    let mut rows = lanes.query([])?;
    while missing > 0
        && let Some(row) = rows.next()?
    {
        let sink: i64 = row.get(0)?;
        let found = sinks.iter_mut().find(|(number, _)| *number == sink);
        if let Some((_, found)) = found
            && found.oldest.is_none()
        {
            found.oldest = received(reader, row.get(1)?)?;
            missing -= 1;
        }
    }
    Ok(sinks.into_iter().map(|(_, row)| row).collect())
}

fn received(reader: &Reader, delivery: i64) -> rusqlite::Result<Option<jiff::Timestamp>> {
    reader
        .conn
        .prepare_cached(
            "SELECT e.received FROM delivery d JOIN event e ON e.seq = d.event WHERE d.seq = ?1",
        )?
        .query_row([delivery], |row| row.get(0))
        .optional()
        .map(|received| received.map(timestamp))
}

fn message_id(first: DeliveryId, number: i64) -> MessageId {
    MessageId::derive(first, number.unsigned_abs())
}

/// An event's id in a column.
pub(super) fn event_id(row: &Row<'_>, column: usize) -> rusqlite::Result<EventId> {
    row.get(column)
        .map(|bytes| EventId::from_uuid(Uuid::from_bytes(bytes)))
}
