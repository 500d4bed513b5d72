//! The flow, in its order: source ► decode ► trigger ► match ► plan ► record ► answer.
//!
//! The sender is answered only when the event and all its deliveries are durable.

use std::cell::RefCell;
use std::sync::Arc;

use herald_model::EventId;
use herald_rules::Scratch;
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::in_force::{Current, InForce, Source};
use crate::intake::{self, Class, Draft, Framing, Kept, Refusal, Sealed};
use crate::journal::{Entry, Error, EventEntry, Journal};
use crate::plan;
use crate::trigger::{Triggered, trigger};

mod batch;
mod tally;

#[cfg(test)]
mod tests;

use batch::{Batch, Taking, refused};
use tally::Tally;

/// Takes what senders bring.
#[derive(Clone)]
pub struct Pipeline {
    journal: Arc<dyn Journal>,
    current: Current,
    /// `server.queue_max`: items between intake and the journal's commit.
    places: Arc<Semaphore>,
    places_max: usize,
    tally: Arc<Tally>,
    ids: Ids,
}

/// Where the ids of events come from.
pub type Ids = Arc<dyn Fn() -> EventId + Send + Sync>;

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bringing {
    /// Events, in any known shape.
    Events,
    /// Operation results, which the trigger turns into events.
    Operations,
}

impl Bringing {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Operations => "operations",
        }
    }

    /// What a kept body was to bring and how it is set apart, as [`Pipeline::take`] wrote it down;
    /// `None` for what another version wrote.
    pub fn of_kept(form: &str) -> Option<(Self, Framing)> {
        let (word, framing) = form.split_once(' ')?;
        let bringing = match word {
            "events" => Self::Events,
            "operations" => Self::Operations,
            _ => return None,
        };
        Some((bringing, intake::framing(framing)?))
    }
}

/// The answer to one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Durable with all its deliveries.
    Accepted(EventId),
    /// There already, as this event.
    Duplicate(EventId),
    /// An operation result that announces nothing, and why.
    NotTriggered(&'static str),
    /// Not taken, and why.
    Refused(String),
}

/// Whether a body was here before.
#[derive(Debug, Clone, Copy)]
enum Coming {
    /// What is refused of it is counted and kept.
    First,
    /// It is counted and kept already.
    Again,
}

impl Pipeline {
    /// A pipeline into `journal` by the configuration in force, holding at most `queue_max` items
    /// at a time.
    pub fn new(journal: Arc<dyn Journal>, current: Current, queue_max: usize) -> Self {
        let places_max = queue_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            journal,
            current,
            places: Arc::new(Semaphore::new(places_max)),
            places_max,
            tally: Arc::default(),
            ids: Arc::new(|| EventId::from_uuid(Uuid::now_v7())),
        }
    }

    /// The same with ids from elsewhere, for tests that are to be repeated exactly.
    #[must_use]
    pub fn with_ids(mut self, ids: Ids) -> Self {
        self.ids = ids;
        self
    }

    /// Takes a body from `source`: one answer per item, in order. A bad item never takes the
    /// others with it, and is kept while there is room for it.
    ///
    /// # Errors
    /// The journal took nothing of it; the sender should try again.
    pub async fn take(
        &self,
        source: &Source,
        bringing: Bringing,
        body: &[u8],
        framing: Framing,
        now: Timestamp,
    ) -> Result<Vec<Answer>, Error> {
        let coming = Coming::First;
        self.take_one(source, bringing, body, framing, now, coming)
            .await
    }

    /// Takes a body that was refused before: as [`take`](Self::take), but what is refused again is
    /// not kept a second time.
    ///
    /// # Errors
    /// The journal took nothing of it.
    pub async fn take_again(
        &self,
        source: &Source,
        bringing: Bringing,
        body: &[u8],
        framing: Framing,
        now: Timestamp,
    ) -> Result<Vec<Answer>, Error> {
        let coming = Coming::Again;
        self.take_one(source, bringing, body, framing, now, coming)
            .await
    }

    async fn take_one(
        &self,
        source: &Source,
        bringing: Bringing,
        body: &[u8],
        framing: Framing,
        now: Timestamp,
        coming: Coming,
    ) -> Result<Vec<Answer>, Error> {
        let in_force = self.current.load_full();
        let items = intake::items(body, framing.clone(), in_force.limits);
        let _places = self.places_for(items.len())?;
        let mut batch = Batch::default();
        let taking = self.taking(&in_force, source, bringing, now);
        batch.add(&taking, body, &framing, items);
        match coming {
            Coming::First => self.tally.count(&source.name, &batch.refused_classes()),
            Coming::Again => batch.forget_refused(),
        }
        batch.record(&*self.journal, &in_force, now).await
    }

    /// Takes several bodies of events that a source fetched, each a document of its own, with how
    /// far it has read: the answers to each body's items, in order. All of it is durable, or
    /// nothing.
    ///
    /// # Errors
    /// The journal took nothing of it; the source should try again.
    pub async fn take_fetched(
        &self,
        source: &Source,
        bodies: &[&[u8]],
        bookmark: Option<String>,
        now: Timestamp,
    ) -> Result<Vec<Vec<Answer>>, Error> {
        let in_force = self.current.load_full();
        let items: Vec<_> = bodies
            .iter()
            .map(|body| intake::items(body, Framing::Document, in_force.limits))
            .collect();
        let counts: Vec<_> = items.iter().map(Vec::len).collect();
        let _places = self.places_for(counts.iter().sum())?;
        let mut batch = Batch::default();
        let taking = self.taking(&in_force, source, Bringing::Events, now);
        for (body, items) in bodies.iter().zip(items) {
            batch.add(&taking, body, &Framing::Document, items);
        }
        self.tally.count(&source.name, &batch.refused_classes());
        batch.mark(bookmark.map(|text| Entry::Bookmark {
            source: Arc::clone(&source.name),
            text,
        }));
        let mut answers = batch
            .record(&*self.journal, &in_force, now)
            .await?
            .into_iter();
        let of_body = |count: usize| answers.by_ref().take(count).collect();
        Ok(counts.into_iter().map(of_body).collect())
    }

    /// Whether [`take`](Self::take) would refuse nothing of a body. Nothing is written.
    pub fn would_take(
        &self,
        source: &Source,
        bringing: Bringing,
        body: &[u8],
        framing: &Framing,
        now: Timestamp,
    ) -> bool {
        let in_force = self.current.load_full();
        let items = intake::items(body, framing.clone(), in_force.limits);
        let mut batch = Batch::default();
        let taking = self.taking(&in_force, source, bringing, now);
        batch.add(&taking, body, framing, items);
        batch.refused_classes().is_empty()
    }

    /// Writes down that something was refused before it was read.
    pub async fn note_refused(
        &self,
        source: &Arc<str>,
        bringing: Bringing,
        class: Class,
        reason: &str,
        now: Timestamp,
    ) {
        self.tally.count(source, &[class]);
        let entry = refused(source, bringing, reason, Kept::nothing(0), now);
        // The sender is told either way; this is for people.
        let _ = self.journal.record(vec![entry]).await;
    }

    /// How much was refused so far, by source and class.
    pub fn refused(&self) -> Vec<(Arc<str>, Class, u64)> {
        self.tally.counts()
    }

    fn taking<'a>(
        &'a self,
        in_force: &'a InForce,
        source: &'a Source,
        bringing: Bringing,
        now: Timestamp,
    ) -> Taking<'a> {
        Taking {
            in_force,
            source,
            bringing,
            ids: &self.ids,
            now,
        }
    }

    /// Room for so many items, or the answer to try again: waiting here would only move the queue
    /// into memory.
    fn places_for(&self, items: usize) -> Result<SemaphorePermit<'_>, Error> {
        let wanted = u32::try_from(items.clamp(1, self.places_max)).unwrap_or(u32::MAX);
        let waiting = self.places_max - self.places.available_permits();
        self.places
            .try_acquire_many(wanted)
            .map_err(|_| Error::Overloaded { waiting })
    }
}

