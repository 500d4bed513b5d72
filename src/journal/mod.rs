//! The journal: the durable record of events, deliveries, messages and attempts.
//!
//! Only the journal stands between intake and dispatch. Its verbs are [`record`](Journal::record),
//! [`claim`](Journal::claim), [`save`](Journal::save), [`settle`](Journal::settle),
//! [`wait`](Journal::wait) and, for people, [`Look`], [`Hands`] and [`Refusals`]. Tables, the query plan of each verb and what
//! each survives are in `docs/journal.md`.
//!
//! Inside, everything is keyed by integers given in commit order; public ids are derived from what
//! is stored. The journal decides nothing that could be decided outside it: whether a delivery is
//! tried again, and when, comes in with [`Settlement`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use herald_model::{DeliveryState, Phase};
use jiff::Timestamp;
use tokio::sync::Notify;

pub mod memory;
pub mod sqlite;

mod ahead;
mod claim;
mod endpoint;
mod entry;
mod error;
mod hand;
mod look;
mod policy;
mod refused;
mod settle;
mod size;
mod sweep;
mod texts;

pub use ahead::{Ahead, Ask};
pub use claim::{ClaimRequest, Claimed, ClaimedItem, Claims, Room};
pub use endpoint::{BREAKER_FAULTS, Limit, PROBE_WAIT, STARTS_MAX};
pub use entry::{Entry, EventEntry, Generation, Identity, Learned, Planned, Recorded, Rules};
pub use error::Error;
pub use hand::{
    Cancel, Cancelled, Expire, Expired, Hand, HandVerb, Hands, Pause, Paused, Replay, STEP_MAX,
};
pub use look::{
    AttemptRow, Cursor, DeliveryFilter, DeliveryRow, EndpointRow, EventFilter, EventRow,
    GenerationRow, Look, OperationFilter, OperationRow, Page, SinkRow, SinkState, Totals,
};
pub use policy::{Digest, Policy};
pub use refused::{FORGET_MAX, Refusals, RefusedEntry, RefusedFilter, RefusedRow};
pub use settle::{Next, Saved, Settled, SettledItem, Settlement};
pub use size::{Bounds, Fill, Size};
pub use sweep::{Pressure, Sweep, Swept};

/// How often a delivery may cut off its worker (crash, kill) before it is taken for the cause and
/// becomes a dead letter. Chosen: a machine that restarts twice in a row is bad luck. A settlement
/// in between starts the count over; an attempt that was cut off uses up no step of the schedule.
/// A message of several that does so is broken up instead, and each of its deliveries goes alone, so
/// that only the one that is the cause ends as a dead letter.
pub const KILLS_MAX: u32 = 5;

/// From so many cut-offs in a row on, messages are tried one after the other after a start, the one that
/// was claimed last first, each [`SUSPECT_APART`] after the one before: what is under way when a process
/// dies is suspect, and were all of it tried again at once, one would take the others with it. Chosen:
/// two in a row may be the machine's bad luck.
pub const SUSPECT_AT: u32 = 3;

/// How far apart suspect messages are tried. Chosen: what kills its worker does so as soon as it is held,
/// and more would keep the others waiting for nothing.
pub const SUSPECT_APART: Duration = Duration::from_secs(1);

/// Longest accepted `limit` of a list, in rows. Chosen.
pub const PAGE_MAX: u32 = 1_000;

/// The rows of a page for a wanted `limit`; 0 stands for 100.
pub(crate) fn page_limit(limit: u32) -> usize {
    let limit = if limit == 0 { 100 } else { limit };
    limit.min(PAGE_MAX) as usize
}

/// Why a delivery was suppressed whose `expires` has passed.
pub(crate) const EXPIRED: &str = "expired";

/// Why a delivery was suppressed that its sink's `max_backlog` has no room for.
pub(crate) const BACKLOG: &str = "backlog";

/// Why a message is not made shorter.
pub(crate) const TRIED_BEFORE: &str =
    "only a message that was never tried can be shortened, and not to nothing";

/// Deliveries suppressed by one claim at most, so that a long expired backlog does not hold up the
/// writer: the next claim goes on.
pub(crate) const SUPPRESSED_MAX: usize = 1_000;

/// Who holds a sink back whose far side wants no more.
pub(crate) const HERALD: &str = "herald";

/// Why an attempt that was open when its process died is unknown.
pub(crate) const CUT_OFF: &str =
    "cut off: the process ended while this attempt was open; it may have arrived";

/// The same of an attempt after which the message was broken up.
pub(crate) const CUT_APART: &str = "cut off: the process ended while this attempt was open, as in \
     every one of this message; it may have arrived, and each of its deliveries goes alone from here on";

/// Why a delivery is dead that cut off its worker too often.
pub(crate) fn killed(times: u32) -> String {
    format!("cut off {times} times in a row: the process ended during every one of its attempts")
}

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);
    )+};
}

number! {
    /// Integer of an event.
    EventNo,
    /// Integer of a delivery.
    DeliveryNo,
    /// Integer of a message: that of its first attempt.
    MessageNo,
    /// Integer of an attempt; whoever holds it holds the claim.
    AttemptNo,
    /// Integer of a rule generation: one configuration in force.
    GenerationNo,
    /// Integer of a subscription's text.
    SubscriptionNo,
    /// Integer of a sink's name.
    SinkNo,
    /// Integer of a refused body.
    RefusedNo,
}

/// The durable record. One conformance suite (`tests/journal_conformance.rs`) runs against every
/// engine.
#[async_trait]
pub trait Journal: Look + Hands + Refusals {
    /// Writes down the configuration that comes into force. Safe to repeat: a text that is known
    /// keeps its integer, and a generation equal to the last one is the last one.
    ///
    /// # Errors
    /// The journal cannot be written.
    async fn begin(&self, rules: Rules) -> Result<Generation, Error>;

