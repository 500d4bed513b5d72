//! `http`: senders post events, in any shape that Herald knows, to `/v1/sources/NAME/events`.
//!
//! Who may send is said by keys that every kind has which events are brought to; it has none of its
//! own.

use std::sync::Arc;

use herald_model::settings::Table;

use super::{SourceConfig, SourceKind, Way, equal};

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "http",
    summary: "Takes what is posted to /v1/sources/NAME/events.",
    example: include_str!("example.toml"),
    is_brought: true,
    configure,
};

#[derive(Debug, PartialEq)]
struct Http;

fn configure(_: &Table<'_>) -> Option<Arc<dyn SourceConfig>> {
    Some(Arc::new(Http))
}

impl SourceConfig for Http {
    fn way(&self) -> Way {
        Way::Brought(None)
    }

    fn equals(&self, other: &dyn SourceConfig) -> bool {
        equal(self, other)
    }
}
