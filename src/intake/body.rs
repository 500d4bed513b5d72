//! Taking a body apart into its items.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_rules::json::{self, Value};

use super::{Class, Framing, Limits, Received, Refusal, binary, form, pull};

/// Takes a body apart into its items: an object is one, an array holds several, and so does an
/// answer of the pull API, wherever it stands. A body that fails as a whole is one refused item.
pub fn items(body: &[u8], framing: Framing, limits: Limits) -> Vec<Result<Received, Refusal>> {
    let items = match framing {
        Framing::Document => document(body, limits),
        Framing::Lines => lines(body, limits),
        Framing::Form => form::items(body, limits),
        Framing::CloudEvent(attributes) => vec![binary::item(&attributes, body, limits)],
    };
    if items.len() > limits.batch_max {
        return vec![Err(too_many(items.len(), limits))];
    }
    items
}

/// The items of one JSON document.
pub(super) fn document(body: &[u8], limits: Limits) -> Vec<Result<Received, Refusal>> {
    let received = match parse(body, 0, limits) {
        Ok(received) => received,
        Err(refusal) => return vec![Err(refusal)],
    };
    let Value::Array(elements) = received.value else {
        return pull::split(received, limits);
    };
    if elements.len() > limits.batch_max {
        return vec![Err(too_many(elements.len(), limits))];
    }
    let duplicate_keys = received.duplicate_keys;
    let element = |value| Received {
        value,
        duplicate_keys,
        bytes: None,
    };
    elements
        .into_iter()
        .flat_map(|value| pull::split(element(value), limits))
        .collect()
}

fn lines(body: &[u8], limits: Limits) -> Vec<Result<Received, Refusal>> {
    let mut items = Vec::new();
    let mut offset = 0;
    for line in body.split(|byte| *byte == b'\n') {
        if !line.iter().all(u8::is_ascii_whitespace) {
            match parse(line, offset, limits) {
                Ok(received) => items.extend(pull::split(received, limits)),
                Err(refusal) => items.push(Err(refusal.of_part(line.to_vec()))),
            }
        }
        offset += line.len() + 1;
    }
    items
}

/// Reads one document that begins at `offset` of the body. What is no JSON but Base64 of it is
/// read all the same: the queue's SDKs encode message bodies so unless told otherwise.
pub(super) fn parse(bytes: &[u8], offset: usize, limits: Limits) -> Result<Received, Refusal> {
    let json_limits = json::Limits {
        depth_max: limits.depth_max,
    };
    let error = match json::parse(bytes, json_limits) {
        Ok(parsed) => return bounded(parsed, bytes, limits),
        Err(error) => error,
    };
    let Some(unpacked) = unpacked(bytes) else {
        return Err(unread(&error, offset, limits, hint(bytes)));
    };
    match json::parse(&unpacked, json_limits) {
        Ok(parsed) => bounded(parsed, &unpacked, limits),
        Err(error) => Err(unread(&error, 0, limits, " of what the Base64 holds")),
    }
}

fn bounded(parsed: json::Parsed, bytes: &[u8], limits: Limits) -> Result<Received, Refusal> {
    check_texts(&parsed.value, limits)?;
    Ok(Received {
        value: parsed.value,
        duplicate_keys: parsed.duplicate_keys,
        bytes: Some(bytes.trim_ascii().to_vec()),
    })
}

/// Refuses a value with a text that is longer than `server.field_max`.
pub(super) fn check_texts(value: &Value, limits: Limits) -> Result<(), Refusal> {
    if longest_text(value) <= limits.field_max {
        return Ok(());
    }
    Err(Refusal::whole(format!(
        "a text is longer than `server.field_max`, {} bytes",
        limits.field_max
    ))
    .of_class(Class::Limit))
}

/// `more` follows the place of the error.
fn unread(error: &json::Error, offset: usize, limits: Limits, more: &str) -> Refusal {
    let at = error.offset + offset;
    if error.reason == json::Reason::TooDeep {
        let most = limits.depth_max;
        return Refusal::whole(format!(
            "arrays and objects stand deeper in one another than `server.depth_max`, {most}, at byte {at}{more}"
        ))
        .of_class(Class::Limit);
    }
    Refusal::whole(format!("not JSON: {} at byte {at}{more}", error.reason))
}

fn hint(bytes: &[u8]) -> &'static str {
    if bytes.trim_ascii_start().starts_with(b"<") {
        "; of a queue's XML answer, send what stands in its `MessageBody`"
    } else {
        ""
    }
}

/// What Base64 text holds, if that may be a JSON object or array.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let unpacked = STANDARD.decode(bytes.trim_ascii()).ok()?;
    matches!(unpacked.trim_ascii_start().first(), Some(b'{' | b'[')).then_some(unpacked)
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

pub(super) fn too_many(found: usize, limits: Limits) -> Refusal {
    Refusal::whole(format!(
        "{found} items in one body; `server.batch_max` is {}: send them in several bodies",
        limits.batch_max
    ))
    .of_class(Class::Limit)
}
