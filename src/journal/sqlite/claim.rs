//! `claim`: leases due lanes.

use std::sync::Arc;

use herald_model::{EndpointId, Level};
use rusqlite::OptionalExtension;

use super::backlog;
use super::claimed::RawClaims;
use super::core::{Core, Lane, Verb};
use super::endpoints::Way;
use super::fault::Fault;
use super::finish::{pass, suppress};
use super::gather;
use super::record::{intern, rank};
use crate::journal::endpoint::{Denied, Endpoint, first_open};
use crate::journal::{ClaimRequest, EXPIRED, Policy, Room, SUPPRESSED_MAX};

/// Lanes looked at where nothing may start, to see whether something waits or has expired.
const FRONT: usize = 16;

/// A request for due lanes.
pub(super) struct Claim {
    pub(super) request: ClaimRequest,
}

/// One sink of the request.
pub(super) struct Ask {
    pub(super) sink: i64,
    pub(super) policy: Arc<Policy>,
    /// The name of its form, by its integer.
    pub(super) form: Option<i64>,
    /// The endpoints of its policy, in their order, by their integers.
    endpoints: Vec<i64>,
    /// The place among them of the one whose permits are taken at the moment.
    pub(super) endpoint: Option<usize>,
    room: usize,
    left: usize,
    held: bool,
    /// Why something that is due was left behind.
    limited: Option<Denied>,
}

impl Verb for Claim {
    type Made = RawClaims;

