//! The nouns of Herald. No I/O, no clock, no randomness: whatever decides takes them as arguments.
//!
//! Read in the order of the flow: an [`OperationResult`](operation::OperationResult) or a received
//! body becomes an [`Event`]; for each subscription and sink that wants it a delivery is planned;
//! a message carries deliveries as a [`Notification`] to a [`Sink`], which answers with
//! [`Outcomes`]; the [`RetrySchedule`] says when to try again.
//!
//! Deliberately absent: the journal, the pattern language, HTTP, and every kind of sink.

pub mod delivery;
pub mod duration;
pub mod event;
pub mod ids;
pub mod notification;
pub mod operation;
pub mod outcome;
pub mod retry;
pub mod secret;
pub mod settings;
pub mod sink;

pub use delivery::{DeliveryState, Phase};
pub use event::{Addressee, Event, Level};
pub use ids::{DeliveryId, EndpointId, EventId, MessageId};
pub use notification::{Item, Language, Link, Notification, Rendered};
pub use outcome::{Outcome, Outcomes, Signal};
pub use retry::RetrySchedule;
pub use secret::Secret;
pub use sink::{Markup, Progress, Sink, SinkConfig, SinkKind};
