//! The items of one body on their way through the journal.

use jiff::Timestamp;

use super::{Answer, Bringing, event, operation};
use crate::in_force::{InForce, Source};
use crate::intake::{self, Class, Framing, Kept, Refusal};
use crate::journal::{Entry, Error, Journal, Recorded, RefusedEntry};

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

/// The items of one body on their way through the journal.
#[derive(Default)]
pub(super) struct Batch {
    items: Vec<Item>,
    entries: Vec<Entry>,
    /// What is kept of those that were refused.
    refused: Vec<Entry>,
}

/// One item.
struct Item {
    /// Refused, or the next of `entries`.
    outcome: Result<(), Refusal>,
    /// What there is to be kept of it if it is refused.
    read: Option<Kept>,
}

impl Batch {
    /// Takes each item as far as the journal.
    pub(super) fn of(
        in_force: &InForce,
        source: &Source,
        bringing: Bringing,
        items: Vec<Result<intake::Received, Refusal>>,
        now: Timestamp,
    ) -> Self {
        let mut batch = Self::default();
        for item in items {
            let mut read = None;
            let entry = item.and_then(|item| {
                let entry = match bringing {
                    Bringing::Events => event(in_force, source, &item, now),
                    Bringing::Operations => operation(in_force, source, &item, now),
                };
                read = entry.is_err().then(|| Kept::item(&item));
                entry
            });
            let outcome = entry.map(|entry| batch.entries.push(entry));
            batch.items.push(Item { outcome, read });
        }
        batch
    }

    /// Has what was refused written down with the rest. `whole` is the body, where it is one item.
    pub(super) fn keep_refused(
        &mut self,
        source: &Source,
        bringing: Bringing,
        whole: Option<(&[u8], &Framing)>,
        now: Timestamp,
    ) {
        for item in &mut self.items {
            let Err(refusal) = &item.outcome else {
                continue;
            };
            let kept = match (item.read.take(), &refusal.part, whole) {
                (Some(kept), _, _) => kept,
                (None, Some(part), _) => Kept::part(part),
                (None, None, Some((body, framing))) => Kept::of(body, framing),
                (None, None, None) => Kept::nothing(0),
            };
            let entry = refused(&source.name, bringing, &refusal.reason, kept, now);
            self.refused.push(entry);
        }
    }

    /// Whether nothing of it was refused.
    pub(super) fn is_sound(&self) -> bool {
        self.items.iter().all(|item| item.outcome.is_ok())
    }

    /// What is wrong with what was refused.
    pub(super) fn refused_classes(&self) -> Vec<Class> {
        let refused = |item: &Item| item.outcome.as_ref().err().map(|refusal| refusal.class);
        self.items.iter().filter_map(refused).collect()
    }

    /// Answers each item when everything is durable.
    pub(super) async fn record(self, journal: &dyn Journal) -> Result<Vec<Answer>, Error> {
        let reasons: Vec<_> = self.entries.iter().map(not_triggered).collect();
        let is_refused_whole = self.entries.is_empty();
        let mut entries = self.entries;
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
        let mut recorded = recorded.into_iter().zip(reasons);
        let answer = |item: Item| match item.outcome {
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
        Entry::Event(_) | Entry::Refused(_) => None,
    }
}
