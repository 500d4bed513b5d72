//! The ways in: one folder per kind, one line each in [`ALL`].
//!
//! - `http` and `cloudevents` are *brought*: senders come to the door (`src/api/`), which asks their
//!   [`Proof`], if they have one, about each request,
//! - `file` and `smq` are *fetched*: Herald goes and gets the events, and hands them in by an
//!   [`Intake`], which answers when they are durable,
//! - `web` is the HTTP client of those who need one.
//!
//! Deliberately not here: whose events a source may bring and what they may set off. That is the
//! same for every kind, and the pipeline sees to it. `CONTRIBUTING.md` has the steps to a new kind.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use herald_model::Secret;
use herald_model::settings::Table;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

mod cloudevents;
mod file;
mod http;
mod intake;
mod smq;
mod web;

#[cfg(test)]
#[path = "tests/bench.rs"]
mod bench;
#[cfg(test)]
mod conformance;

pub use intake::Intake;

/// Every kind of source, in alphabetical order.
pub const ALL: &[SourceKind] = &[cloudevents::KIND, file::KIND, http::KIND, smq::KIND];

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
    /// Senders bring them, with a proof if there is one.
    Brought(Option<Arc<dyn Proof>>),
    /// Herald fetches them.
    Fetched(Box<dyn Fetch>),
}

/// What a sender must prove beyond the token that every kind asks for. A source that has a proof
/// takes POST alone, and its tokens are the proof's to compare.
#[async_trait]
pub trait Proof: fmt::Debug + Send + Sync {
    /// Judges a request by its headers, before a byte of its body is read; `tokens` are the
    /// source's.
    ///
    /// # Errors
    /// The request is not to be taken.
    fn judge(&self, headers: &HeaderMap, tokens: &[Secret], now: Timestamp) -> Result<(), Doubt>;

    /// Judges a request whose headers passed, with its body as it was sent.
    ///
    /// # Errors
    /// The request is not to be taken.
    async fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<(), Doubt>;

    /// Answers a sender that asks, before its first event, whether it may send (CloudEvents 1.0,
    /// HTTP WebHook, section 4): the headers of the consent.
    ///
    /// # Errors
    /// It may not.
    fn consent(&self, headers: &HeaderMap) -> Result<HeaderMap, Doubt>;
}

/// Why a request is not taken, and the status to say it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// `401` or `403`; `503` where the proof could not be looked at now.
    pub status: StatusCode,
    /// In words for the sender; no secret.
    pub why: String,
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
