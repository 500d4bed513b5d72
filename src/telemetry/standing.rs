//! How the router stands at the moment of a scrape: the journal, the ways out, what was tried and
//! what was refused.
//!
//! Labels are bounded: sinks, sources and endpoints come from the configuration (a sink that left it
//! is shown while something waits for it), the rest are words of the contract.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::door::DoorFact;
use crate::intake::Class;
use crate::journal::{EndpointRow, Fill, Limit, SinkState, Size, Totals};

/// What is known at a scrape.
#[derive(Debug, Default)]
pub struct Facts {
    /// The present.
    pub now: Timestamp,
    /// Counters of conservation.
    pub totals: Totals,
    /// Room that the journal takes.
    pub size: Size,
    /// The ways out.
    pub sinks: Vec<SinkFact>,
    /// What their limits protect, each with the limit in force.
    pub endpoints: Vec<(EndpointRow, Option<Limit>)>,
    /// Attempts that ended, by sink and outcome, since the process started.
    pub attempts: Vec<(Arc<str>, &'static str, u64)>,
    /// What was refused, by source and class, since the process started.
    pub refused: Vec<(Arc<str>, Class, u64)>,
    /// The door.
    pub door: DoorFact,
}

/// One way out.
#[derive(Debug)]
pub struct SinkFact {
    /// Its name.
    pub name: String,
    /// `ready`, `limited`, `penalty`, `broken` or `held`.
    pub state: &'static str,
    /// Deliveries that wait for it.
    pub pending: u64,
    /// Receive time of the oldest of them.
    pub oldest: Option<Timestamp>,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The families.
#[derive(Debug, Default)]
pub(super) struct Standing {
    deliveries: Family<StateLabels, Gauge>,
    planned: Gauge,
    used: Gauge,
    free: Gauge,
    max: Gauge,
    refused_from: Gauge,
    reserve: Gauge,
    near: Gauge,
    pending: Family<SinkLabels, Gauge>,
    oldest: Family<SinkLabels, Seconds>,
    states: Family<SinkStateLabels, Gauge>,
    permits_used: Family<EndpointLabels, Gauge>,
    permits_limit: Family<EndpointLabels, Gauge>,
    penalty: Family<EndpointLabels, Seconds>,
    breaker: Family<EndpointLabels, Gauge>,
    attempts: Family<AttemptLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkStateLabels {
    sink: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    sink: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    source: String,
    class: &'static str,
}

impl Standing {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mine = Self::default();
        mine.register_journal(registry);
        mine.register_sinks(registry);
        mine.register_endpoints(registry);
        registry.register(
            "attempts",
            "Attempts at deliveries that ended, by outcome",
            mine.attempts.clone(),
        );
        registry.register(
            "refused",
            "Items refused, by what is wrong with them",
            mine.refused.clone(),
        );
        mine
    }

