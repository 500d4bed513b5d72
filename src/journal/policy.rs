//! What a claim must know of a sink to make messages for it.

use std::sync::Arc;
use std::time::Duration;

use herald_model::EndpointId;

use super::Limit;

/// How messages to a sink are put together and when they may start. Comes in with every claim, so
/// a changed configuration takes effect with the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What the permits, the penalty and the breaker belong to; every sink that names it shares
    /// them. A message takes a permit of the first that has one. Empty: nothing holds this sink
    /// back.
    pub endpoints: Vec<EndpointId>,
    /// How many messages may start at each of them.
    pub limit: Option<Limit>,
    /// Whether deliveries of one event by several subscriptions go as one message.
    pub together: bool,
    /// Whether what waits too long goes as one message.
    pub digest: Option<Digest>,
    /// How long an ordered lane waits for a failing head before it passes it.
    pub lane_patience: Duration,
    /// Deliveries that may wait; beyond it the oldest of the least urgent are suppressed.
    pub max_backlog: u64,
    /// What stands for the text of a message of which none was saved: written with the claim, and
    /// frozen in the text's place once an attempt may have arrived. For texts that can be made again
    /// word for word; few different ones, since each is kept for ever. `None`: a message without a
    /// saved text has none to be repeated.
    pub form: Option<Arc<str>>,
}

/// When and how deliveries are gathered into a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// Once one has been due for so long, everything that is due leaves together.
    pub after: Duration,
    /// Deliveries in one message.
    pub items_max: u32,
}

impl Default for Policy {
    /// Holds nothing back and gathers nothing.
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            limit: None,
            together: false,
            digest: None,
            lane_patience: Duration::MAX,
            max_backlog: u64::MAX,
            form: None,
        }
    }
}
