//! The pattern language: which events does somebody want to hear of?
//!
//! Rules know JSON and nothing of Herald: no field name has a meaning here. Read in this order:
//!
//! 1. [`json`]: documents whose numbers are exactly what the sender wrote.
//! 2. [`pattern`]: the language, its strict reading from JSON and TOML, and its plain meaning
//!    ([`Pattern::evaluate`]), which judges everything else.
//! 3. [`explain`]: why an event matched, or what came nearest to it.
//! 4. [`index`]: the same answers for many patterns at once, sooner.

pub mod explain;
pub mod index;
pub mod json;
pub mod pattern;

pub use explain::Explanation;
pub use index::{Index, Scratch};
pub use pattern::{COST_MAX, Mistake, Pattern};

/// The examples of the README are run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;

/// The written reference of the language, as Markdown. A test runs its examples.
pub const REFERENCE: &str = include_str!("reference.md");

/// JSON Schema (draft 2020-12) of a pattern as TOML and JSON hold it, for editors. Looser than the
/// reader: what it refuses is refused, but not the other way round.
pub const SCHEMA: &str = include_str!("schema.json");
