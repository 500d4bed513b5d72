//! The flat envelope, as the ECS pages print it (Alibaba Cloud, "ENI operation notifications").
//!
//! The old alert-rule callback is the same with more fields, a `traceId` among them and `content`
//! as object or as JSON text ("Configure callbacks for system event-triggered alerts (old)");
//! messages of a queue, events of a function and CloudMonitor's dry run are it too, the last without
//! `id`, `userId` and `eventTime`. Entries of the pull API's inner document bear `time` in
//! milliseconds.

use herald_model::event::Addressee;
use herald_rules::json::{Object, Value};

use super::{Draft, PERSONAL_DATA, Refusal, field, time};

/// Name of this shape in `intake.format`.
pub(super) const FORMAT: &str = "flat";

/// Fields that are text wherever they stand.
const TEXTS: [&str; 9] = [
    "ver",
    "id",
    "product",
    "resourceId",
    "level",
    "name",
    "userId",
    "eventTime",
    "regionId",
];

/// Whether an object has this shape.
pub(super) fn is_it(object: &Object) -> bool {
    object.contains_key("name") && object.contains_key("content")
}

/// Reads one envelope. Every field but `name` and `content` may be missing, unknown ones are kept.
pub(super) fn decode(object: &Object) -> Result<Draft, Refusal> {
    let mut fields = object.clone();
    fields.remove(PERSONAL_DATA);
    for key in TEXTS {
        match fields.get(key) {
            Some(Value::Null) => {
                fields.remove(key);
            }
            None | Some(Value::String(_)) => {}
            Some(_) => return Err(Refusal::field(key, "must be a string")),
        }
    }
    let given = |key: &str| fields.get(key).and_then(Value::as_str) != Some("");
    if !fields.contains_key("name") || !given("name") {
        return Err(Refusal::field(
            "name",
            "is missing; it says which event this is",
        ));
    }
    if !given("id") {
        fields.remove("id");
    }
    if !fields.contains_key("id") {
        let trace = field::said(fields.get("traceId"));
        field::set(&mut fields, "id", trace);
    }
    if !fields.contains_key("eventTime") {
        let time = time::of_milliseconds(fields.get("time"));
        field::set(&mut fields, "eventTime", time);
    }
    let content = fields
        .get("content")
        .filter(|content| content.as_object().is_none())
        .and_then(field::object);
    let duplicate_keys = content.as_ref().is_some_and(|(_, duplicate)| *duplicate);
    field::set(&mut fields, "content", content.map(|(content, _)| content));
    field::tidy(&mut fields);
    let mut draft = Draft::new(fields, FORMAT);
    draft.duplicate_keys = duplicate_keys;
    draft.initiator = object.get("initiator").map(initiator).transpose()?;
    Ok(draft)
}

/// Reads `{"kind": "user"|"service", "id": …}`.
pub(super) fn initiator(value: &Value) -> Result<Addressee, Refusal> {
    let part = |key| value.get(key).and_then(Value::as_str);
    part("kind")
        .zip(part("id").filter(|id| !id.is_empty()))
        .and_then(|(kind, id)| Addressee::from_parts(kind, id))
        .ok_or_else(|| {
            Refusal::field(
                "initiator",
                r#"must be {"kind": "user" or "service", "id": "…"}"#,
            )
        })
}

#[cfg(test)]
mod tests;
