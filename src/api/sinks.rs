//! Hands on a way out: pause, resume, and a probe through it.

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::{Extension, Json};
use herald_model::Outcome;
use serde::{Deserialize, Serialize};

use super::State;
use super::guard::Caller;
use super::look::{SinkView, sink_views};
use super::problem::Problem;
use super::wanted::{self, Wanted};
use crate::clock;
use crate::journal::{HandVerb, Paused};
use crate::probe;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    why: Option<String>,
}

/// What a probe came to.
#[derive(Debug, Serialize)]
pub(super) struct ProbeView {
    sink: String,
    /// `delivered`, `transient`, `unknown`, `permanent` or `sink-fault`.
    outcome: &'static str,
    /// Why it did not arrive.
    reason: Option<String>,
    /// What the far side answered to a success.
    reply: Option<String>,
    /// What that means and what to do, in a sentence.
    explanation: String,
}

/// `POST /v1/sinks/{name}/pause`
pub(super) async fn pause(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<SinkView>, Problem> {
    // Seen before anything is written: a source's name is known to the journal, too.
    view_of(&state, &name).await?;
    let hand = caller.hand(
        HandVerb::Pause,
        name.clone(),
        wanted::read::<Asked>(&body)?.why,
    );
    match state.journal.pause(&name, hand).await? {
        Paused::Done | Paused::Already => view_of(&state, &name).await.map(Json),
        Paused::NoSuchSink => Err(no_sink(&name)),
    }
}

/// `POST /v1/sinks/{name}/resume`
pub(super) async fn resume(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<SinkView>, Problem> {
    view_of(&state, &name).await?;
    let hand = caller.hand(
        HandVerb::Resume,
        name.clone(),
        wanted::read::<Asked>(&body)?.why,
    );
    match state.journal.resume(&name, hand).await? {
        Paused::Done | Paused::Already => view_of(&state, &name).await.map(Json),
        Paused::NoSuchSink => Err(no_sink(&name)),
    }
}

/// `POST /v1/sinks/{name}/test`
pub(super) async fn test(
    Extract(state): Extract<State>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<ProbeView>, Problem> {
    let in_force = state.current.load_full();
    let way_out = in_force.way_out(&name).ok_or_else(|| no_sink(&name))?;
    let probed = probe::probe(way_out, caller.name(), clock::now()).await;
    let words = Some(probed.outcome.reason().to_owned()).filter(|words| !words.is_empty());
    let (reason, reply) = match &probed.outcome {
        Outcome::Delivered { .. } => (None, words),
        _ => (words, None),
    };
    Ok(Json(ProbeView {
        sink: name,
        outcome: probed.outcome.as_str(),
        reason,
        reply,
        explanation: probed.explanation,
    }))
}

impl Wanted for Asked {
    fn why(&mut self) -> &mut Option<String> {
        &mut self.why
    }
}

async fn view_of(state: &State, name: &str) -> Result<SinkView, Problem> {
    let views = sink_views(state).await?;
    views
        .into_iter()
        .find(|view| view.name == name)
        .ok_or_else(|| no_sink(name))
}

fn no_sink(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::not_found(format!("there is no sink `{name}`"))
}
