//! The answer of `DescribeSystemEventAttribute`, CloudMonitor's pull API (Alibaba Cloud,
//! CloudMonitor API 2019-01-01).
//!
//! `SystemEvents.SystemEvent` lists events; the `Content` of each is JSON text, in the published
//! example of an array of flat envelopes whose `content` is JSON text again. [`split`] makes one
//! item of each event, and [`decode`] reads an answer that holds one.

use herald_model::ids::derive_uuid;
use herald_rules::json::{Object, Value};

use super::{Draft, Limits, PERSONAL_DATA, Received, Refusal, body, field, time};

/// Name of this shape in `intake.format`.
pub(super) const FORMAT: &str = "pull";

/// Keys of an event and their names in the envelopes of its `Content` and in the canonical form.
const MAPPED: [(&str, &str); 8] = [
    ("Product", "product"),
    ("ResourceId", "resourceId"),
    ("Level", "level"),
    ("Name", "name"),
    ("RegionId", "regionId"),
    ("Status", "status"),
    ("GroupId", "groupId"),
    ("InstanceName", "instanceName"),
];

/// Bytes of a field that several envelopes of one event share. Chosen: no id or name is near it, and
/// each of the envelopes gets a copy.
const SHARED_MAX: usize = 1_024;

/// Whether an object has this shape.
pub(super) fn is_it(object: &Object) -> bool {
    object.contains_key("SystemEvents")
}

/// One item per event of an answer; anything else stays one item.
pub(super) fn split(received: Received, limits: Limits) -> Vec<Result<Received, Refusal>> {
    let Some(object) = received.value.as_object().filter(|object| is_it(object)) else {
        return vec![Ok(received)];
    };
    let refused = |refusal: Refusal| {
        let text = || received.value.to_string().into_bytes();
        let part = received.bytes.clone().unwrap_or_else(text);
        vec![Err(refusal.of_part(part))]
    };
    let events = match listed(object) {
        Ok(events) => events,
        Err(refusal) => return refused(refusal),
    };
    let mut singles = Vec::new();
    for event in events {
        match parts(event) {
            Ok(parts) => singles.extend(parts),
            Err(refusal) => return refused(refusal),
        }
        if singles.len() > limits.batch_max {
            return refused(body::too_many(singles.len(), limits));
        }
    }
    // An answer with one event stands for itself, with its own bytes.
    if events.len() == 1 && singles.len() == 1 {
        return vec![Ok(received)];
    }
    let duplicate_keys = received.duplicate_keys;
    let item = |event| {
        Ok(Received {
            value: answer(event),
            duplicate_keys,
            bytes: None,
        })
    };
    singles.into_iter().map(item).collect()
}

fn listed(object: &Object) -> Result<&[Value], Refusal> {
    let path = ["SystemEvents", "SystemEvent"];
    let list = object.get(path[0]).and_then(|events| events.get(path[1]));
    list.and_then(Value::as_array)
        .ok_or_else(|| Refusal::field("SystemEvents.SystemEvent", "must be an array"))
}

fn answer(event: Value) -> Value {
    let mut list = Object::new();
    list.insert("SystemEvent", vec![event]);
    let mut answer = Object::new();
    answer.insert("SystemEvents", list);
    answer.into()
}

/// An event whose `Content` lists several envelopes, as one event each. What an envelope says of
/// itself tells it from the others, so it wins over what the list says of all of them.
fn parts(event: &Value) -> Result<Vec<Value>, Refusal> {
    let whole = || Ok(vec![event.clone()]);
    let Some(outer) = event.as_object() else {
        return whole();
    };
    let envelopes = match content(outer) {
        Some((Value::Array(envelopes), _)) if envelopes.len() > 1 => envelopes,
        _ => return whole(),
    };
    let shared: Vec<_> = MAPPED
        .into_iter()
        .chain([("Id", "id"), ("Time", "time")])
        .filter_map(|(key, inner)| Some((key, inner, field::said(outer.get(key))?)))
        .collect();
    if let Some((key, ..)) = shared.iter().find(|(.., text)| text.len() > SHARED_MAX) {
        let path = format!("SystemEvents.SystemEvent.{key}");
        let what = format!("is longer than {SHARED_MAX} bytes beside several events in `Content`");
        return Err(Refusal::field(&path, &what));
    }
    let part = |(place, envelope): (usize, Value)| {
        let mut part = Object::new();
        for (key, inner, text) in &shared {
            let own = field::said(envelope.get(inner));
            let own = own.or_else(|| field::said(envelope.get(alias(key)?)));
            match own {
                Some(own) if *key == "Id" => part.insert(*key, own),
                None if *key == "Id" => part.insert(*key, format!("{text}#{place}")),
                Some(_) => None,
                None => part.insert(*key, text.as_str()),
            };
        }
        part.insert("Content", vec![envelope]);
        part.into()
    };
    Ok(envelopes.into_iter().enumerate().map(part).collect())
}

