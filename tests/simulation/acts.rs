//! What happens in a story besides time: what is brought, and what people do.

use herald::in_force::Source;
use herald::intake::Framing;
use herald::journal::{
    Cancel, DeliveryNo, Expire, Fill, Hand, HandVerb, Hands, Journal, Paused, Pressure, Replay,
    Sweep,
};
use herald::pipeline::{Answer, Bringing};
use herald_model::{DeliveryState, Language};

use crate::model::{Model, Verb};
use crate::receiver::SINKS;
use crate::rules::DEDUP_WINDOW;
use crate::story::{Story, Told};

/// Events of one story at most: what waits is looked through after every step.
const EVENTS: u32 = 12;

impl Story {
    pub(crate) async fn act(&mut self) {
        match self.roll(26) {
            0..=5 if self.brought < EVENTS => self.bring().await,
            0..=13 => self.turn().await,
            14 => self.bring_again().await,
            15 => self.fill_the_disk(),
            16 => self.pause().await,
            17 => self.resume().await,
            18 | 19 => self.replay().await,
            20 => self.cancel().await,
            21 => self.reload().await,
            22 => self.expire().await,
            23 => self.look().await,
            _ => self.sweep().await,
        }
    }

    async fn bring(&mut self) {
        self.brought += 1;
        let id = self.brought;
        let level = ["INFO", "INFO", "WARN", "CRITICAL"][self.roll(4) as usize];
        let resource = self.roll(3);
        let padding = "x".repeat(self.lot.padding);
        let body = format!(
            r#"{{"ver":"1.0","id":"{id}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:eni/eni-{resource}","level":"{level}","name":"A:B","userId":"1","regionId":"cn-hangzhou","content":{{"n":{id},"x":"{padding}"}}}}"#
        );
        self.world
            .lock()
            .say(|| format!("event {id} {level} of eni-{resource}"));
        self.post(Told { id, body }).await;
    }

    /// A sender that got no answer tries again; now and then one that did, too.
    async fn bring_again(&mut self) {
        let all = self.unanswered.len() as u64 + self.answered.len() as u64;
        let place = self.roll(all) as usize;
        if place < self.unanswered.len() {
            let told = self.unanswered.remove(place);
            self.post(told).await;
        } else if all > 0 {
            let told = self.answered.remove(place - self.unanswered.len());
            self.post(told).await;
        }
    }

    /// Posts an event; whoever gets no answer because the process died posts it again at once.
    pub(crate) async fn post(&mut self, told: Told) {
        let source = Source {
            name: "t".into(),
            accounts: None,
            products: None,
        };
        loop {
            self.world.lock().bringing = told.id;
            let now = self.world.time();
            let framing = Framing::Document;
            let body = told.body.as_bytes();
            let taken = self
                .pipeline
                .take(&source, Bringing::Events, body, framing, now);
            let taken = tokio::select! {
                biased;
                taken = taken => Some(taken),
                () = self.world.died.notified() => None,
            };
            match taken {
                Some(Ok(answers)) => {
                    self.note_answer(told.id, &answers);
                    self.answered.push(told);
                    return;
                }
                Some(Err(error)) => {
                    let id = told.id;
                    self.world
                        .lock()
                        .say(|| format!("event {id} is refused: {error}"));
                    self.unanswered.push(told);
                    // Whoever sweeps is woken by it.
                    self.sweep().await;
                    return;
                }
                None => {
                    self.restart_if_dead().await;
                }
            }
        }
    }

    fn note_answer(&self, id: u32, answers: &[Answer]) {
        let mut model = self.world.lock();
        let window = model.time() - self.lot.keep.min(DEDUP_WINDOW);
        for answer in answers {
            let held = match answer {
                Answer::Accepted(event) => model.book.answered(id, *event, true, window),
                Answer::Duplicate(event) => {
                    model.say(|| format!("event {id} is a duplicate of {event}"));
                    model.book.answered(id, *event, false, window)
                }
                other => Err(format!("E4 event {id} is answered {other:?}")),
            };
            model.note(held);
        }
    }

    /// For a while the journal can write nothing, or some things.
    fn fill_the_disk(&self) {
        let mut model = self.world.lock();
        let which = model.dice.below(15) + 1;
        let until = model.now + model.dice.below(40_000).cast_signed();
        for verb in [Verb::Record, Verb::Claim, Verb::Save, Verb::Settle] {
            if which & (1 << verb as u64) != 0 {
                model.refused_until[verb as usize] = until;
            }
        }
        model.say(|| format!("the disk is full until {until} ms for {which:04b}"));
    }

