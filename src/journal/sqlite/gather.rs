//! What goes into a message, and its open attempt.

use std::sync::Arc;

use herald_model::EventId;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::claim::{Ask, due_lanes};
use super::claimed::{RawClaim, RawClaims, RawItem};
use super::core::{Core, FROZEN, KEPT_PROGRESS, Lane, MEMBERS, Open, in_form};
use super::counters::take;
use super::finish::members_of;
use crate::journal::Digest;
use crate::journal::endpoint::millis;

/// Makes the message that a due lane belongs to, and opens its attempt.
pub(super) fn claim(
    core: &mut Core<'_>,
    ask: &Ask,
    lane: Lane,
    now: i64,
    made: &mut RawClaims,
) -> rusqlite::Result<()> {
    let mut lane = lane;
    if lane.kept & MEMBERS != 0 {
        if let Some(members) = members(core, &lane, now)? {
            return open(core, ask, members, now, made);
        }
        lane.leave_message();
    } else if lane.message.is_some() {
        return open(core, ask, vec![lane], now, made);
    }
    // What was in a message that killed its worker goes alone.
    if lane.kills > 0 {
        return open(core, ask, vec![lane], now, made);
    }
    if let Some(digest) = ask.policy.digest
        && let Some(lanes) = digest_led_by(core, &lane, digest, now)?
    {
        return open(core, ask, lanes, now, made);
    }
    let mut lanes = vec![lane];
    if ask.policy.together {
        add_siblings(core, &mut lanes, now)?;
    }
    open(core, ask, lanes, now, made)
}

/// The members of a message that was tried before. `None` where they cannot be the same any more:
/// then there is no such message, and each goes in a new one.
fn members(core: &mut Core<'_>, lane: &Lane, now: i64) -> rusqlite::Result<Option<Vec<Lane>>> {
    let Some(message) = lane.message else {
        return Ok(None);
    };
    let heads = members_of(core, message)?;
    let mut lanes = Vec::with_capacity(heads.len());
    for head in &heads {
        let found = core
            .sql
            .lane_by_head
            .query_row([head], Lane::read)
            .optional()?;
        lanes.extend(found.filter(|one| one.message == Some(message) && one.expires > now));
    }
    if lanes.len() == heads.len() && lanes.iter().any(|one| one.head == lane.head) {
        return Ok(Some(lanes));
    }
    for head in heads.iter().chain([&lane.head]) {
        core.sql.leave_message.execute([*head, message])?;
    }
    core.sql.delete_message.execute([message])?;
    core.sql.delete_checkpoint.execute([message])?;
    Ok(None)
}

/// Everything that is due, if something of it has been for long enough.
fn digest_led_by(
    core: &mut Core<'_>,
    lane: &Lane,
    digest: Digest,
    now: i64,
) -> rusqlite::Result<Option<Vec<Lane>>> {
    let items_max = digest.items_max.max(1) as usize;
    let mut lanes: Vec<Lane> = Vec::new();
    for level in lane.level..=2 {
        let wanted = items_max - lanes.len();
        if wanted == 0 {
            break;
        }
        let due = due_lanes(core, lane.sink, level, now, wanted)?;
        lanes.extend(due.into_iter().filter(|one| {
            one.message.is_none()
                && one.kills == 0
                && one.expires > now
                && one.again.is_none_or(|at| at <= now)
        }));
    }
    let long_ago = now.saturating_sub(millis(digest.after));
    let waited = |one: &Lane| one.due.is_some_and(|due| due <= long_ago);
    let leads = lanes.iter().any(|one| one.head == lane.head);
    Ok((leads && lanes.iter().any(waited)).then_some(lanes))
}

