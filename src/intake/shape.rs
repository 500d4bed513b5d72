//! Which shape an object has. The order of the tests matters: a later shape's keys may stand in an
//! earlier one.

use herald_rules::json::Object;

use super::{cloud_event, flat, not_taken, pull, webhook};

/// What an object is, by its top-level keys.
pub(super) enum Shape {
    /// CloudEvents 1.0.
    CloudEvent,
    /// The webhook of an event subscription.
    Webhook,
    /// The flat envelope.
    Flat,
    /// An answer of the pull API.
    Pull,
    /// Known by name, and not taken; the words say what to do.
    NotTaken(&'static str),
    /// None of them.
    Unknown,
}

/// Tells the shape of `object`.
pub(super) fn of(object: &Object) -> Shape {
    if cloud_event::is_it(object) {
        Shape::CloudEvent
    } else if webhook::is_it(object) {
        Shape::Webhook
    } else if flat::is_it(object) {
        Shape::Flat
    } else if pull::is_it(object) {
        Shape::Pull
    } else {
        not_taken::name(object).map_or(Shape::Unknown, Shape::NotTaken)
    }
}
