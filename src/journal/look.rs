//! The journal as people see it: newest first, filtered, in pages.
//!
//! Indexes for people are filled behind the commits, so an answer says how far they reach; what
//! lies beyond is scanned, so nothing recent is missed.

use std::sync::Arc;

use async_trait::async_trait;
use herald_model::{DeliveryId, DeliveryState, EventId, MessageId, Phase};
use jiff::Timestamp;

use super::{DeliveryNo, Error, EventNo, GenerationNo, Limit};

/// Reading for people and for verdicts. Never blocks a writer.
#[async_trait]
pub trait Look: Send + Sync {
    /// Events, newest first.
    async fn events(&self, filter: EventFilter) -> Result<Page<EventRow>, Error>;

    /// One event by Herald's id.
    async fn event(&self, id: EventId) -> Result<Option<EventRow>, Error>;

    /// Deliveries, newest first, each with its last attempt only.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Page<DeliveryRow>, Error>;

    /// One delivery with all its attempts, oldest first.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, Error>;

    /// All deliveries of an event, each with all its attempts.
    async fn deliveries_of(&self, event: EventNo) -> Result<Vec<DeliveryRow>, Error>;

    /// Operation results that triggered nothing, newest first.
    async fn operations(&self, filter: OperationFilter) -> Result<Page<OperationRow>, Error>;

    /// The bookmark of a source; `None` where it never wrote one.
    async fn bookmark(&self, source: &str) -> Result<Option<String>, Error>;

    /// The rules of a generation.
    async fn generation(&self, number: GenerationNo) -> Result<Option<GenerationRow>, Error>;

    /// What waits, by sink, and every sink that may not be used.
    async fn sinks(&self) -> Result<Vec<SinkRow>, Error>;

    /// What limits protect: every endpoint that ever was used.
    async fn endpoints(&self) -> Result<Vec<EndpointRow>, Error>;

    /// The counters of conservation.
    async fn totals(&self) -> Result<Totals, Error>;
}

/// Where a page goes on: rows with a smaller integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Cursor>,
}

/// Which events. An absent field does not filter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The sender's `id`.
    pub sender_id: Option<String>,
    /// ENI id in the content.
    pub eni: Option<String>,
    /// Request id in the content.
    pub request: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Rows of a page, 1 to [`PAGE_MAX`](super::PAGE_MAX); 0 stands for 100.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// Which deliveries. An absent field does not filter.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Name of the sink.
    pub sink: Option<String>,
    /// Name of the subscription.
    pub subscription: Option<String>,
    /// State.
    pub state: Option<DeliveryState>,
    /// Of this event.
    pub event: Option<EventId>,
    /// ENI id in the event's content.
    pub eni: Option<String>,
    /// Request id in the event's content.
    pub request: Option<String>,
    /// Event received at or after.
    pub since: Option<Timestamp>,
    /// Event received before.
    pub until: Option<Timestamp>,
    /// Rows of a page, 1 to [`PAGE_MAX`](super::PAGE_MAX); 0 stands for 100.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// Which operation results. An absent field does not filter.
#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    /// The reason word.
    pub reason: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Rows of a page, 1 to [`PAGE_MAX`](super::PAGE_MAX); 0 stands for 100.
    pub limit: u32,
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its integer.
    pub number: EventNo,
    /// Its id.
    pub id: EventId,
    /// The canonical text.
    pub text: Arc<str>,
    /// When it was received.
    pub received_at: Timestamp,
    /// The rules that were applied.
    pub generation: GenerationNo,
    /// Names of the subscriptions that matched.
    pub matched: Vec<Arc<str>>,
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its integer.
    pub number: DeliveryNo,
    /// Its id.
    pub id: DeliveryId,
    /// Of this event.
    pub event: EventId,
    /// For this subscription.
    pub subscription: Arc<str>,
    /// By this sink.
    pub sink: Arc<str>,
    /// State.
    pub state: DeliveryState,
    /// While pending: what it waits for.
    pub phase: Option<Phase>,
    /// Why it stands so: the last attempt's reason, or that of the final state.
    pub reason: Option<String>,
    /// While waiting: until when.
    pub next_attempt: Option<Timestamp>,
    /// Charged attempts.
    pub charged: u32,
    /// Whether its lane went on without it, because it failed for longer than the lane's patience.
    pub late: bool,
    /// Attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// One attempt, as seen from one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The message that carried it.
    pub message: MessageId,
    /// When it was claimed.
    pub started: Timestamp,
    /// When it ended; `None` while open.
    pub ended: Option<Timestamp>,
    /// The outcome's word; `None` while open.
    pub outcome: Option<&'static str>,
    /// Whether it used up a step of the schedule.
    pub charged: bool,
    /// Why it did not arrive; empty for a success.
    pub reason: String,
    /// What the far side answered to a success.
    pub reply: String,
}

