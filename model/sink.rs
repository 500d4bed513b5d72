//! The trait behind which every way out stands.

use std::fmt;

use async_trait::async_trait;

use crate::delivery::{Order, Overflow};
use crate::ids::{EndpointId, MessageId};
use crate::notification::{Item, Notification, Rendered};
use crate::outcome::Outcomes;
use crate::settings::Table;

/// One configured way out. Tries once, never retries by itself.
#[async_trait]
pub trait Sink: Send + Sync {
    /// What limits, penalties and the breaker protect; two sinks on one robot name the same
    /// endpoint.
    fn endpoint(&self) -> EndpointId;

    /// Every endpoint of a sink that has several ways to the same readers, the preferred one first,
    /// which is [`endpoint`](Self::endpoint). A message takes the first that may be used, and
    /// [`Notification::endpoint`] says which. Never empty, and no endpoint stands in it twice.
    fn endpoints(&self) -> Vec<EndpointId> {
        vec![self.endpoint()]
    }

    /// How built-in texts for this sink are marked up.
    fn markup(&self) -> Markup {
        Markup::Plain
    }

    /// The exact body to send, for kinds that make one of their own from the items. It is stored
    /// with the message, or made again in its [`form`](Self::form), so it must follow from the
    /// arguments alone.
    fn body(&self, message: MessageId, items: &[Item]) -> Option<String> {
        let _ = (message, items);
        None
    }

    /// Name of the form in which [`body`](Self::body) makes its bodies now, for kinds that send
    /// nothing but a body. The journal keeps the name in place of the bytes, so a form must never
    /// change: a body that is to look otherwise is another form.
    fn form(&self) -> Option<&'static str> {
        None
    }

    /// The body in a form that [`form`](Self::form) named once, byte for byte as it was then; `None`
    /// for one that this kind never had.
    fn body_in(&self, form: &str, message: MessageId, items: &[Item]) -> Option<String> {
        let _ = (form, message, items);
        None
    }

    /// Whether this text can be sent whole. Of a new message of several items that cannot, only as
    /// many are sent as can; a single item's text the sink must cut by itself.
    fn fits(&self, message: MessageId, rendered: &Rendered) -> bool {
        let _ = (message, rendered);
        true
    }

    /// Tries once to hand the notification to the far side.
    ///
    /// Must end by itself within the sink's own time limits; the caller cuts it off some time
    /// after them and records `Unknown`. Being dropped at any await must leave nothing behind that
    /// a later attempt could trip over.
    async fn deliver(&self, notification: &Notification, progress: &Progress<'_>) -> Outcomes;

    /// The longest time that one `deliver` may take.
    fn time_limit(&self) -> std::time::Duration;
}

/// How text is marked up for a kind of sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Markup {
    /// Plain lines.
    Plain,
    /// Plain lines, and the same as an HTML document.
    Mail,
    /// DingTalk's subset of Markdown.
    DingTalk,
    /// None: the kind sends a body of its own.
    Body,
}

/// What an attempt left behind for the next one, when it was half done.
pub struct Progress<'a> {
    saved: Option<Vec<u8>>,
    store: &'a dyn Checkpoint,
}

/// Where checkpoints are made durable.
#[async_trait]
pub trait Checkpoint: Send + Sync {
    /// Replaces the message's checkpoint; returns when it is durable.
    async fn save(&self, bytes: Vec<u8>) -> Result<(), CheckpointError>;
}

/// A checkpoint that could not be made durable. The sink should stop and answer `Unknown`: what it
/// has done so far may be done again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot save the progress of this attempt: {0}")]
pub struct CheckpointError(pub String);

impl<'a> Progress<'a> {
    /// Progress that continues from `saved`, with later checkpoints going to `store`.
    pub fn new(saved: Option<Vec<u8>>, store: &'a dyn Checkpoint) -> Self {
        Self { saved, store }
    }

    /// Bytes of the last checkpoint of this message, from whichever attempt.
    pub fn saved(&self) -> Option<&[u8]> {
        self.saved.as_deref()
    }

    /// Replaces the checkpoint; returns when it is durable.
    ///
    /// # Errors
    /// The journal cannot take it; see [`CheckpointError`].
    pub async fn save(&self, bytes: Vec<u8>) -> Result<(), CheckpointError> {
        self.store.save(bytes).await
    }
}

impl fmt::Debug for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("saved", &self.saved)
            .finish_non_exhaustive()
    }
}

/// Checked settings of one sink. Holding one proves that they make sense, not that anyone answers.
pub trait SinkConfig: fmt::Debug + Send + Sync {
    /// Makes the sink. Spawns no task and contacts nobody, so that a reload that is rolled back
    /// leaves nothing behind.
    ///
    /// # Errors
    /// Something on this machine is missing, such as a certificate file.
    fn connect(&self) -> Result<Box<dyn Sink>, ConnectError>;
}

/// Where a sink needs nothing but its settings, it is its own configuration.
impl<S: Sink + Clone + fmt::Debug + 'static> SinkConfig for S {
    fn connect(&self) -> Result<Box<dyn Sink>, ConnectError> {
        Ok(Box::new(self.clone()))
    }
}

/// A sink that cannot be made on this machine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ConnectError(pub String);

/// A type of sink: everything the rest of Herald needs to know of it.
#[derive(Debug, Clone, Copy)]
pub struct SinkKind {
    /// The word after `kind =`.
    pub name: &'static str,
    /// One sentence for lists and help.
    pub summary: &'static str,
    /// A complete `[sink.NAME]` table that `configure` accepts.
    pub example: &'static str,
    /// What a sink of this kind gets where the file says nothing.
    pub defaults: SinkDefaults,
    /// Reads the keys of this kind. Opens no file and no socket. `None` when a mistake was
    /// reported or, in a lenient check, a secret is not set.
    pub configure: fn(&mut Table<'_>) -> Option<Box<dyn SinkConfig>>,
}

/// Defaults that differ by kind.
#[derive(Debug, Clone, Copy)]
pub struct SinkDefaults {
    /// Which deliveries keep their order.
    pub order: Order,
    /// Whether deliveries of one event by several subscriptions go as one message.
    pub together: bool,
    /// What a limit does with what it holds up.
    pub overflow: Overflow,
    /// Messages per window, and the window, where the vendor sets one.
    pub limit: Option<(u32, std::time::Duration)>,
    /// Attempts at a time.
    pub concurrency: u32,
}

impl SinkDefaults {
    /// One message after the other for each resource, a few at a time, without a limit.
    pub const ORDERED: Self = Self {
        order: Order::Resource,
        together: false,
        overflow: Overflow::Wait,
        limit: None,
        concurrency: 4,
    };
}
