//! `learn`: a repeat knew more of an event than the journal did.

use herald_model::{DeliveryId, EventId};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::core::{Core, Verb};
use super::fault::Fault;
use super::record::plan;
use crate::journal::Learned;

/// What was learned.
pub(super) struct Learn {
    pub(super) learned: Learned,
}

impl Verb for Learn {
    type Made = bool;

    fn run(&mut self, core: &mut Core<'_>) -> Result<bool, Fault> {
        let Learned {
            event,
            before,
            text,
            received_at,
            matched,
            deliveries,
        } = &self.learned;
        let is_known = {
            let maps = core.names.read();
            let knows = |number: i64| maps.subscriptions.contains_key(&number);
            matched.iter().all(|number| knows(number.0))
                && deliveries.iter().all(|planned| {
                    knows(planned.subscription.0) && maps.names.contains_key(&planned.sink.0)
                })
        };
        if !is_known {
            return Core::refuse(
                "an event was planned by rules that were never begun in this journal",
            );
        }
        let found: Option<([u8; 16], String, String)> = core
            .sql
            .learning_event
            .query_row([event.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((id, stored, so_far)) = found else {
            return Ok(false);
        };
        if stored != **before {
            return Ok(false);
        }
        let mut all: Vec<String> = so_far
            .trim_matches(['[', ']'])
            .split(',')
            .filter(|number| !number.is_empty())
            .map(str::to_owned)
            .collect();
        all.extend(matched.iter().map(|number| number.0.to_string()));
        let all = format!("[{}]", all.join(","));
        core.sql
            .write_learned
            .execute(params![event.0, &**text, all])?;
        let id = EventId::from_uuid(Uuid::from_bytes(id));
        for planned in deliveries {
            let delivery = plan(core, event.0, planned, received_at.as_millisecond())?;
            let id = {
                let maps = core.names.read();
                let subscription = maps.subscription_of(planned.subscription.0);
                DeliveryId::derive(id, &subscription, &maps.name_of(planned.sink.0))
            };
            core.sql
                .insert_added
                .execute(params![delivery, event.0, id.uuid().as_bytes()])?;
        }
        Ok(true)
    }
}
