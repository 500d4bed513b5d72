//! How much room the journal takes, and what follows from it.
//!
//! Plain functions of numbers, the same for every engine. What an engine counts as used is its own:
//! the embedded one counts pages in use, so that a file that never shrinks is no full journal.

use super::Entry;

/// `max_size` is divided into so many parts; the marks below are counted in them.
const PARTS: u64 = 16;

/// From here on finished events go before their time, oldest first. Chosen: three parts above it
/// are some seconds of the fastest intake at the smallest `max_size` (12 MiB of 64).
const TRIM_AT: u64 = 13;

/// From here on it is told that intake is about to be refused: what is finished goes too slowly, or
/// nothing finished is left. Then what waits for the fullest sink gives way, too.
const NEAR_AT: u64 = 14;

/// From here on nothing new is taken. The part above it is the reserve, which only settling, claims
/// and hands may use: what they write is small, and refusing it would mean deliveries made twice.
const REFUSE_AT: u64 = 15;

/// How far below a mark the journal must be before it is told that the mark was left, in halves of
/// a part: without it, a journal that stands at a mark would be told of again and again.
const LEFT_BY_HALVES: u64 = 1;

/// What a row takes beside its texts, in bytes, with its share of the indexes. Chosen: more than any of
/// them takes, since what is estimated too high only comes a moment later.
const ROW_BYTES: u64 = 256;

/// What the journal may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// `journal.max_size`: bytes in use.
    pub max_size: u64,
    /// `journal.refused`: refused bodies kept per source.
    pub refused: u64,
}

impl Default for Bounds {
    /// No bound, and no refused body kept.
    fn default() -> Self {
        Self {
            max_size: u64::MAX,
            refused: 0,
        }
    }
}

/// How much room the journal takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes in use, the index for people included.
    pub used: u64,
    /// Bytes of the files that are free to be used again.
    pub free: u64,
    /// `journal.max_size`.
    pub max: u64,
    /// Events recorded since the journal was made.
    pub events: u64,
}

/// How near the journal is to its bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fill {
    /// Far.
    #[default]
    Roomy,
    /// Finished events go before their time.
    Trimming,
    /// Intake is about to be refused.
    Near,
    /// Intake is refused; what was accepted goes on.
    Full,
}

impl Fill {
    /// The word of the public contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Roomy => "roomy",
            Self::Trimming => "trimming",
            Self::Near => "near",
            Self::Full => "full",
        }
    }
}

impl Size {
    /// How near it is.
    pub const fn fill(&self) -> Fill {
        if self.used >= self.mark(REFUSE_AT) {
            Fill::Full
        } else if self.used >= self.mark(NEAR_AT) {
            Fill::Near
        } else if self.used >= self.mark(TRIM_AT) {
            Fill::Trimming
        } else {
            Fill::Roomy
        }
    }

    /// Bytes from which on intake is refused.
    pub const fn refuse_at(&self) -> u64 {
        self.mark(REFUSE_AT)
    }

    /// Whether intake may take more where its group has taken so many bytes already. What is taken then
    /// reaches into the reserve by less than its own length, which the limits of a request bound.
    pub const fn takes_more_than(&self, taken: u64) -> bool {
        self.used.saturating_add(taken) < self.refuse_at()
    }

    /// Whether the reserve is used up, too. What was accepted goes on beyond it, but no further than
    /// it must: see [`Journal::settle`](super::Journal::settle).
    pub const fn is_brimful(&self) -> bool {
        self.used >= self.max
    }

    /// Bytes above [`refuse_at`](Self::refuse_at), which only settling, claims and hands may use.
    pub const fn reserve(&self) -> u64 {
        self.max.saturating_sub(self.refuse_at())
    }

    /// Whether it is well below where `fill` begins.
    pub const fn has_left(&self, fill: Fill) -> bool {
        let begins = match fill {
            Fill::Roomy => return false,
            Fill::Trimming => TRIM_AT,
            Fill::Near => NEAR_AT,
            Fill::Full => REFUSE_AT,
        };
        self.used
            < self
                .mark(begins)
                .saturating_sub(self.max / (2 * PARTS) * LEFT_BY_HALVES)
    }

    const fn mark(&self, parts: u64) -> u64 {
        self.max / PARTS * parts
    }
}

impl Entry {
    /// What it takes at most, but for what a page leaves empty.
    pub(crate) fn bytes(&self) -> u64 {
        let length = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        match self {
            Self::Event(entry) => {
                let texts = entry.event.text.len().max(entry.text_in_conflict.len())
                    + entry.original.as_ref().map_or(0, Vec::len);
                length(texts) + ROW_BYTES * (1 + length(entry.deliveries.len()))
            }
            Self::NotTriggered { operation, .. } => length(operation.len()) + ROW_BYTES,
            Self::Refused(entry) => length(entry.body.as_ref().map_or(0, Vec::len)) + ROW_BYTES,
            Self::Bookmark { text, .. } => length(text.len()) + ROW_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 64 << 20;

    fn at(sixteenths: u64, bytes: i64) -> Size {
        Size {
            used: (MAX / 16 * sixteenths).saturating_add_signed(bytes),
            max: MAX,
            ..Size::default()
        }
    }

    #[test]
    fn trimming_comes_first_then_the_warning_then_the_refusal() {
        for (sixteenths, before, after) in [
            (13, Fill::Roomy, Fill::Trimming),
            (14, Fill::Trimming, Fill::Near),
            (15, Fill::Near, Fill::Full),
        ] {
            assert_eq!(at(sixteenths, -1).fill(), before);
            assert_eq!(at(sixteenths, 0).fill(), after);
        }
        assert_eq!(at(0, 0).reserve(), MAX / 16);
    }

    #[test]
    fn a_journal_without_bound_is_never_full() {
        let size = Size {
            used: 1 << 50,
            max: u64::MAX,
            ..Size::default()
        };
        assert_eq!(size.fill(), Fill::Roomy);
    }

    #[test]
    fn a_group_takes_no_more_once_it_reaches_the_reserve() {
        assert!(at(15, -1).takes_more_than(0));
        assert!(!at(15, -1).takes_more_than(1), "its group is there already");
        assert!(at(14, 0).takes_more_than(MAX / 16 - 1));
        assert!(!at(14, 0).takes_more_than(MAX / 16));
        assert!(!at(15, 0).takes_more_than(0));
    }

    #[test]
    fn a_mark_is_left_only_well_below_it() {
        assert!(!at(14, -1).has_left(Fill::Near));
        assert!(!at(14, -(1 << 21)).has_left(Fill::Near));
        assert!(at(14, -(1 << 21) - 1).has_left(Fill::Near));
        assert!(!at(0, 0).has_left(Fill::Roomy));
    }
}
