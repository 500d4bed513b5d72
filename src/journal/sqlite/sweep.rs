//! `sweep`: retention in small steps.

use rusqlite::OptionalExtension;

use super::backlog;
use super::core::{Core, Verb};
use super::fault::Fault;
use super::finish::{DEAD, DELIVERED};
use super::identity::Gone;
use super::refused;
use crate::journal::{Fill, Pressure, Sweep, Swept};

/// A step of retention.
pub(super) struct Sweeping {
    pub(super) sweep: Sweep,
}

/// Waiting deliveries that give way before it is looked whether that was enough. Chosen: with events
/// of 4 MiB no more than 64 MiB.
const AT_ONCE: usize = 16;

/// Bytes of events that are removed before it is looked whether that was enough. Chosen: a look costs
/// about as much as an event, and what is removed beyond need is no more than this and one event.
const LOOK_BYTES: i64 = 64 << 10;

/// What an event takes beside its text, about.
const BESIDE_BYTES: i64 = 512;

/// An old event: its integer, first delivery and how many.
type Old = (i64, i64, i64);

impl Verb for Sweeping {
    type Made = Swept;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Swept, Fault> {
        let Sweep {
            now,
            keep,
            dedup_window,
            events_max,
            pressure,
        } = self.sweep;
        let before = |age: std::time::Duration| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            now.as_millisecond().saturating_sub(age)
        };
        let mut swept = Swept::default();
        let tight = pressure > Pressure::None;
        // An identity is verified with its event, so the event stays as long.
        let cut = if tight {
            i64::MAX
        } else {
            before(keep.max(dedup_window))
        };
        let looks = if tight {
            events_max
        } else {
            events_max.div_ceil(4)
        };
        sweep_kept_back(core, looks, tight, &mut swept)?;
        let more_events = sweep_events(core, cut, events_max, tight, &mut swept)?;
        // What is no event goes in its turn: up to the oldest event that is left.
        let cut = match tight {
            true => first_left(core)?.unwrap_or(i64::MAX).max(before(keep)),
            false => before(keep),
        };
        let more_others = match tight && core.fill()? == Fill::Roomy {
            true => false,
            false => sweep_others(core, cut, events_max, &mut swept)?,
        };
        if pressure == Pressure::Waiting && !swept.made_room() {
            make_way(core, now.as_millisecond(), events_max, &mut swept)?;
        }
        let gone = Gone {
            old_before: first_received(core, before(dedup_window))?,
            swept: core.count.swept,
        };
        let (identities, more_identities) =
            core.identities
                .sweep(&mut core.sql, gone, core.count.next_event, events_max)?;
        swept.identities = identities;
        swept.more = more_events || more_others || more_identities;
        Ok(swept)
    }

    fn weight(&self) -> usize {
        self.sweep.events_max as usize
    }
}

/// Suppresses some of what waits for the fullest sink and removes the events that are over with it.
fn make_way(
    core: &mut Core<'_>,
    now: i64,
    deliveries_max: u32,
    swept: &mut Swept,
) -> Result<(), Fault> {
    let Some(sink) = core.fullest() else {
        return Ok(());
    };
    let mut gone = 0;
    while gone < deliveries_max && core.fill()? >= Fill::Near {
        let some = backlog::crowd_out(core, sink, &backlog::INFO, AT_ONCE, now)?;
        for item in &some {
            let event: Old = core
                .sql
                .claimed_delivery
                .query_row([item.delivery], |row| {
                    Ok((row.get(2)?, row.get(5)?, row.get(6)?))
                })?;
            if remove(core, event, swept)? {
                core.sql.delete_kept_back.execute([event.0])?;
            }
        }
        if some.is_empty() {
            break;
        }
        gone += u32::try_from(some.len()).unwrap_or(u32::MAX);
    }
    if gone > 0 {
        let name = core.names.read().name_of(sink);
        swept.crowded_out = Some((name, gone.into()));
    }
    Ok(())
}

/// Removes finished events before `cut`, oldest first, and puts the unfinished ones aside.
fn sweep_events(
    core: &mut Core<'_>,
    cut: i64,
    events_max: u32,
    tight: bool,
    swept: &mut Swept,
) -> rusqlite::Result<bool> {
    let old: Vec<(Old, i64, i64)> = core
        .sql
        .old_events
        .query_map([core.count.swept, i64::from(events_max)], |row| {
            let event = (row.get(0)?, row.get(2)?, row.get(3)?);
            Ok((event, row.get(1)?, row.get(4)?))
        })?
        .collect::<Result<_, _>>()?;
    let full = old.len() == events_max as usize;
    let mut unlooked = LOOK_BYTES;
    for (event, received, bytes) in old {
        if received >= cut {
            return Ok(false);
        }
        if tight && unlooked >= LOOK_BYTES {
            if core.fill()? == Fill::Roomy {
                return Ok(false);
            }
            unlooked = 0;
        }
        unlooked += bytes + BESIDE_BYTES;
        if !remove(core, event, swept)? {
            core.sql.insert_kept_back.execute([event.0])?;
        }
        core.count.swept = event.0;
    }
    Ok(full)
}

