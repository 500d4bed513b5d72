//! Shapes that Herald knows by name and does not take. A sender that is told which one it sent, and
//! what to send instead, has a mistake of one line in a console; one that is told "unknown" has a
//! riddle.

use herald_rules::json::{Object, Value};

/// A shape: whether an object has it, and the answer.
type Known = (fn(&Object) -> bool, &'static str);

const KNOWN: [Known; 8] = [
    (
        is_threshold_alert,
        "a threshold alert: Herald takes system events; subscribe to events instead of metrics",
    ),
    (
        is_operation_result,
        "an operation result: send it to /v1/operations",
    ),
    (
        is_action_trail,
        "an ActionTrail record: it tells of an API call, not of its outcome; subscribe to system \
         events, or send operation results to /v1/operations",
    ),
    (
        is_media_callback,
        "a media callback (ApsaraVideo): Herald takes system events of CloudMonitor and EventBridge",
    ),
    (
        is_object_list,
        "an OSS event notification list: send OSS events through EventBridge, as CloudEvents",
    ),
    (
        is_edge_content,
        "the content of an ENS event without its envelope: send the CloudMonitor event with `name` \
         and `content`",
    ),
    (
        is_stored_event,
        "a stored event of CloudMonitor 2.0: send the CloudMonitor event with `name` and `content`",
    ),
    (
        is_unversioned,
        "a CloudEvent without `specversion`: CloudEvents 1.0 has it in every event",
    ),
];

/// What to answer to an object of a shape that is known and not taken.
pub(super) fn name(object: &Object) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(is_it, _)| is_it(object))
        .map(|(_, answer)| *answer)
}

fn has(object: &Object, keys: &[&str]) -> bool {
    keys.iter().all(|key| object.contains_key(key))
}

/// The callback of metric alerts and what they put into a queue, the form of 2016 included (Alibaba
/// Cloud, "Configure callbacks for threshold-triggered alerts").
fn is_threshold_alert(object: &Object) -> bool {
    let is_metric = |object: &Object| {
        has(object, &["alertName", "alertState"])
            || has(object, &["ruleId", "metricData"])
            || has(object, &["metricName", "metricProject"])
    };
    let message = object.get("message").and_then(Value::as_object);
    is_metric(object) || message.is_some_and(is_metric)
}

fn is_operation_result(object: &Object) -> bool {
    has(object, &["operation", "networkInterface"])
}

/// Alibaba Cloud, ActionTrail, "Structure of an event".
fn is_action_trail(object: &Object) -> bool {
    has(object, &["eventName", "userIdentity"])
        || has(object, &["eventName", "eventSource", "eventVersion"])
}

/// Alibaba Cloud, ApsaraVideo VOD, "Event notifications": keys in capitals.
fn is_media_callback(object: &Object) -> bool {
    has(object, &["EventType", "EventTime"])
}

/// Alibaba Cloud, OSS, "Event notifications".
fn is_object_list(object: &Object) -> bool {
    let events = object.get("events").and_then(Value::as_array);
    let first = events.and_then(<[Value]>::first).and_then(Value::as_object);
    first.is_some_and(|first| has(first, &["eventName", "eventSource"]))
}

/// Alibaba Cloud, Edge Node Service, "Event notifications".
fn is_edge_content(object: &Object) -> bool {
    has(object, &["eventName", "regionName"]) && !object.contains_key("content")
}

/// `CmsEventForView` of the CloudMonitor API of 2024-03-30.
fn is_stored_event(object: &Object) -> bool {
    let marks = ["workspace", "integrationUuid", "sysId", "receiveTime"];
    has(object, &["source", "type"]) && marks.iter().any(|mark| object.contains_key(mark))
}

fn is_unversioned(object: &Object) -> bool {
    has(object, &["source", "type", "id"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(keys: &str, expected: Option<&str>) {
        let mut object = Object::new();
        for key in keys.split(' ') {
            object.insert(key, "x");
        }
        let name = name(&object);
        assert_eq!(name.is_some(), expected.is_some(), "{keys}: {name:?}");
        let found = name.unwrap_or_default();
        assert!(found.contains(expected.unwrap_or_default()), "{found}");
    }

    #[test]
    fn each_is_called_by_its_name() {
        check("alertName alertState", Some("a threshold alert"));
        check("ruleId metricData", Some("a threshold alert"));
        check("operation networkInterface", Some("/v1/operations"));
        check("eventName userIdentity", Some("an ActionTrail record"));
        check("EventType EventTime", Some("a media callback"));
        check("eventName regionName", Some("ENS"));
        check("source type id sysId", Some("CloudMonitor 2.0"));
        check("source type id", Some("`specversion`"));
        check("alertName", None);
        check("events", None);
        check("name", None);
    }

    #[test]
    fn what_lies_one_level_down_is_looked_at() {
        let mut inner = Object::new();
        for key in ["metricName", "metricProject", "eventName", "eventSource"] {
            inner.insert(key, "x");
        }
        let mut queue = Object::new();
        queue.insert("message", inner.clone());
        assert!(name(&queue).unwrap().contains("threshold alert"));
        let mut list = Object::new();
        list.insert("events", vec![Value::Object(inner)]);
        assert!(name(&list).unwrap().contains("OSS"));
    }
}
