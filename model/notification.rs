//! What a sink is handed.

use std::sync::Arc;

use jiff::Timestamp;

use crate::event::{Event, Level};
use crate::ids::{DeliveryId, EndpointId, MessageId};

/// A message with its items and its rendered text. Everything but `attempted_at`, `attempt` and
/// `endpoint` is the same at every attempt once one could have reached the far side.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The idempotency key of all attempts.
    pub message: MessageId,
    /// When the message was first composed: a mail's `Date`.
    pub composed_at: Timestamp,
    /// When this attempt started: timestamps and signatures are made from it.
    pub attempted_at: Timestamp,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The endpoint whose permit this attempt took, of those that the sink names; `None` stands for
    /// the first.
    pub endpoint: Option<EndpointId>,
    /// What it carries; never empty. CRITICAL first, then WARN, then INFO, each in commit order.
    pub items: Vec<Item>,
    /// The text to send.
    pub rendered: Rendered,
}

impl Notification {
    /// The most urgent level among the items.
    pub fn level(&self) -> Level {
        self.items
            .iter()
            .map(|item| item.event.level)
            .max()
            .unwrap_or_default()
    }
}

/// One delivery of a message.
#[derive(Debug, Clone)]
pub struct Item {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Name of the subscription that wants it.
    pub subscription: Arc<str>,
    /// The event it brings.
    pub event: Arc<Event>,
}

/// Rendered text. Stored in the journal before the first byte leaves, so that an attempt that may
/// have arrived is repeated with the same words.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Rendered {
    /// One line: a mail's subject, a chat message's title. Holds no control character.
    pub title: String,
    /// The text in the sink's markup.
    pub text: String,
    /// The same as HTML, for kinds that send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The exact body, for kinds that send one of their own making.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The form in which the body is made from the items: stored where the body need not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// The page of the console that tells more, for kinds that have buttons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// Why built-in text stands where a template was to speak. `text` and `html` say it too; a kind
    /// that sends neither has to say it in its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A link with the words that it is shown by.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// The words, in the sink's language.
    pub title: String,
    /// The address.
    pub url: String,
}

/// Language of built-in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl Language {
    /// Its tag (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }
}
