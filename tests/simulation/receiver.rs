//! The far sides: they take, refuse, lie, hang and punish, as the dice fall; once they are healed
//! they take everything.

use std::time::Duration;

use async_trait::async_trait;
use herald_model::{EndpointId, Markup, Notification, Outcome, Outcomes, Progress, Signal, Sink};
use jiff::SignedDuration;

use crate::model::World;

/// The ways out, in the order of their integers: two on one robot, the first with digests; two
/// that keep order, the second with messages of several.
pub(crate) const SINKS: [&str; 4] = ["chat", "mail", "hook", "queue"];

/// Milliseconds after which a sink gives up by itself.
const LIMIT: i64 = 20_000;

pub(crate) struct FarSide {
    pub(crate) world: World,
    pub(crate) place: usize,
}

pub(crate) fn endpoint(place: usize) -> EndpointId {
    EndpointId::new("test", if place < 2 { "robot" } else { SINKS[place] })
}

impl FarSide {
    fn roll(&self, sides: u64) -> u64 {
        self.world.lock().dice.below(sides)
    }

    async fn pass(&self, millis: i64) {
        let until = {
            let mut model = self.world.lock();
            let until = model.now + millis;
            model.alarms.push(until);
            until
        };
        loop {
            let turned = self.world.turned.notified();
            if self.world.lock().now >= until {
                return;
            }
            turned.await;
        }
    }

    /// The far side takes it, whatever it says then.
    fn accept(&self, notification: &Notification) {
        let mut model = self.world.lock();
        for index in 0..notification.items.len() {
            model.accepted(notification, index);
        }
    }

    fn refuse(&self, notification: &Notification) -> Outcomes {
        let now = self.world.time();
        let wait = self.roll(90);
        match self.roll(6) {
            0 => Outcome::permanent("550 no such place").into(),
            1 => Outcome::sink_fault("401 who are you").into(),
            2 => {
                let penalty = Signal::Penalty(Duration::from_secs(wait));
                Outcomes::same(Outcome::transient("too fast")).with_signal(penalty)
            }
            3 if self.roll(3) == 0 => {
                Outcomes::same(Outcome::transient("410 gone")).with_signal(Signal::Hold)
            }
            4 => Outcome::Transient {
                reason: "503 later".to_owned(),
                not_before: Some(now + SignedDuration::from_secs(wait.cast_signed())),
            }
            .into(),
            5 => {
                let each = (0..notification.items.len()).map(|index| match self.roll(4) {
                    0 => Outcome::transient("450 not this one"),
                    1 => Outcome::permanent("550 never this one"),
                    _ => {
                        self.world.lock().accepted(notification, index);
                        Outcome::delivered("250 this one")
                    }
                });
                Outcomes::each(each.collect())
            }
            _ => Outcome::transient("503 busy").into(),
        }
    }

    async fn act(&self, notification: &Notification, progress: &Progress<'_>) -> Outcomes {
        if self.world.lock().healed || self.roll(2) == 0 {
            self.accept(notification);
            return Outcome::delivered("200 ok").into();
        }
        match self.roll(8) {
            0 => {
                // It hangs, and took it or not.
                if self.roll(2) == 0 {
                    self.accept(notification);
                }
                self.pass(LIMIT).await;
                Outcome::unknown("hang: no answer in time").into()
            }
            1 => {
                let wait = self.roll(15_000).cast_signed();
                self.pass(wait).await;
                self.accept(notification);
                Outcome::delivered("200 slow").into()
            }
            2 => {
                self.accept(notification);
                Outcome::unknown("200 and the line broke").into()
            }
            3 if progress.save(b"half".to_vec()).await.is_err() => {
                Outcome::unknown("no checkpoint").into()
            }
            3 => Outcome::transient("451 part").into(),
            _ => {
                let wait = self.roll(3) * 1_000;
                if wait > 0 {
                    self.pass(wait.cast_signed()).await;
                }
                self.refuse(notification)
            }
        }
    }
}

#[async_trait]
impl Sink for FarSide {
    fn endpoint(&self) -> EndpointId {
        endpoint(self.place)
    }

    fn markup(&self) -> Markup {
        Markup::Plain
    }

    async fn deliver(&self, notification: &Notification, progress: &Progress<'_>) -> Outcomes {
        {
            let mut model = self.world.lock();
            model.received(notification);
            let (message, items) = (notification.message, notification.items.len());
            model.say(&format!("{} gets {message} of {items}", SINKS[self.place]));
        }
        let outcomes = self.act(notification, progress).await;
        let said: Vec<Outcome> = (0..notification.items.len())
            .map(|index| outcomes.of(index))
            .collect();
        let said: Vec<&str> = said.iter().map(Outcome::as_str).collect();
        let signal = match &outcomes.signal {
            Signal::None => String::new(),
            signal => format!(" {signal:?}").to_lowercase(),
        };
        let reason = outcomes.of(0).reason().to_owned();
        self.world.lock().say(&format!(
            "{} says {said:?} {reason}{signal}",
            SINKS[self.place]
        ));
        outcomes
    }

    /// Real time, which hardly passes here: the sink ends by itself, on the made-up clock.
    fn time_limit(&self) -> Duration {
        Duration::from_secs(3_600)
    }
}