/// Looks again at some of the events that were put aside.
fn sweep_kept_back(
    core: &mut Core<'_>,
    events_max: u32,
    tight: bool,
    swept: &mut Swept,
) -> rusqlite::Result<()> {
    let aside: Vec<Old> = core
        .sql
        .kept_back
        .query_map([core.kept_back_after, i64::from(events_max)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    // After the last one it starts over.
    let full = aside.len() == events_max as usize;
    core.kept_back_after = aside.last().filter(|_| full).map_or(0, |event| event.0);
    for event in aside {
        if tight && core.fill()? == Fill::Roomy {
            core.kept_back_after = event.0 - 1;
            return Ok(());
        }
        if remove(core, event, swept)? {
            core.sql.delete_kept_back.execute([event.0])?;
        }
    }
    Ok(())
}

/// Removes an event with all that hangs on it, if everything of it is finished.
fn remove(core: &mut Core<'_>, event: Old, swept: &mut Swept) -> rusqlite::Result<bool> {
    let (event, first, deliveries) = event;
    let last = first + deliveries - 1;
    let added: Vec<i64> = core
        .sql
        .added_of
        .query_map([event], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut ends: Vec<(i64, Option<i64>)> = core
        .sql
        .ends
        .query_map([first, last], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for delivery in &added {
        let end = core
            .sql
            .ends
            .query_row([delivery, delivery], |row| Ok((row.get(0)?, row.get(1)?)));
        ends.extend(end.optional()?);
    }
    let all = deliveries + i64::try_from(added.len()).unwrap_or(i64::MAX);
    if i64::try_from(ends.len()).unwrap_or(i64::MAX) < all {
        return Ok(false);
    }
    for (state, attempt) in ends {
        remove_attempts(core, attempt, state != DELIVERED)?;
        match state {
            DELIVERED => core.count.delivered -= 1,
            DEAD => core.count.dead -= 1,
            _ => core.count.suppressed -= 1,
        }
        core.count.removed += 1;
        swept.deliveries += 1;
    }
    if deliveries > 0 {
        core.sql.delete_finish.execute([first, last])?;
        core.sql.delete_delivery.execute([first, last])?;
    }
    for delivery in &added {
        core.sql.delete_finish.execute([delivery, delivery])?;
        core.sql.delete_delivery.execute([delivery, delivery])?;
    }
    if !added.is_empty() {
        core.sql.delete_added.execute([event])?;
    }
    core.sql.delete_event.execute([event])?;
    swept.events += 1;
    Ok(true)
}

/// Removes a chain of attempts and, if anything may be kept for them, their messages.
fn remove_attempts(
    core: &mut Core<'_>,
    last: Option<i64>,
    with_messages: bool,
) -> rusqlite::Result<()> {
    let mut next = last;
    while let Some(attempt) = next {
        let removed: Option<(Option<i64>, i64)> = core
            .sql
            .delete_attempt
            .query_row([attempt], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((previous, message)) = removed else {
            return Ok(());
        };
        // What was replayed may have left a message that it shared.
        if with_messages || last != Some(attempt) {
            core.sql.delete_message.execute([message])?;
            core.sql.delete_checkpoint.execute([message])?;
        }
        next = previous;
    }
    Ok(())
}

/// Removes operation results and refused bodies from before `cut`.
fn sweep_others(
    core: &mut Core<'_>,
    cut: i64,
    rows_max: u32,
    swept: &mut Swept,
) -> rusqlite::Result<bool> {
    let mut last = None;
    let mut looked_at = 0;
    let mut rows = core.sql.old_operations.query([rows_max])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= cut {
            break;
        }
        last = Some(row.get::<_, i64>(0)?);
        looked_at += 1;
    }
    drop(rows);
    if let Some(last) = last {
        let removed = core.sql.delete_operations.execute([last])?;
        swept.others += u64::try_from(removed).unwrap_or(u64::MAX);
    }
    let (refused, more) = refused::sweep(core, cut, rows_max)?;
    swept.others += refused;
    Ok(looked_at == rows_max || more)
}

/// When the oldest event was received that retention has not come to yet.
fn first_left(core: &mut Core<'_>) -> rusqlite::Result<Option<i64>> {
    core.sql
        .event_from
        .query_row([core.count.swept + 1], |row| row.get(1))
        .optional()
}

/// The first event received at `cut` or later, found by halving: receive times rise with the
/// integers but for small disorder, which moves the end of a window by as little. What was kept
/// back is looked at, too: under pressure retention passes over events of the last minute.
fn first_received(core: &mut Core<'_>, cut: i64) -> rusqlite::Result<i64> {
    let (mut low, mut high) = (1, core.count.next_event);
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = core
            .sql
            .event_from
            .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((event, received)) if received < cut => low = event + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
