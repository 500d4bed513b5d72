//! The shapes of answers. They are a contract: programs read them.

use herald_model::{DeliveryState, Phase};
use herald_rules::explain::{Difference, Held};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::look::GONE;
use crate::in_force::InForce;
use crate::journal::{AttemptRow, DeliveryRow, EventRow, Hand, OperationRow, Size};
use crate::plan::Verdict;

/// An event in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventView {
    /// `evt_…`.
    pub id: String,
    /// The canonical form, number by number as the sender wrote it.
    pub event: Box<RawValue>,
}

/// A delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// `dlv_…`.
    pub id: String,
    /// `evt_…`.
    pub event: String,
    /// Name of the subscription.
    pub subscription: String,
    /// Name of the sink.
    pub sink: String,
    /// `pending`, `delivered`, `dead` or `suppressed`.
    pub state: String,
    /// While pending: `due`, `in-flight`, `waiting`, `held` or `limited`.
    pub phase: Option<String>,
    /// Why it stands so, secrets removed.
    pub reason: Option<String>,
    /// While waiting: until when.
    pub next_attempt: Option<Timestamp>,
    /// Charged attempts.
    pub attempt_count: u32,
    /// All attempts, oldest first; in lists the last only.
    pub attempts: Vec<AttemptView>,
}

/// One attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptView {
    /// `msg_…`.
    pub message: String,
    /// When it started.
    pub started: Timestamp,
    /// When it ended; absent while it is open.
    pub ended: Option<Timestamp>,
    /// `delivered`, `transient`, `unknown`, `permanent` or `sink-fault`.
    pub outcome: Option<String>,
    /// Whether it used up a step of the schedule.
    pub charged: bool,
    /// Why it did not arrive.
    pub reason: Option<String>,
    /// What the far side answered to a success.
    pub reply: Option<String>,
}

/// What one subscription says of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerdictView {
    /// Name of the subscription.
    pub subscription: String,
    /// `matched`, `not-for-you` or `different`.
    pub verdict: String,
    /// The field that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the rule wants there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What the event has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Of one that matched: the conditions that held, in the pattern's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldView>,
}

/// A condition that held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldView {
    /// The field.
    pub field: String,
    /// Which of the alternatives it fulfils.
    pub wanted: String,
    /// What the event has there.
    pub found: String,
}

/// An operation result that triggered nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperationView {
    /// When it was received.
    pub received_at: Timestamp,
    /// As it was sent.
    pub operation: Box<RawValue>,
    /// The reason word.
    pub reason: String,
}

impl EventView {
    /// The row as it is shown; a stored text that is no JSON is shown as null.
    pub fn of(row: &EventRow) -> Self {
        Self {
            id: row.id.to_string(),
            event: raw(&row.text),
        }
    }
}

impl OperationView {
    pub(super) fn of(row: &OperationRow) -> Self {
        Self {
            received_at: row.received_at,
            operation: raw(&row.operation),
            reason: row.reason.clone(),
        }
    }
}

/// Something a person did.
#[derive(Debug, Serialize)]
pub(super) struct HandView {
    at: Timestamp,
    who: String,
    verb: &'static str,
    what: String,
    why: Option<String>,
}

impl HandView {
    pub(super) fn of(hand: &Hand) -> Self {
        Self {
            at: hand.at,
            who: hand.who.to_string(),
            verb: hand.verb.as_str(),
            what: hand.what.clone(),
            why: hand.why.clone(),
        }
    }
}

/// How much room the journal takes, in bytes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SizeView {
    used: u64,
    /// Free in its files, to be used again.
    free: u64,
    /// `journal.max_size`.
    max: u64,
    /// From here on intake is refused.
    refused_from: u64,
    /// `roomy`; `trimming`: finished events go early; `near`: intake is about to be refused;
    /// `full`: it is.
    fill: &'static str,
}

