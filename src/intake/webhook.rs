//! The webhook of a CloudMonitor event subscription (Alibaba Cloud, "Configure callbacks for system
//! event-triggered alerts (recommended)").
//!
//! The event lies in `alert`, its envelope in `alert.meta.sysEventMeta`. In the FORM variants
//! `alert`, `subscription` and `userInfo` are JSON text and numbers are strings. `userInfo` names
//! the account's contact and is never kept.

use herald_rules::json::{Object, Value};

use super::{Draft, PERSONAL_DATA, Refusal, field, shorten, time};

/// Name of this shape in `intake.format`.
pub(super) const FORMAT: &str = "webhook";

/// Keys of `alert` that are in the canonical form under another name, or say what it says.
const MAPPED: [&str; 15] = [
    "alertStatus",
    "groupId",
    "source",
    "eventContentMap",
    "eventRawContent",
    "dedupId",
    "traceId",
    "eventName",
    "arn",
    "timestamp",
    "severity",
    "product",
    "eventType",
    "userId",
    "meta",
];

/// Whether an object has this shape.
pub(super) fn is_it(object: &Object) -> bool {
    let has = |key: &str| object.contains_key(key);
    has("alert") && (has("subscription") || has("strategyName") || has("batchId"))
}

/// Reads one push. Keys that no page lists are kept under their own names, those inside `alert`
/// inside `alert`.
pub(super) fn decode(object: &Object) -> Result<Draft, Refusal> {
    let (alert, mut duplicate_keys) = object
        .get("alert")
        .and_then(field::object)
        .ok_or_else(|| Refusal::field("alert", "must be an object, or JSON text of one"))?;
    let meta = alert
        .get("meta")
        .and_then(|meta| meta.get("sysEventMeta"))
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let of_alert = |key: &str| field::said(alert.get(key));
    let of_meta = |key: &str| field::said(meta.get(key));
    let on_top = |key: &str| field::said(object.get(key));

    let source = of_alert("source");
    if let Some(source) = source.filter(|source| source != "SYS_EVENT" && meta.is_empty()) {
        return Err(Refusal::whole(format!(
            "an alert of source `{}`, not of a system event: subscribe to events (`SYS_EVENT`)",
            shorten(&source)
        )));
    }
    let name = of_meta("name").or_else(|| of_alert("eventName"));
    let name = name.ok_or_else(|| {
        Refusal::field(
            "alert.meta.sysEventMeta.name",
            "is missing, and so is `alert.eventName`; they say which event this is",
        )
    })?;
    let (content, duplicate) = content(&alert);
    duplicate_keys |= duplicate;

    let mut fields = Object::new();
    let id = of_meta("id").or_else(|| of_alert("dedupId"));
    field::set(&mut fields, "id", id.or_else(|| of_alert("traceId")));
    let product = of_alert("product").or_else(|| of_meta("product"));
    field::set(&mut fields, "product", product);
    let resource = of_alert("arn").or_else(|| of_meta("resourceId"));
    field::set(&mut fields, "resourceId", resource);
    let level = of_meta("level").or_else(|| of_alert("severity"));
    field::set(&mut fields, "level", level.or_else(|| on_top("severity")));
    fields.insert("name", name);
    let user = of_alert("userId").or_else(|| on_top("userId"));
    field::set(&mut fields, "userId", user);
    let occurred = occurred(of_meta("eventTime"), &alert, object);
    field::set(&mut fields, "eventTime", occurred);
    field::set(&mut fields, "regionId", of_meta("regionId"));
    fields.insert("content", content);
    field::set(&mut fields, "status", of_meta("status"));
    field::set(&mut fields, "eventType", of_alert("eventType"));
    field::set(&mut fields, "groupId", of_alert("groupId"));
    field::set(&mut fields, "instanceName", of_meta("instanceName"));
    field::set(&mut fields, "alertStatus", of_alert("alertStatus"));
    let mut rest = alert;
    for mapped in MAPPED.into_iter().chain([PERSONAL_DATA]) {
        rest.remove(mapped);
    }
    if !rest.is_empty() {
        fields.insert("alert", rest);
    }
    let rest = object
        .iter()
        .filter(|(key, _)| !matches!(*key, PERSONAL_DATA | "alert" | "severity" | "userId"))
        .map(|(key, value)| (key.to_owned(), unpacked(key, value)));
    let mut fields = field::with_rest(fields, rest);
    field::tidy(&mut fields);
    let mut draft = Draft::new(fields, FORMAT);
    draft.duplicate_keys = duplicate_keys;
    Ok(draft)
}

/// In a form an object is text of one.
fn unpacked(key: &str, value: &Value) -> Value {
    match field::object(value).filter(|_| key == "subscription") {
        Some((object, _)) => object.into(),
        None => value.clone(),
    }
}

/// The event's content: `eventContentMap`, else what `eventRawContent` holds. Debug pushes carry
/// `"{}"` there while the map is filled.
fn content(alert: &Object) -> (Value, bool) {
    let map = alert.get("eventContentMap").and_then(field::object);
    if let Some((map, duplicate_keys)) = map.filter(|(map, _)| !map.is_empty()) {
        return (map.into(), duplicate_keys);
    }
    match alert.get("eventRawContent") {
        Some(Value::String(text)) => {
            field::json_text(text).unwrap_or_else(|| (text.clone().into(), false))
        }
        Some(Value::Null) | None => (Object::new().into(), false),
        Some(other) => (other.clone(), false),
    }
}

/// `sysEventMeta.eventTime` keeps the milliseconds; `alert.timestamp` is the same cut to seconds.
fn occurred(written: Option<String>, alert: &Object, object: &Object) -> Option<String> {
    if written
        .as_deref()
        .is_some_and(|text| time::parse(text).is_some())
    {
        return written;
    }
    time::of_milliseconds(alert.get("timestamp"))
        .or_else(|| time::of_milliseconds(object.get("time")))
        .or(written)
}

#[cfg(test)]
mod tests;
