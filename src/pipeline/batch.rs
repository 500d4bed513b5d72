//! The items of one body on their way through the journal.

use std::sync::Arc;

use herald_model::EventId;
use herald_model::event::{Addressee, Owner};
use jiff::Timestamp;

use super::{Answer, Bringing, SCRATCH, event, operation};
use crate::in_force::{InForce, Source};
use crate::intake::{self, Class, Framing, Kept, Refusal};
use crate::journal::{Entry, Error, Journal, Learned, Recorded, RefusedEntry};
use crate::plan;

/// A refused body for the journal.
pub(super) fn refused(
    source: &str,
    bringing: Bringing,
    reason: &str,
    kept: Kept,
    now: Timestamp,
) -> Entry {
    Entry::Refused(Box::new(RefusedEntry {
        at: now,
        source: source.into(),
        reason: reason.to_owned(),
        form: format!("{} {}", bringing.as_str(), kept.framing),
        bytes: u64::try_from(kept.bytes).unwrap_or(u64::MAX),
        body: kept.body,
    }))
}

/// By what and from whom items are taken.
pub(super) struct Taking<'a> {
    pub(super) in_force: &'a InForce,
    pub(super) source: &'a Source,
    pub(super) bringing: Bringing,
    pub(super) now: Timestamp,
}

/// The items of one body or several.
#[derive(Default)]
pub(super) struct Batch {
    /// One per item: refused, or the next of `entries`.
    items: Vec<Result<(), Refusal>>,
    entries: Vec<Entry>,
    /// What is kept of those that were refused.
    refused: Vec<Entry>,
    /// How far the source has read.
    bookmark: Option<Entry>,
}

impl Taking<'_> {
    fn entry(&self, item: &intake::Received) -> Result<Entry, Refusal> {
        match self.bringing {
            Bringing::Events => event(self.in_force, self.source, item, self.now),
            Bringing::Operations => operation(self.in_force, self.source, item, self.now),
        }
    }
}

impl Batch {
    /// Takes the items of a body as far as the journal.
    pub(super) fn add(
        &mut self,
        taking: &Taking<'_>,
        body: &[u8],
        framing: &Framing,
        items: Vec<Result<intake::Received, Refusal>>,
    ) {
        let is_whole = items.len() == 1;
        for item in items {
            let outcome = match item {
                Ok(item) => taking
                    .entry(&item)
                    .map_err(|refusal| (Kept::item(&item), refusal)),
                Err(refusal) => {
                    let kept = match &refusal.part {
                        Some(part) => Kept::part(part),
                        None if is_whole => Kept::of(body, framing),
                        None => Kept::nothing(0),
                    };
                    Err((kept, refusal))
                }
            };
            let outcome = match outcome {
                Ok(entry) => {
                    self.entries.push(entry);
                    Ok(())
                }
                Err((kept, refusal)) => {
                    let (name, reason) = (&taking.source.name, &refusal.reason);
                    let entry = refused(name, taking.bringing, reason, kept, taking.now);
                    self.refused.push(entry);
                    Err(refusal)
                }
            };
            self.items.push(outcome);
        }
    }

    /// Has it written down, with the rest, how far the source has read.
    pub(super) fn mark(&mut self, bookmark: Option<Entry>) {
        self.bookmark = bookmark;
    }

    /// Has nothing kept of what was refused.
    pub(super) fn forget_refused(&mut self) {
        self.refused.clear();
    }

    /// What is wrong with what was refused.
    pub(super) fn refused_classes(&self) -> Vec<Class> {
        let refused = self.items.iter().filter_map(|item| item.as_ref().err());
        refused.map(|refusal| refusal.class).collect()
    }

    /// Answers each item when everything is durable.
    pub(super) async fn record(
        self,
        journal: &dyn Journal,
        in_force: &InForce,
        now: Timestamp,
    ) -> Result<Vec<Answer>, Error> {
        let knowing: Vec<_> = self.entries.iter().map(knowing).collect();
        let reasons: Vec<_> = self.entries.iter().map(not_triggered).collect();
        let is_refused_whole = self.entries.is_empty() && self.bookmark.is_none();
        let mut entries = self.entries;
        entries.extend(self.bookmark);
        entries.extend(self.refused);
        let recorded = match entries.is_empty() {
            true => Ok(Vec::new()),
            false => journal.record(entries).await,
        };
        let recorded = match recorded {
            // What is refused is refused whether or not it could be kept.
            Err(_) if is_refused_whole => Vec::new(),
            recorded => recorded?,
        };
        for (recorded, text) in recorded.iter().zip(&knowing) {
            if let (Recorded::Duplicate { of }, Some(text)) = (recorded, text) {
                learn(journal, in_force, *of, text, now).await?;
            }
        }
        let mut recorded = recorded.into_iter().zip(reasons);
        let answer = |item: Result<(), Refusal>| match item {
            Err(refusal) => Ok(Answer::Refused(refusal.reason)),
            Ok(()) => match recorded.next() {
                Some((Recorded::Accepted { id, .. }, _)) => Ok(Answer::Accepted(id)),
                Some((Recorded::Duplicate { of }, _)) => Ok(Answer::Duplicate(of)),
                Some((Recorded::Noted, reason)) => {
                    Ok(Answer::NotTriggered(reason.unwrap_or_default()))
                }
                None => Err(Error::Failed(
                    "the journal answered too few entries".to_owned(),
                )),
            },
        };
        self.items.into_iter().map(answer).collect()
    }
}

fn not_triggered(entry: &Entry) -> Option<&'static str> {
    match entry {
        Entry::NotTriggered { reason, .. } => Some(reason),
        Entry::Event(_) | Entry::Bookmark { .. } | Entry::Refused(_) => None,
    }
}

/// The text of an event that says who asked for the operation, or whose ENI it is.
fn knowing(entry: &Entry) -> Option<Arc<str>> {
    let Entry::Event(entry) = entry else {
        return None;
    };
    let event = &entry.event;
    let may_know =
        matches!(event.addressee, Addressee::Service(_)) || event.text.contains("\"initiator\":");
    may_know.then(|| Arc::clone(&event.text))
}

/// Looks at an event whose text was changed meanwhile, by another repeat. Chosen: each change adds to
/// what is known, and there are two to add.
const LOOKS: u32 = 4;

/// Adds to the event `of` what a repeat of it knows more, and plans what follows for subscriptions
/// with `owner`: whom it is addressed to is nothing to the others.
async fn learn(
    journal: &dyn Journal,
    in_force: &InForce,
    of: EventId,
    repeat: &str,
    now: Timestamp,
) -> Result<(), Error> {
    for _ in 0..LOOKS {
        let Some(row) = journal.event(of).await? else {
            return Ok(());
        };
        let Some(text) = intake::learned(&row.text, repeat) else {
            return Ok(());
        };
        let Ok(event) = intake::restore(of, Arc::clone(&text)) else {
            return Ok(());
        };
        let learned = {
            let mut matched =
                SCRATCH.with_borrow_mut(|scratch| in_force.subscriptions.matching(&event, scratch));
            matched.retain(|subscription| {
                subscription.owner != Owner::Users && !row.matched.contains(&subscription.name)
            });
            Learned {
                event: row.number,
                before: row.text,
                text,
                received_at: now,
                deliveries: plan::plan(&event, &matched, now),
                matched: matched.iter().map(|one| one.number).collect(),
            }
        };
        if journal.learn(learned).await? {
            return Ok(());
        }
    }
    Ok(())
}
