//! Why an event goes where it goes, without storing or sending anything.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Extract;
use herald_model::EventId;
use serde::Serialize;
use uuid::Uuid;

use super::State;
use super::problem::Problem;
use super::view::VerdictView;
use crate::clock;
use crate::intake::{self, Framing, Received};
use crate::plan::{Subscription, Verdict};

#[derive(Debug, Serialize)]
pub(super) struct Verdicts {
    verdicts: Vec<VerdictView>,
}

/// `POST /v1/explain`
pub(super) async fn explain(
    Extract(state): Extract<State>,
    body: Bytes,
) -> Result<Json<Verdicts>, Problem> {
    let in_force = state.current.load();
    let mut items = intake::items(&body, Framing::Document, in_force.limits);
    let verdicts = match (items.pop(), items.is_empty()) {
        (Some(item), true) => item.and_then(|item| verdicts(&item, in_force.subscriptions.all())),
        _ => Err(intake::Refusal::whole("send exactly one event")),
    };
    let verdicts = verdicts.map_err(|refusal| Problem::bad_request(refusal.reason))?;
    Ok(Json(Verdicts { verdicts }))
}

/// The verdict of every subscription on an event, best first: matched, then not for you, then
/// different, the nearest misses before the others.
///
/// # Errors
/// It is no event.
pub fn verdicts(
    received: &Received,
    subscriptions: &[Subscription],
) -> Result<Vec<VerdictView>, intake::Refusal> {
    let draft = intake::decode(&received.value, received.duplicate_keys, None)?;
    let sealed = draft.seal(EventId::from_uuid(Uuid::nil()), "explain", clock::now());
    let judge = |subscription: &Subscription| {
        let verdict = subscription.judge(&sealed.value, &sealed.event.addressee);
        let distance = match &verdict {
            Verdict::Matched(_) => 0,
            Verdict::NotForYou { .. } => 1,
            Verdict::Different { failed, .. } => 1 + failed,
        };
        (distance, VerdictView::of(&subscription.name, &verdict))
    };
    let mut judged: Vec<_> = subscriptions.iter().map(judge).collect();
    // A stable sort: of equal ones the first in the file stays first.
    judged.sort_by_key(|(distance, _)| *distance);
    Ok(judged.into_iter().map(|(_, view)| view).collect())
}
