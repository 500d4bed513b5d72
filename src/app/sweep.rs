//! Retention: removing what is finished and old, and making room before there is none, in small
//! steps beside the traffic.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::config;
use crate::journal::{Fill, Journal, Pressure, Size, Sweep, Swept};

/// Pause between two sweeps that found nothing more while there is room. Chosen: retention by age
/// is a matter of days.
const PAUSE: Duration = Duration::from_secs(60);

/// Pause between two steps while there is more and no hurry. Chosen.
const BREATH: Duration = Duration::from_millis(10);

/// Pause after a step that found nothing where room is wanted: something must end first. Chosen.
const NOTHING_TO_TAKE: Duration = Duration::from_secs(1);

/// Events looked at in one step, which holds up the writer for one to some milliseconds. Chosen.
const STEP_MIN: u32 = 200;

/// The same at most, however much was recorded. Chosen: more than a group of the writer holds, so a
/// step never takes longer than the groups that made it necessary.
const STEP_MAX: u32 = 2_000;

/// How many events a step looks at for each one that was recorded since the step before: more than
/// one, so that retention gains on any intake.
const PER_RECORDED: u64 = 2;

/// Sweeps until `stop`, by the settings in force.
pub(super) async fn sweep(
    journal: Arc<dyn Journal>,
    settings: Arc<ArcSwap<config::Journal>>,
    stop: CancellationToken,
) {
    let tight = journal.tight_signal();
    let mut told = Fill::Roomy;
    let mut recorded = journal.size().events;
    let mut last_made_room = true;
    while !stop.is_cancelled() {
        let size = journal.size();
        told = tell(told, &size);
        let settings = settings.load_full();
        let step = Sweep {
            now: clock::now(),
            keep: settings.keep,
            dedup_window: settings.dedup_window,
            events_max: step(size.events.saturating_sub(recorded)),
            pressure: pressure(&size, last_made_room),
        };
        recorded = size.events;
        let pressure = step.pressure;
        let swept = journal.sweep(step).await;
        let pause = match &swept {
            Ok(swept) => {
                last_made_room = swept.made_room();
                if let Some((sink, count)) = &swept.crowded_out {
                    warn!(
                        %sink,
                        count,
                        "suppressed: the journal is near `journal.max_size`, and most of it waits for this sink"
                    );
                }
                pause(pressure, swept)
            }
            Err(error) => {
                warn!(%error, "cannot remove what is old");
                NOTHING_TO_TAKE
            }
        };
        let pause = tokio::time::sleep(pause);
        let tighter = async {
            loop {
                tight.notified().await;
                if journal.size().fill() > size.fill() {
                    return;
                }
            }
        };
        tokio::select! {
            () = pause => {}
            () = tighter => {}
            () = stop.cancelled() => {}
        }
    }
}

/// How many events the next step looks at when so many were recorded since the one before.
fn step(recorded: u64) -> u32 {
    let wanted = recorded.saturating_mul(PER_RECORDED);
    u32::try_from(wanted).map_or(STEP_MAX, |wanted| wanted.clamp(STEP_MIN, STEP_MAX))
}

/// How far the next step goes: what waits gives way only where nothing finished was found.
fn pressure(size: &Size, last_made_room: bool) -> Pressure {
    match size.fill() {
        Fill::Roomy => Pressure::None,
        Fill::Near | Fill::Full if !last_made_room => Pressure::Waiting,
        Fill::Trimming | Fill::Near | Fill::Full => Pressure::Finished,
    }
}

/// How long to wait after a step, unless the journal comes nearer to its bound meanwhile.
fn pause(pressure: Pressure, swept: &Swept) -> Duration {
    match pressure {
        Pressure::None if swept.more => BREATH,
        Pressure::None => PAUSE,
        // Straight on: each step waits for its group, so the traffic has its share.
        _ if swept.made_room() || swept.crowded_out.is_some() => Duration::ZERO,
        // What comes next was not looked at yet.
        _ if swept.more => BREATH,
        _ => NOTHING_TO_TAKE,
    }
}

/// Tells once that a mark was passed, and once that it was left.
fn tell(told: Fill, size: &Size) -> Fill {
    let (used, max, refused_at) = (size.used, size.max, size.refuse_at());
    let fill = size.fill();
    if fill <= told {
        if size.has_left(told) {
            if told > Fill::Trimming {
                info!(used, max, "the journal has room again");
            }
            return fill;
        }
        return told;
    }
    match fill {
        Fill::Roomy => {}
        Fill::Trimming => info!(
            used,
            max, "the journal nears `journal.max_size`: finished events go before `journal.keep`"
        ),
        Fill::Near => warn!(
            used,
            max,
            refused_at,
            "the journal is nearly full: intake will be refused; raise `journal.max_size`, or see to the sinks for which much waits"
        ),
        Fill::Full => error!(
            used,
            max,
            "the journal is full: intake is refused until there is room; what was accepted goes on"
        ),
    }
    fill
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(sixteenths: u64) -> Size {
        Size {
            used: sixteenths << 20,
            max: 16 << 20,
            ..Size::default()
        }
    }

    #[test]
    fn a_step_gains_on_any_intake_and_is_bounded() {
        assert_eq!(step(0), STEP_MIN);
        assert_eq!(step(700), 1_400);
        assert_eq!(step(u64::MAX), STEP_MAX);
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
}
