//! `claim`: leases due lanes.

use std::sync::Arc;
use std::time::Duration;

use herald_model::{DeliveryId, EventId, MessageId};
use jiff::Timestamp;
use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::core::{Core, FROZEN, KEPT_PROGRESS, Lane, Open, Verb, take};
use super::fault::Fault;
use super::finish::{Ending, finish};
use super::pause::{held_up, is_paused};
use super::rows::timestamp;
use crate::journal::{
    AttemptNo, ClaimRequest, Claimed, ClaimedItem, Claims, DeliveryNo, EXPIRED, SinkNo,
};

/// Deliveries suppressed by one claim at most, so that a long expired backlog does not hold up the
/// writer: the next claim goes on.
const EXPIRED_MAX: usize = 1_000;

/// Levels as they are stored, most urgent first.
const LEVELS: [i64; 3] = [0, 1, 2];

/// A request for due lanes.
pub(super) struct Claim {
    pub(super) request: ClaimRequest,
}

/// What was claimed, without the public ids: deriving those is hashing, which the caller's thread
/// does as well as the writer's.
#[derive(Default)]
pub(super) struct RawClaims {
    messages: Vec<RawClaim>,
    expired: Vec<RawItem>,
    next_due: Option<i64>,
}

struct RawClaim {
    attempt: i64,
    message: i64,
    sink: i64,
    composed: i64,
    frozen: Option<String>,
    progress: Option<Vec<u8>>,
    item: RawItem,
    charged: i64,
    first_attempt: Option<i64>,
    uncounted: i64,
}

struct RawItem {
    delivery: i64,
    subscription: Arc<str>,
    sink: Arc<str>,
    event: EventId,
    text: Arc<str>,
}

impl Verb for Claim {
    type Made = RawClaims;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Self::Made, Fault> {
        let now = self.request.now.as_millisecond();
        let mut made = RawClaims::default();
        for room in &self.request.room {
            if is_paused(core, room.sink.0)? {
                continue;
            }
            claim_sink(core, room.sink.0, room.messages as usize, now, &mut made)?;
        }
        Ok(made)
    }

    fn weight(&self) -> usize {
        self.request
            .room
            .iter()
            .map(|room| room.messages as usize)
            .sum::<usize>()
            .max(1)
    }
}

fn claim_sink(
    core: &mut Core<'_>,
    sink: i64,
    mut room: usize,
    now: i64,
    made: &mut RawClaims,
) -> Result<(), Fault> {
    for level in LEVELS {
        while room > 0 && made.expired.len() < EXPIRED_MAX {
            let lanes = due_lanes(core, sink, level, now, room)?;
            let last_page = lanes.len() < room;
            let expired_before = made.expired.len();
            for lane in lanes {
                if lane.expires <= now {
                    made.expired.push(item(core, lane.head)?);
                    finish(core, &lane, &Ending::suppressed(now, EXPIRED))?;
                } else {
                    room -= 1;
                    made.messages.push(open(core, lane, now)?);
                }
            }
            // A suppressed head may have made the next one of its lane due.
            if last_page && made.expired.len() == expired_before {
                break;
            }
        }
        let next: Option<i64> = core
            .sql
            .next_due
            .query_row([sink, level, now], |row| row.get(0))
            .optional()?;
        made.next_due = made.next_due.into_iter().chain(next).min();
    }
    Ok(())
}

fn due_lanes(
    core: &mut Core<'_>,
    sink: i64,
    level: i64,
    now: i64,
    room: usize,
) -> rusqlite::Result<Vec<Lane>> {
    let limit = i64::try_from(room).unwrap_or(i64::MAX);
    core.sql
        .due_lanes
        .query_map([sink, level, now, limit], Lane::read)?
        .collect()
}

fn open(core: &mut Core<'_>, mut lane: Lane, now: i64) -> rusqlite::Result<RawClaim> {
    let attempt = take(&mut core.count.next_claim);
    lane.uncounted += held_up(core, &lane, now)?;
    lane.since = None;
    core.sql.open_lane.execute([lane.head, attempt, now])?;
    let message = lane.message.unwrap_or(attempt);
    let frozen = if lane.kept & FROZEN != 0 {
        core.sql
            .saved_text
            .query_row([message], |row| row.get(0))
            .optional()?
    } else {
        None
    };
    let progress = if lane.kept & KEPT_PROGRESS != 0 {
        core.sql
            .saved_progress
            .query_row([message], |row| row.get(0))
            .optional()?
    } else {
        None
    };
    let claim = RawClaim {
        attempt,
        message,
        sink: lane.sink,
        composed: lane.composed.unwrap_or(now),
        frozen,
        progress,
        item: item(core, lane.head)?,
        charged: lane.charged,
        first_attempt: lane.first_attempt,
        uncounted: lane.uncounted,
    };
    core.hold(
        attempt,
        Open {
            message,
            started: now,
            lanes: vec![lane],
        },
    );
    Ok(claim)
}

fn item(core: &mut Core<'_>, delivery: i64) -> rusqlite::Result<RawItem> {
    let maps = core.names.read();
    core.sql.claimed_delivery.query_row([delivery], |row| {
        Ok(RawItem {
            delivery,
            subscription: maps.subscription_of(row.get(0)?),
            sink: maps.name_of(row.get(1)?),
            event: EventId::from_uuid(Uuid::from_bytes(row.get(3)?)),
            text: Arc::from(row.get_ref(4)?.as_str()?),
        })
    })
}

impl RawItem {
    fn id(&self) -> DeliveryId {
        DeliveryId::derive(self.event, &self.subscription, &self.sink)
    }
}

impl RawClaims {
    /// Adds the public ids.
    pub(super) fn finish(self) -> Claims {
        Claims {
            messages: self.messages.into_iter().map(RawClaim::finish).collect(),
            expired: self.expired.iter().map(RawItem::id).collect(),
            next_due: self.next_due.map(timestamp),
        }
    }
}

impl RawClaim {
    fn finish(self) -> Claimed {
        let id = self.item.id();
        let composed_at: Timestamp = timestamp(self.composed);
        Claimed {
            attempt: AttemptNo(self.attempt),
            message: MessageId::derive(id, self.message.unsigned_abs()),
            sink: SinkNo(self.sink),
            composed_at,
            frozen: self.frozen,
            progress: self.progress,
            items: vec![ClaimedItem {
                number: DeliveryNo(self.item.delivery),
                id,
                subscription: self.item.subscription,
                event: self.item.event,
                text: self.item.text,
                charged: u32::try_from(self.charged).unwrap_or(u32::MAX),
                first_attempt: self.first_attempt.map(timestamp),
                uncounted: Duration::from_millis(self.uncounted.unsigned_abs()),
            }],
        }
    }
}
