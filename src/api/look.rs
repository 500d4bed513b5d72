//! What is in the journal, newest first, in pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State as Extract};
use herald_model::{DeliveryState, EventId};
use herald_rules::json::{self, Limits};
use jiff::Timestamp;
use serde::Serialize;

use super::State;
use super::problem::Problem;
use super::view::{DeliveryView, EventView, HandView, OperationView, SizeView, VerdictView};
use crate::config;
use crate::in_force;
use crate::intake;
use crate::journal::{
    Cursor, DeliveryFilter, DeliveryRow, EventFilter, EventRow, Look, OperationFilter, PAGE_MAX,
    Page, Pause, Totals,
};
use crate::plan::Subscription;

/// Why a sink is held that no person holds.
pub(super) const GONE: &str = "it is not in the configuration";

/// Deeds of people in the status. Chosen: some days of them.
const HANDS_SHOWN: u32 = 20;

pub(super) type Parameters = Query<BTreeMap<String, String>>;

#[derive(Debug, Serialize)]
pub(super) struct Events {
    events: Vec<EventView>,
    next: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Deliveries {
    deliveries: Vec<DeliveryView>,
    next: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Operations {
    operations: Vec<OperationView>,
    next: Option<i64>,
}

/// One event with everything that followed from it.
#[derive(Debug, Serialize)]
pub(super) struct EventPage {
    event: EventView,
    /// What the rules of its own generation said.
    verdicts: Vec<VerdictView>,
    /// What today's rules would say.
    today: Vec<VerdictView>,
    deliveries: Vec<DeliveryView>,
}

/// `GET /v1/events`
pub(super) async fn events(
    Extract(state): Extract<State>,
    Query(parameters): Parameters,
) -> Result<Json<Events>, Problem> {
    let mut asked = Asked(parameters);
    let filter = EventFilter {
        sender_id: asked.text("id"),
        eni: asked.text("eni"),
        request: asked.text("request"),
        since: asked.time("since")?,
        until: asked.time("until")?,
        limit: asked.limit()?,
        cursor: asked.cursor()?,
    };
    asked.finish()?;
    let page = state.journal.events(filter).await?;
    let next = page.next.map(|cursor| cursor.0);
    Ok(Json(Events {
        events: page.rows.iter().map(EventView::of).collect(),
        next,
    }))
}

/// `GET /v1/events/{id}`, by Herald's id or the sender's.
pub(super) async fn event(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
) -> Result<Json<EventPage>, Problem> {
    let row = find_event(&*state.journal, &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no event with this id"))?;
    let deliveries = state.journal.deliveries_of(row.number).await?;
    Ok(Json(EventPage {
        verdicts: stored_verdicts(&*state.journal, &row).await?,
        today: judged(&row, state.current.load().subscriptions.all()),
        deliveries: delivery_views(&state, &deliveries),
        event: EventView::of(&row),
    }))
}

/// The event with Herald's id `id`, else the newest one with the sender's.
pub(crate) async fn find_event(
    journal: &dyn Look,
    id: &str,
) -> Result<Option<EventRow>, crate::journal::Error> {
    if let Ok(id) = id.parse::<EventId>() {
        return journal.event(id).await;
    }
    let filter = EventFilter {
        sender_id: Some(id.to_owned()),
        limit: 1,
        ..EventFilter::default()
    };
    let page = journal.events(filter).await?;
    Ok(page.rows.into_iter().next())
}

/// What every subscription of the event's own generation says of it: computed anew from the stored
/// event, so it says what *was*.
pub(crate) async fn stored_verdicts(
    journal: &dyn Look,
    row: &EventRow,
) -> Result<Vec<VerdictView>, crate::journal::Error> {
    let Some(generation) = journal.generation(row.generation).await? else {
        return Ok(Vec::new());
    };
    let rules: Vec<_> = generation
        .subscriptions
        .iter()
        .filter_map(|(_, text)| config::Subscription::from_text(text).ok())
        .map(|rule| in_force::judging(&rule))
        .collect();
    Ok(judged(row, &rules))
}

/// What each of `subscriptions` says of a stored event.
fn judged(row: &EventRow, subscriptions: &[Subscription]) -> Vec<VerdictView> {
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    let Ok(parsed) = json::parse(row.text.as_bytes(), limits) else {
        return Vec::new();
    };
    let Ok(event) = intake::restore(row.id, Arc::clone(&row.text)) else {
        return Vec::new();
    };
    let judge = |subscription: &Subscription| {
        let verdict = subscription.judge(&parsed.value, &event.addressee);
        VerdictView::of(&subscription.name, &verdict)
    };
    subscriptions.iter().map(judge).collect()
}

/// `GET /v1/deliveries`
pub(super) async fn deliveries(
    Extract(state): Extract<State>,
    Query(parameters): Parameters,
) -> Result<Json<Deliveries>, Problem> {
    let mut asked = Asked(parameters);
    let event = match asked.text("event") {
        None => None,
        Some(id) => match find_event(&*state.journal, &id).await? {
            Some(row) => Some(row.id),
            None => return Err(Problem::not_found("there is no event with this id")),
        },
    };
    let filter = DeliveryFilter {
        sink: asked.text("sink"),
        subscription: asked.text("subscription"),
        state: asked.state()?,
        event,
        eni: asked.text("eni"),
        request: asked.text("request"),
        since: asked.time("since")?,
        until: asked.time("until")?,
        limit: asked.limit()?,
        cursor: asked.cursor()?,
    };
    asked.finish()?;
    let page = state.journal.deliveries(filter).await?;
    let next = page.next.map(|cursor| cursor.0);
    Ok(Json(Deliveries {
        deliveries: delivery_views(&state, &page.rows),
        next,
    }))
}

/// `GET /v1/deliveries/{id}`
pub(super) async fn delivery(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryView>, Problem> {
    let id = id
        .parse()
        .map_err(|error| Problem::bad_request(format!("{error}")))?;
    let row = state.journal.delivery(id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no delivery with this id"))?;
    Ok(Json(DeliveryView::of(&row, &state.current.load())))
}

/// Rows as they are shown while the present configuration is in force.
pub(crate) fn delivery_views(state: &State, rows: &[DeliveryRow]) -> Vec<DeliveryView> {
    let in_force = state.current.load();
    rows.iter()
        .map(|row| DeliveryView::of(row, &in_force))
        .collect()
}

/// `GET /v1/operations`
pub(super) async fn operations(
    Extract(state): Extract<State>,
    Query(parameters): Parameters,
) -> Result<Json<Operations>, Problem> {
    let mut asked = Asked(parameters);
    let filter = OperationFilter {
        reason: asked.text("reason"),
        since: asked.time("since")?,
        until: asked.time("until")?,
        limit: asked.limit()?,
        cursor: asked.cursor()?,
    };
    asked.finish()?;
    let page: Page<_> = state.journal.operations(filter).await?;
    let next = page.next.map(|cursor| cursor.0);
    Ok(Json(Operations {
        operations: page.rows.iter().map(OperationView::of).collect(),
        next,
    }))
}

#[derive(Debug, Serialize)]
pub(super) struct Sinks {
    sinks: Vec<SinkView>,
}

/// One way out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// Its kind; absent when it is gone from the configuration.
    pub kind: Option<&'static str>,
    /// What its limits protect.
    pub endpoint: Option<String>,
    /// `ready`, `limited`, `penalty`, `broken` or `held`; `held` too when it is gone from the
    /// configuration while deliveries wait.
    pub state: &'static str,
    /// Until when it may not be used, where that is a time.
    pub until: Option<Timestamp>,
    /// Why nothing leaves by it while it is `held`, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who holds it back, while somebody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseView>,
    /// Deliveries that wait for it.
    pub pending: u64,
    /// Receive time of the oldest of them.
    pub oldest: Option<Timestamp>,
}

/// Who holds a sink back.
#[derive(Debug, Serialize)]
pub struct PauseView {
    /// Since when.
    pub at: Timestamp,
    /// Name of a token, or `herald` where the far side wants no more.
    pub who: String,
    /// In that person's words, or the far side's.
    pub why: Option<String>,
}

impl PauseView {
    fn of(pause: &Pause) -> Self {
        Self {
            at: pause.at,
            who: pause.who.to_string(),
            why: Some(pause.why.clone()).filter(|why| !why.is_empty()),
        }
    }
}

/// `GET /v1/sinks`
pub(super) async fn sinks(Extract(state): Extract<State>) -> Result<Json<Sinks>, Problem> {
    Ok(Json(Sinks {
        sinks: sink_views(&state).await?,
    }))
}

/// How every way out stands, by name.
pub(crate) async fn sink_views(state: &State) -> Result<Vec<SinkView>, crate::journal::Error> {
    let waiting = state.journal.sinks().await?;
    let in_force = state.current.load();
    let mut views: BTreeMap<String, SinkView> = BTreeMap::new();
    for way_out in in_force.sinks.values() {
        let view = SinkView {
            name: way_out.name.to_string(),
            kind: Some(way_out.kind),
            endpoint: Some(way_out.sink.endpoint().to_string()),
            state: "ready",
            until: None,
            reason: None,
            paused: None,
            pending: 0,
            oldest: None,
        };
        views.insert(view.name.clone(), view);
    }
    for row in waiting {
        if row.pending == 0 && !views.contains_key(&*row.name) {
            continue;
        }
        let view = views
            .entry(row.name.to_string())
            .or_insert_with(|| gone(&row.name));
        if view.kind.is_some() {
            (view.state, view.until) = (row.state.as_str(), row.until);
        }
        view.pending = row.pending;
        view.oldest = row.oldest;
    }
    for pause in state.journal.pauses().await? {
        let view = views
            .entry(pause.sink.to_string())
            .or_insert_with(|| gone(&pause.sink));
        let paused = PauseView::of(&pause);
        view.reason = Some(match (&paused.why, view.kind) {
            (_, None) => GONE.to_owned(),
            (Some(why), _) => format!("paused by {}: {why}", paused.who),
            (None, _) => format!("paused by {}", paused.who),
        });
        view.paused = Some(paused);
    }
    Ok(views.into_values().collect())
}

/// A sink that is not in the configuration.
fn gone(name: &str) -> SinkView {
    SinkView {
        name: name.to_owned(),
        kind: None,
        endpoint: None,
        state: "held",
        until: None,
        reason: Some(GONE.to_owned()),
        paused: None,
        pending: 0,
        oldest: None,
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    subscriptions: usize,
    totals: Totals,
    /// Whether `planned = delivered + dead + suppressed + pending + removed`.
    conserved: bool,
    /// Room that the journal takes.
    size: SizeView,
    sinks: Vec<SinkView>,
    /// What people did, newest first.
    hands: Vec<HandView>,
    /// Where the journal is on the router's machine.
    journal: String,
}

/// `GET /v1/status`
pub(super) async fn status(Extract(state): Extract<State>) -> Result<Json<Status>, Problem> {
    let totals = state.journal.totals().await?;
    let hands = state.journal.hands(HANDS_SHOWN).await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        subscriptions: state.current.load().subscriptions.all().len(),
        conserved: totals.are_conserved(),
        totals,
        size: SizeView::of(&state.journal.size()),
        sinks: sink_views(&state).await?,
        hands: hands.iter().map(HandView::of).collect(),
        journal: state.journal_file.display().to_string(),
    }))
}

/// Query parameters; what nobody asked for is refused, so that a misspelled filter does not show
/// everything.
pub(super) struct Asked(pub(super) BTreeMap<String, String>);

impl Asked {
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.0.remove(key).filter(|text| !text.is_empty())
    }

    pub(super) fn time(&mut self, key: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Problem::bad_request(format!("`{key}` must be a time as in 2026-01-02T03:04:05Z"))
        })
    }

    fn state(&mut self) -> Result<Option<DeliveryState>, Problem> {
        let Some(word) = self.text("state") else {
            return Ok(None);
        };
        DeliveryState::named(&word).map(Some).ok_or_else(|| {
            Problem::bad_request("`state` must be pending, delivered, dead or suppressed")
        })
    }

    pub(super) fn limit(&mut self) -> Result<u32, Problem> {
        let Some(text) = self.text("limit") else {
            return Ok(0);
        };
        let limit = text
            .parse()
            .ok()
            .filter(|limit| (1..=PAGE_MAX).contains(limit));
        limit.ok_or_else(|| {
            Problem::bad_request(format!(
                "`limit` must be a whole number from 1 to {PAGE_MAX}"
            ))
        })
    }

    pub(super) fn cursor(&mut self) -> Result<Option<Cursor>, Problem> {
        let Some(text) = self.text("cursor") else {
            return Ok(None);
        };
        let cursor = text.parse().ok().map(Cursor);
        cursor
            .map(Some)
            .ok_or_else(|| Problem::bad_request("`cursor` must be the `next` of the page before"))
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(key) => {
                let key: String = key.chars().take(40).collect();
                Err(Problem::bad_request(format!(
                    "unknown query parameter `{key}`"
                )))
            }
        }
    }
}
