//! Which shape an object has. The order of the tests is that of the sniffing table: a later shape's
//! keys may stand in an earlier one.

use herald_rules::json::Object;

use super::flat;

/// What an object is, by its top-level keys.
pub(super) enum Shape {
    /// The flat envelope.
    Flat,
    /// Known by name, and not taken; the words say what to do.
    NotTaken(&'static str),
    /// None of them.
    Unknown,
}

/// Tells the shape of `object`.
pub(super) fn of(object: &Object) -> Shape {
    let has = |key: &str| object.contains_key(key);
    if has("specversion") {
        Shape::NotTaken("a CloudEvent: this shape is not in this build; send the flat envelope")
    } else if has("alert") && (has("subscription") || has("strategyName") || has("batchId")) {
        Shape::NotTaken(
            "a CloudMonitor event-subscription webhook: this shape is not in this build; choose the \
             flat envelope (alert-rule callback or SMQ)",
        )
    } else if flat::is_it(object) {
        Shape::Flat
    } else if has("SystemEvents") {
        Shape::NotTaken(
            "an answer of DescribeSystemEventAttribute: this shape is not in this build",
        )
    } else if (has("alertName") && has("alertState")) || (has("ruleId") && has("metricData")) {
        Shape::NotTaken(
            "a threshold alert: Herald takes system events; subscribe to events instead of metrics",
        )
    } else if has("operation") && has("networkInterface") {
        Shape::NotTaken("an operation result: send it to /v1/operations")
    } else {
        Shape::Unknown
    }
}