    fn register_journal(&self, registry: &mut Registry) {
        registry.register(
            "deliveries",
            "Planned deliveries by where they stand; their sum is deliveries_planned",
            self.deliveries.clone(),
        );
        registry.register(
            "deliveries_planned",
            "Deliveries planned so far",
            self.planned.clone(),
        );
        for (name, help, gauge) in [
            ("used", "In use, of journal.max_size", &self.used),
            (
                "free",
                "Free in the journal's files, to be used again",
                &self.free,
            ),
            ("max", "journal.max_size", &self.max),
            (
                "refused_from",
                "In use, from which on intake is refused",
                &self.refused_from,
            ),
            (
                "reserve",
                "Above that, for what was accepted alone",
                &self.reserve,
            ),
        ] {
            let name = format!("journal_{name}");
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        registry.register(
            "journal_near",
            "1 while intake is about to be refused, or is",
            self.near.clone(),
        );
    }

    fn register_sinks(&self, registry: &mut Registry) {
        registry.register(
            "sink_pending",
            "Deliveries that wait for a sink",
            self.pending.clone(),
        );
        registry.register_with_unit(
            "sink_oldest",
            "How long ago the oldest event was received that waits for a sink; 0 when none does",
            Unit::Seconds,
            self.oldest.clone(),
        );
        registry.register(
            "sink_state",
            "1 for the state that a sink is in: ready, limited, penalty, broken or held",
            self.states.clone(),
        );
    }

    fn register_endpoints(&self, registry: &mut Registry) {
        registry.register(
            "endpoint_permits_used",
            "Messages started within the window of the limit",
            self.permits_used.clone(),
        );
        registry.register(
            "endpoint_permits_limit",
            "Messages that may start within it",
            self.permits_limit.clone(),
        );
        registry.register_with_unit(
            "endpoint_penalty",
            "How long the far side still punishes the endpoint",
            Unit::Seconds,
            self.penalty.clone(),
        );
        registry.register(
            "endpoint_breaker_open",
            "1 while the breaker of the endpoint is open",
            self.breaker.clone(),
        );
    }

    pub(super) fn set(&self, facts: &Facts) {
        self.set_totals(&facts.totals);
        self.set_size(&facts.size);
        self.set_sinks(facts);
        self.set_endpoints(facts);
        // A counter can only be raised; made anew, it holds what was counted elsewhere.
        self.attempts.clear();
        for (sink, outcome, count) in &facts.attempts {
            let labels = AttemptLabels {
                sink: sink.to_string(),
                outcome,
            };
            self.attempts.get_or_create(&labels).inc_by(*count);
        }
        self.refused.clear();
        for (source, class, count) in &facts.refused {
            let labels = RefusedLabels {
                source: source.to_string(),
                class: class.as_str(),
            };
            self.refused.get_or_create(&labels).inc_by(*count);
        }
    }

    fn set_totals(&self, totals: &Totals) {
        let states = [
            ("delivered", totals.delivered),
            ("dead", totals.dead),
            ("suppressed", totals.suppressed),
            ("pending", totals.pending),
            ("removed", totals.removed),
        ];
        for (state, count) in states {
            let gauge = self.deliveries.get_or_create(&StateLabels { state });
            gauge.set(signed(count));
        }
        self.planned.set(signed(totals.planned));
    }

    fn set_size(&self, size: &Size) {
        self.used.set(signed(size.used));
        self.free.set(signed(size.free));
        self.max.set(signed(size.max));
        self.refused_from.set(signed(size.refuse_at()));
        self.reserve.set(signed(size.reserve()));
        self.near.set(i64::from(size.fill() >= Fill::Near));
    }

    fn set_sinks(&self, facts: &Facts) {
        self.pending.clear();
        self.oldest.clear();
        self.states.clear();
        for sink in &facts.sinks {
            let labels = SinkLabels {
                sink: sink.name.clone(),
            };
            let waits = sink.oldest.map_or(0.0, |at| seconds(at, facts.now));
            self.pending
                .get_or_create(&labels)
                .set(signed(sink.pending));
            self.oldest.get_or_create(&labels).set(waits);
            for state in SinkState::ALL.map(SinkState::as_str) {
                let labels = SinkStateLabels {
                    sink: sink.name.clone(),
                    state,
                };
                let gauge = self.states.get_or_create(&labels);
                gauge.set(i64::from(state == sink.state));
            }
        }
    }

    fn set_endpoints(&self, facts: &Facts) {
        self.permits_used.clear();
        self.permits_limit.clear();
        self.penalty.clear();
        self.breaker.clear();
        for (row, limit) in &facts.endpoints {
            let labels = EndpointLabels {
                endpoint: row.name.clone(),
            };
            if let Some(limit) = limit {
                let used = row.used(limit, facts.now);
                self.permits_used.get_or_create(&labels).set(signed(used));
                let allowed = i64::from(limit.messages);
                self.permits_limit.get_or_create(&labels).set(allowed);
            }
            let penalty = row.penalty_until.map_or(0.0, |at| seconds(facts.now, at));
            self.penalty.get_or_create(&labels).set(penalty);
            let open = i64::from(row.is_broken);
            self.breaker.get_or_create(&labels).set(open);
        }
    }
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Seconds from `from` to `to`; 0 where that is past.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
