//! The flat envelope, as the ECS pages print it (Alibaba Cloud, "ENI operation notifications";
//! also the old rule callback, SMQ, Function Compute and CloudMonitor's dry run).

use herald_model::event::Addressee;
use herald_rules::json::{self, Limits, Object, Value};

use super::{Draft, Refusal};

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
    fields.remove(super::PERSONAL_DATA);
    for key in TEXTS {
        match fields.get(key) {
            Some(Value::Null) => {
                fields.remove(key);
            }
            None | Some(Value::String(_)) => {}
            Some(_) => return Err(Refusal::field(key, "must be a string")),
        }
    }
    if fields
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        return Err(Refusal::field(
            "name",
            "is missing; it says which event this is",
        ));
    }
    if fields.get("id").and_then(Value::as_str) == Some("") {
        fields.remove("id");
    }
    for upper in ["product", "level"] {
        if let Some(Value::String(text)) = fields.get_mut(upper) {
            text.make_ascii_uppercase();
        }
    }
    if let Some(content) = fields
        .get("content")
        .and_then(Value::as_str)
        .and_then(object_in_text)
    {
        fields.insert("content", content);
    }
    let mut draft = Draft::new(fields, FORMAT);
    draft.initiator = object.get("initiator").map(initiator).transpose()?;
    Ok(draft)
}

/// `content` that was sent as JSON text (the old callback's table types it so).
fn object_in_text(text: &str) -> Option<Object> {
    let parsed = json::parse(text.as_bytes(), Limits::default()).ok()?;
    parsed.value.as_object().cloned()
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
