//! `begin`: the rules that come into force.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params;

use super::core::{Core, Verb};
use super::fault::Fault;
use super::record::intern;
use crate::journal::{Generation, GenerationNo, Rules, SinkNo, SubscriptionNo};

/// Rules to write down.
pub(super) struct Begin {
    pub(super) rules: Rules,
}

impl Verb for Begin {
    type Made = Generation;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Generation, Fault> {
        let sinks = self
            .rules
            .sinks
            .iter()
            .map(|name| intern(core, name).map(SinkNo))
            .collect::<Result<Vec<_>, _>>()?;
        core.endpoints.forget_ways_but(&sinks);
        let subscriptions = subscriptions(core, &self.rules.subscriptions)?;
        let number = put_in_force(core, &subscriptions, self.rules.since.as_millisecond())?;
        Ok(Generation {
            number: GenerationNo(number),
            subscriptions: subscriptions.into_iter().map(SubscriptionNo).collect(),
            sinks,
        })
    }
}

/// The integers of the texts; new ones for those that were never seen.
fn subscriptions(
    core: &mut Core<'_>,
    rules: &[(Arc<str>, Arc<str>)],
) -> rusqlite::Result<Vec<i64>> {
    let wanted: HashMap<(&str, &str), usize> = rules
        .iter()
        .enumerate()
        .map(|(place, (name, text))| ((&**name, &**text), place))
        .collect();
    let mut known = vec![None; rules.len()];
    let mut last = 0;
    // Once per reload the table is read through; an index over the texts would be as large as it.
    let mut statement = core
        .conn
        .prepare_cached("SELECT seq, name, text FROM subscription ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let key = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        if let Some(place) = wanted.get(&key) {
            known[*place] = Some(last);
        }
    }
    drop(rows);
    let mut numbers = Vec::with_capacity(rules.len());
    for ((name, text), known) in rules.iter().zip(known) {
        let number = match known {
            Some(number) => number,
            None => {
                last += 1;
                core.sql
                    .insert_subscription
                    .execute(params![last, name, text])?;
                core.names.change(|maps| {
                    maps.subscriptions.insert(last, Arc::clone(name));
                });
                last
            }
        };
        numbers.push(number);
    }
    Ok(numbers)
}

/// Ends and starts the intervals that changed. Returns the generation.
fn put_in_force(core: &mut Core<'_>, wanted: &[i64], since: i64) -> rusqlite::Result<i64> {
    let (generation, there) = {
        let maps = core.names.read();
        (maps.generation, maps.in_force.clone())
    };
    let same = there.iter().map(|(_, number)| number).eq(wanted);
    if generation > 0 && same {
        return Ok(generation);
    }
    let next = generation + 1;
    core.sql.insert_generation.execute(params![next, since])?;
    let mut row: i64 =
        core.conn
            .query_row("SELECT coalesce(max(seq), 0) FROM in_force", [], |row| {
                row.get(0)
            })?;
    let mut in_force = Vec::with_capacity(wanted.len());
    for position in 0..wanted.len().max(there.len()) {
        let (old, new) = (there.get(position), wanted.get(position));
        match (old, new) {
            (Some(old), Some(new)) if old.1 == *new => in_force.push(*old),
            _ => {
                if let Some((ended, _)) = old {
                    core.sql.end_in_force.execute([*ended, generation])?;
                }
                if let Some(new) = new {
                    row += 1;
                    let position = i64::try_from(position).unwrap_or(i64::MAX);
                    core.sql
                        .insert_in_force
                        .execute([row, *new, position, next])?;
                    in_force.push((row, *new));
                }
            }
        }
    }
    core.names.change(|maps| {
        maps.generation = next;
        maps.in_force = in_force;
    });
    Ok(next)
}
