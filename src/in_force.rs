//! The configuration in force: everything that the stages read, swapped as a whole at one instant.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use herald_model::{RetrySchedule, Sink};

use crate::config;
use crate::intake::Limits;
use crate::journal::{GenerationNo, Policy, SinkNo, SubscriptionNo};
use crate::plan::{Subscription, Subscriptions};
use crate::probe::Probes;
use crate::render::{Setting, Templates};

/// Where the stages find what is in force. Whoever reads takes one snapshot for one piece of work,
/// so an event is decoded, matched and planned by one and the same configuration.
pub type Current = Arc<ArcSwap<InForce>>;

/// One configuration, ready for work.
pub struct InForce {
    /// Its rules in the journal.
    pub generation: GenerationNo,
    /// Limits of bodies.
    pub limits: Limits,
    /// How long a repeat is recognised.
    pub dedup_window: Duration,
    /// Accounts that have opened ENI events.
    pub announcing: HashSet<String>,
    /// Sources by name.
    pub sources: HashMap<String, Arc<Source>>,
    /// Subscriptions in the file's order.
    pub subscriptions: Subscriptions,
    /// Ways out.
    pub sinks: HashMap<SinkNo, Arc<WayOut>>,
}

/// One configured way in, as the pipeline sees it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: Arc<str>,
    /// Accounts it may speak for; `None` for all.
    pub accounts: Option<HashSet<String>>,
    /// Products it may send, upper-cased; `None` for all.
    pub products: Option<HashSet<String>>,
}

/// One configured way out, as dispatch sees it.
pub struct WayOut {
    /// Its integer in the journal.
    pub number: SinkNo,
    /// Its name.
    pub name: Arc<str>,
    /// Its kind, for people.
    pub kind: &'static str,
    /// What delivers.
    pub sink: Box<dyn Sink>,
    /// Attempts at a time, over all its endpoints.
    pub concurrency: u32,
    /// How its messages are put together and when they may start.
    pub policy: Arc<Policy>,
    /// When to try again.
    pub retry: RetrySchedule,
    /// Templates of the sink.
    pub templates: Templates,
    /// Templates of subscriptions that bring their own, laid over the sink's.
    pub subscription_templates: HashMap<Arc<str>, Templates>,
    /// How built-in texts are written.
    pub setting: Setting,
    /// When probes went out by it.
    pub probes: Probes,
}

impl InForce {
    /// The way out of this name.
    pub fn way_out(&self, name: &str) -> Option<&Arc<WayOut>> {
        self.sinks.values().find(|way_out| *way_out.name == *name)
    }

    /// Whether an account has opened ENI events.
    pub fn announces(&self, account: &str) -> bool {
        self.announcing.contains(account)
    }
}

impl WayOut {
    /// The templates for a message of `subscription`.
    pub fn templates_for(&self, subscription: &str) -> &Templates {
        self.subscription_templates
            .get(subscription)
            .unwrap_or(&self.templates)
    }
}

/// The limits of bodies that a configuration sets.
pub fn limits(limits: &config::Limits) -> Limits {
    Limits {
        batch_max: limits.batch_max,
        depth_max: limits.depth_max,
        field_max: usize::try_from(limits.field_max).unwrap_or(usize::MAX),
    }
}

/// A subscription that judges but plans nothing: for verdicts without a journal.
pub fn judging(settings: &config::Subscription) -> Subscription {
    Subscription {
        number: SubscriptionNo(0),
        name: Arc::clone(&settings.name),
        pattern: settings.pattern.clone(),
        form: settings.form,
        owner: settings.owner.clone(),
        to: Vec::new(),
        expires: settings.expires,
    }
}
