//! How attempts ended, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts ends of attempts by sink and outcome, one for each delivery of a message. Both are few, so
/// it stays small.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(Arc<str>, &'static str), u64>>);

impl Tally {
    pub(super) fn count(&self, sink: &Arc<str>, outcomes: impl Iterator<Item = &'static str>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes {
            *counts.entry((Arc::clone(sink), outcome)).or_insert(0) += 1;
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((sink, outcome), count)| (Arc::clone(sink), *outcome, *count))
            .collect()
    }
}
