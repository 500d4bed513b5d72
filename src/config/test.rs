//! `[[test]]`: examples that the file itself says how to route.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::problem::Place;

/// An example: an event, and what must be planned for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Where it stands in the file.
    pub place: Place,
    /// What comes in.
    pub event: TestEvent,
    /// The deliveries that must be planned for it, no more and no fewer.
    pub delivers: Vec<Route>,
    /// The time at which it comes in; `None`: whenever the test is run.
    pub now: Option<Timestamp>,
}

/// What comes in, in any shape that intake knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestEvent {
    /// The content of a file, which was not opened yet.
    File(PathBuf),
    /// This JSON.
    Json(String),
}

/// `subscription -> sink`; both stand in the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// Name of the subscription.
    pub subscription: Arc<str>,
    /// Name of one of its sinks.
    pub sink: Arc<str>,
}
