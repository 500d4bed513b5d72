//! `[[subscription]]`: who wants to hear of which events.

use std::sync::Arc;
use std::time::Duration;

use herald_model::event::Owner;
use herald_rules::Pattern;

use super::templates::Templates;

/// Who wants to hear of which events.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Its name, unique among subscriptions.
    pub name: Arc<str>,
    /// Names of the sinks to use, in the file's order; never empty, none twice.
    pub to: Vec<Arc<str>>,
    /// The condition; `None`: every event.
    pub pattern: Option<Pattern>,
    /// Whose events.
    pub owner: Owner,
    /// Which form of the event the pattern tests.
    pub form: Form,
    /// Age, counted from receipt, at which what is not delivered yet is suppressed.
    pub expires: Duration,
    /// Texts that stand in for those of the sink.
    pub templates: Templates,
}

/// A form of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// Herald's own.
    #[default]
    Canonical,
    /// CloudEvents 1.0 as Alibaba's EventBridge writes it.
    CloudEvents,
}
