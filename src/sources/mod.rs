//! The ways in: one folder per kind, one line each in [`ALL`].
//!
//! - `http` is *brought*: senders come to the door (`src/api/`),
//! - `file` is *fetched*: Herald goes and gets the events, and hands them in by an [`Intake`], which
//!   answers when they are durable.
//!
//! Deliberately not here: whose events a source may bring and what they may set off. That is the
//! same for every kind, and the pipeline sees to it. `CONTRIBUTING.md` has the steps to a new kind.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use herald_model::settings::Table;
use tokio_util::sync::CancellationToken;

mod file;
mod http;
mod intake;

#[cfg(test)]
mod conformance;

pub use intake::Intake;

/// Every kind of source, in alphabetical order.
pub const ALL: &[SourceKind] = &[file::KIND, http::KIND];

/// A type of source: everything the rest of Herald needs to know of it.
#[derive(Debug, Clone, Copy)]
pub struct SourceKind {
    /// The word after `kind =`.
    pub name: &'static str,
    /// One sentence for lists and help.
    pub summary: &'static str,
    /// A complete `[source.NAME]` table that `configure` accepts.
    pub example: &'static str,
    /// Whether senders bring the events, so that `token` and `allow_from` say who may.
    pub is_brought: bool,
    /// Reads the keys of this kind. Opens no file and no socket. `None` when a mistake was
    /// reported or, in a lenient check, a secret is not set.
    pub configure: fn(&Table<'_>) -> Option<Arc<dyn SourceConfig>>,
}

/// Checked settings of one source, without what every kind has.
pub trait SourceConfig: Any + fmt::Debug + Send + Sync {
    /// How events come in by it. Spawns nothing and contacts nobody.
    fn way(&self) -> Way;

    /// Whether `other` says the same, so that a reload leaves the source alone.
    fn equals(&self, other: &dyn SourceConfig) -> bool;
}

/// [`SourceConfig::equals`] for settings that can be compared.
fn equal<S: SourceConfig + PartialEq>(own: &S, other: &dyn SourceConfig) -> bool {
    (other as &dyn Any).downcast_ref::<S>() == Some(own)
}

/// How events come in.
pub enum Way {
    /// Senders bring them.
    Brought,
    /// Herald fetches them.
    Fetched(Box<dyn Fetch>),
}

/// Goes and gets events, until it is told to stop.
#[async_trait]
pub trait Fetch: Send {
    /// Fetches and hands in. Whatever fails is tried again for ever, with growing pauses, and told
    /// once when it begins; it returns soon after `stop`, and at no other time.
    ///
    /// A kill at any moment loses nothing: only what the journal has taken is let go of, and what
    /// is handed in twice is recognised.
    async fn run(self: Box<Self>, intake: Intake, stop: CancellationToken);
}
