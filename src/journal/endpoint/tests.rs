//! What an endpoint permits: by hand, and by any sender there may be.

use proptest::prelude::*;

use super::*;

const ROBOT: Limit = Limit {
    messages: 18,
    per: Duration::from_secs(60),
    in_flight: 1,
    reserve: 3,
};

fn end(endpoint: &mut Endpoint, permit: Permit, now: i64, verdict: Verdict) {
    endpoint.end(permit, now, verdict, &Signal::None);
}

/// Starts and ends one message, if it may start.
fn send(endpoint: &mut Endpoint, limit: &Limit, level: Level, now: i64) -> Result<(), Denied> {
    endpoint.pass_time(now);
    endpoint.permits(Some(limit), level, now)?;
    let permit = endpoint.start(Some(limit), now);
    end(endpoint, permit, now, Verdict::Sound);
    Ok(())
}

#[test]
fn three_of_eighteen_are_kept_for_warnings() {
    let mut endpoint = Endpoint::default();
    for _ in 0..15 {
        send(&mut endpoint, &ROBOT, Level::Info, 0).unwrap();
    }
    let denied = send(&mut endpoint, &ROBOT, Level::Info, 5).unwrap_err();
    assert_eq!(denied.until, Some(60_000));
    for _ in 0..3 {
        send(&mut endpoint, &ROBOT, Level::Warn, 10).unwrap();
    }
    assert!(send(&mut endpoint, &ROBOT, Level::Critical, 59_999).is_err());
    send(&mut endpoint, &ROBOT, Level::Info, 60_000).unwrap();
}

#[test]
fn one_in_flight_means_one() {
    let mut endpoint = Endpoint::default();
    let permit = endpoint.start(Some(&ROBOT), 0);
    assert_eq!(
        endpoint.permits(Some(&ROBOT), Level::Critical, 0),
        Err(Denied { until: None })
    );
    end(&mut endpoint, permit, 1, Verdict::Unclear);
    assert_eq!(endpoint.permits(Some(&ROBOT), Level::Critical, 1), Ok(1));
}

#[test]
fn a_permit_given_back_is_not_used_up() {
    let mut endpoint = Endpoint::default();
    for _ in 0..100 {
        let permit = endpoint.start(Some(&ROBOT), 7);
        endpoint.give_back(permit);
    }
    assert_eq!(endpoint.permits(Some(&ROBOT), Level::Info, 7), Ok(1));
    assert!(endpoint.row().starts.is_empty());
}

#[test]
fn a_penalty_pauses_and_lets_one_probe_go_first() {
    let open = None;
    let mut endpoint = Endpoint::default();
    let permit = endpoint.start(open, 0);
    let penalty = Signal::Penalty(Duration::from_secs(600));
    endpoint.end(permit, 1_000, Verdict::Unclear, &penalty);
    assert_eq!(endpoint.closed(), Some(Closed::Penalty(601_000)));
    endpoint.pass_time(600_999);
    let denied = endpoint.permits(open, Level::Critical, 600_999);
    assert_eq!(denied.unwrap_err().until, Some(601_000));
    endpoint.pass_time(601_000);
    assert_eq!(endpoint.permits(open, Level::Info, 601_000), Ok(1));
    let probe = endpoint.start(open, 601_000);
    assert!(endpoint.permits(open, Level::Info, 601_000).is_err());
    end(&mut endpoint, probe, 601_100, Verdict::Sound);
    assert_eq!(endpoint.permits(open, Level::Info, 601_100), Ok(u32::MAX));
}

#[test]
fn a_run_of_faults_opens_the_breaker_and_a_probe_closes_it() {
    let mut endpoint = Endpoint::default();
    let mut now = 0;
    for _ in 1..BREAKER_FAULTS {
        let permit = endpoint.start(None, now);
        end(&mut endpoint, permit, now, Verdict::Faulty);
    }
    assert_eq!(endpoint.closed(), None, "one short of it");
    // Two at a time: the second fault of the same moment says nothing new.
    let two = [endpoint.start(None, now), endpoint.start(None, now)];
    for permit in two {
        end(&mut endpoint, permit, now, Verdict::Faulty);
    }
    for wait in [10, 20, 40, 80, 160, 320, 600, 600] {
        let due = now + wait * 1_000;
        assert_eq!(endpoint.closed(), Some(Closed::Breaker(Some(due))));
        assert!(endpoint.permits(None, Level::Critical, due - 1).is_err());
        assert_eq!(endpoint.permits(None, Level::Info, due), Ok(1));
        let probe = endpoint.start(None, due);
        end(&mut endpoint, probe, due, Verdict::Faulty);
        now = due;
    }
    let probe = endpoint.start(None, now + 600_000);
    end(&mut endpoint, probe, now + 600_000, Verdict::Sound);
    assert_eq!(endpoint.closed(), None);
    assert_eq!(endpoint.permits(None, Level::Info, now), Ok(u32::MAX));
}

