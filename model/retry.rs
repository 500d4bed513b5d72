//! When to try again. A pure function, so a week of retries is tested in a millisecond; the
//! answer is written into the journal, so a restart forgets nothing.

use std::time::Duration;

/// The waits between the attempts of one delivery, as data.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySchedule {
    waits: Waits,
    /// A delivery is given up when the next attempt would start later than this after its first;
    /// time spent limited, paused, held or behind a breaker is not counted.
    give_up_after: Duration,
}

#[derive(Debug, Clone, PartialEq)]
enum Waits {
    Listed(Vec<Duration>),
    Growing {
        first: Duration,
        factor: f64,
        longest: Duration,
    },
}

/// A schedule that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The growth would shrink or is not a number.
    #[error("`factor` must be between 1 and 100")]
    Factor,
    /// The cap lies below the first wait.
    #[error("`longest` must not be shorter than `first`")]
    LongestBelowFirst,
    /// A wait of nothing would be a busy loop.
    #[error("`first` must be at least 1ms")]
    NoFirstWait,
    /// The list is empty.
    #[error(
        "`waits` must hold at least one wait; for a single attempt set `give_up_after = \"0s\"`"
    )]
    NoWaits,
}

/// How much the jitter may take off a wait: each wait lies between 80 % and 100 % of the
/// schedule's, so the schedule's words stay upper bounds. Chosen; Svix uses ±20 %.
const JITTER: f64 = 0.2;

impl RetrySchedule {
    /// `first`, then each time `factor` times longer, at most `longest`.
    ///
    /// # Errors
    /// The numbers do not make a schedule.
    pub fn growing(
        first: Duration,
        factor: f64,
        longest: Duration,
        give_up_after: Duration,
    ) -> Result<Self, ScheduleError> {
        if !(1.0..=100.0).contains(&factor) {
            return Err(ScheduleError::Factor);
        }
        if first < Duration::from_millis(1) {
            return Err(ScheduleError::NoFirstWait);
        }
        if longest < first {
            return Err(ScheduleError::LongestBelowFirst);
        }
        Ok(Self {
            waits: Waits::Growing {
                first,
                factor,
                longest,
            },
            give_up_after,
        })
    }

    /// The waits one by one; after the last the delivery is given up.
    ///
    /// # Errors
    /// The list is empty or its first wait is zero.
    pub fn listed(waits: Vec<Duration>, give_up_after: Duration) -> Result<Self, ScheduleError> {
        match waits.first() {
            None => Err(ScheduleError::NoWaits),
            Some(first) if *first < Duration::from_millis(1) => Err(ScheduleError::NoFirstWait),
            Some(_) => Ok(Self {
                waits: Waits::Listed(waits),
                give_up_after,
            }),
        }
    }

    /// The wait after `charged` (one or more) failed attempts, the first of which started
    /// `elapsed` ago; `None` when the schedule is used up.
    ///
    /// `seed` decides the jitter: the same arguments always give the same wait. `at_least` is what
    /// the far side asked for (`Retry-After`, already capped) and is never undercut.
    pub fn next(
        &self,
        charged: u32,
        elapsed: Duration,
        seed: u64,
        at_least: Option<Duration>,
    ) -> Option<Duration> {
        let charged = charged.max(1);
        let wait = match &self.waits {
            Waits::Listed(waits) => *waits.get(charged as usize - 1)?,
            Waits::Growing {
                first,
                factor,
                longest,
            } => {
                // A hundredfold growth passes any `longest` long before the power overflows.
                let grown = first.as_secs_f64() * factor.powi(charged.min(1_000) as i32 - 1);
                Duration::try_from_secs_f64(grown).map_or(*longest, |grown| grown.min(*longest))
            }
        };
        let wait = wait.mul_f64(1.0 - JITTER * fraction(seed, charged));
        let wait = wait.max(at_least.unwrap_or_default());
        (elapsed.saturating_add(wait) <= self.give_up_after).then_some(wait)
    }
}

impl Default for RetrySchedule {
    /// 5s, doubling to at most 1h, given up after 24h: the callback of the Standard Webhooks
    /// example, with a shorter first hour because operations people wait for it.
    fn default() -> Self {
        Self {
            waits: Waits::Growing {
                first: Duration::from_secs(5),
                factor: 2.0,
                longest: Duration::from_secs(3_600),
            },
            give_up_after: Duration::from_secs(86_400),
        }
    }
}

/// A number from 0 up to 1, spread evenly over seeds and attempts (SplitMix64, Steele et al. 2014).
fn fraction(seed: u64, charged: u32) -> f64 {
    let mut z = seed.wrapping_add(u64::from(charged).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_grow_to_the_longest() {
        let schedule = RetrySchedule::growing(SECOND, 2.0, 8 * SECOND, 1_000 * SECOND).unwrap();
        for (charged, whole) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (6, 8)] {
            let wait = schedule.next(charged, Duration::ZERO, 1, None).unwrap();
            let whole = whole * SECOND;
            assert!(
                wait <= whole && wait >= whole.mul_f64(0.8),
                "{charged}: {wait:?}"
            );
        }
    }

    #[test]
    fn a_list_ends() {
        let schedule = RetrySchedule::listed(vec![SECOND, 5 * SECOND], 60 * SECOND).unwrap();
        assert!(schedule.next(2, Duration::ZERO, 0, None).is_some());
        assert_eq!(schedule.next(3, Duration::ZERO, 0, None), None);
    }

    #[test]
    fn it_gives_up_in_time() {
        let schedule = RetrySchedule::growing(SECOND, 1.0, SECOND, 10 * SECOND).unwrap();
        assert!(schedule.next(4, 9 * SECOND, 0, None).is_some());
        assert_eq!(schedule.next(4, 10 * SECOND, 0, None), None);
    }

    #[test]
    fn what_the_far_side_asked_for_is_not_undercut() {
        let schedule = RetrySchedule::default();
        assert_eq!(
            schedule.next(1, Duration::ZERO, 0, Some(99 * SECOND)),
            Some(99 * SECOND)
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let check = |first, factor, longest| {
            RetrySchedule::growing(first, factor, longest, SECOND).unwrap_err()
        };
        assert_eq!(check(SECOND, 0.5, SECOND), ScheduleError::Factor);
        assert_eq!(check(SECOND, f64::NAN, SECOND), ScheduleError::Factor);
        assert_eq!(
            check(2 * SECOND, 2.0, SECOND),
            ScheduleError::LongestBelowFirst
        );
        assert_eq!(
            check(Duration::ZERO, 2.0, SECOND),
            ScheduleError::NoFirstWait
        );
        assert_eq!(
            RetrySchedule::listed(vec![], SECOND),
            Err(ScheduleError::NoWaits)
        );
    }

    proptest! {
        #[test]
        fn jitter_stays_between_four_fifths_and_the_whole(seed: u64, charged in 1_u32..2_000) {
            let schedule =
                RetrySchedule::growing(SECOND, 3.0, 50 * SECOND, 1_000_000 * SECOND).unwrap();
            let whole = (3_f64.powi(charged.min(40) as i32 - 1)).min(50.0);
            let wait = schedule.next(charged, Duration::ZERO, seed, None).unwrap().as_secs_f64();
            prop_assert!(wait <= whole * 1.000_001 && wait >= whole * 0.799_999);
        }
    }
}
