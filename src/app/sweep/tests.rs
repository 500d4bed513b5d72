//! How retention keeps its pace, counted in events and not by a clock.

use super::*;

const MAX: u64 = 64 << 20;

fn used(sixteenths: u64) -> Size {
    Size {
        used: sixteenths << 20,
        max: 16 << 20,
        ..Size::default()
    }
}

#[test]
fn what_waits_gives_way_only_where_nothing_finished_is_left() {
    assert_eq!(pressure(&used(12), false), Pressure::None);
    assert_eq!(pressure(&used(13), false), Pressure::Finished);
    assert_eq!(pressure(&used(14), true), Pressure::Finished);
    assert_eq!(pressure(&used(14), false), Pressure::Waiting);
    assert_eq!(pressure(&used(15), false), Pressure::Waiting);
}

#[test]
fn a_step_that_made_room_is_followed_at_once() {
    let made = Swept {
        events: 1,
        ..Swept::default()
    };
    assert_eq!(pause(Pressure::Finished, &made), Duration::ZERO);
    let nothing = Swept::default();
    assert_eq!(pause(Pressure::Waiting, &nothing), NOTHING_TO_TAKE);
    assert_eq!(pause(Pressure::None, &nothing), PAUSE);
}

#[test]
fn a_mark_is_told_of_once_until_it_was_left() {
    assert_eq!(tell(Fill::Roomy, &used(15)), Fill::Full);
    assert_eq!(tell(Fill::Full, &used(15)), Fill::Full);
    let just_below = Size {
        used: (15 << 20) - 1,
        ..used(15)
    };
    assert_eq!(tell(Fill::Full, &just_below), Fill::Full);
    assert_eq!(tell(Fill::Full, &used(14)), Fill::Near);
    assert_eq!(tell(Fill::Near, &used(2)), Fill::Roomy);
}

/// What an event takes with its delivery and their ends, in bytes.
const EVENT: u64 = 900;

/// Events per second of an intake as fast as any that was seen.
const RATE: u64 = 8_300;

/// A journal that nearly everything is finished in: all but the last `lag` events.
struct Flooded {
    recorded: u64,
    removed: u64,
    lag: u64,
}

impl Flooded {
    fn size(&self) -> Size {
        Size {
            used: (self.recorded - self.removed) * EVENT,
            max: MAX,
            events: self.recorded,
            ..Size::default()
        }
    }

    /// Removes what a step may look at, until there is room.
    fn sweep(&mut self, step: &Sweep) -> Swept {
        let mut swept = Swept::default();
        let finished = self.recorded - self.removed;
        let finished = finished.saturating_sub(self.lag);
        let looked_at = finished.min(step.events_max.into());
        while step.pressure > Pressure::None
            && swept.events < looked_at
            && self.size().fill() > Fill::Roomy
        {
            swept.events += 1;
            self.removed += 1;
        }
        swept
    }
}

fn settings() -> config::Journal {
    config::Journal {
        engine: config::Engine::Embedded("herald.db".into()),
        keep: Duration::from_secs(30 * 86_400),
        max_size: MAX,
        dedup_window: Duration::from_secs(86_400),
        refused: 0,
    }
}

/// Takes in many events, `per_step` of them while a step waits for its turn with the writer, which
/// takes its groups of `GROUP`.
#[track_caller]
fn flood(per_step: u64, lag: u64) {
    const GROUP: u64 = 200;
    let mut journal = Flooded {
        recorded: 0,
        removed: 0,
        lag,
    };
    let mut pace = Pace::from(&journal.size());
    let mut since_tight = None;
    while journal.recorded < 500_000 {
        let size = journal.size();
        let step = pace.step(&size, &settings(), Timestamp::UNIX_EPOCH);
        let meanwhile = |journal: &mut Flooded, events: u64| {
            journal.recorded += events;
            let fill = journal.size().fill();
            assert!(
                fill < Fill::Full,
                "{per_step} a step with {lag} waiting: refused after {}",
                journal.recorded
            );
        };
        meanwhile(&mut journal, per_step);
        let swept = journal.sweep(&step);
        let pause = pace.pause(step.pressure, &swept);
        let mut coming = u64::try_from(pause.as_millis()).unwrap() * RATE / 1_000;
        while coming > 0 && !pace.is_urgent(&size, &journal.size()) {
            let group = coming.min(GROUP);
            meanwhile(&mut journal, group);
            coming -= group;
        }
        if size.fill() > Fill::Roomy {
            since_tight.get_or_insert((journal.recorded, journal.removed));
        }
    }
    let (recorded, removed) = since_tight.expect("it never came near its bound");
    let (accepted, removed) = (journal.recorded - recorded, journal.removed - removed);
    assert!(
        removed * 100 >= accepted * 95,
        "{per_step} a step with {lag} waiting: {removed} removed of {accepted} accepted"
    );
}

#[test]
fn as_much_goes_as_comes_at_the_smallest_bound() {
    for per_step in [50, 200, 1_000, 2_000, 2_730, 3_300] {
        for lag in [0, 200, 5_000, 40_000] {
            flood(per_step, lag);
        }
    }
}

#[test]
fn a_step_is_small_where_there_is_time_and_larger_the_nearer_the_bound_is() {
    let mut last = 0;
    for (sixteenths, most) in [(3, 2_000), (13, 4_000), (14, 8_000), (15, 16_000)] {
        let mut pace = Pace::from(&Size::default());
        let step = |pace: &mut Pace, events| {
            let size = Size {
                events,
                ..used(sixteenths)
            };
            pace.step(&size, &settings(), Timestamp::UNIX_EPOCH)
                .events_max
        };
        assert_eq!(step(&mut pace, 0), STEP_MIN);
        assert_eq!(step(&mut pace, 700), 1_400, "it gains on any intake");
        assert_eq!(step(&mut pace, 1_000_000), most);
        assert!(most > last);
        last = most;
    }
}

#[test]
fn what_one_step_was_too_small_for_is_left_to_the_next() {
    let mut pace = Pace::from(&Size::default());
    let mut step = |events| {
        let size = Size { events, ..used(13) };
        let step = pace.step(&size, &settings(), Timestamp::UNIX_EPOCH);
        step.events_max
    };
    assert_eq!(step(3_000), 4_000);
    assert_eq!(step(3_000), 2_000);
    assert_eq!(step(3_000), STEP_MIN);
}
