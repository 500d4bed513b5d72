//! Replay and cancel: what people do to deliveries, one by one or by filter.
//!
//! A filter is walked newest first in steps that the journal bounds, with the traffic going on
//! between them. Each step is durable by itself: a request that is broken off has done a part,
//! and asking again does the rest.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::{Extension, Json};
use herald_model::{DeliveryId, DeliveryState, Phase};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;
use super::guard::Caller;
use super::look::find_event;
use super::problem::Problem;
use super::wanted::{self, Wanted};
use crate::clock;
use crate::journal::{
    Cancel, Cursor, DeliveryFilter, DeliveryRow, Hand, HandVerb, Replay, STEP_MAX,
};

/// Which deliveries, and whether only to count them. An absent field does not filter.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Which {
    /// This one only.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<String>,
    /// By Herald's id or the sender's.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eni: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing)]
    dry_run: bool,
    #[serde(skip_serializing)]
    why: Option<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Count {
    /// Deliveries done, or with `dryRun` that would be.
    count: u64,
    /// Of a cancelling: deliveries left alone because an attempt is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<u64>,
}

/// `POST /v1/replay`
pub(super) async fn replay(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Count>, Problem> {
    let which = Which::read(&body)?;
    if which.state()? == Some(DeliveryState::Pending) {
        return Err(Problem::bad_request(
            "`state` must be dead, suppressed or delivered: what is pending is not over",
        ));
    }
    let mut walk = Walk::new(&state, &which, &caller, HandVerb::Replay).await?;
    let mut made = Count::default();
    while let Some(rows) = walk.page().await? {
        let over = rows
            .iter()
            .filter(|row| row.state != DeliveryState::Pending)
            .map(|row| (row.number, row.state));
        let deliveries: Vec<_> = over.collect();
        if which.dry_run || deliveries.is_empty() {
            made.count += as_count(deliveries.len());
            continue;
        }
        let replay = Replay {
            now: walk.now,
            deliveries,
            hand: walk.hand.take(),
        };
        made.count += state.journal.replay(replay).await?;
    }
    Ok(Json(made))
}

/// `POST /v1/deliveries/{id}/replay`
pub(super) async fn replay_one(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Count>, Problem> {
    let asked = wanted::read::<Which>(&body)?;
    let row = find_delivery(&state, &id).await?;
    let is_pending = || {
        Problem::new(
            StatusCode::CONFLICT,
            "the delivery is pending; only what is over can be replayed",
        )
    };
    if row.state == DeliveryState::Pending {
        return Err(is_pending());
    }
    if !asked.dry_run {
        let replay = Replay {
            now: clock::now(),
            deliveries: vec![(row.number, row.state)],
            hand: Some(caller.hand(HandVerb::Replay, row.id.to_string(), asked.why)),
        };
        if state.journal.replay(replay).await? == 0 {
            return Err(is_pending());
        }
    }
    Ok(Json(Count {
        count: 1,
        in_flight: None,
    }))
}

/// `POST /v1/cancel`
pub(super) async fn cancel(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Count>, Problem> {
    let mut which = Which::read(&body)?;
    if which
        .state()?
        .is_some_and(|state| state != DeliveryState::Pending)
    {
        return Err(Problem::bad_request(
            "`state` can only be pending: what is over cannot be cancelled",
        ));
    }
    which.state = Some(DeliveryState::Pending.as_str().to_owned());
    let mut walk = Walk::new(&state, &which, &caller, HandVerb::Cancel).await?;
    let reason: Arc<str> = match &which.why {
        Some(why) => format!("cancelled by {}: {why}", caller.name()).into(),
        None => format!("cancelled by {}", caller.name()).into(),
    };
    let (mut count, mut in_flight) = (0, 0);
    while let Some(rows) = walk.page().await? {
        if which.dry_run {
            let open = rows
                .iter()
                .filter(|row| row.phase == Some(Phase::InFlight))
                .count();
            in_flight += as_count(open);
            count += as_count(rows.len() - open);
            continue;
        }
        if rows.is_empty() {
            continue;
        }
        let cancel = Cancel {
            now: walk.now,
            deliveries: rows.iter().map(|row| row.number).collect(),
            reason: Arc::clone(&reason),
            hand: walk.hand.take(),
        };
        let cancelled = state.journal.cancel(cancel).await?;
        count += cancelled.suppressed;
        in_flight += cancelled.in_flight;
    }
    Ok(Json(Count {
        count,
        in_flight: Some(in_flight),
    }))
}

impl Wanted for Which {
    fn why(&mut self) -> &mut Option<String> {
        &mut self.why
    }
}

impl Which {
    /// Reads a body that must name something: an empty filter is a slip, and would mean everything.
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let which: Self = wanted::read(body)?;
        let names_nothing = serde_json::to_value(&which)
            .is_ok_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty));
        if names_nothing {
            return Err(Problem::bad_request(
                "name at least one of `delivery`, `sink`, `subscription`, `event`, `eni`, \
                 `request`, `state`, `since`, `until`: without any, everything would be meant",
            ));
        }
        Ok(which)
    }

    fn state(&self) -> Result<Option<DeliveryState>, Problem> {
        let Some(word) = &self.state else {
            return Ok(None);
        };
        DeliveryState::named(word).map(Some).ok_or_else(|| {
            Problem::bad_request("`state` must be pending, delivered, dead or suppressed")
        })
    }
}