/// An operation result that triggered nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// When it was received.
    pub received_at: Timestamp,
    /// The operation result as JSON.
    pub operation: String,
    /// The reason word.
    pub reason: String,
}

/// One generation of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRow {
    /// Since when it was in force.
    pub since: Timestamp,
    /// Name and canonical text of each subscription.
    pub subscriptions: Vec<(Arc<str>, Arc<str>)>,
}

/// How one sink stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkRow {
    /// Its name.
    pub name: Arc<str>,
    /// Deliveries pending.
    pub pending: u64,
    /// Receive time of the oldest pending delivery's event.
    pub oldest: Option<Timestamp>,
    /// Whether it may be used.
    pub state: SinkState,
    /// Until when it may not, where that is a time.
    pub until: Option<Timestamp>,
}

/// How one endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its name.
    pub name: String,
    /// When messages started, and how many, for as long as a limit counts them; oldest first.
    pub starts: Vec<(Timestamp, u32)>,
    /// Until when the far side punishes it.
    pub penalty_until: Option<Timestamp>,
    /// Whether its breaker is open.
    pub is_broken: bool,
}

impl EndpointRow {
    /// Messages that count against `limit` now.
    pub fn used(&self, limit: &Limit, now: Timestamp) -> u64 {
        let counts = |at: Timestamp| at.saturating_add(limit.per).is_ok_and(|end| end > now);
        let counted = self.starts.iter().filter(|(at, _)| counts(*at));
        counted.map(|(_, count)| u64::from(*count)).sum()
    }
}

/// Whether a sink may be used, as the last claim or settlement found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// It may.
    #[default]
    Ready,
    /// Something waits for a permit of its endpoint.
    Limited,
    /// The vendor punishes its endpoint.
    Penalty,
    /// The breaker of its endpoint is open.
    Broken,
    /// A person must let it go.
    Held,
}

impl SinkState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Limited,
        Self::Penalty,
        Self::Broken,
        Self::Held,
    ];

    /// The word of the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Limited => "limited",
            Self::Penalty => "penalty",
            Self::Broken => "broken",
            Self::Held => "held",
        }
    }

    /// What a delivery waits for whose retry is due, or will be before `until`, at a sink in this
    /// state; `None` where it waits for nothing but its own time.
    pub(crate) fn phase(
        self,
        due: Option<Timestamp>,
        until: Option<Timestamp>,
        own: Phase,
    ) -> Option<Phase> {
        match self {
            Self::Held => Some(Phase::Held),
            Self::Ready => None,
            Self::Limited | Self::Penalty | Self::Broken => (own == Phase::Due
                || due.is_some_and(|due| until.is_some_and(|until| due <= until)))
            .then_some(Phase::Limited),
        }
    }
}

/// Counters of conservation: `planned = delivered + dead + suppressed + pending + removed`, at
/// every moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Events recorded since the journal was made.
    pub events: u64,
    /// Deliveries planned since then.
    pub planned: u64,
    /// Of them delivered and still kept.
    pub delivered: u64,
    /// Of them dead and still kept.
    pub dead: u64,
    /// Of them suppressed and still kept.
    pub suppressed: u64,
    /// Of them pending.
    pub pending: u64,
    /// Of them removed by retention.
    pub removed: u64,
}

impl Totals {
    /// Whether every planned delivery is accounted for.
    pub const fn are_conserved(&self) -> bool {
        self.planned == self.delivered + self.dead + self.suppressed + self.pending + self.removed
    }
}
