//! One attempt at one message: render, store the text, deliver, settle.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use herald_model::sink::{Checkpoint, CheckpointError};
use herald_model::{
    Item, MessageId, Notification, Outcome, Outcomes, Progress, Rendered, Signal, Sink,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{Clock, Tally, decide};
use crate::in_force::WayOut;
use crate::intake;
use crate::journal::{AttemptNo, Claimed, Error, Journal, Next, Saved, SettledItem, Settlement};
use crate::render::{in_form, render};

/// What a sink gets beyond its own time limit before it is cut off. Chosen: a sink that keeps its
/// limit is never cut.
const GRACE: Duration = Duration::from_secs(5);

/// First and longest pause between two tries to settle while the journal refuses. Chosen.
const SETTLE_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What an attempt is made with.
pub(super) struct Of<'a> {
    pub(super) journal: &'a dyn Journal,
    pub(super) way_out: &'a WayOut,
    pub(super) clock: &'a Clock,
    pub(super) ended: &'a Tally,
}

/// Carries out the attempt that was claimed at `started`. `cut` ends it early, as unknown.
pub(super) async fn attempt(
    of: Of<'_>,
    mut claimed: Claimed,
    started: Timestamp,
    cut: &CancellationToken,
) {
    let Of {
        journal,
        way_out,
        clock,
        ended: tally,
    } = of;
    let outcomes = match prepare(journal, way_out, &mut claimed, started).await {
        Ok(notification) => deliver(journal, way_out, &claimed, &notification, cut).await,
        Err(why) => Outcome::transient(why).into(),
    };
    let ended = clock();
    let settlement = settlement(way_out, &claimed, &outcomes, started, ended);
    tell(way_out, &claimed, &settlement);
    let outcomes = settlement.items.iter().map(|item| item.outcome.as_str());
    tally.count(&way_out.name, outcomes);
    settle(journal, settlement, cut).await;
}

/// The notification, with its text stored, or the form it is made again from: from here on the far
/// side may see it, and what it may have seen is repeated word for word.
async fn prepare(
    journal: &dyn Journal,
    way_out: &WayOut,
    claimed: &mut Claimed,
    started: Timestamp,
) -> Result<Notification, String> {
    let items = claimed.items.iter().map(|item| {
        let event = intake::restore(item.event, Arc::clone(&item.text))
            .map_err(|error| format!("the stored event cannot be read: {error}"))?;
        Ok(Item {
            delivery: item.id,
            subscription: Arc::clone(&item.subscription),
            event: Arc::new(event),
        })
    });
    let mut items: Vec<Item> = items.collect::<Result<_, String>>()?;
    let sink = &*way_out.sink;
    let stands = claimed.frozen.as_deref().or(way_out.policy.form.as_deref());
    let kept = stands.and_then(|text| kept(sink, text, claimed.message, &items));
    let rendered: Rendered = match kept {
        Some(rendered) => rendered,
        None => {
            let rendered = fitted(journal, way_out, claimed, started, &mut items).await?;
            if let Some(failure) = &rendered.failure {
                warn!(sink = &*way_out.name, message = %claimed.message, failure, "a template failed");
            }
            let text = serde_json::to_string(&rendered).map_err(|error| error.to_string())?;
            journal
                .save(claimed.attempt, Saved::Text(text))
                .await
                .map_err(|error| format!("the text could not be stored: {error}"))?;
            rendered
        }
    };
    let charged = claimed
        .items
        .iter()
        .map(|item| item.charged)
        .max()
        .unwrap_or(0);
    Ok(Notification {
        message: claimed.message,
        composed_at: claimed.composed_at,
        attempted_at: started,
        attempt: charged + 1,
        endpoint: claimed.endpoint.clone(),
        items,
        rendered,
    })
}

/// The text that the journal keeps, or can make again from the form that it keeps. `None` where a
/// new one must be made: the sink's name stands for another kind by now.
fn kept(sink: &dyn Sink, text: &str, message: MessageId, items: &[Item]) -> Option<Rendered> {
    let rendered: Rendered = serde_json::from_str(text).ok()?;
    match &rendered.form {
        Some(form) if rendered.body.is_none() => in_form(sink, form, message, items),
        _ => Some(rendered),
    }
}

