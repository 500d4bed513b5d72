//! From received bytes to drafts of events.
//!
//! A *shape* is one form in which an event comes, one file each; [`decode`] tells them apart by
//! their top-level keys. [`items`] takes a body apart: it may hold one event, an array of them,
//! (NDJSON) one a line, or an answer of the pull API with several; a bad item never takes the
//! others with it.
//!
//! - `body` takes apart, `form` and `binary` read what is no JSON document;
//! - `shape` tells, `flat`, `webhook`, `cloud_event`, `pull` and `operation` read, `not_taken`
//!   names what is refused;
//! - `draft` and `canonical` make the canonical form, `stored` reads it back, `identity` says by what a repeat is known;
//! - `kept` is what is kept of what is refused.
//!
//! Decoding is pure: no clock, no network, no configuration beyond [`Limits`]. What the shapes are
//! and which field comes from where is told in `docs/shapes.md`.

use herald_rules::json::{Object, Value};

mod binary;
mod body;
mod canonical;
mod cloud_event;
mod draft;
mod field;
mod flat;
mod form;
mod identity;
mod kept;
mod not_taken;
mod operation;
mod pull;
mod shape;
mod stored;
mod time;
mod webhook;

#[cfg(test)]
mod tests;

pub use binary::Attributes;
pub use body::items;
pub use canonical::{learned, restore};
pub use draft::{Draft, Sealed};
pub use identity::Identities;
pub(crate) use identity::eni_identity;
pub use kept::{KEPT_MAX, Kept, framing, inflated};
pub use operation::decode as decode_operation;
use shape::Shape;

/// What a body may be at most; each is named in the refusal of what passes it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Items of one body.
    pub batch_max: usize,
    /// How deep arrays and objects may stand in one another.
    pub depth_max: usize,
    /// Bytes of one text.
    pub field_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_max: 1_000,
            depth_max: 64,
            field_max: 1 << 20,
        }
    }
}

/// How the items of a body are set apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document: an object, or an array of items.
    Document,
    /// One JSON document a line.
    Lines,
    /// The fields of one item, or a document in the field `data`, as a form or a query writes them.
    Form,
    /// The data of one CloudEvent whose attributes came beside it.
    CloudEvent(Attributes),
}

/// Why an item or a body was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Names the field, or the offset, and what is expected.
    pub reason: String,
    /// In a word, for counting.
    pub class: Class,
    /// The bytes of the item that was refused, where it is not the whole body.
    pub part: Option<Vec<u8>>,
}

/// What is wrong with what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It cannot be read.
    Unreadable,
    /// It passes a limit.
    Limit,
    /// Its shape is known and not taken.
    NotTaken,
    /// Its shape is not known.
    Unknown,
    /// A field of it is wrong or missing.
    Field,
    /// Its account or product is not the source's.
    Foreign,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unreadable,
        Self::Limit,
        Self::NotTaken,
        Self::Unknown,
        Self::Field,
        Self::Foreign,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Limit => "limit",
            Self::NotTaken => "not-taken",
            Self::Unknown => "unknown",
            Self::Field => "field",
            Self::Foreign => "foreign",
        }
    }
}

impl Refusal {
    /// A field is wrong.
    pub(crate) fn field(path: &str, what: &str) -> Self {
        Self {
            reason: format!("`{path}` {what}"),
            class: Class::Field,
            part: None,
        }
    }

    /// The item as a whole is wrong.
    pub(crate) fn whole(what: impl Into<String>) -> Self {
        Self {
            reason: what.into(),
            class: Class::Unreadable,
            part: None,
        }
    }

    /// The same of another class.
    pub(crate) fn of_class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The same of one item with these bytes.
    pub(crate) fn of_part(self, part: Vec<u8>) -> Self {
        let part = Some(part);
        Self { part, ..self }
    }
}

/// One item of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The item.
    pub value: Value,
    /// Some object of the document it stands in named a key twice.
    pub duplicate_keys: bool,
    /// Its own bytes; `None` for an element of an array, whose bytes are not set apart.
    pub bytes: Option<Vec<u8>>,
}

/// Reads one item of whatever shape Herald knows. `received` are the item's own bytes, where they
/// are known; without them the item written compactly stands for them.
///
/// # Errors
/// The shape is unknown or not taken (by its name), or a field of it is wrong.
pub fn decode(
    value: &Value,
    duplicate_keys: bool,
    received: Option<&[u8]>,
) -> Result<Draft, Refusal> {
    let Some(object) = value.as_object() else {
        return Err(Refusal::whole("an event must be a JSON object"));
    };
    let mut draft = match shape::of(object) {
        Shape::CloudEvent => cloud_event::decode(object)?,
        Shape::Webhook => webhook::decode(object)?,
        Shape::Flat => flat::decode(object)?,
        Shape::Pull => pull::decode(object)?,
        Shape::NotTaken(what) => return Err(Refusal::whole(what).of_class(Class::NotTaken)),
        Shape::Unknown => return Err(Refusal::whole(unknown(object)).of_class(Class::Unknown)),
    };
    draft.duplicate_keys |= duplicate_keys;
    let compact = draft.compact();
    draft.original = match received {
        Some(bytes) if !object.contains_key(PERSONAL_DATA) => {
            (bytes != compact.as_bytes()).then(|| bytes.to_vec())
        }
        _ => Some(without_personal_data(object)).filter(|kept| *kept != compact.as_bytes()),
    };
    draft.text = Some(compact);
    Ok(draft)
}

/// Holds names and addresses of the account's contact; nothing that Herald does needs it.
const PERSONAL_DATA: &str = "userInfo";

/// The item written compactly, personal data cut out.
fn without_personal_data(object: &Object) -> Vec<u8> {
    let mut object = object.clone();
    object.remove(PERSONAL_DATA);
    object.to_string().into_bytes()
}

fn unknown(object: &Object) -> String {
    let keys: Vec<_> = object
        .iter()
        .take(8)
        .map(|(key, _)| format!("`{}`", shorten(key)))
        .collect();
    let found = if keys.is_empty() {
        "no keys".to_owned()
    } else {
        keys.join(", ")
    };
    format!(
        "no known shape: an event has `name` and `content` (flat envelope), `alert` (webhook), \
         `specversion` (CloudEvents) or `SystemEvents` (pull API); found {found}"
    )
}

/// A sender's word in an answer, cut to a readable length.
pub(crate) fn shorten(word: &str) -> String {
    word.chars().take(40).collect()
}
