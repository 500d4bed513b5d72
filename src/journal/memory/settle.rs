//! What happens to a claim of the journal in memory, up to its end.

use std::time::Duration;

use herald_model::{DeliveryState, Outcome, Phase, Signal};
use jiff::Timestamp;

use super::state::{Attempt, Delivery, Message, OpenMessage, State};
use crate::journal::endpoint::Verdict;
use crate::journal::{
    AttemptNo, CUT_APART, CUT_OFF, Error, HERALD, KILLS_MAX, Next, SUSPECT_APART, SUSPECT_AT,
    Saved, Settled, SettledItem, Settlement, TRIED_BEFORE, killed,
};

impl State {
    pub(super) fn save(&mut self, attempt: AttemptNo, saved: Saved) -> Result<(), Error> {
        let open = self.open.get(&attempt).ok_or(Error::Stale)?;
        let message = self
            .messages
            .entry(open.message)
            .or_insert_with(|| Message::new(open));
        match saved {
            Saved::Text(_) if message.frozen => {}
            Saved::Text(text) => message.text = Some(text),
            Saved::Progress(bytes) => message.progress = Some(bytes),
        }
        Ok(())
    }

    pub(super) fn shorten(&mut self, attempt: AttemptNo, items: usize) -> Result<(), Error> {
        let open = self.open.get_mut(&attempt).ok_or(Error::Stale)?;
        if items == 0 || open.message != attempt.0 {
            return Err(Error::Failed(TRIED_BEFORE.to_owned()));
        }
        let rest = open.members.split_off(items.min(open.members.len()));
        let lanes = open
            .members
            .iter()
            .filter_map(|kept| self.deliveries.get(kept));
        let lanes: Vec<Option<u64>> = lanes.map(|kept| kept.lane).collect();
        for number in rest {
            // What left its lane only to go with one that goes without it stands behind it again.
            let left = |lane: &&Option<u64>| self.has_left(number, **lane);
            let lane = lanes.iter().find(left).copied().flatten();
            if let Some(delivery) = self.deliveries.get_mut(&number) {
                delivery.open = None;
                delivery.uncounted = delivery.uncounted.saturating_sub(delivery.idle);
                if delivery.first_attempt.is_none() {
                    delivery.lane = delivery.lane.or(lane);
                }
            }
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> Result<Settled, Error> {
        let Some(open) = self.open.get(&settlement.attempt) else {
            return Ok(Settled::Stale);
        };
        let items = settlement.items.iter().map(|item| item.delivery.0);
        if !items.eq(open.members.iter().copied()) {
            return Err(Error::Failed(
                "a settlement must name the items of its message, in order".to_owned(),
            ));
        }
        let Some(open) = self.open.remove(&settlement.attempt) else {
            return Ok(Settled::Stale);
        };
        self.end_permit(&open, settlement);
        self.keep_message(&open, &settlement.items);
        for item in &settlement.items {
            self.end_item(&open, settlement, item);
        }
        for item in &settlement.items {
            self.finish_item(&open, settlement, item);
        }
        Ok(Settled::Done)
    }

    fn end_permit(&mut self, open: &OpenMessage, settlement: &Settlement) {
        let Some((name, permit)) = &open.permit else {
            return;
        };
        if let Some(endpoint) = self.endpoints.get_mut(name) {
            let verdict = Verdict::of(settlement.items.iter().map(|item| &item.outcome));
            let ended = settlement.ended.as_millisecond();
            endpoint.end(*permit, ended, verdict, &settlement.signal);
        }
    }

    /// Keeps the message where every item is tried again; else it is none any more.
    fn keep_message(&mut self, open: &OpenMessage, items: &[SettledItem]) {
        let again = |item: &SettledItem| matches!(item.next, Next::Again(_));
        let dead = |item: &SettledItem| matches!(item.next, Next::Dead(_));
        let unknown = |item: &SettledItem| matches!(item.outcome, Outcome::Unknown { .. });
        let stays = items.iter().all(again);
        if stays {
            let message = self
                .messages
                .entry(open.message)
                .or_insert_with(|| Message::new(open));
            message.members.clone_from(&open.members);
            if items.iter().any(unknown) || message.progress.is_some() {
                message.freeze(open);
            }
            if !message.frozen {
                message.text = None;
            }
        } else if items.iter().any(dead) {
            if let Some(form) = &open.form {
                let message = self
                    .messages
                    .entry(open.message)
                    .or_insert_with(|| Message::new(open));
                message.text.get_or_insert_with(|| form.to_string());
            }
        } else {
            self.messages.remove(&open.message);
        }
        for number in &open.members {
            if let Some(delivery) = self.deliveries.get_mut(number) {
                delivery.message = stays.then_some(open.message);
            }
        }
    }

    fn end_item(&mut self, open: &OpenMessage, settlement: &Settlement, item: &SettledItem) {
        let in_place = self.size().is_brimful();
        let Some(delivery) = self.deliveries.get_mut(&item.delivery.0) else {
            return;
        };
        let charged = item.outcome.is_charged();
        delivery.end_attempt(
            open,
            settlement.ended,
            item.outcome.clone(),
            charged,
            in_place,
        );
        delivery.kills = 0;
        if let Next::Again(at) = item.next {
            delivery.due = at.min(delivery.expires);
            delivery.phase = Phase::Waiting;
            delivery.passes_at = delivery.patience_ends(open.patience, settlement.ended);
        }
        if settlement.signal == Signal::Hold {
            let sink = delivery.sink;
            self.hold(sink, settlement.ended, HERALD, item.outcome.reason());
        }
    }

    fn finish_item(&mut self, open: &OpenMessage, settlement: &Settlement, item: &SettledItem) {
        let number = item.delivery.0;
        let (state, reason) = match &item.next {
            Next::Delivered => (DeliveryState::Delivered, None),
            Next::Dead(reason) => (DeliveryState::Dead, Some(reason.as_str())),
            Next::Again(_) => return,
        };
        // One that left the lane only to go with its head takes it over.
        let lane = self.deliveries.get(&number).and_then(|one| one.lane);
        let heir = settlement.items.iter().find(|other| {
            matches!(other.next, Next::Again(_)) && self.has_left(other.delivery.0, lane)
        });
        if let Some(heir) = heir.filter(|_| open.members.len() > 1)
            && let Some(heir) = self.deliveries.get_mut(&heir.delivery.0)
        {
            heir.lane = lane;
            heir.passes_at = heir.patience_ends(open.patience, settlement.ended);
        }
        let taken = heir.is_some();
        self.finish_and(number, state, reason, settlement.ended, !taken);
    }

    pub(super) fn wait(&mut self, attempt: AttemptNo, until: Timestamp, phase: Phase) -> Settled {
        let Some(open) = self.open.remove(&attempt) else {
            return Settled::Stale;
        };
        if let Some((name, permit)) = open.permit
            && let Some(endpoint) = self.endpoints.get_mut(&name)
        {
            endpoint.give_back(permit);
        }
        if open.message == attempt.0 {
            self.messages.remove(&open.message);
        }
        for number in open.members {
            if let Some(delivery) = self.deliveries.get_mut(&number) {
                delivery.open = None;
                delivery.due = until.min(delivery.expires);
                delivery.phase = phase;
                delivery.passes_at = None;
                delivery.since =
                    Some(open.started).filter(|_| matches!(phase, Phase::Held | Phase::Limited));
            }
        }
        Settled::Done
    }

    /// How often in a row a message was cut off, this time included.
    fn kills(&self, open: &OpenMessage) -> u32 {
        let members = open.members.iter();
        let of_it = members.filter_map(|one| self.deliveries.get(one));
        of_it.map(|one| one.kills + 1).max().unwrap_or(0)
    }

    fn is_suspect(&self, open: &OpenMessage) -> bool {
        (SUSPECT_AT..KILLS_MAX).contains(&self.kills(open))
    }

    pub(super) fn crash(&mut self, now: Timestamp) {
        for endpoint in self.endpoints.values_mut() {
            endpoint.crash();
        }
        let in_place = self.size().is_brimful();
        let mut suspects = self
            .open
            .values()
            .filter(|open| self.is_suspect(open))
            .count();
        for (_, open) in std::mem::take(&mut self.open) {
            let is_suspect = self.is_suspect(&open);
            let too_often = self.kills(&open) >= KILLS_MAX;
            let broken_up = too_often && open.members.len() > 1;
            let message = self
                .messages
                .entry(open.message)
                .or_insert_with(|| Message::new(&open));
            message.members.clone_from(&open.members);
            message.freeze(&open);
            if broken_up {
                self.messages.remove(&open.message);
            }
            suspects -= usize::from(is_suspect);
            let before = u32::try_from(suspects).unwrap_or(u32::MAX);
            let due = now + SUSPECT_APART * if is_suspect { before } else { 0 };
            let words = if broken_up { CUT_APART } else { CUT_OFF };
            let lanes = open
                .members
                .iter()
                .filter_map(|one| self.deliveries.get(one)?.lane);
            let lanes: Vec<u64> = lanes.filter(|_| broken_up).collect();
            for number in &open.members {
                // Without the one that it left its lane to go with, it is passed by it.
                let late = lanes.iter().any(|lane| self.has_left(*number, Some(*lane)));
                let Some(delivery) = self.deliveries.get_mut(number) else {
                    continue;
                };
                delivery.end_attempt(&open, now, Outcome::unknown(words), false, in_place);
                delivery.kills = if broken_up { 1 } else { delivery.kills + 1 };
                delivery.late |= late;
                delivery.due = due.min(delivery.expires);
                delivery.passes_at = None;
                delivery.phase = if due > now {
                    Phase::Waiting
                } else {
                    Phase::Due
                };
                delivery.message = (!too_often).then_some(open.message);
                if too_often && !broken_up {
                    let why = killed(KILLS_MAX);
                    self.finish(*number, DeliveryState::Dead, Some(&why), now);
                }
            }
        }
    }
}

impl Delivery {
    /// When it comes up: to be tried, or to be passed by its lane.
    pub(super) fn comes_up(&self) -> Timestamp {
        self.passes_at.map_or(self.due, |at| at.min(self.due))
    }

    /// When an ordered lane passes its head, if that is before its next attempt.
    fn patience_ends(&self, patience: Duration, ended: Timestamp) -> Option<Timestamp> {
        self.lane?;
        let first = self.first_attempt?;
        let ends = first
            .checked_add(self.uncounted)
            .and_then(|at| at.checked_add(patience))
            .unwrap_or(Timestamp::MAX);
        Some(ends.max(ended)).filter(|ends| *ends < self.due)
    }

    /// Adds it to the attempts; `in_place` of the one before it in its message, where even the reserve
    /// is used up.
    fn end_attempt(
        &mut self,
        open: &OpenMessage,
        ended: Timestamp,
        outcome: Outcome,
        charged: bool,
        in_place: bool,
    ) {
        self.open = None;
        self.since = None;
        if in_place {
            self.attempts.pop_if(|last| last.message == open.message);
        }
        self.attempts.push(Attempt {
            message: open.message,
            leader: open
                .members
                .first()
                .copied()
                .filter(|_| open.members.len() > 1),
            started: open.started,
            ended,
            outcome,
            charged,
        });
        self.charged += u32::from(charged);
        self.first_attempt.get_or_insert(open.started);
    }
}

impl Message {
    fn new(open: &OpenMessage) -> Self {
        Self {
            composed: open.started,
            members: open.members.clone(),
            text: None,
            frozen: false,
            progress: None,
        }
    }

    /// An attempt may have arrived: the text, or what stands for it, must not change any more.
    fn freeze(&mut self, open: &OpenMessage) {
        let form = open.form.as_deref().map(str::to_owned);
        self.text = self.text.take().or(form);
        self.frozen = self.text.is_some();
    }
}
