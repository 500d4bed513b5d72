//! The console: what happened, as pages that work without script.
//!
//! Everything an event says is hostile: the templates escape it, and the content security policy
//! lets no script, frame or foreign resource in. `session` is signing in and out.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State as Extract};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use herald_model::{DeliveryState, Event};
use herald_rules::json::{self, Limits};
use serde::Deserialize;

use crate::api::{
    DeliveryView, SinkView, State, VerdictView, delivery_views, find_event, sink_views,
    stored_verdicts,
};
use crate::intake;
use crate::journal::{
    self, Cursor, DeliveryFilter, EventFilter, EventRow, OperationFilter, OperationRow, Totals,
};

mod session;

pub(crate) use session::asks;

/// Rows of a page. Chosen: two screens.
const ROWS: u32 = 50;

/// No script at all, styles from here only, nothing else from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The pages.
pub fn routes() -> Router<State> {
    Router::new()
        .route("/", get(events))
        .route("/events/{id}", get(event))
        .route("/deliveries", get(deliveries))
        .route("/operations", get(operations))
        .route("/status", get(status))
        .route("/session", get(session::look).post(session::begin))
        .route("/session/end", post(session::end))
        .route("/console.css", get(style))
}

/// Whether a path is a page that shows something of the journal.
pub(crate) fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/deliveries" | "/operations" | "/status") || path.starts_with("/events/")
}

async fn style() -> Response {
    let kind = HeaderValue::from_static("text/css; charset=utf-8");
    (
        [(header::CONTENT_TYPE, kind)],
        include_str!("pages/console.css"),
    )
        .into_response()
}

/// A page, or the page that says why there is none.
type Shown = Result<Response, Failed>;

struct Failed(StatusCode, String);

impl From<journal::Error> for Failed {
    fn from(error: journal::Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let title = self.0.canonical_reason().unwrap_or("Error");
        let page = show(&ProblemPage {
            title,
            detail: &self.1,
        });
        page.map_or_else(
            |Failed(status, _)| status.into_response(),
            |page| (self.0, page).into_response(),
        )
    }
}

fn show(page: &impl Template) -> Shown {
    let html = page
        .render()
        .map_err(|error| Failed(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing to others; without it at all, the console's own forms would come with the `Origin`
        // `null` (Fetch, "append a request `Origin` header").
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, html).into_response())
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    title: &'a str,
    detail: &'a str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EventQuery {
    eni: String,
    request: String,
    cursor: Option<i64>,
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    rows: Vec<EventLine>,
    eni: String,
    request: String,
    next: Option<String>,
}

/// An event in the list.
struct EventLine {
    id: String,
    received: String,
    level: &'static str,
    level_class: String,
    what: String,
    about: String,
    region: String,
    account: String,
}

fn some(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

async fn events(Extract(state): Extract<State>, Query(query): Query<EventQuery>) -> Shown {
    let filter = EventFilter {
        eni: some(&query.eni),
        request: some(&query.request),
        limit: ROWS,
        cursor: query.cursor.map(Cursor),
        ..EventFilter::default()
    };
    let page = state.journal.events(filter).await?;
    let link = |cursor: Cursor| {
        let cursor = cursor.0.to_string();
        link(
            "/",
            &[
                ("eni", &query.eni),
                ("request", &query.request),
                ("cursor", &cursor),
            ],
        )
    };
    show(&EventsPage {
        next: page.next.map(link),
        rows: page.rows.iter().filter_map(line).collect(),
        eni: query.eni,
        request: query.request,
    })
}

/// A path with a query, its values percent-encoded.
fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        serializer.append_pair(key, value);
    }
    format!("{path}?{}", serializer.finish())
}

fn line(row: &EventRow) -> Option<EventLine> {
    let event = intake::restore(row.id, row.text.clone()).ok()?;
    Some(EventLine {
        id: row.id.to_string(),
        received: row.received_at.to_string(),
        level: event.level.as_str(),
        level_class: event.level.as_str().to_ascii_lowercase(),
        what: what(&event),
        about: about(&event),
        region: event.region_id,
        account: event.user_id,
    })
}

fn what(event: &Event) -> String {
    match &event.eni {
        Some(eni) => format!("{} {}", eni.operation, eni.result),
        None => event.name.clone(),
    }
}

