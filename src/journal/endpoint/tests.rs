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

/// What has happened at an endpoint, and what that permits by the words of the design alone.
#[derive(Default)]
struct Seen {
    starts: Vec<i64>,
    /// Open attempts, and whether each is the probe.
    open: Vec<(Permit, bool)>,
    penalty_until: Option<i64>,
    /// From when only one message may go, until one has shown that the way works.
    probe_from: Option<i64>,
}

impl Seen {
    fn inside(&self, per: i64, at: i64) -> usize {
        self.starts
            .iter()
            .filter(|start| **start + per > at)
            .count()
    }

    /// How many messages of a level may start.
    fn may(&self, limit: &Limit, level: Level, at: i64) -> u32 {
        let is_probed = self.probe_from.is_some() && self.open.iter().any(|(_, probe)| *probe);
        let waits = |from: Option<i64>| from.is_some_and(|from| from > at);
        if waits(self.penalty_until) || waits(self.probe_from) || is_probed {
            return 0;
        }
        let places = (limit.in_flight as usize).saturating_sub(self.open.len());
        let kept = if level == Level::Info {
            limit.reserve
        } else {
            0
        };
        let allowed = (limit.messages - kept) as usize;
        let left = allowed.saturating_sub(self.inside(limit.per(), at));
        let most = if self.probe_from.is_some() {
            1
        } else {
            u32::MAX
        };
        u32::try_from(places.min(left)).unwrap().min(most)
    }
}

/// What comes next at an endpoint.
#[derive(Debug, Clone)]
enum Step {
    /// Some sink that uses it has as many messages of a level as may start.
    Start(Level, u32),
    /// An open attempt ends: it arrived, it says nothing of the way, or the far side punishes it for so long.
    Arrives(prop::sample::Index),
    Busy(prop::sample::Index),
    Punished(prop::sample::Index, u64),
    /// A claim is given back unspent.
    GivenBack(prop::sample::Index),
    /// The process dies.
    Dies,
}

fn step() -> impl Strategy<Value = Step> {
    let level = prop::sample::select(vec![Level::Info, Level::Warn, Level::Critical]);
    let one = any::<prop::sample::Index>;
    prop_oneof![
        8 => (level, 1_u32..5).prop_map(|(level, wanted)| Step::Start(level, wanted)),
        4 => one().prop_map(Step::Arrives),
        2 => one().prop_map(Step::Busy),
        1 => (one(), 1_u64..60).prop_map(|(which, wait)| Step::Punished(which, wait)),
        1 => one().prop_map(Step::GivenBack),
        1 => Just(Step::Dies),
    ]
}

proptest! {
    /// Several messages under way at a time, by any sinks that share the endpoint, with penalties, probes
    /// and crashes between.
    #[test]
    fn whatever_happens_exactly_what_is_permitted_may_start(
        messages in 1_u32..12,
        reserve in 0_u32..4,
        in_flight in 1_u32..6,
        per in 1_u64..40,
        steps in prop::collection::vec((0_i64..15, step()), 1..200),
    ) {
        let limit = Limit {
            messages,
            per: Duration::from_millis(per),
            in_flight,
            reserve: reserve.min(messages - 1),
        };
        let per = i64::try_from(per).unwrap();
        let mut endpoint = Endpoint::default();
        let mut seen = Seen::default();
        let mut now = 0;
        for (wait, step) in steps {
            now += wait;
            endpoint.pass_time(now);
            let ends = match &step {
                Step::Arrives(which) | Step::Busy(which) | Step::Punished(which, _)
                | Step::GivenBack(which) if !seen.open.is_empty() => {
                    Some(seen.open.remove(which.index(seen.open.len())))
                }
                _ => None,
            };
            match (step, ends) {
                (Step::Start(level, wanted), _) => {
                    let may = seen.may(&limit, level, now);
                    match endpoint.permits(Some(&limit), level, now) {
                        Ok(permits) => {
                            prop_assert_eq!(permits, may, "at {}", now);
                            for _ in 0..wanted.min(permits) {
                                let probe = seen.probe_from.is_some();
                                seen.open.push((endpoint.start(Some(&limit), now), probe));
                                seen.starts.push(now);
                            }
                        }
                        Err(Denied { until }) => {
                            prop_assert_eq!(may, 0, "wasted at {}", now);
                            if let Some(until) = until {
                                prop_assert!(until > now);
                                prop_assert_eq!(
                                    seen.may(&limit, level, until - 1), 0, "told to come too late"
                                );
                            }
                        }
                    }
                }
                (Step::Arrives(_), Some((permit, _))) => {
                    endpoint.end(permit, now, Verdict::Sound, &Signal::None);
                    seen.probe_from = None;
                }
                (Step::Busy(_), Some((permit, probe))) => {
                    endpoint.end(permit, now, Verdict::Unclear, &Signal::None);
                    if probe {
                        seen.probe_from = Some(now + millis(PROBE_WAIT.0));
                    }
                }
                (Step::Punished(_, wait), Some((permit, _))) => {
                    let signal = Signal::Penalty(Duration::from_millis(wait));
                    endpoint.end(permit, now, Verdict::Unclear, &signal);
                    let until = now + i64::try_from(wait).unwrap();
                    let until = seen.penalty_until.map_or(until, |other| other.max(until));
                    seen.penalty_until = Some(until);
                    seen.probe_from = Some(until);
                }
                (Step::GivenBack(_), Some((permit, _))) => {
                    endpoint.give_back(permit);
                    let at = permit.start.unwrap();
                    let place = seen.starts.iter().position(|start| *start == at).unwrap();
                    seen.starts.remove(place);
                }
                (Step::Dies, _) => {
                    endpoint = Endpoint::from_row(&endpoint.row());
                    seen.open.clear();
                }
                (_, None) => {}
            }
            if seen.penalty_until.is_some_and(|until| until <= now) {
                seen.penalty_until = None;
            }
        }
        for start in &seen.starts {
            let window = seen.starts.iter().filter(|other| (*start..*start + per).contains(other));
            prop_assert!(window.count() <= messages as usize);
        }
    }
}