/// Adds the deliveries of the same event to the same sink that are due.
fn add_siblings(core: &mut Core<'_>, lanes: &mut Vec<Lane>, now: i64) -> rusqlite::Result<()> {
    let Some(lane) = lanes.first().cloned() else {
        return Ok(());
    };
    let (first, count): (i64, i64) = core
        .sql
        .claimed_delivery
        .query_row([lane.head], |row| Ok((row.get(5)?, row.get(6)?)))?;
    if count < 2 {
        return Ok(());
    }
    let last = first + count - 1;
    let due: Vec<Lane> = core
        .sql
        .lanes_of_event
        .query_map([first, last, lane.head, lane.sink, now], Lane::read)?
        .collect::<Result<_, _>>()?;
    lanes.extend(
        due.into_iter()
            .filter(|one| one.kills == 0 && one.expires > now),
    );
    let Some(key) = lane.key else { return Ok(()) };
    let queued: Vec<i64> = core
        .sql
        .queued_of_event
        .query_map([first, last, lane.sink, key], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for delivery in queued {
        lanes.push(leave_queue(core, delivery, lane.sink, now)?);
    }
    Ok(())
}

/// A delivery that stood behind its event's first in an ordered lane goes with it, in a lane of its
/// own as long as it does.
fn leave_queue(core: &mut Core<'_>, delivery: i64, sink: i64, now: i64) -> rusqlite::Result<Lane> {
    core.sql.delete_queue.execute([delivery])?;
    let (level, expires): (i64, i64) = core
        .sql
        .queued_delivery
        .query_row([delivery], |row| Ok((row.get(0)?, row.get(1)?)))?;
    core.sql.insert_lane.execute(params![
        delivery,
        sink,
        level,
        now.min(expires),
        None::<i64>,
        expires
    ])?;
    core.sql.lane_by_head.query_row([delivery], Lane::read)
}

/// Opens the attempt of a message with these members.
fn open(
    core: &mut Core<'_>,
    ask: &Ask,
    mut lanes: Vec<Lane>,
    now: i64,
    made: &mut RawClaims,
) -> rusqlite::Result<()> {
    lanes.sort_by_key(|lane| (lane.level, lane.head));
    let attempt = take(&mut core.count.next_claim);
    let chosen = ask.chosen();
    let permit = chosen.and_then(|(number, _)| {
        let endpoint = core.endpoints.change(number)?;
        Some((number, endpoint.start(ask.policy.limit.as_ref(), now)))
    });
    let mut items = Vec::with_capacity(lanes.len());
    for lane in &mut lanes {
        lane.kept = in_form(lane.kept, ask.form);
        core.sql
            .open_lane
            .execute([lane.head, attempt, now, lane.kept])?;
        if lane.first_attempt.is_some() {
            let since = lane.since.or(lane.due).unwrap_or(now);
            lane.idle = (now - since).max(0);
            lane.uncounted += lane.idle;
        }
        items.push(item(core, lane)?);
    }
    made.carry(&lanes);
    let kept = lanes.iter().fold(0, |bits, lane| bits | lane.kept);
    let first = lanes.first();
    let message = first.and_then(|lane| lane.message).unwrap_or(attempt);
    let composed = first.and_then(|lane| lane.composed).unwrap_or(now);
    let frozen = match kept & FROZEN {
        0 => None,
        _ => core
            .sql
            .saved_text
            .query_row([message], |row| row.get(0))
            .optional()?,
    };
    let progress = match kept & KEPT_PROGRESS {
        0 => None,
        _ => core
            .sql
            .saved_progress
            .query_row([message], |row| row.get(0))
            .optional()?,
    };
    made.messages.push(RawClaim {
        attempt,
        message,
        sink: ask.sink,
        endpoint: chosen.map(|(_, name)| name.clone()),
        composed,
        frozen,
        progress,
        items,
    });
    let open = Open {
        message,
        started: now,
        permit,
        patience: millis(ask.policy.lane_patience),
        lanes,
    };
    core.hold(attempt, open);
    Ok(())
}

/// What a claim tells of a delivery at the head of a lane.
pub(super) fn item(core: &mut Core<'_>, lane: &Lane) -> rusqlite::Result<RawItem> {
    let mut item = item_of(core, lane.head)?;
    item.charged = lane.charged;
    item.first_attempt = lane.first_attempt;
    item.uncounted = lane.uncounted;
    Ok(item)
}

/// What a claim tells of a delivery that was never attempted.
pub(super) fn item_of(core: &mut Core<'_>, delivery: i64) -> rusqlite::Result<RawItem> {
    let maps = core.names.read();
    core.sql.claimed_delivery.query_row([delivery], |row| {
        Ok(RawItem {
            delivery,
            subscription: maps.subscription_of(row.get(0)?),
            sink: maps.name_of(row.get(1)?),
            event: EventId::from_uuid(Uuid::from_bytes(row.get(3)?)),
            text: Arc::from(row.get_ref(4)?.as_str()?),
            charged: 0,
            first_attempt: None,
            uncounted: 0,
        })
    })
}

/// The integers of a JSON array of them.
pub(super) fn numbers(list: &str) -> Vec<i64> {
    list.trim_matches(['[', ']'])
        .split(',')
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// And back.
pub(super) fn list(lanes: &[Lane]) -> String {
    let numbers: Vec<String> = lanes.iter().map(|lane| lane.head.to_string()).collect();
    format!("[{}]", numbers.join(","))
}
