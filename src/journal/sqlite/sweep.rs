//! `sweep`: retention in small steps.

use rusqlite::OptionalExtension;

use super::core::{Core, Verb};
use super::fault::Fault;
use super::finish::{DEAD, DELIVERED};
use crate::journal::{Sweep, Swept};

/// A step of retention.
pub(super) struct Sweeping {
    pub(super) sweep: Sweep,
}

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
        } = self.sweep;
        let before = |age: std::time::Duration| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            now.as_millisecond().saturating_sub(age)
        };
        // An identity is verified with its event, so the event stays as long.
        let cut = before(keep.max(dedup_window));
        let mut swept = Swept::default();
        sweep_kept_back(core, events_max.div_ceil(4), &mut swept)?;
        let more_events = sweep_events(core, cut, events_max, &mut swept)?;
        let more_operations = sweep_operations(core, before(keep), events_max)?;
        let keep_from = first_received(core, before(dedup_window))?;
        let (identities, more_identities) =
            core.identities
                .sweep(&mut core.sql, keep_from, core.count.next_event, events_max)?;
        swept.identities = identities;
        swept.more = more_events || more_operations || more_identities;
        Ok(swept)
    }
}

/// Removes finished events before `cut`, oldest first, and puts the unfinished ones aside.
fn sweep_events(
    core: &mut Core<'_>,
    cut: i64,
    events_max: u32,
    swept: &mut Swept,
) -> rusqlite::Result<bool> {
    let old: Vec<(Old, i64)> = core
        .sql
        .old_events
        .query_map([core.count.swept, i64::from(events_max)], |row| {
            Ok(((row.get(0)?, row.get(2)?, row.get(3)?), row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let full = old.len() == events_max as usize;
    for (event, received) in old {
        if received >= cut {
            return Ok(false);
        }
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
    let ends: Vec<(i64, Option<i64>)> = core
        .sql
        .ends
        .query_map([first, last], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    if i64::try_from(ends.len()).unwrap_or(i64::MAX) < deliveries {
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

fn sweep_operations(core: &mut Core<'_>, cut: i64, rows_max: u32) -> rusqlite::Result<bool> {
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
        core.sql.delete_operations.execute([last])?;
    }
    Ok(looked_at == rows_max)
}

/// The first event received at `cut` or later, found by halving: receive times rise with the
/// integers but for small disorder, which moves the end of a window by as little.
fn first_received(core: &mut Core<'_>, cut: i64) -> rusqlite::Result<i64> {
    let (mut low, mut high) = (core.count.swept + 1, core.count.next_event);
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