/// The deliveries of a filter, page by page.
struct Walk<'s> {
    state: &'s State,
    /// The next page; `None` after the last.
    next: Option<Pages>,
    /// Of the whole request.
    now: Timestamp,
    /// To be written down with the first step that does something.
    hand: Option<Hand>,
}

enum Pages {
    One(Box<DeliveryRow>),
    From(Box<DeliveryFilter>),
}

impl<'s> Walk<'s> {
    async fn new(
        state: &'s State,
        which: &Which,
        caller: &Caller,
        verb: HandVerb,
    ) -> Result<Self, Problem> {
        let wanted = which.state()?;
        let next = if let Some(id) = &which.delivery {
            let row = find_delivery(state, id).await?;
            Some(Pages::One(Box::new(row)))
                .filter(|page| matches!(page, Pages::One(row) if wanted.is_none_or(|wanted| wanted == row.state)))
        } else {
            let event = match &which.event {
                None => None,
                Some(id) => Some(
                    find_event(&*state.journal, id)
                        .await?
                        .ok_or_else(|| Problem::not_found("there is no event with this id"))?,
                ),
            };
            Some(Pages::From(Box::new(DeliveryFilter {
                sink: which.sink.clone(),
                subscription: which.subscription.clone(),
                state: wanted,
                event: event.map(|row| row.id),
                eni: which.eni.clone(),
                request: which.request.clone(),
                since: which.since,
                until: which.until,
                limit: u32::try_from(STEP_MAX).unwrap_or(u32::MAX),
                cursor: None,
            })))
        };
        let what = match &which.delivery {
            Some(id) => id.clone(),
            None => serde_json::to_string(which).unwrap_or_default(),
        };
        Ok(Self {
            state,
            next,
            now: clock::now(),
            hand: Some(caller.hand(verb, what, which.why.clone())),
        })
    }

    /// The next page, which may be empty; `None` after the last.
    async fn page(&mut self) -> Result<Option<Vec<DeliveryRow>>, Problem> {
        match self.next.take() {
            None => Ok(None),
            Some(Pages::One(row)) => Ok(Some(vec![*row])),
            Some(Pages::From(filter)) => {
                let page = self.state.journal.deliveries((*filter).clone()).await?;
                self.next = page.next.map(|cursor: Cursor| {
                    Pages::From(Box::new(DeliveryFilter {
                        cursor: Some(cursor),
                        ..*filter
                    }))
                });
                Ok(Some(page.rows))
            }
        }
    }
}

async fn find_delivery(state: &State, id: &str) -> Result<DeliveryRow, Problem> {
    let id: DeliveryId = id
        .parse()
        .map_err(|error| Problem::bad_request(format!("{error}")))?;
    let row = state.journal.delivery(id).await?;
    row.ok_or_else(|| Problem::not_found("there is no delivery with this id"))
}

fn as_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