    fn run(&mut self, core: &mut Core<'_>) -> Result<Self::Made, Fault> {
        let now = self.request.now.as_millisecond();
        let mut made = RawClaims::default();
        let mut asks = Vec::with_capacity(self.request.room.len());
        for room in &self.request.room {
            let ask = Ask::new(core, room, now)?;
            backlog::trim(core, ask.sink, ask.policy.max_backlog, now, &mut made)?;
            asks.push(ask);
        }
        // Level by level over all sinks: on a shared endpoint no INFO takes the permit of a WARN.
        for level in Level::URGENT_FIRST {
            for ask in &mut asks {
                claim_level(core, ask, level, now, &mut made)?;
            }
        }
        for ask in asks {
            made.is_due_at(ask.limited.and_then(|denied| denied.until));
            let way = Way {
                endpoint: ask.best(core),
                limited: ask.limited,
            };
            core.endpoints.stands(ask.sink, way);
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

impl Ask {
    fn new(core: &mut Core<'_>, room: &Room, now: i64) -> rusqlite::Result<Self> {
        let policy = Arc::clone(&room.policy);
        let mut endpoints = Vec::with_capacity(policy.endpoints.len());
        for name in &policy.endpoints {
            let number = core.endpoints.number(&mut core.sql, name.as_str())?;
            if let Some(endpoint) = core.endpoints.change(number) {
                endpoint.count_for(policy.limit.as_ref());
                endpoint.pass_time(now);
            }
            endpoints.push(number);
        }
        let form = match &policy.form {
            Some(form) => Some(intern(core, form)?),
            None => None,
        };
        Ok(Self {
            sink: room.sink.0,
            form,
            endpoints,
            endpoint: None,
            policy,
            room: room.messages as usize,
            left: room.messages as usize,
            held: core.endpoints.is_held(room.sink.0),
            limited: None,
        })
    }

    /// Messages of a level that may start now, at the endpoint that this chooses.
    fn may_start(&mut self, core: &Core<'_>, level: Level, now: i64) -> Result<usize, Denied> {
        if self.held || self.room == 0 {
            return Ok(0);
        }
        let endpoints = self.endpoints.iter();
        let endpoints = endpoints.filter_map(|number| core.endpoints.get(*number));
        let permits = match first_open(endpoints, self.policy.limit.as_ref(), level, now)? {
            Some((place, permits)) => {
                self.endpoint = Some(place);
                permits
            }
            None => u32::MAX,
        };
        Ok(self.left.min(permits as usize))
    }

    /// The integer and the name of the endpoint that was chosen.
    pub(super) fn chosen(&self) -> Option<(i64, &EndpointId)> {
        let place = self.endpoint?;
        Some((
            *self.endpoints.get(place)?,
            self.policy.endpoints.get(place)?,
        ))
    }

    /// The endpoint by which the sink's standing is told.
    fn best(&self, core: &Core<'_>) -> Option<i64> {
        let closed = |number: &&i64| core.endpoints.get(**number).map(Endpoint::closed);
        self.endpoints.iter().min_by_key(closed).copied()
    }
}

fn claim_level(
    core: &mut Core<'_>,
    ask: &mut Ask,
    level: Level,
    now: i64,
    made: &mut RawClaims,
) -> Result<(), Fault> {
    // Nothing waits for most sinks most of the time, and to see that must cost nothing.
    if core.waits_for(ask.sink) == 0 {
        return Ok(());
    }
    let rank = rank(level);
    loop {
        match ask.may_start(core, level, now) {
            Err(denied) => {
                if waits(core, ask.sink, rank, now, made)? {
                    ask.limited.get_or_insert(denied);
                }
                break;
            }
            Ok(0) => {
                // What cannot leave at all must still expire.
                if ask.held || ask.room == 0 {
                    waits(core, ask.sink, rank, now, made)?;
                }
                break;
            }
            Ok(may) => {
                if !claim_some(core, ask, rank, may, now, made)? {
                    break;
                }
            }
        }
        if made.suppressed() >= SUPPRESSED_MAX {
            break;
        }
    }
    let next: Option<i64> = core
        .sql
        .next_due
        .query_row([ask.sink, rank, now], |row| row.get(0))
        .optional()?;
    made.is_due_at(next);
    Ok(())
}

/// Claims what comes first, at most `may` messages. Says whether another look could find more.
fn claim_some(
    core: &mut Core<'_>,
    ask: &mut Ask,
    level: i64,
    may: usize,
    now: i64,
    made: &mut RawClaims,
) -> Result<bool, Fault> {
    let page = match ask.policy.digest {
        Some(digest) => digest.items_max.max(1) as usize,
        None => may,
    };
    let lanes = due_lanes(core, ask.sink, level, now, page)?;
    let mut more = lanes.len() == page;
    let mut claimed = 0;
    for lane in lanes {
        if made.carries(lane.head) {
            continue;
        }
        if is_past(core, &lane, now, made)? {
            more = true;
            continue;
        }
        if claimed == may {
            more = true;
            break;
        }
        // A digest takes what stands behind this one in the page, too.
        gather::claim(core, ask, lane, now, made)?;
        claimed += 1;
        ask.left -= 1;
    }
    Ok(more && (claimed < may || ask.left > 0))
}

/// The first due lanes of a sink and level.
pub(super) fn due_lanes(
    core: &mut Core<'_>,
    sink: i64,
    level: i64,
    now: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Lane>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    core.sql
        .due_lanes
        .query_map([sink, level, now, limit], Lane::read)?
        .collect()
}

/// Whether something that may not start is due. What has expired among the first is suppressed.
fn waits(
    core: &mut Core<'_>,
    sink: i64,
    level: i64,
    now: i64,
    made: &mut RawClaims,
) -> Result<bool, Fault> {
    loop {
        let lanes = due_lanes(core, sink, level, now, FRONT)?;
        let mut past = false;
        for lane in &lanes {
            past |= is_past(core, lane, now, made)?;
        }
        if !past {
            return Ok(!lanes.is_empty());
        }
        if made.suppressed() >= SUPPRESSED_MAX {
            return Ok(true);
        }
    }
}

/// Deals with a head that came up but is not to be sent: it has expired, or its lane's patience
/// has ended before its next attempt.
fn is_past(
    core: &mut Core<'_>,
    lane: &Lane,
    now: i64,
    made: &mut RawClaims,
) -> Result<bool, Fault> {
    if lane.expires <= now {
        made.expired.push(gather::item(core, lane)?);
        suppress(core, lane, now, EXPIRED)?;
        return Ok(true);
    }
    if let Some(again) = lane.again
        && again > now
    {
        pass(core, lane, again, now)?;
        return Ok(true);
    }
    Ok(false)
}
