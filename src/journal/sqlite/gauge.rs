//! How much room the files take: told by those who write them, read by whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::journal::{Bounds, Fill, Size};

/// Size of a page, which SQLite's default is.
pub(super) const PAGE_BYTES: u64 = 4_096;

/// Pages of a database file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pages {
    /// All of them.
    pub(super) all: i64,
    /// Those on the free list: the next rows use them again.
    pub(super) free: i64,
}

/// What is known of the size, without asking the disk.
#[derive(Debug)]
pub(super) struct Gauge {
    journal: Room,
    index: Room,
    events: AtomicU64,
    max_size: AtomicU64,
    refused: AtomicU64,
    /// Wakes whoever makes room.
    tight: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Room {
    used: AtomicU64,
    free: AtomicU64,
}

impl Pages {
    fn used(self) -> u64 {
        bytes(self.all - self.free)
    }
}

fn bytes(pages: i64) -> u64 {
    u64::try_from(pages).unwrap_or(0) * PAGE_BYTES
}

impl Room {
    fn set(&self, pages: Pages) {
        self.used.store(pages.used(), Ordering::Relaxed);
        self.free.store(bytes(pages.free), Ordering::Relaxed);
    }
}

impl Default for Gauge {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            journal: Room::default(),
            index: Room::default(),
            events: AtomicU64::new(0),
            max_size: AtomicU64::new(bounds.max_size),
            refused: AtomicU64::new(bounds.refused),
            tight: Arc::default(),
        }
    }
}

impl Gauge {
    pub(super) fn bound(&self, bounds: Bounds) {
        self.max_size.store(bounds.max_size, Ordering::Relaxed);
        self.refused.store(bounds.refused, Ordering::Relaxed);
    }

    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            max_size: self.max_size.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// The journal's pages after a commit, and how many events were recorded so far.
    pub(super) fn journal(&self, pages: Pages, events: i64) {
        self.journal.set(pages);
        let events = u64::try_from(events).unwrap_or(0);
        self.events.store(events, Ordering::Relaxed);
        if self.size().fill() > Fill::Roomy {
            self.tight.notify_one();
        }
    }

    /// The pages of the index for people.
    pub(super) fn index(&self, pages: Pages) {
        self.index.set(pages);
    }

    /// How near the journal would be to its bound with so many pages.
    pub(super) fn fill_with(&self, pages: Pages) -> Fill {
        let index = self.index.used.load(Ordering::Relaxed);
        let size = Size {
            used: pages.used() + index,
            ..self.size()
        };
        size.fill()
    }

    pub(super) fn size(&self) -> Size {
        let sum = |of: fn(&Room) -> &AtomicU64| {
            of(&self.journal).load(Ordering::Relaxed) + of(&self.index).load(Ordering::Relaxed)
        };
        Size {
            used: sum(|room| &room.used),
            free: sum(|room| &room.free),
            max: self.max_size.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
        }
    }

    pub(super) fn tight(&self) -> Arc<Notify> {
        Arc::clone(&self.tight)
    }
}
