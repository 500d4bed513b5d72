//! By what a repeat of an event is recognised.

use herald_model::event::ENI_OPERATION_EVENT;
use herald_rules::json::{Object, Value, write_text};
use sha2::{Digest, Sha256};

use crate::journal::Identity;

/// The identities of one event, and the fingerprint that tells a repeat from a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identities {
    /// None for an event without `id`.
    pub all: Vec<Identity>,
    /// Hash of name and content: what must be equal for the same identity to be the same event.
    /// Envelope fields are left out, because one event comes in several envelopes.
    pub fingerprint: u64,
}

/// The fields of the five-part identity of an ENI event that lie in its content.
const ENI_PARTS: [&str; 4] = ["eniId", "operation", "requestId", "result"];

/// The identities of an event with these fields: (`userId`, `id`), for CloudEvents within their
/// `issuer`, and for ENI operation events (userId, eniId, operation, requestId, result) if all five
/// are there. Ids are UUIDs that one envelope writes in capitals and another does not, so their case
/// does not count. A body without `id` (CloudMonitor's dry run) has none.
pub(super) fn of(fields: &Object, issuer: Option<&str>) -> Identities {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let Some(id) = text("id").map(str::to_ascii_lowercase) else {
        return Identities::default();
    };
    let user = text("userId").unwrap_or_default();
    let mut all = vec![match issuer {
        None => hash(&["id", user, &id]),
        Some(issuer) => hash(&["cloud-event", user, issuer, &id]),
    }];
    if let Some(parts) = eni_parts(fields) {
        let [eni, operation, request, result] = parts;
        let request = request.to_ascii_lowercase();
        all.push(hash(&["eni", user, eni, operation, &request, result]));
    }
    Identities {
        all,
        fingerprint: fingerprint(fields),
    }
}

/// The five-part identity of an ENI operation event, written out for making its `id`.
pub(crate) fn eni_identity<'a>(
    user: &'a str,
    eni: &'a str,
    operation: &'a str,
    request: &'a str,
    result: &'a str,
) -> [&'a str; 6] {
    ["eni", user, eni, operation, request, result]
}

fn eni_parts(fields: &Object) -> Option<[&str; 4]> {
    let name = fields.get("name").and_then(Value::as_str)?;
    let user = fields
        .get("userId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if name != ENI_OPERATION_EVENT || user.is_empty() {
        return None;
    }
    let content = fields.get("content")?;
    let part = |key: &str| {
        content
            .get(key)
            .and_then(Value::as_str)
            .filter(|part| !part.is_empty())
    };
    let [eni, operation, request, result] = ENI_PARTS.map(part);
    Some([eni?, operation?, request?, result?])
}

fn fingerprint(fields: &Object) -> u64 {
    let mut digest = Sha256::new();
    let mut text = String::new();
    for key in ["name", "content"] {
        if let Some(value) = fields.get(key) {
            text.clear();
            write_comparable(&mut text, key, value);
            digest.update(&text);
        }
        digest.update([0]);
    }
    let bytes: [u8; 32] = digest.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = bytes;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Writes the value of `key` with the members of every object in the order of their keys, and
/// request ids in one case: two senders that write one object otherwise mean the same.
fn write_comparable(text: &mut String, key: &str, value: &Value) {
    // Writing to a string cannot fail.
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (place, (key, member)) in members.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                let _ = write_text(text, key);
                text.push(':');
                write_comparable(text, key, member);
            }
            text.push('}');
        }
        Value::Array(elements) => {
            text.push('[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_comparable(text, "", element);
            }
            text.push(']');
        }
        Value::String(id) if key == "requestId" => {
            let _ = write_text(text, &id.to_ascii_lowercase());
        }
        other => {
            let _ = other.write(text);
        }
    }
}

/// The first 128 bits of SHA-256 over the parts: no sender can make two identities collide.
fn hash(parts: &[&str]) -> Identity {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let bytes: [u8; 32] = digest.finalize().into();
    let mut head = [0; 16];
    head.copy_from_slice(&bytes[..16]);
    Identity(u128::from_be_bytes(head))
}
