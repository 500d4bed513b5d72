//! An event on its way into the canonical form.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use herald_model::event::{Addressee, Event};
use herald_model::ids::EventId;
use herald_rules::json::{Object, Value, write_text};
use jiff::Timestamp;

use super::canonical;
use super::identity::{self, Identities};
use super::time;

/// Room for the text of an ordinary event with what Herald adds, in bytes.
const TEXT_ROOM: usize = 1_024;

/// What a decoder or the trigger makes: the sender's fields under their canonical names, before
/// Herald adds its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The sender's fields, unknown ones included.
    pub fields: Object,
    /// Name of the shape it came in, for `intake.format`.
    pub format: &'static str,
    /// Who asked for the operation, where that is known.
    pub initiator: Option<Addressee>,
    /// For a managed ENI: the service that owns it.
    pub owner_service: Option<String>,
    /// For CloudEvents: their `source`, within which `id` tells events apart.
    pub issuer: Option<String>,
    /// Some object of the body named a key twice.
    pub duplicate_keys: bool,
    /// The received bytes, where the canonical form does not hold all of them.
    pub original: Option<Vec<u8>>,
    /// The fields as compact JSON, where they have been written already.
    pub(super) text: Option<String>,
}

/// An event in its canonical form, with what the journal needs beside it.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The event.
    pub event: Event,
    /// The canonical form for matching; the same as `event.text`.
    pub value: Value,
    /// The canonical text with `intake.conflict` set.
    pub text_in_conflict: Arc<str>,
    /// By what a repeat is recognised.
    pub identities: Identities,
    /// Received bytes, compressed.
    pub original: Option<Vec<u8>>,
}

impl Draft {
    /// A draft without anything beyond its fields.
    pub fn new(fields: Object, format: &'static str) -> Self {
        Self {
            fields,
            format,
            initiator: None,
            owner_service: None,
            issuer: None,
            duplicate_keys: false,
            original: None,
            text: None,
        }
    }

    /// The fields as compact JSON, before Herald adds its own.
    pub(super) fn compact(&self) -> String {
        let mut text = String::with_capacity(TEXT_ROOM);
        // Writing to a string cannot fail.
        let _ = self.fields.write(&mut text);
        text
    }

    /// Adds what Herald knows (addressee, intake) and fixes the text. Follows from the arguments
    /// alone; sealing twice gives the same.
    pub fn seal(self, id: EventId, source: &str, received_at: Timestamp) -> Sealed {
        let Self {
            mut fields,
            format,
            initiator,
            owner_service,
            issuer,
            duplicate_keys,
            original,
            text,
        } = self;
        // What was written already stands for the fields as long as none is taken out.
        let mut text = text;
        for own in canonical::OWN_KEYS {
            if fields.remove(own).is_some() {
                text = None;
            }
        }
        let before = fields.len();
        let identities = identity::of(&fields, issuer.as_deref());
        let user = fields
            .get("userId")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let addressee = addressee(initiator.as_ref(), owner_service, user);
        if let Some(initiator) = &initiator {
            fields.insert("initiator", written(initiator));
        }
        fields.insert("addressee", written(&addressee));

        let mut intake = Object::new();
        intake.insert("source", source);
        intake.insert("format", format);
        intake.insert("receivedAt", received_at.to_string());
        let time = fields
            .get("eventTime")
            .and_then(Value::as_str)
            .map(time::parse);
        let flags = [
            ("test", fields.get("id").is_none()),
            ("badTime", time == Some(None)),
            ("duplicateKeys", duplicate_keys),
        ];
        for (flag, is_set) in flags {
            if is_set {
                intake.insert(flag, true);
            }
        }
        fields.insert("intake", intake);

        let text: Arc<str> = match text {
            Some(text) => with_last(text, &fields, before).into(),
            None => fields.to_string().into(),
        };
        let value = Value::Object(fields);
        let event = canonical::event(id, &value, Arc::clone(&text));
        Sealed {
            event,
            text_in_conflict: canonical::in_conflict(&text),
            value,
            identities,
            original: original.map(|bytes| deflate(&bytes)),
        }
    }
}

/// The text of an object with `before` members, with those added that `fields` has after them.
fn with_last(mut text: String, fields: &Object, before: usize) -> String {
    text.pop();
    for (place, (key, value)) in fields.iter().enumerate().skip(before) {
        if place > 0 {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write_text(&mut text, key);
        text.push(':');
        let _ = value.write(&mut text);
    }
    text.push('}');
    text
}

/// The initiator if known; else the service that owns a managed ENI; else the user.
fn addressee(initiator: Option<&Addressee>, service: Option<String>, user: &str) -> Addressee {
    match (initiator, service) {
        (Some(initiator), _) => initiator.clone(),
        (None, Some(service)) => Addressee::Service(service),
        (None, None) => Addressee::User(user.to_owned()),
    }
}

fn written(addressee: &Addressee) -> Value {
    let mut object = Object::new();
    object.insert("kind", addressee.kind());
    object.insert("id", addressee.id());
    Value::Object(object)
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail; were it to, an original that is missing costs less than
    // an event that is.
    let written = encoder.write_all(bytes);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}
