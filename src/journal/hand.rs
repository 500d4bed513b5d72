//! What people do to what is recorded: replay, cancel, pause, resume (and send a refused body
//! through again, which is in `refused`); and what becomes of what
//! waits while they do.
//!
//! Finding and doing are apart. Whoever asks walks the deliveries with [`Look`](super::Look), page
//! by page, and hands each page to the verb, which looks at every delivery again before it touches
//! it. So a filter of any size is worked off in small steps with the traffic going on between
//! them, and a request that breaks off half way may simply be repeated.

use std::sync::Arc;

use async_trait::async_trait;
use herald_model::{DeliveryId, DeliveryState};
use jiff::Timestamp;

use super::{DeliveryNo, Error};

/// Deliveries replayed or cancelled in one step at most; bounds how long the writer is held up.
/// Chosen: some milliseconds.
pub const STEP_MAX: usize = 500;

/// The journal's verbs for people.
#[async_trait]
pub trait Hands: Send + Sync {
    /// Makes deliveries that are over due again, each in a lane of its own, with its schedule and
    /// its time to expire begun anew. Its attempts stay; what did not arrive goes on in its
    /// message where that stopped, what was delivered leaves in a new one. Gives how many.
    ///
    /// What does not stand any more as it was seen is passed over, so repeating it is safe.
    ///
    /// # Errors
    /// Nothing was changed. More than [`STEP_MAX`] deliveries are refused.
    async fn replay(&self, replay: Replay) -> Result<u64, Error>;

    /// Suppresses deliveries that wait. What is in flight is left alone and counted; what is over
    /// is passed over.
    ///
    /// # Errors
    /// Nothing was changed. More than [`STEP_MAX`] deliveries are refused.
    async fn cancel(&self, cancel: Cancel) -> Result<Cancelled, Error>;

    /// Holds a sink back: nothing of it is claimed until [`resume`](Self::resume), over restarts.
    /// What is in flight ends as it ends. Who paused it first stands until then.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn pause(&self, sink: &str, hand: Hand) -> Result<Paused, Error>;

    /// Lets a sink go: what came due meanwhile is due at once.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn resume(&self, sink: &str, hand: Hand) -> Result<Paused, Error>;

    /// Suppresses what has expired among the next lanes in commit order, whatever they wait for:
    /// a sink that is held, or gone from the configuration, is not claimed from, and time goes on
    /// all the same.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn expire(&self, expire: Expire) -> Result<Expired, Error>;

    /// What people did, newest first; at most `limit`.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn hands(&self, limit: u32) -> Result<Vec<Hand>, Error>;

    /// The sinks that are held back.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn pauses(&self) -> Result<Vec<Pause>, Error>;
}

/// Something a person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hand {
    /// When.
    pub at: Timestamp,
    /// Name of the token that asked.
    pub who: Arc<str>,
    /// What was done.
    pub verb: HandVerb,
    /// To what: a sink, a delivery, or a filter as JSON.
    pub what: String,
    /// Why, in the person's words.
    pub why: Option<String>,
}

/// What a person can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandVerb {
    /// Make due again.
    Replay,
    /// Suppress what waits.
    Cancel,
    /// Hold a sink back.
    Pause,
    /// Let it go.
    Resume,
    /// Send refused bodies through again.
    SendAgain,
}

impl HandVerb {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Replay,
        Self::Cancel,
        Self::Pause,
        Self::Resume,
        Self::SendAgain,
    ];

    /// The word of the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::SendAgain => "send-again",
        }
    }

    /// The verb that a word names.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word)
    }
}

/// One step of a replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The present; the same in all steps of a request, so that what they make due keeps the order
    /// of its commits.
    pub now: Timestamp,
    /// Deliveries with the state they were seen in; at most [`STEP_MAX`].
    pub deliveries: Vec<(DeliveryNo, DeliveryState)>,
    /// Who asked, to be written down with the first step.
    pub hand: Option<Hand>,
}

/// One step of a cancelling.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The present.
    pub now: Timestamp,
    /// At most [`STEP_MAX`].
    pub deliveries: Vec<DeliveryNo>,
    /// Why they are suppressed.
    pub reason: Arc<str>,
    /// Who asked, to be written down with the first step.
    pub hand: Option<Hand>,
}

/// What a step of cancelling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// Deliveries suppressed.
    pub suppressed: u64,
    /// Deliveries left alone because an attempt was open.
    pub in_flight: u64,
}

/// Whether a pause or its end took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// It did.
    Done,
    /// It stood so already; nothing was written.
    Already,
    /// The journal has never known such a sink.
    NoSuchSink,
}

/// A sink that is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Its name.
    pub sink: Arc<str>,
    /// Since when.
    pub at: Timestamp,
    /// Who paused it: the name of a token, or `herald` where the far side wants no more.
    pub who: Arc<str>,
    /// Why; may be empty.
    pub why: String,
}

/// Where to look for what has expired.
#[derive(Debug, Clone, Copy)]
pub struct Expire {
    /// The present.
    pub now: Timestamp,
    /// The delivery after which the look goes on; `None` begins with the oldest.
    pub after: Option<DeliveryNo>,
    /// Lanes looked at; bounds the time the writer is held up.
    pub lanes_max: u32,
}

/// What a look for the expired found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Deliveries suppressed.
    pub deliveries: Vec<DeliveryId>,
    /// Where to go on; `None` after the last lane.
    pub next: Option<DeliveryNo>,
}

/// Refuses a step that is too large.
pub(super) fn check_step(deliveries: usize) -> Result<(), Error> {
    if deliveries <= STEP_MAX {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "{deliveries} deliveries in one step; at most {STEP_MAX} are taken"
    )))
}
