//! Retention in memory.

use herald_model::event::Level;
use jiff::Timestamp;

use super::state::{Event, State, bytes, counter, within};
use crate::journal::{BACKLOG, Fill, Pressure, SUPPRESSED_MAX, SinkNo, Sweep, Swept};

impl State {
    pub(super) fn sweep(&mut self, sweep: &Sweep) -> Swept {
        let mut swept = Swept::default();
        let tight = sweep.pressure > Pressure::None;
        let old: Vec<i64> = self
            .events
            .iter()
            .filter(|(_, event)| {
                let kept = !tight && event.is_within(sweep.now, sweep.keep.max(sweep.dedup_window));
                !kept && self.is_over(&event.deliveries)
            })
            .map(|(number, _)| *number)
            .take(sweep.events_max as usize + 1)
            .collect();
        swept.more = old.len() > sweep.events_max as usize;
        for event in self.events.values_mut() {
            if !event.is_within(sweep.now, sweep.dedup_window) {
                swept.identities += u64::try_from(event.identities.len()).unwrap_or(u64::MAX);
                event.identities.clear();
            }
        }
        let enough = |state: &Self| tight && state.size().fill() == Fill::Roomy;
        for number in old.into_iter().take(sweep.events_max as usize) {
            if enough(self) {
                break;
            }
            self.remove(number, &mut swept);
        }
        if !enough(self) {
            self.sweep_others(sweep, tight, &mut swept);
        }
        if sweep.pressure == Pressure::Waiting && !swept.made_room() {
            self.make_way(sweep.now, sweep.events_max as usize, &mut swept);
        }
        swept
    }

    fn is_over(&self, deliveries: &[i64]) -> bool {
        let pending = |number| self.pending.contains(number);
        !deliveries.iter().any(pending)
    }

    fn remove(&mut self, number: i64, swept: &mut Swept) {
        let Some(event) = self.events.remove(&number) else {
            return;
        };
        self.bytes -= bytes(&event.text);
        swept.events += 1;
        for delivery in event.deliveries {
            if let Some(delivery) = self.deliveries.remove(&delivery) {
                *counter(&mut self.totals, delivery.state) -= 1;
                self.totals.removed += 1;
                swept.deliveries += 1;
            }
        }
    }

    /// Removes operation results and refused bodies that are old, or older than every finished event that is left.
    fn sweep_others(&mut self, sweep: &Sweep, tight: bool, swept: &mut Swept) {
        let finished = |event: &&Event| self.is_over(&event.deliveries);
        let first = self.events.values().filter(finished);
        let first = first.map(|event| event.received).min();
        let goes = |at: Timestamp| match first {
            _ if !within(at, sweep.now, sweep.keep) => true,
            Some(first) => tight && at < first,
            None => tight,
        };
        let before = self.operations.len();
        let mut freed = 0;
        self.operations.retain(|_, operation| {
            let goes = goes(operation.received);
            freed += if goes { bytes(&operation.text) } else { 0 };
            !goes
        });
        self.bytes -= freed;
        let removed = before - self.operations.len();
        swept.others += u64::try_from(removed).unwrap_or(u64::MAX);
        let old: Vec<i64> = self
            .refused
            .iter()
            .filter(|(_, entry)| goes(entry.at))
            .map(|(number, _)| *number)
            .collect();
        for number in old {
            swept.others += u64::from(self.forget(number));
        }
    }

    /// Suppresses some of what waits for the fullest sink and removes the events that are over with
    /// it.
    fn make_way(&mut self, now: Timestamp, deliveries_max: usize, swept: &mut Swept) {
        let Some(sink) = self.fullest() else { return };
        let mut gone = 0;
        while gone < deliveries_max && self.size().fill() >= Fill::Near {
            let some = self.crowd_out(sink, &[Level::Info], 1, now);
            let Some(number) = some.first() else { break };
            gone += 1;
            let Some(event) = self.deliveries.get(number).map(|delivery| delivery.event) else {
                continue;
            };
            let deliveries = self.events.get(&event).map(|event| &event.deliveries);
            if deliveries.is_some_and(|deliveries| self.is_over(deliveries)) {
                self.remove(event, swept);
            }
        }
        if gone > 0 {
            let count = u64::try_from(gone).unwrap_or(u64::MAX);
            swept.crowded_out = Some((self.sink_name(sink), count));
        }
    }

    /// The sink for which most waits.
    fn fullest(&self) -> Option<SinkNo> {
        let mut counts = std::collections::BTreeMap::new();
        for delivery in self.pending.iter().filter_map(|it| self.deliveries.get(it)) {
            *counts.entry(delivery.sink).or_insert(0_u64) += 1;
        }
        let fullest = counts
            .into_iter()
            .max_by_key(|(sink, count)| (*count, *sink));
        fullest.map(|(sink, _)| sink)
    }

    /// Suppresses so many of a sink's deliveries of these levels, one level after the other, the
    /// oldest first. What is in flight stays.
    pub(super) fn crowd_out(
        &mut self,
        sink: SinkNo,
        levels: &[Level],
        wanted: usize,
        now: Timestamp,
    ) -> Vec<i64> {
        let mut waiting: Vec<_> = self
            .pending
            .iter()
            .filter_map(|number| Some((*number, self.deliveries.get(number)?)))
            .filter(|(_, delivery)| delivery.sink == sink && delivery.open.is_none())
            .filter_map(|(number, delivery)| {
                let place = levels.iter().position(|level| *level == delivery.level)?;
                Some((place, number))
            })
            .collect();
        waiting.sort_unstable();
        waiting.truncate(wanted.min(SUPPRESSED_MAX));
        for (_, number) in &waiting {
            self.suppress(*number, BACKLOG, now);
        }
        waiting.into_iter().map(|(_, number)| number).collect()
    }
}
