//! Bodies that were refused: shown, and sent through again once Herald, or its configuration, knows
//! better.

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Extract};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;
use super::guard::Caller;
use super::intake::source_named;
use super::look::{Asked, Parameters};
use super::problem::Problem;
use super::wanted::{self, Wanted};
use crate::clock;
use crate::intake::{self, Framing};
use crate::journal::{HandVerb, PAGE_MAX, RefusedFilter, RefusedNo, RefusedRow};
use crate::pipeline::{Answer, Bringing};

#[derive(Debug, Serialize)]
pub(super) struct RefusedPage {
    refused: Vec<RefusedView>,
    next: Option<i64>,
}

/// A refused body, or one item of a body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefusedView {
    id: i64,
    refused_at: Timestamp,
    source: String,
    /// What the sender was told.
    reason: String,
    /// `events` or `operations`.
    bringing: &'static str,
    /// As which media type it is read again.
    content_type: &'static str,
    /// Bytes as received.
    bytes: u64,
    /// Whether the body is kept and can be sent through again.
    kept: bool,
    /// The body as text; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body, where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Which bodies to send through again. An absent field does not filter.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Which {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing)]
    dry_run: bool,
    #[serde(skip_serializing)]
    why: Option<String>,
}

/// What sending through again came to.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    /// Bodies taken, or with `dryRun` that would be.
    count: u64,
    /// Refused again, or of a source that is gone; they stay.
    refused: u64,
    /// Of which no body is kept.
    not_kept: u64,
}

/// `GET /v1/refused`
pub(super) async fn list(
    Extract(state): Extract<State>,
    Query(parameters): Parameters,
) -> Result<Json<RefusedPage>, Problem> {
    let mut asked = Asked(parameters);
    let filter = RefusedFilter {
        source: asked.text("source"),
        since: asked.time("since")?,
        until: asked.time("until")?,
        limit: asked.limit()?,
        cursor: asked.cursor()?,
    };
    asked.finish()?;
    let page = state.journal.refused(filter).await?;
    Ok(Json(RefusedPage {
        refused: page.rows.into_iter().map(RefusedView::of).collect(),
        next: page.next.map(|cursor| cursor.0),
    }))
}

/// `GET /v1/refused/{id}`
pub(super) async fn one(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
) -> Result<Json<RefusedView>, Problem> {
    let number = id
        .parse()
        .map_err(|_| Problem::bad_request("the id of a refused body is a whole number"))?;
    let row = state.journal.refusal(RefusedNo(number)).await?;
    row.map(|row| Json(RefusedView::of(row)))
        .ok_or_else(not_there)
}

/// `POST /v1/refused/again`: oldest first, one after the other. What is taken leaves the list. What
/// is broken off has done a part, and asking again does the rest.
pub(super) async fn again(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Sent>, Problem> {
    let which: Which = wanted::read(&body)?;
    let numbers = numbers(&state, &which).await?;
    let mut sent = Sent::default();
    if !which.dry_run && !numbers.is_empty() {
        let what = match which.id {
            Some(id) => id.to_string(),
            None => serde_json::to_string(&which).unwrap_or_default(),
        };
        let hand = caller.hand(HandVerb::SendAgain, what, which.why.clone());
        state.journal.forget(Vec::new(), Some(hand)).await?;
    }
    for number in numbers {
        // It may have gone since it was listed.
        let Some(row) = state.journal.refusal(number).await? else {
            continue;
        };
        match send(&state, &row, which.dry_run).await? {
            Came::Taken => {
                if !which.dry_run {
                    state.journal.forget(vec![number], None).await?;
                }
                sent.count += 1;
            }
            Came::Refused => sent.refused += 1,
            Came::NotKept => sent.not_kept += 1,
        }
    }
    Ok(Json(sent))
}

/// What became of one.
enum Came {
    Taken,
    Refused,
    NotKept,
}

async fn send(state: &State, row: &RefusedRow, dry_run: bool) -> Result<Came, Problem> {
    let Some(body) = row.body.as_deref().and_then(intake::inflated) else {
        return Ok(Came::NotKept);
    };
    let (Some(source), Some((bringing, framing))) = (
        source_named(state, &row.source),
        Bringing::of_kept(&row.form),
    ) else {
        return Ok(Came::Refused);
    };
    let (pipeline, now) = (&state.pipeline, clock::now());
    if dry_run {
        return Ok(
            match pipeline.would_take(&source, bringing, &body, &framing, now) {
                true => Came::Taken,
                false => Came::Refused,
            },
        );
    }
    let taken = pipeline.take_again(&source, bringing, &body, framing, now);
    let answers = taken.await?;
    state.metrics.taken(&source.name, &answers);
    let is_refused = |answer: &Answer| matches!(answer, Answer::Refused(_));
    Ok(match answers.iter().any(is_refused) {
        true => Came::Refused,
        false => Came::Taken,
    })
}

/// The rows that are meant, oldest first.
async fn numbers(state: &State, which: &Which) -> Result<Vec<RefusedNo>, Problem> {
    if let Some(id) = which.id {
        let number = RefusedNo(id);
        let row = state.journal.refusal(number).await?;
        return row.map(|_| vec![number]).ok_or_else(not_there);
    }
    let mut filter = RefusedFilter {
        source: which.source.clone(),
        since: which.since,
        until: which.until,
        limit: PAGE_MAX,
        cursor: None,
    };
    let mut numbers = Vec::new();
    loop {
        let page = state.journal.refused(filter.clone()).await?;
        numbers.extend(page.rows.iter().map(|row| row.number));
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => break,
        }
    }
    numbers.reverse();
    Ok(numbers)
}

fn not_there() -> Problem {
    Problem::not_found("there is no refused body with this id")
}

impl Wanted for Which {
    fn why(&mut self) -> &mut Option<String> {
        &mut self.why
    }
}

impl RefusedView {
    fn of(row: RefusedRow) -> Self {
        let form = Bringing::of_kept(&row.form);
        let body = row.body.as_deref().and_then(intake::inflated);
        let (body, body_base64) = match body.map(String::from_utf8) {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(bytes)) => (None, Some(STANDARD.encode(bytes.as_bytes()))),
        };
        Self {
            id: row.number.0,
            refused_at: row.at,
            source: row.source.to_string(),
            reason: row.reason,
            bringing: form.as_ref().map_or("", |(bringing, _)| bringing.as_str()),
            content_type: form.map_or("", |(_, framing)| media(&framing)),
            bytes: row.bytes,
            kept: row.is_kept,
            body,
            body_base64,
        }
    }
}

fn media(framing: &Framing) -> &'static str {
    match framing {
        Framing::Document => "application/json",
        Framing::Lines => "application/x-ndjson",
        Framing::Form => "application/x-www-form-urlencoded",
        Framing::CloudEvent(_) => "the data of a CloudEvent in binary mode",
    }
}