    /// Writes events with all their deliveries; returns when they are durable, one answer per
    /// entry, in order. All or nothing per entry. Within one batch, too, a repeat is recognised.
    /// Safe to repeat: what is there already is answered [`Recorded::Duplicate`].
    ///
    /// # Errors
    /// Nothing of the batch was written (full disk, no room left, failed sync); the sender should
    /// try again.
    async fn record(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, Error>;

    /// Adds to an event what a repeat of it knows more: replaces its text, adds subscriptions that
    /// match now, and plans their deliveries; returns when that is durable. `false` where the event
    /// is not there any more or its text is not what it was when it was looked at: look again.
    ///
    /// Safe to repeat: the second time the text has changed.
    ///
    /// # Errors
    /// Nothing was written.
    async fn learn(&self, learned: Learned) -> Result<bool, Error>;

    /// Leases due lanes, most urgent level first, oldest first within a level, and writes the open
    /// attempt of each: that row is the claim, the kill counter and, after a crash, the *unknown*.
    /// What has passed its `expires` is suppressed instead and reported, and so is what a sink's
    /// `max_backlog` has no room for.
    ///
    /// A message takes its permit of one of the sink's endpoints in the same transaction; what gets none
    /// stays as it is, and [`Claims::next_due`] says when the next permit comes. The time that a
    /// delivery is due before it is claimed never counts towards giving up. A message may carry
    /// several deliveries, by the sink's [`Policy`]; its members stay the same as long as its id
    /// does.
    ///
    /// Two callers never hold the same lane. The cost depends neither on backlog nor on history.
    ///
    /// # Errors
    /// Nothing was claimed.
    async fn claim(&self, request: ClaimRequest) -> Result<Claims, Error>;

    /// Asks for a claim ahead: the next commit that makes something due [`claim`](Self::claim)s for
    /// it, too, and then wakes nobody by [`due_signal`](Self::due_signal) for what the claim had room
    /// for. Where several wait, the oldest is filled. It is filled once, also with nothing, where what
    /// became due may not start.
    ///
    /// It costs nobody anything to ask. An engine that cannot do so never fills it: whoever asks
    /// listens to the signal all the same.
    fn claim_ahead(&self, _ask: Ask) -> Ahead {
        Ahead::never()
    }

    /// Stores text or progress of an open attempt's message; returns when durable. Replaces what
    /// was saved before, except that a frozen text ([`Claimed::frozen`]) stays as it is.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is no longer held; nothing was written.
    async fn save(&self, attempt: AttemptNo, saved: Saved) -> Result<(), Error>;

    /// Leaves only the first `items` deliveries in a claimed message that was never tried before;
    /// the others are due as if they had not been claimed. For a text that would not fit. Returns
    /// when durable.
    ///
    /// # Errors
    /// The claim is not held, the message was tried before, or nothing would be left of it;
    /// nothing was written.
    async fn shorten(&self, attempt: AttemptNo, items: usize) -> Result<(), Error>;

    /// Closes an attempt with its outcomes and what follows from them; returns when durable. What
    /// they and the signal say about the way counts for its endpoint (permits, penalty, breaker)
    /// or holds the sink. It is never refused for `max_size`: intake stays clear of a reserve, and
    /// where that is used up an attempt takes the place of the one before it in its message, so that
    /// what waits takes the same room however often it is tried.
    /// Safe to repeat: the second time changes nothing and is answered [`Settled::Stale`].
    ///
    /// # Errors
    /// Nothing was written; the claim is still held and the same call may be repeated.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, Error>;

    /// Gives a claim back unspent, and its permit: no attempt is written, and the deliveries are
    /// due again at `until`. For what cannot start now. Safe to repeat.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    async fn wait(
        &self,
        attempt: AttemptNo,
        until: Timestamp,
        phase: Phase,
    ) -> Result<Settled, Error>;

    /// Removes, in one small step, what is finished and old: events with their deliveries and
    /// attempts beyond `keep` (and no sooner than `dedup_window`, for an identity is verified with
    /// its event), identities beyond `dedup_window`. Nothing pending is ever removed;
    /// removed deliveries are counted in [`Totals::removed`]. Call it again while it reports more.
    ///
    /// # Errors
    /// Nothing was removed.
    async fn sweep(&self, sweep: Sweep) -> Result<Swept, Error>;

    /// Sets what the journal may hold; until then nothing bounds it. At its bound, less a reserve,
    /// [`record`](Self::record) is refused with [`Error::NoRoom`]; every other verb goes on. Takes
    /// effect with the next verb, and may be called again.
    fn bound(&self, bounds: Bounds);

    /// How much room the journal takes, as of the last commit. Cheap.
    fn size(&self) -> Size;

    /// Wakes whoever sweeps while the journal is near its bound. Carries no data.
    fn tight_signal(&self) -> Arc<Notify>;

    /// Has `tell` called with how long each commit took to become durable, from the engine's own
    /// thread: it must return at once. One may listen; a later call changes nothing. An engine that
    /// makes nothing durable tells nothing.
    fn on_commit(&self, _tell: OnCommit) {}

    /// Wakes whoever claims when something may have become due. Carries no data: a lost wake-up
    /// costs at most one look by timer, never a delivery.
    fn due_signal(&self) -> Arc<Notify>;

    /// Finishes what was asked for, closes the files, lets go of the lock. Later calls fail with
    /// [`Error::Closed`].
    async fn close(&self);
}

/// Who is told how long commits take.
pub type OnCommit = Box<dyn Fn(Duration) + Send + Sync>;

/// State of a delivery with, while it is pending, what it waits for.
pub type Standing = (DeliveryState, Option<Phase>);