    fn hand(&self, verb: HandVerb, what: &str) -> Hand {
        Hand {
            at: self.world.time(),
            who: "somebody".into(),
            verb,
            what: what.to_owned(),
            why: None,
        }
    }

    async fn pause(&self) {
        let place = self.roll(SINKS.len() as u64) as usize;
        let hand = self.hand(HandVerb::Pause, SINKS[place]);
        let paused = self.journal.pause(SINKS[place], hand).await.unwrap();
        let mut model = self.world.lock();
        model.say(|| format!("pause {}: {paused:?}", SINKS[place]));
        model.held[place] |= paused == Paused::Done;
    }

    async fn resume(&self) {
        let place = self.roll(SINKS.len() as u64) as usize;
        self.let_go(place).await;
    }

    pub(crate) async fn let_go(&self, place: usize) {
        let hand = self.hand(HandVerb::Resume, SINKS[place]);
        let resumed = self.journal.resume(SINKS[place], hand).await.unwrap();
        let mut model = self.world.lock();
        model.say(|| format!("resume {}: {resumed:?}", SINKS[place]));
        model.held[place] = false;
    }

    /// One of the deliveries that are pending, or of those that are not.
    fn one(&self, is_pending: bool) -> Option<(DeliveryNo, DeliveryState)> {
        let mut guard = self.world.lock();
        let Model { dice, book, .. } = &mut *guard;
        let all = || {
            book.kept()
                .filter(|(_, known)| (known.state == DeliveryState::Pending) == is_pending)
        };
        let place = dice.below(all().count() as u64) as usize;
        let (number, known) = all().nth(place)?;
        Some((number, known.state))
    }

    async fn replay(&self) {
        let Some((number, state)) = self.one(false) else {
            return;
        };
        let now = self.world.time();
        let replay = Replay {
            now,
            deliveries: vec![(number, state)],
            hand: None,
        };
        let count = self.journal.replay(replay).await.unwrap();
        {
            let mut model = self.world.lock();
            model.say(|| format!("replay {} ({state:?}): {count}", number.0).to_lowercase());
            if count > 0 {
                model.book.replayed(number, now);
            }
        }
        self.door.check().await;
    }

    async fn cancel(&self) {
        let Some((number, _)) = self.one(true) else {
            return;
        };
        let cancel = Cancel {
            now: self.world.time(),
            deliveries: vec![number],
            reason: "not wanted".into(),
            hand: None,
        };
        let made = self.journal.cancel(cancel).await.unwrap();
        {
            let mut model = self.world.lock();
            model.say(|| format!("cancel {}: {made:?}", number.0));
            if made.suppressed > 0 {
                let held = model.book.cancelled(number);
                model.note(held);
            }
        }
        self.door.check().await;
    }

    /// Another language and other forms, so that a text made anew differs; now and then a sink less.
    async fn reload(&mut self) {
        self.words.language = match self.words.language {
            Language::En => Language::Zh,
            Language::Zh => Language::En,
        };
        self.words.form = [None, Some("short"), Some("long")][self.roll(3) as usize];
        let place = self.roll(8) as usize;
        self.words.without = Some(place).filter(|place| *place < SINKS.len());
        self.put_in_force().await;
    }

    async fn expire(&self) {
        let now = self.world.time();
        let expire = Expire {
            now,
            after: None,
            lanes_max: 100,
        };
        let expired = self.journal.expire(expire).await.unwrap();
        {
            let mut model = self.world.lock();
            model.say(|| format!("expire: {}", expired.deliveries.len()));
            let held = model.book.expired(&expired.deliveries, now);
            model.note(held);
        }
        self.door.check().await;
    }

    /// A step of retention, as far as the room asks for.
    pub(crate) async fn sweep(&mut self) {
        let fill = self.journal.size().fill();
        let pressure = match fill {
            Fill::Roomy => Pressure::None,
            Fill::Near | Fill::Full if !self.made_room => Pressure::Waiting,
            Fill::Trimming | Fill::Near | Fill::Full => Pressure::Finished,
        };
        let sweep = Sweep {
            now: self.world.time(),
            keep: self.lot.keep,
            dedup_window: self.lot.keep,
            events_max: 5,
            pressure,
        };
        self.made_room = self.door.sweep(sweep).await.unwrap().made_room();
    }
}
