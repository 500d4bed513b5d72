//! What follows from an outcome. Plain functions of their arguments.

use std::time::Duration;

use herald_model::{Outcome, RetrySchedule};
use jiff::{SignedDuration, Timestamp};

use crate::journal::{ClaimedItem, Next, PROBE_WAIT, SettledItem};

/// The longest wait a far side may ask for with `Retry-After`. Chosen: past an hour, looking again
/// costs less than being late.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Wait after a sink fault. Chosen: as long as the breaker's first. Once that is open it spaces
/// out the tries, so that what waits goes soon after the way is mended.
const FAULT_WAIT: Duration = PROBE_WAIT.0;

/// What becomes of a delivery whose attempt, claimed at `started`, ended with `outcome` at `now`.
///
/// `seed` decides the jitter of the wait.
pub fn next(
    item: &ClaimedItem,
    outcome: &Outcome,
    schedule: &RetrySchedule,
    started: Timestamp,
    now: Timestamp,
    seed: u64,
) -> Next {
    match outcome {
        Outcome::Delivered { .. } => Next::Delivered,
        Outcome::Permanent { reason } => Next::Dead(reason.clone()),
        Outcome::SinkFault { .. } => Next::Again(later(now, FAULT_WAIT)),
        Outcome::Transient { reason, not_before } => {
            let asked = not_before.map(|at| between(now, at).min(RETRY_AFTER_MAX));
            again(item, reason, schedule, started, now, seed, asked)
        }
        Outcome::Unknown { reason } => again(item, reason, schedule, started, now, seed, None),
    }
}

fn again(
    item: &ClaimedItem,
    reason: &str,
    schedule: &RetrySchedule,
    started: Timestamp,
    now: Timestamp,
    seed: u64,
    asked: Option<Duration>,
) -> Next {
    let charged = item.charged + 1;
    let elapsed =
        between(item.first_attempt.unwrap_or(started), now).saturating_sub(item.uncounted);
    match schedule.next(charged, elapsed, seed, asked) {
        Some(wait) => Next::Again(later(now, wait)),
        None => {
            let attempts = if charged == 1 { "attempt" } else { "attempts" };
            Next::Dead(format!(
                "given up after {charged} {attempts}; the last: {reason}"
            ))
        }
    }
}

/// Tries a message again as a whole, where all of it is tried again.
pub(super) fn keep_together(items: &mut [SettledItem]) {
    let time = |item: &SettledItem| match item.next {
        Next::Again(at) => Some(at),
        Next::Delivered | Next::Dead(_) => None,
    };
    let times: Option<Vec<Timestamp>> = items.iter().map(time).collect();
    let Some(last) = times.and_then(|times| times.into_iter().max()) else {
        return;
    };
    for item in items {
        item.next = Next::Again(last);
    }
}

/// The largest count below `total` of which `fits` holds, or 1: a text grows with its items.
pub(super) fn most_that_fit(total: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut most, mut too_many) = (1, total);
    while too_many - most > 1 {
        let middle = most + (too_many - most) / 2;
        if fits(middle) {
            most = middle;
        } else {
            too_many = middle;
        }
    }
    most
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use herald_model::{DeliveryId, EventId};
    use uuid::Uuid;

    use super::*;
    use crate::journal::DeliveryNo;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn item(charged: u32, first_seconds_ago: i64) -> ClaimedItem {
        let event = EventId::from_uuid(Uuid::nil());
        ClaimedItem {
            number: DeliveryNo(1),
            id: DeliveryId::derive(event, "s", "k"),
            subscription: "s".into(),
            event,
            text: "{}".into(),
            charged,
            first_attempt: Some(NOW - SignedDuration::from_secs(first_seconds_ago)),
            uncounted: Duration::ZERO,
        }
    }

    #[track_caller]
    fn wait_after(item: &ClaimedItem, outcome: &Outcome) -> Duration {
        match next(item, outcome, &RetrySchedule::default(), NOW, NOW, 0) {
            Next::Again(at) => between(NOW, at),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_permanent_outcome_is_a_dead_letter_at_once() {
        let outcome = Outcome::permanent("404 Not Found");
        let next = next(
            &item(0, 0),
            &outcome,
            &RetrySchedule::default(),
            NOW,
            NOW,
            0,
        );
        assert_eq!(next, Next::Dead("404 Not Found".to_owned()));
    }

    #[test]
    fn transient_and_unknown_wait_by_the_schedule() {
        for outcome in [Outcome::transient("503"), Outcome::unknown("cut")] {
            let wait = wait_after(&item(0, 0), &outcome);
            assert!(
                wait > Duration::from_secs(3) && wait <= Duration::from_secs(5),
                "{wait:?}"
            );
        }
    }

    #[test]
    fn what_the_far_side_asks_for_is_honoured_up_to_the_cap() {
        let asked = |seconds| Outcome::Transient {
            reason: "429".to_owned(),
            not_before: Some(NOW + SignedDuration::from_secs(seconds)),
        };
        assert_eq!(wait_after(&item(0, 0), &asked(90)), Duration::from_secs(90));
        assert_eq!(wait_after(&item(0, 0), &asked(90_000)), RETRY_AFTER_MAX);
    }

    #[test]
    fn a_used_up_schedule_names_the_last_reason() {
        let outcome = Outcome::transient("503 busy");
        let next = next(
            &item(9, 86_400),
            &outcome,
            &RetrySchedule::default(),
            NOW,
            NOW,
            0,
        );
        assert_eq!(
            next,
            Next::Dead("given up after 10 attempts; the last: 503 busy".to_owned())
        );
    }

    #[test]
    fn time_that_does_not_count_does_not_use_up_the_schedule() {
        let mut waited = item(1, 100_000);
        waited.uncounted = Duration::from_secs(99_990);
        wait_after(&waited, &Outcome::transient("503"));
    }

    #[test]
    fn a_sink_fault_never_ends_a_delivery() {
        let fault = Outcome::sink_fault("535 bad password");
        assert_eq!(wait_after(&item(0, 0), &fault), Duration::from_secs(10));
        let long_ago = item(0, 1_000_000);
        assert_eq!(wait_after(&long_ago, &fault), Duration::from_secs(10));
    }

    #[test]
    fn as_many_items_as_fit_and_no_more() {
        for total in 2..60 {
            for most in 1..total {
                assert_eq!(most_that_fit(total, |count| count <= most), most);
            }
        }
        assert_eq!(most_that_fit(9, |_| false), 1, "one goes in any case");
    }
}
