//! The far sides: they take, refuse, lie, hang and punish, as the dice fall; once they are healed
//! they take everything.

use std::time::Duration;

use async_trait::async_trait;
use herald_model::{
    EndpointId, Item, Markup, MessageId, Notification, Outcome, Outcomes, Progress, Rendered,
    Signal, Sink,
};
use jiff::SignedDuration;

use crate::model::World;

/// The ways out, in the order of their integers: two that share a robot, the first with another
/// robot besides and with digests; two that keep order, the first with bodies in a form, the second
/// with messages of several.
pub(crate) const SINKS: [&str; 4] = ["chat", "mail", "hook", "queue"];

/// Milliseconds after which a sink gives up by itself.
const LIMIT: i64 = 20_000;

/// Milliseconds after which a sink that does not is cut off.
const CUT: i64 = LIMIT + 5_000;

pub(crate) struct FarSide {
    pub(crate) world: World,
    pub(crate) place: usize,
    /// Deliveries that one message has room for.
    pub(crate) room: usize,
    /// How it makes its bodies today, where it sends nothing else.
    pub(crate) form: Option<&'static str>,
}

pub(crate) fn endpoints(place: usize) -> Vec<EndpointId> {
    let names: &[&str] = match place {
        0 => &["robot", "spare"],
        1 => &["robot"],
        other => &SINKS[other..=other],
    };
    names
        .iter()
        .map(|name| EndpointId::new("test", name))
        .collect()
}

impl FarSide {
    fn roll(&self, sides: u64) -> u64 {
        self.world.lock().dice.below(sides)
    }

    async fn pass(&self, millis: i64) {
        {
            let mut model = self.world.lock();
            let until = model.now + millis;
            model.alarms.insert(until);
        }
        tokio::time::sleep(Duration::from_millis(millis.unsigned_abs())).await;
    }

    /// The far side takes it, whatever it says then.
    fn accept(&self, notification: &Notification) {
        let mut model = self.world.lock();
        for item in &notification.items {
            model.book.accepted(item.delivery);
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
                let each = notification.items.iter().map(|item| match self.roll(4) {
                    0 => Outcome::transient("450 not this one"),
                    1 => Outcome::permanent("550 never this one"),
                    _ => {
                        self.world.lock().book.accepted(item.delivery);
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
                if self.roll(4) == 0 {
                    let until = self.world.lock().now + CUT;
                    self.world.lock().alarms.insert(until);
                    std::future::pending::<()>().await;
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
        endpoints(self.place).swap_remove(0)
    }

    fn endpoints(&self) -> Vec<EndpointId> {
        endpoints(self.place)
    }

    fn markup(&self) -> Markup {
        Markup::Plain
    }

    fn form(&self) -> Option<&'static str> {
        self.form
    }

    fn body(&self, message: MessageId, items: &[Item]) -> Option<String> {
        match self.form {
            Some(form) => self.body_in(form, message, items),
            // As many lines as there are deliveries in it.
            None => Some("one\n".repeat(items.len())),
        }
    }

    fn body_in(&self, form: &str, _: MessageId, items: &[Item]) -> Option<String> {
        Some(format!("{} in {form}", items[0].event.id))
    }

    fn fits(&self, _: MessageId, rendered: &Rendered) -> bool {
        let body = rendered.body.as_deref().unwrap_or_default();
        body.lines().count() <= self.room
    }

    async fn deliver(&self, notification: &Notification, progress: &Progress<'_>) -> Outcomes {
        let name = SINKS[self.place];
        {
            let mut model = self.world.lock();
            model.received(notification);
            let (message, items) = (notification.message, notification.items.len());
            model.say(|| format!("{name} gets {message} of {items}"));
        }
        let outcomes = self.act(notification, progress).await;
        self.world.lock().say(|| {
            let said: Vec<Outcome> = (0..notification.items.len())
                .map(|index| outcomes.of(index))
                .collect();
            let said: Vec<&str> = said.iter().map(Outcome::as_str).collect();
            let signal = match &outcomes.signal {
                Signal::None => String::new(),
                signal => format!(" {signal:?}").to_lowercase(),
            };
            format!("{name} says {said:?} {}{signal}", outcomes.of(0).reason())
        });
        outcomes
    }

    fn time_limit(&self) -> Duration {
        Duration::from_millis(LIMIT.unsigned_abs())
    }
}
