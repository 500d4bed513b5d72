//! The canonical form of an event, written and read back.

use std::sync::Arc;

use herald_model::event::{Addressee, ENI_OPERATION_EVENT, Eni, Event, Level};
use herald_model::ids::EventId;
use herald_rules::json::{self, Limits, Value};
use jiff::Timestamp;

use super::{stored, time};

/// Keys that only Herald writes; what a sender puts there is dropped.
pub(super) const OWN_KEYS: [&str; 4] = ["initiator", "addressee", "intake", "cause"];

/// Reads an event back from its stored text.
///
/// # Errors
/// The text is not JSON, which a journal that is whole never answers.
pub fn restore(id: EventId, text: Arc<str>) -> Result<Event, json::Error> {
    if let Some(event) = stored::read(id, &text) {
        return Ok(event);
    }
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    let value = json::parse(text.as_bytes(), limits)?.value;
    Ok(event(id, &value, text))
}

/// The typed event of a canonical form. Fields that are missing are empty.
pub(super) fn event(id: EventId, value: &Value, text: Arc<str>) -> Event {
    let field = |key: &str| value.get(key).and_then(Value::as_str);
    let owned = |key: &str| field(key).unwrap_or_default().to_owned();
    let intake = |key: &str| value.path(["intake", key]).and_then(Value::as_str);
    let received_at = intake("receivedAt")
        .and_then(time::parse)
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let name = owned("name");
    Event {
        id,
        sender_id: field("id").map(str::to_owned),
        product: owned("product"),
        level: field("level").and_then(Level::named).unwrap_or_default(),
        user_id: owned("userId"),
        region_id: owned("regionId"),
        resource_id: field("resourceId")
            .filter(|id| !id.is_empty())
            .map(str::to_owned),
        occurred_at: field("eventTime")
            .and_then(time::parse)
            .unwrap_or(received_at),
        received_at,
        source: intake("source").unwrap_or_default().to_owned(),
        addressee: addressee(value),
        eni: (name == ENI_OPERATION_EVENT).then(|| eni(value)).flatten(),
        name,
        text,
    }
}

fn addressee(value: &Value) -> Addressee {
    let part = |key| value.path(["addressee", key]).and_then(Value::as_str);
    part("kind")
        .zip(part("id"))
        .and_then(|(kind, id)| Addressee::from_parts(kind, id))
        .unwrap_or_else(|| Addressee::User(String::new()))
}

/// The content of an ENI operation event; `None` where it does not even say which ENI and which
/// operation.
fn eni(value: &Value) -> Option<Eni> {
    let field = |key: &str| value.path(["content", key]).and_then(Value::as_str);
    Some(Eni {
        id: field("eniId")?.to_owned(),
        operation: field("operation")?.into(),
        status: field("eniStatus").unwrap_or_default().into(),
        result: field("result").unwrap_or_default().into(),
        request_id: field("requestId").unwrap_or_default().to_owned(),
    })
}

/// The canonical text of an event with what a repeat of it knows more about who asked: the
/// initiator, or else the service that owns the ENI. `None` where the repeat knows no more.
pub fn learned(first: &str, repeat: &str) -> Option<Arc<str>> {
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    let parse = |text: &str| json::parse(text.as_bytes(), limits).ok();
    let (first, repeat) = (parse(first)?.value, parse(repeat)?.value);
    if knowledge(&repeat) <= knowledge(&first) {
        return None;
    }
    let Value::Object(mut fields) = first else {
        return None;
    };
    let intake = fields.remove("intake")?;
    for key in ["initiator", "addressee"] {
        fields.remove(key);
        if let Some(known) = repeat.get(key) {
            fields.insert(key, known.clone());
        }
    }
    fields.insert("intake", intake);
    Some(Value::Object(fields).to_string().into())
}

/// How much a canonical form says of who asked: nothing, the owning service, the initiator.
fn knowledge(value: &Value) -> u8 {
    let is_service = || {
        let kind = value.path(["addressee", "kind"]).and_then(Value::as_str);
        kind == Some("service")
    };
    match value.get("initiator") {
        Some(_) => 2,
        None if is_service() => 1,
        None => 0,
    }
}

/// The canonical text with `intake.conflict` added: `intake` is its last member, so it ends
/// with `}}`.
pub(super) fn in_conflict(text: &str) -> Arc<str> {
    match text.strip_suffix("}}") {
        Some(head) => [head, r#","conflict":true}}"#].concat().into(),
        None => text.into(),
    }
}
