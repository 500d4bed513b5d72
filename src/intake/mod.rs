//! From received bytes to drafts of events.
//!
//! A *shape* is one form in which an event comes, one file each; [`decode`] tells them apart by
//! their top-level keys. A body may hold one event, an array of them, or (NDJSON) one a line; a
//! bad item never takes the others with it.
//!
//! Decoding is pure: no clock, no network, no configuration beyond [`Limits`].

use herald_rules::json::{self, Object, Value};

mod canonical;
mod draft;
mod flat;
mod identity;
mod operation;
mod shape;

#[cfg(test)]
mod tests;

pub use canonical::restore;
pub use draft::{Draft, Sealed};
pub use identity::Identities;
pub(crate) use identity::eni_identity;
pub use operation::decode as decode_operation;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document: an object, or an array of items.
    Document,
    /// One JSON document a line.
    Lines,
}

/// Why an item or a body was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Names the field, or the offset, and what is expected.
    pub reason: String,
}

impl Refusal {
    /// A field is wrong.
    pub(crate) fn field(path: &str, what: &str) -> Self {
        Self {
            reason: format!("`{path}` {what}"),
        }
    }

    /// The item as a whole is wrong.
    pub(crate) fn whole(what: impl Into<String>) -> Self {
        Self {
            reason: what.into(),
        }
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

/// Takes a body apart into its items. A body that fails as a whole is one refused item.
pub fn items(body: &[u8], framing: Framing, limits: Limits) -> Vec<Result<Received, Refusal>> {
    match framing {
        Framing::Document => document(body, limits),
        Framing::Lines => lines(body, limits),
    }
}

fn document(body: &[u8], limits: Limits) -> Vec<Result<Received, Refusal>> {
    let received = match parse(body, 0, limits) {
        Ok(received) => received,
        Err(refusal) => return vec![Err(refusal)],
    };
    let Value::Array(elements) = received.value else {
        return vec![Ok(received)];
    };
    if elements.len() > limits.batch_max {
        return vec![Err(too_many(elements.len(), limits))];
    }
    let duplicate_keys = received.duplicate_keys;
    elements
        .into_iter()
        .map(|value| {
            Ok(Received {
                value,
                duplicate_keys,
                bytes: None,
            })
        })
        .collect()
}

fn lines(body: &[u8], limits: Limits) -> Vec<Result<Received, Refusal>> {
    let mut items = Vec::new();
    let mut offset = 0;
    for line in body.split(|byte| *byte == b'\n') {
        if !line.iter().all(u8::is_ascii_whitespace) {
            items.push(parse(line, offset, limits));
        }
        offset += line.len() + 1;
    }
    if items.len() > limits.batch_max {
        return vec![Err(too_many(items.len(), limits))];
    }
    items
}

fn parse(bytes: &[u8], offset: usize, limits: Limits) -> Result<Received, Refusal> {
    let json_limits = json::Limits {
        depth_max: limits.depth_max,
    };
    match json::parse(bytes, json_limits) {
        Ok(parsed) if longest_text(&parsed.value) > limits.field_max => {
            Err(Refusal::whole(format!(
                "a text is longer than `server.field_max`, {} bytes",
                limits.field_max
            )))
        }
        Ok(parsed) => Ok(Received {
            value: parsed.value,
            duplicate_keys: parsed.duplicate_keys,
            bytes: Some(bytes.trim_ascii().to_vec()),
        }),
        Err(error) => Err(Refusal::whole(format!(
            "not JSON: {} at byte {}",
            error.reason,
            error.offset + offset
        ))),
    }
}

/// Bytes of the longest text in a value, keys included.
fn longest_text(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(elements) => elements.iter().map(longest_text).max().unwrap_or(0),
        Value::Object(object) => {
            let lengths = object
                .iter()
                .map(|(key, value)| key.len().max(longest_text(value)));
            lengths.max().unwrap_or(0)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn too_many(found: usize, limits: Limits) -> Refusal {
    Refusal::whole(format!(
        "{found} items in one body; `server.batch_max` is {}: send them in several bodies",
        limits.batch_max
    ))
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
        shape::Shape::Flat => flat::decode(object)?,
        shape::Shape::NotTaken(what) => return Err(Refusal::whole(what)),
        shape::Shape::Unknown => return Err(Refusal::whole(unknown(object))),
    };
    draft.duplicate_keys = duplicate_keys;
    let kept = kept_bytes(object, received);
    draft.original = Some(kept).filter(|kept| *kept != draft.compact().into_bytes());
    Ok(draft)
}

/// Holds names and addresses of the account's contact; nothing that Herald does needs it.
const PERSONAL_DATA: &str = "userInfo";

/// The received bytes, personal data cut out.
fn kept_bytes(object: &Object, received: Option<&[u8]>) -> Vec<u8> {
    match received {
        Some(bytes) if !object.contains_key(PERSONAL_DATA) => bytes.to_vec(),
        _ => {
            let mut object = object.clone();
            object.remove(PERSONAL_DATA);
            Value::Object(object).to_string().into_bytes()
        }
    }
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
    format!("no known shape: an event in the flat envelope has `name` and `content`; found {found}")
}

/// A sender's word in an answer, cut to a readable length.
pub(crate) fn shorten(word: &str) -> String {
    word.chars().take(40).collect()
}