#[test]
fn a_success_between_faults_breaks_the_run() {
    let mut endpoint = Endpoint::default();
    for _ in 0..20 {
        for verdict in [Verdict::Faulty, Verdict::Faulty, Verdict::Sound] {
            let permit = endpoint.start(None, 0);
            end(&mut endpoint, permit, 0, verdict);
        }
    }
    assert_eq!(endpoint.closed(), None);
}

#[test]
fn a_verdict_is_about_the_way_not_about_the_message() {
    let verdict = |outcomes: &[Outcome]| Verdict::of(outcomes.iter());
    let (fault, refused) = (Outcome::sink_fault("535"), Outcome::permanent("550"));
    assert_eq!(verdict(std::slice::from_ref(&fault)), Verdict::Faulty);
    assert_eq!(verdict(&[fault, refused]), Verdict::Sound);
    assert_eq!(verdict(&[Outcome::transient("503")]), Verdict::Unclear);
    assert_eq!(verdict(&[Outcome::unknown("cut")]), Verdict::Unclear);
}

#[test]
fn a_clock_set_back_blocks_for_one_window_at_most() {
    let mut endpoint = Endpoint::default();
    for _ in 0..18 {
        send(&mut endpoint, &ROBOT, Level::Warn, 10_000_000).unwrap();
    }
    endpoint.pass_time(0);
    let denied = endpoint.permits(Some(&ROBOT), Level::Warn, 0).unwrap_err();
    assert!(
        denied.until.is_some_and(|until| until <= 60_100),
        "{denied:?}"
    );
}

#[test]
fn a_wide_limit_keeps_few_start_times() {
    let limit = Limit {
        messages: 100_000,
        per: Duration::from_secs(60),
        in_flight: 1,
        reserve: 0,
    };
    let mut endpoint = Endpoint::default();
    for now in 0..120_000 {
        send(&mut endpoint, &limit, Level::Info, now).unwrap();
    }
    assert!(endpoint.starts.len() <= STARTS_MAX as usize + 64);
}

proptest! {
    /// What any sender does: it comes at some time with some level, sends if it may, else comes
    /// back when it was told to, and now and then its process dies.
    #[test]
    fn never_too_many_in_any_window_and_none_wasted(
        messages in 1_u32..12,
        reserve in 0_u32..4,
        per in 1_u64..40,
        steps in prop::collection::vec((0_i64..15, 0_u8..3, any::<bool>(), 0_u8..10), 1..200),
    ) {
        let limit = Limit {
            messages,
            per: Duration::from_millis(per),
            in_flight: 1,
            reserve: reserve.min(messages - 1),
        };
        let per = i64::try_from(per).unwrap();
        let mut endpoint = Endpoint::default();
        let mut sent: Vec<i64> = Vec::new();
        let mut now = 0;
        for (wait, level, patient, fate) in steps {
            now += wait;
            let level = [Level::Info, Level::Warn, Level::Critical][usize::from(level)];
            let allowed = limit.allows(level) as usize;
            let inside = |at: i64| sent.iter().filter(|start| **start + per > at).count();
            match send(&mut endpoint, &limit, level, now) {
                Ok(()) => {
                    prop_assert!(inside(now) < allowed, "too many at {now}");
                    sent.push(now);
                }
                Err(Denied { until }) => {
                    prop_assert!(inside(now) >= allowed, "wasted at {now}");
                    let until = until.unwrap();
                    prop_assert!(until > now);
                    prop_assert!(inside(until - 1) >= allowed, "told to come too late");
                    prop_assert!(inside(until) < allowed, "told to come too early");
                    if patient {
                        now = until;
                        prop_assert!(send(&mut endpoint, &limit, level, now).is_ok());
                        sent.push(now);
                    }
                }
            }
            if fate == 0 {
                endpoint = Endpoint::from_row(&endpoint.row());
            }
        }
        for start in &sent {
            let window = sent.iter().filter(|other| (*start..*start + per).contains(other));
            prop_assert!(window.count() <= messages as usize);
        }
    }
}
