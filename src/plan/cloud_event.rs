//! The form in which a subscription with `form = "cloudevents"` sees an event: CloudEvents 1.0 as
//! Alibaba Cloud's EventBridge writes it, so that its patterns move here unchanged.
//!
//! An event that came as a CloudEvent gets its own attributes back. Of any other, those are made
//! that follow from what it says (Alibaba Cloud, "EventBridge: ECS events" and "Event overview");
//! what only EventBridge knows (`aliyuneventbusname`, `aliyunpublishtime` and the like) it does not
//! have.

use herald_model::event::CANONICAL_FIELDS;
use herald_rules::json::{Object, Value};
use jiff::Timestamp;

/// The status with which CloudMonitor ends the names of some events, and which EventBridge leaves
/// out of their types: `Instance:SystemMaintenance.Reboot:Executing` is of the type
/// `ecs:Instance:SystemMaintenance.Reboot`.
const STATUSES: [&str; 7] = [
    "Inquiring",
    "Scheduled",
    "Executing",
    "Executed",
    "Avoided",
    "Canceled",
    "Failed",
];

/// The CloudEvents form of an event in Herald's own. What is no object has none of its fields.
pub(super) fn cloud_event(event: &Value) -> Value {
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let time = text("eventTime");
    let (mut form, time) = match event.as_object() {
        Some(fields) if fields.contains_key("specversion") => {
            (own_attributes(fields), time.map(str::to_owned))
        }
        _ => (made_attributes(text), time.map(rfc3339)),
    };
    let parts = [
        ("id", text("id").map(Value::from)),
        ("time", time.map(Value::from)),
        ("data", event.get("content").cloned()),
    ];
    for (key, value) in parts {
        if let Some(value) = value {
            form.insert(key, value);
        }
    }
    Value::Object(form)
}

/// The attributes as they came.
fn own_attributes(fields: &Object) -> Object {
    let mut form = Object::new();
    for (key, value) in fields
        .iter()
        .filter(|(key, _)| !CANONICAL_FIELDS.contains(key))
    {
        form.insert(key, value.clone());
    }
    form
}

/// The attributes that EventBridge would have given the event.
fn made_attributes<'e>(text: impl Fn(&str) -> Option<&'e str>) -> Object {
    let mut form = Object::new();
    form.insert("specversion", "1.0");
    let product = text("product").unwrap_or_default().to_ascii_lowercase();
    let name = text("name").unwrap_or_default();
    if product.is_empty() {
        form.insert("source", "herald");
        form.insert("type", name);
    } else {
        form.insert("source", format!("acs.{product}"));
        form.insert("type", format!("{product}:{}", without_status(name)));
    }
    form.insert("datacontenttype", "application/json");
    for (attribute, field) in [
        ("subject", "resourceId"),
        ("aliyunaccountid", "userId"),
        ("aliyunregionid", "regionId"),
    ] {
        if let Some(value) = text(field) {
            form.insert(attribute, value);
        }
    }
    form
}

fn without_status(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((rest, last)) if rest.contains(':') && STATUSES.contains(&last) => rest,
        _ => name,
    }
}

/// A time as CloudEvents write it (RFC 3339); one that is no time stays as it is.
fn rfc3339(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_| text.to_owned(), |time| time.to_string())
}