thread_local! {
    /// Memory for matching, kept from event to event.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// decode ► match ► plan.
fn event(taking: &Taking<'_>, item: &intake::Received) -> Result<Entry, Refusal> {
    let draft = intake::decode(&item.value, item.duplicate_keys, item.bytes.as_deref())?;
    planned(taking, draft)
}

/// decode ► trigger ► match ► plan.
fn operation(taking: &Taking<'_>, item: &intake::Received) -> Result<Entry, Refusal> {
    let result = intake::decode_operation(&item.value)?;
    let announces = |account: &str| taking.in_force.announces(account);
    match trigger(&result, &item.value, announces)? {
        Triggered::Event(draft) => planned(taking, *draft),
        Triggered::Nothing(reason) => Ok(Entry::NotTriggered {
            received_at: taking.now,
            source: Arc::clone(&taking.source.name),
            operation: item.value.to_string(),
            reason: reason.as_str(),
        }),
    }
}

/// match ► plan.
fn planned(taking: &Taking<'_>, draft: Draft) -> Result<Entry, Refusal> {
    let (in_force, source) = (taking.in_force, taking.source);
    let sealed = draft.seal((taking.ids)(), &source.name, taking.now);
    source.admits(&sealed)?;
    let matched =
        SCRATCH.with_borrow_mut(|scratch| in_force.subscriptions.matching(&sealed.event, scratch));
    Ok(Entry::Event(Box::new(EventEntry {
        text_in_conflict: sealed.text_in_conflict,
        original: sealed.original,
        identities: sealed.identities.all,
        fingerprint: sealed.identities.fingerprint,
        dedup_window: in_force.dedup_window,
        generation: in_force.generation,
        matched: matched
            .iter()
            .map(|subscription| subscription.number)
            .collect(),
        deliveries: plan::plan(&sealed.event, &matched, taking.now),
        event: sealed.event,
    })))
}

impl Source {
    /// Refuses events of accounts and products that the source may not speak for.
    fn admits(&self, sealed: &Sealed) -> Result<(), Refusal> {
        let event = &sealed.event;
        if self
            .accounts
            .as_ref()
            .is_some_and(|accounts| !accounts.contains(&event.user_id))
        {
            return Err(Refusal::whole(format!(
                "foreign-account: source `{}` does not list account `{}`",
                self.name,
                intake::shorten(&event.user_id)
            ))
            .of_class(Class::Foreign));
        }
        if self
            .products
            .as_ref()
            .is_some_and(|products| !products.contains(&event.product))
        {
            return Err(Refusal::whole(format!(
                "foreign-product: source `{}` does not list product `{}`",
                self.name,
                intake::shorten(&event.product)
            ))
            .of_class(Class::Foreign));
        }
        Ok(())
    }
}