fn about(event: &Event) -> String {
    match &event.eni {
        Some(eni) => eni.id.clone(),
        None => event.resource_id.clone().unwrap_or_default(),
    }
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    what: String,
    level: &'static str,
    level_class: String,
    facts: Vec<(&'static str, String)>,
    deliveries: Vec<DeliveryView>,
    verdicts: Vec<VerdictView>,
    text: String,
}

async fn event(Extract(state): Extract<State>, Path(id): Path<String>) -> Shown {
    let missing = || {
        Failed(
            StatusCode::NOT_FOUND,
            "There is no event with this id.".to_owned(),
        )
    };
    let row = find_event(&*state.journal, &id)
        .await?
        .ok_or_else(missing)?;
    let event = intake::restore(row.id, row.text.clone()).map_err(|_| missing())?;
    let deliveries = state.journal.deliveries_of(row.number).await?;
    show(&EventPage {
        what: format!("{}: {}", what(&event), about(&event)),
        level: event.level.as_str(),
        level_class: event.level.as_str().to_ascii_lowercase(),
        facts: facts(&event),
        deliveries: delivery_views(&state, &deliveries),
        verdicts: stored_verdicts(&*state.journal, &row).await?,
        text: indented(&row.text),
    })
}

fn facts(event: &Event) -> Vec<(&'static str, String)> {
    let eni = event.eni.as_ref();
    let facts = [
        ("ENI", eni.map(|eni| eni.id.clone()).unwrap_or_default()),
        (
            "Status",
            eni.map(|eni| eni.status.to_string()).unwrap_or_default(),
        ),
        ("Name", event.name.clone()),
        ("Resource", event.resource_id.clone().unwrap_or_default()),
        ("Region", event.region_id.clone()),
        ("Account", event.user_id.clone()),
        ("Addressee", event.addressee.to_string()),
        ("Happened", event.occurred_at.to_string()),
        ("Received", event.received_at.to_string()),
        (
            "Request",
            eni.map(|eni| eni.request_id.clone()).unwrap_or_default(),
        ),
        ("Sender's id", event.sender_id.clone().unwrap_or_default()),
        ("Source", event.source.clone()),
        ("Herald's id", event.id.to_string()),
    ];
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// The canonical text with its members one a line, two levels deep: enough to read, and every
/// number as it was sent.
fn indented(text: &str) -> String {
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    let Ok(parsed) = json::parse(text.as_bytes(), limits) else {
        return text.to_owned();
    };
    let Some(object) = parsed.value.as_object() else {
        return text.to_owned();
    };
    let quoted = |key: &str| json::Value::from(key).to_string();
    let member = |(key, value): (&str, &json::Value)| match value.as_object() {
        Some(inner) if !inner.is_empty() => {
            let inner: Vec<_> = inner
                .iter()
                .map(|(key, value)| format!("    {}: {value}", quoted(key)))
                .collect();
            format!("  {}: {{\n{}\n  }}", quoted(key), inner.join(",\n"))
        }
        _ => format!("  {}: {value}", quoted(key)),
    };
    let members: Vec<_> = object.iter().map(member).collect();
    format!("{{\n{}\n}}", members.join(",\n"))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DeliveryQuery {
    state: String,
    sink: String,
    cursor: Option<i64>,
}

/// The choice that filters nothing.
const ANY: &str = "any";

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    rows: Vec<DeliveryView>,
    states: [&'static str; 5],
    state: String,
    sink: String,
    next: Option<String>,
}

async fn deliveries(Extract(state): Extract<State>, Query(query): Query<DeliveryQuery>) -> Shown {
    let filter = DeliveryFilter {
        state: DeliveryState::named(&query.state),
        sink: some(&query.sink),
        limit: ROWS,
        cursor: query.cursor.map(Cursor),
        ..DeliveryFilter::default()
    };
    let page = state.journal.deliveries(filter).await?;
    let link = |cursor: Cursor| {
        let cursor = cursor.0.to_string();
        link(
            "/deliveries",
            &[
                ("state", &query.state),
                ("sink", &query.sink),
                ("cursor", &cursor),
            ],
        )
    };
    show(&DeliveriesPage {
        next: page.next.map(link),
        rows: delivery_views(&state, &page.rows),
        states: [ANY, "pending", "delivered", "dead", "suppressed"],
        state: query.state,
        sink: query.sink,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OperationQuery {
    cursor: Option<i64>,
}

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    rows: Vec<OperationRow>,
    next: Option<String>,
}

async fn operations(Extract(state): Extract<State>, Query(query): Query<OperationQuery>) -> Shown {
    let cursor = query.cursor.map(Cursor);
    let filter = OperationFilter {
        limit: ROWS,
        cursor,
        ..OperationFilter::default()
    };
    let page = state.journal.operations(filter).await?;
    let link = |cursor: Cursor| link("/operations", &[("cursor", &cursor.0.to_string())]);
    show(&OperationsPage {
        next: page.next.map(link),
        rows: page.rows,
    })
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    totals: Totals,
    sinks: Vec<SinkView>,
}

async fn status(Extract(state): Extract<State>) -> Shown {
    let totals = state.journal.totals().await?;
    show(&StatusPage {
        totals,
        sinks: sink_views(&state).await?,
    })
}
