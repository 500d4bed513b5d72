//! How much was refused, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::intake::Class;

/// Counts what was refused. Sources come from the configuration and classes are few, so it stays
/// small.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<(Arc<str>, Class), u64>>);

impl Tally {
    pub(super) fn count(&self, source: &Arc<str>, classes: &[Class]) {
        if classes.is_empty() {
            return;
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for class in classes {
            *counts.entry((Arc::clone(source), *class)).or_insert(0) += 1;
        }
    }

    pub(super) fn counts(&self) -> Vec<(Arc<str>, Class, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((source, class), count)| (Arc::clone(source), *class, *count))
            .collect()
    }
}