/// Renders a new text. A message that was never tried and would not fit is made of fewer items
/// first; one that was tried keeps its members, and the sink cuts its text.
async fn fitted(
    journal: &dyn Journal,
    way_out: &WayOut,
    claimed: &mut Claimed,
    started: Timestamp,
    items: &mut Vec<Item>,
) -> Result<Rendered, String> {
    let first = items
        .first()
        .map(|item| &*item.subscription)
        .unwrap_or_default();
    let templates = way_out.templates_for(first).clone();
    let sink = &*way_out.sink;
    let message = claimed.message;
    let of = |items: &[Item]| render(sink, message, items, &templates, &way_out.setting);
    let rendered = of(items);
    let was_tried = claimed.composed_at < started;
    if items.len() == 1 || was_tried || sink.fits(message, &rendered) {
        return Ok(rendered);
    }
    let fit = decide::most_that_fit(items.len(), |count| {
        sink.fits(message, &of(&items[..count]))
    });
    let rendered = of(&items[..fit]);
    journal
        .shorten(claimed.attempt, fit)
        .await
        .map_err(|error| format!("the message could not be split: {error}"))?;
    claimed.items.truncate(fit);
    items.truncate(fit);
    Ok(rendered)
}

async fn deliver(
    journal: &dyn Journal,
    way_out: &WayOut,
    claimed: &Claimed,
    notification: &Notification,
    cut: &CancellationToken,
) -> Outcomes {
    let checkpoint = JournalCheckpoint {
        journal,
        attempt: claimed.attempt,
    };
    let progress = Progress::new(claimed.progress.clone(), &checkpoint);
    let sending = AssertUnwindSafe(way_out.sink.deliver(notification, &progress)).catch_unwind();
    let limit = way_out.sink.time_limit() + GRACE;
    tokio::select! {
        biased;
        sent = tokio::time::timeout(limit, sending) => match sent {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(_)) => Outcome::unknown("the sink broke down (this is a defect of Herald); it may have arrived").into(),
            Err(_) => Outcome::unknown(format!(
                "no end within {} s; it may have arrived", limit.as_secs()
            )).into(),
        },
        () = cut.cancelled() => {
            Outcome::unknown("cut off: Herald was stopped during this attempt; it may have arrived").into()
        }
    }
}

fn settlement(
    way_out: &WayOut,
    claimed: &Claimed,
    outcomes: &Outcomes,
    started: Timestamp,
    ended: Timestamp,
) -> Settlement {
    let mut items = Vec::with_capacity(claimed.items.len());
    // The message's own id spreads the jitter and keeps it the same over a restart.
    let seed = claimed.message.uuid().as_u64_pair().0;
    for (index, item) in claimed.items.iter().enumerate() {
        let outcome = outcomes.of(index);
        let next = decide::next(item, &outcome, &way_out.retry, started, ended, seed);
        items.push(SettledItem {
            delivery: item.number,
            outcome,
            next,
        });
    }
    decide::keep_together(&mut items);
    Settlement {
        attempt: claimed.attempt,
        ended,
        items,
        signal: outcomes.signal.clone(),
    }
}

/// Settles until it is done. A refused settling is repeated, since the claim is held and the
/// outcome would be lost; at the end of the drain it is left to the next start, as unknown.
async fn settle(journal: &dyn Journal, settlement: Settlement, cut: &CancellationToken) {
    let (mut pause, longest) = SETTLE_PAUSE;
    loop {
        match journal.settle(settlement.clone()).await {
            Ok(_) => return,
            Err(Error::Closed) => return,
            Err(error) => error!(%error, "cannot settle an attempt; trying again"),
        }
        if cut.is_cancelled() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cut.cancelled() => {}
        }
        pause = (pause * 2).min(longest);
    }
}

fn tell(way_out: &WayOut, claimed: &Claimed, settlement: &Settlement) {
    let sink = &*way_out.name;
    for (item, settled) in claimed.items.iter().zip(&settlement.items) {
        let delivery = item.id;
        let reason = settled.outcome.reason();
        match &settled.next {
            Next::Delivered => debug!(%delivery, sink, reply = reason, "delivered"),
            Next::Again(at) => {
                let outcome = settled.outcome.as_str();
                info!(%delivery, sink, outcome, reason, %at, "not delivered; trying again");
            }
            Next::Dead(why) => warn!(%delivery, sink, reason = %why, "dead letter"),
        }
    }
    if settlement.signal != Signal::None {
        warn!(sink, signal = ?settlement.signal, "the far side wants a pause");
    }
}

struct JournalCheckpoint<'a> {
    journal: &'a dyn Journal,
    attempt: AttemptNo,
}

#[async_trait]
impl Checkpoint for JournalCheckpoint<'_> {
    async fn save(&self, bytes: Vec<u8>) -> Result<(), CheckpointError> {
        self.journal
            .save(self.attempt, Saved::Progress(bytes))
            .await
            .map_err(|error| CheckpointError(error.to_string()))
    }
}