/// The other name that an envelope may use for what `key` says.
fn alias(key: &str) -> Option<&'static str> {
    (key == "Time").then_some("eventTime")
}

/// Whether a key of an event or of the envelope inside is in the canonical form already, or must
/// not be.
fn is_told(key: &str) -> bool {
    matches!(
        key,
        "Id" | "Time" | "Content" | "content" | "time" | PERSONAL_DATA
    ) || MAPPED.iter().any(|(outer, _)| *outer == key)
}

/// What `Content` holds: text of a document in what the API answers, the document itself in what
/// [`parts`] makes.
fn content(outer: &Object) -> Option<(Value, bool)> {
    match outer.get("Content")? {
        Value::String(text) => field::json_text(text),
        document => Some((document.clone(), false)),
    }
}

/// Reads an answer that holds one event. Its own fields win over those of the envelope inside.
pub(super) fn decode(object: &Object) -> Result<Draft, Refusal> {
    let [event] = listed(object)? else {
        return Err(Refusal::field(
            "SystemEvents.SystemEvent",
            "holds no event or several where one is wanted",
        ));
    };
    let outer = event
        .as_object()
        .ok_or_else(|| Refusal::field("SystemEvents.SystemEvent", "must hold objects"))?;
    let (inner, content, duplicate_keys) = opened(outer);
    let said = |outer_key: &str, inner_key: &str| {
        field::said(outer.get(outer_key)).or_else(|| field::said(inner.get(inner_key)))
    };
    let name = said("Name", "name").ok_or_else(|| {
        Refusal::field(
            "SystemEvents.SystemEvent.Name",
            "is missing; it says which event this is",
        )
    })?;
    let occurred = time::of_milliseconds(outer.get("Time"))
        .or_else(|| field::said(inner.get("eventTime")))
        .or_else(|| time::of_milliseconds(inner.get("time")))
        .or_else(|| field::said(outer.get("Time")));
    let resource = [outer.get("ResourceId"), inner.get("resourceId")].map(field::said);
    let arn = resource.iter().flatten().find(|text| field::is_arn(text));
    let resource = arn.or_else(|| resource.iter().flatten().next()).cloned();
    // The published example has no `Id`; the same event comes again with every poll.
    let id = said("Id", "id").unwrap_or_else(|| {
        let parts = [resource.as_ref(), Some(&name), occurred.as_ref()];
        let [resource, name, occurred] = parts.map(|part| part.map_or("", String::as_str));
        derive_uuid(&["pull", resource, name, occurred, &content.to_string()]).to_string()
    });

    let mut fields = Object::new();
    fields.insert("id", id);
    field::set(&mut fields, "product", said("Product", "product"));
    field::set(&mut fields, "resourceId", resource);
    field::set(&mut fields, "level", said("Level", "level"));
    fields.insert("name", name);
    field::set(&mut fields, "userId", field::said(inner.get("userId")));
    field::set(&mut fields, "eventTime", occurred);
    field::set(&mut fields, "regionId", said("RegionId", "regionId"));
    fields.insert("content", content);
    field::set(&mut fields, "status", said("Status", "status"));
    field::set(&mut fields, "groupId", said("GroupId", "groupId"));
    let instance = said("InstanceName", "instanceName");
    field::set(&mut fields, "instanceName", instance);
    let rest = inner.iter().chain(outer.iter());
    let rest = rest
        .filter(|(key, _)| !is_told(key))
        .map(|(key, value)| (key.to_owned(), value.clone()));
    let mut fields = field::with_rest(fields, rest);
    field::tidy(&mut fields);
    let mut draft = Draft::new(fields, FORMAT);
    draft.duplicate_keys = duplicate_keys;
    Ok(draft)
}

/// The envelope inside `Content` (empty where there is none), the event's content, and whether a
/// text on the way named a key twice.
fn opened(outer: &Object) -> (Object, Value, bool) {
    let Some((document, mut duplicate_keys)) = content(outer) else {
        let text = outer.get("Content").cloned();
        return (Object::new(), text.unwrap_or(Value::Null), false);
    };
    let single = match document {
        Value::Array(mut elements) if elements.len() == 1 => elements.remove(0),
        other => other,
    };
    let Value::Object(envelope) = single else {
        return (Object::new(), single, duplicate_keys);
    };
    let Some(inner) = envelope.get("content").cloned() else {
        return (Object::new(), envelope.into(), duplicate_keys);
    };
    let content = match field::object(&inner) {
        Some((object, duplicate)) => {
            duplicate_keys |= duplicate;
            object.into()
        }
        None => inner,
    };
    (envelope, content, duplicate_keys)
}

#[cfg(test)]
mod tests;
