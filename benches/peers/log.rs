//! When each event was sent, answered, and came.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was sent when and came when, by the event's number.
pub(crate) struct Log {
    began: Instant,
    /// Microseconds since `began`, plus one; 0 for not yet.
    sent: Vec<AtomicU64>,
    came: Vec<AtomicU64>,
    answered: Vec<AtomicU64>,
    arrivals: AtomicU64,
    repeats: AtomicU64,
    first_after: AtomicU64,
    /// Further deliveries wait unanswered.
    pub(crate) is_silent: AtomicBool,
}

impl Log {
    pub(crate) fn new(events: usize) -> Arc<Self> {
        let column = || (0..events).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            began: Instant::now(),
            sent: column(),
            came: column(),
            answered: column(),
            arrivals: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            first_after: AtomicU64::new(0),
            is_silent: AtomicBool::new(false),
        })
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.began).as_micros()).unwrap() + 1
    }

    pub(crate) fn sends(&self, number: u64, at: Instant) {
        if let Some(cell) = self.sent.get(usize::try_from(number).unwrap()) {
            cell.store(self.micros(at), Ordering::Relaxed);
        }
    }

    pub(crate) fn answers(&self, number: u64) {
        if let Some(cell) = self.answered.get(usize::try_from(number).unwrap()) {
            cell.store(self.micros(Instant::now()), Ordering::Relaxed);
        }
    }

    pub(crate) fn takes(&self, number: u64) {
        let now = self.micros(Instant::now());
        let _ = self
            .first_after
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        let cell = self.came.get(usize::try_from(number).unwrap());
        let first = cell.is_none_or(|cell| cell.swap(now, Ordering::Relaxed) == 0);
        let count = if first { &self.arrivals } else { &self.repeats };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Different events that came.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Deliveries of events that had come before.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Starts to wait for the next arrival, whatever it is.
    pub(crate) fn forget_first(&self) {
        self.first_after.store(0, Ordering::Relaxed);
    }

    /// When the first arrival since then was.
    pub(crate) fn first(&self) -> Option<Instant> {
        let micros = self.first_after.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began + Duration::from_micros(micros))
    }

    /// Microseconds from send to arrival of the events with these numbers, sorted.
    pub(crate) fn latencies(&self, numbers: Range<u64>) -> Vec<u64> {
        self.between_sent_and(&self.came, numbers)
    }

    /// Microseconds from send to answer of the events with these numbers, sorted.
    pub(crate) fn answer_times(&self, numbers: Range<u64>) -> Vec<u64> {
        self.between_sent_and(&self.answered, numbers)
    }

    fn between_sent_and(&self, then: &[AtomicU64], numbers: Range<u64>) -> Vec<u64> {
        let range = usize::try_from(numbers.start).unwrap()..usize::try_from(numbers.end).unwrap();
        let cells = self.sent[range.clone()].iter().zip(&then[range]);
        let mut times: Vec<u64> = cells
            .filter_map(|(sent, then)| {
                let (sent, then) = (sent.load(Ordering::Relaxed), then.load(Ordering::Relaxed));
                (sent > 0 && then > 0).then(|| then.saturating_sub(sent))
            })
            .collect();
        times.sort_unstable();
        times
    }
}

/// The part `share` of sorted microseconds, in milliseconds.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (sorted.len() as f64 * share) as usize;
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    sorted
        .get(place.min(sorted.len().saturating_sub(1)))
        .map_or(f64::NAN, |micros| *micros as f64 / 1e3)
}