impl SizeView {
    pub(super) fn of(size: &Size) -> Self {
        Self {
            used: size.used,
            free: size.free,
            max: size.max,
            refused_from: size.refuse_at(),
            fill: size.fill().as_str(),
        }
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl DeliveryView {
    /// The row as it is shown while `in_force` is: what waits for a sink that is gone is held.
    pub fn of(row: &DeliveryRow, in_force: &InForce) -> Self {
        let is_gone = row.state == DeliveryState::Pending
            && row.phase.is_some_and(|phase| phase != Phase::InFlight)
            && in_force.way_out(&row.sink).is_none();
        if is_gone {
            Self::held(row)
        } else {
            Self::shown(row)
        }
    }

    /// What waits for a sink that is gone: whatever it waited for before, it waits for that sink now.
    fn held(row: &DeliveryRow) -> Self {
        let tried = row.reason.as_deref();
        let tried = tried.map(|words| format!("; the last attempt: {words}"));
        let held = DeliveryRow {
            phase: Some(Phase::Held),
            reason: Some(format!(
                "held by its sink: {GONE}{}",
                tried.unwrap_or_default()
            )),
            next_attempt: None,
            ..row.clone()
        };
        Self::shown(&held)
    }

    fn shown(row: &DeliveryRow) -> Self {
        Self {
            id: row.id.to_string(),
            event: row.event.to_string(),
            subscription: row.subscription.to_string(),
            sink: row.sink.to_string(),
            state: row.state.as_str().to_owned(),
            phase: row.phase.map(Phase::as_str).map(str::to_owned),
            reason: row.reason.clone(),
            next_attempt: row.next_attempt,
            attempt_count: row.charged,
            attempts: row.attempts.iter().map(AttemptView::of).collect(),
        }
    }
}

impl AttemptView {
    fn of(row: &AttemptRow) -> Self {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Self {
            message: row.message.to_string(),
            started: row.started,
            ended: row.ended,
            outcome: row.outcome.map(str::to_owned),
            charged: row.charged,
            reason: some(&row.reason),
            reply: some(&row.reply),
        }
    }
}

impl VerdictView {
    /// The verdict as it is shown.
    pub fn of(subscription: &str, verdict: &Verdict) -> Self {
        let view = |verdict: &str, difference: Option<[&String; 3]>| Self {
            subscription: subscription.to_owned(),
            verdict: verdict.to_owned(),
            field: difference.map(|[field, ..]| field.clone()),
            wanted: difference.map(|[_, wanted, _]| wanted.clone()),
            found: difference.map(|[.., found]| found.clone()),
            held: Vec::new(),
        };
        match verdict {
            Verdict::Matched(held) => Self {
                held: held.iter().map(HeldView::of).collect(),
                ..view("matched", None)
            },
            Verdict::NotForYou { wanted, found } => view(
                "not-for-you",
                Some([&"addressee".to_owned(), wanted, found]),
            ),
            Verdict::Different { nearest, .. } => view(
                "different",
                Some([&nearest.field, &nearest.wanted, &nearest.found]),
            ),
        }
    }
}

impl VerdictView {
    /// The difference as a sentence; of a match the values that count, each once whatever number of
    /// conditions it fulfils: `level is WARN, content.result is failed`.
    pub fn why(&self) -> String {
        if let (Some(field), Some(wanted), Some(found)) = (&self.field, &self.wanted, &self.found) {
            let [field, wanted, found] = [field, wanted, found].map(Clone::clone);
            return Difference {
                field,
                wanted,
                found,
            }
            .to_string();
        }
        let one = |held: &HeldView| format!("{} is {}", held.field, held.found);
        let mut said: Vec<String> = self.held.iter().map(one).collect();
        said.dedup();
        said.join(", ")
    }
}

impl HeldView {
    fn of(held: &Held) -> Self {
        Self {
            field: held.field.clone(),
            wanted: held.test.clone(),
            found: held.found.clone(),
        }
    }
}
