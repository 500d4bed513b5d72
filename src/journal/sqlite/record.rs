//! `record`: events with all their deliveries.

use std::fmt::Write as _;
use std::sync::Arc;

use herald_model::Level;
use rusqlite::params;

use super::core::{Core, Verb};
use super::counters::take;
use super::fault::Fault;
use super::identity::{Sight, encode};
use super::refused;
use crate::journal::{Entry, EventEntry, Planned, Recorded};

/// The event's identity was there with other content.
const FLAG_CONFLICT: i64 = 1;

/// Entries to write down.
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
}

impl Verb for Record {
    type Made = Vec<Recorded>;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Self::Made, Fault> {
        core.make_sure_of_room()?;
        // Refused before the first row, so that a batch is never half-written.
        for entry in &self.entries {
            if let Entry::Event(event) = entry {
                check(core, event)?;
            }
        }
        self.entries
            .iter()
            .map(|entry| write(core, entry))
            .collect::<Result<_, _>>()
            .inspect(|_| core.taken += self.entries.iter().map(Entry::bytes).sum::<u64>())
    }

    fn weight(&self) -> usize {
        self.entries.len()
    }
}

fn check(core: &Core<'_>, entry: &EventEntry) -> Result<(), Fault> {
    let maps = core.names.read();
    let known = entry.generation.0 <= maps.generation
        && entry
            .matched
            .iter()
            .all(|number| maps.subscriptions.contains_key(&number.0))
        && entry.deliveries.iter().all(|planned| {
            maps.names.contains_key(&planned.sink.0)
                && maps.subscriptions.contains_key(&planned.subscription.0)
        });
    if known {
        Ok(())
    } else {
        Core::refuse("an event was planned by rules that were never begun in this journal")
    }
}

fn write(core: &mut Core<'_>, entry: &Entry) -> Result<Recorded, Fault> {
    match entry {
        Entry::Event(entry) => write_event(core, entry),
        Entry::NotTriggered {
            received_at,
            source,
            operation,
            reason,
        } => {
            let source = intern(core, source)?;
            core.sql.insert_operation.execute(params![
                take(&mut core.count.next_operation),
                received_at.as_millisecond(),
                source,
                reason,
                operation,
            ])?;
            Ok(Recorded::Noted)
        }
        Entry::Refused(entry) => {
            let source = intern(core, &entry.source)?;
            refused::keep(core, source, entry)?;
            Ok(Recorded::Noted)
        }
        Entry::Bookmark { source, text } => {
            let source = intern(core, source)?;
            core.sql.write_bookmark.execute(params![source, text])?;
            Ok(Recorded::Noted)
        }
    }
}

fn write_event(core: &mut Core<'_>, entry: &EventEntry) -> Result<Recorded, Fault> {
    let event = &entry.event;
    let received = event.received_at.as_millisecond();
    let sight = core.identities.sight(
        &mut core.sql,
        &entry.identities,
        entry.fingerprint,
        received,
        entry.dedup_window,
    )?;
    if let Sight::Same(of) = sight {
        return Ok(Recorded::Duplicate { of });
    }
    let conflict = sight == Sight::Other;
    let source = intern(core, event.source.as_str())?;
    let number = take(&mut core.count.next_event);
    let text: &str = if conflict {
        &entry.text_in_conflict
    } else {
        &event.text
    };
    core.sql.insert_event.execute(params![
        number,
        event.id.uuid().as_bytes(),
        received,
        source,
        entry.generation.0,
        if conflict { FLAG_CONFLICT } else { 0 },
        core.count.next_delivery,
        i64::try_from(entry.deliveries.len()).unwrap_or(i64::MAX),
        encode(entry.fingerprint, &entry.identities),
        matched(entry),
        text,
        entry.original,
    ])?;
    core.identities
        .add(number, entry.fingerprint, &entry.identities);
    core.count.events += 1;
    for planned in &entry.deliveries {
        plan(core, number, planned, received)?;
    }
    Ok(Recorded::Accepted {
        id: event.id,
        conflict,
    })
}

/// Plans a delivery of the event `number`, due from when the event, or its repeat, was received.
pub(super) fn plan(
    core: &mut Core<'_>,
    number: i64,
    planned: &Planned,
    received: i64,
) -> rusqlite::Result<i64> {
    let delivery = take(&mut core.count.next_delivery);
    let level = rank(planned.level);
    let key = planned.lane.map(u64::cast_signed);
    let expires = planned.expires_at.as_millisecond();
    core.sql.insert_delivery.execute(params![
        delivery,
        number,
        planned.subscription.0,
        planned.sink.0,
        level,
        key,
        expires,
    ])?;
    let head = core.sql.insert_lane.execute(params![
        delivery,
        planned.sink.0,
        level,
        received.min(expires),
        key,
        expires,
    ])?;
    if head == 0 {
        core.sql
            .insert_queue
            .execute(params![delivery, planned.sink.0, key])?;
    }
    core.count.planned += 1;
    core.pending(planned.sink.0, 1);
    core.wakes = true;
    Ok(delivery)
}

/// The matched subscriptions as a JSON array, which the `sqlite3` shell can take apart.
fn matched(entry: &EventEntry) -> String {
    let mut text = String::from("[");
    for (index, number) in entry.matched.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{}", number.0);
    }
    text.push(']');
    text
}

/// The integer of a name.
pub(super) fn intern(core: &mut Core<'_>, text: impl AsRef<str>) -> rusqlite::Result<i64> {
    let text = text.as_ref();
    let known = core.names.read().numbers.get(text).copied();
    if let Some(number) = known {
        return Ok(number);
    }
    let last = core.names.read().names.keys().max().copied();
    let next = last.unwrap_or(0) + 1;
    core.sql.insert_name.execute(params![next, text])?;
    let text: Arc<str> = Arc::from(text);
    core.names.change(|maps| maps.name(next, &text));
    Ok(next)
}

/// A level as it is stored: the most urgent first.
pub(super) const fn rank(level: Level) -> i64 {
    match level {
        Level::Critical => 0,
        Level::Warn => 1,
        Level::Info => 2,
    }
}
