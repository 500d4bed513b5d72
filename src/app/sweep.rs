//! Retention: removing what is finished and old, and making room before there is none, in small
//! steps beside the traffic.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
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

/// The same at most, however much was recorded; the more, the nearer the bound is. Chosen: between two
/// steps a queue of some thousands of verbs may pass, and what came in with it must go with the next
/// step. So one takes no longer than the groups that made it necessary, and far from the bound, where there is
/// time, no longer than some of them.
const fn step_max(fill: Fill) -> u32 {
    match fill {
        Fill::Roomy => 2_000,
        Fill::Trimming => 4_000,
        Fill::Near => 8_000,
        Fill::Full => 16_000,
    }
}

/// While room is wanted, a step follows at the latest when so many events were recorded since the
/// last, whatever pause was meant. Chosen: one of the smallest marks holds four times as many.
const AGAIN_AFTER: u64 = 1_000;

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
    let mut pace = Pace::from(&journal.size());
    while !stop.is_cancelled() {
        let size = journal.size();
        told = tell(told, &size);
        let step = pace.step(&size, &settings.load(), clock::now());
        let pressure = step.pressure;
        let pause = match journal.sweep(step).await {
            Ok(swept) => {
                if let Some((sink, count)) = &swept.crowded_out {
                    warn!(
                        %sink,
                        count,
                        "suppressed: the journal is near `journal.max_size`, and most of it waits for this sink"
                    );
                }
                pace.pause(pressure, &swept)
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
                if pace.is_urgent(&size, &journal.size()) {
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

/// How large the steps are and how soon they follow each other. Knows no clock.
#[derive(Debug)]
struct Pace {
    /// Events recorded when the last step began.
    recorded: u64,
    /// Events that earlier steps should have looked at, but were not large enough.
    owed: u64,
    /// Whether the last step made room.
    made_room: bool,
}

impl Pace {
    const fn from(size: &Size) -> Self {
        Self {
            recorded: size.events,
            owed: 0,
            made_room: true,
        }
    }

    /// The next step.
    fn step(&mut self, size: &Size, settings: &config::Journal, now: Timestamp) -> Sweep {
        let recorded = size.events.saturating_sub(self.recorded);
        self.recorded = size.events;
        let most = step_max(size.fill());
        let wanted = recorded
            .saturating_mul(PER_RECORDED)
            .saturating_add(self.owed);
        let events_max = u32::try_from(wanted).map_or(most, |wanted| wanted.clamp(STEP_MIN, most));
        self.owed = match size.fill() {
            // Age alone lets what is left for later come in its turn.
            Fill::Roomy => 0,
            _ => wanted.saturating_sub(events_max.into()),
        };
        Sweep {
            now,
            keep: settings.keep,
            dedup_window: settings.dedup_window,
            events_max,
            pressure: pressure(size, self.made_room),
        }
    }

    /// How long to wait after it, unless [`is_urgent`](Self::is_urgent) says otherwise.
    fn pause(&mut self, pressure: Pressure, swept: &Swept) -> Duration {
        self.made_room = swept.made_room();
        pause(pressure, swept)
    }

    /// Whether the next step is due whatever pause was meant: the journal, which was as large as
    /// `before` at the last step, came nearer to its bound, or much was recorded near it.
    fn is_urgent(&self, before: &Size, size: &Size) -> bool {
        let nearer = size.fill() > before.fill();
        let wanted = size.fill() > Fill::Roomy;
        nearer || (wanted && size.events.saturating_sub(self.recorded) >= AGAIN_AFTER)
    }
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
mod tests;
