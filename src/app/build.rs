//! From a checked configuration to what the stages work by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use herald_model::delivery::Overflow;
use jiff::Timestamp;

use super::Error;
use crate::api::{Access, SourceAccess};
use crate::config::{self, Config};
use crate::in_force::{self, InForce, Source, WayOut};
use crate::journal::{Digest, Generation, Journal, Limit, Policy, Rules, SinkNo};
use crate::plan::{Subscription, Subscriptions, Target};
use crate::probe::Probes;
use crate::render::{Part, Setting, Templates, form_alone};
use crate::sources::Way;

/// One in so many messages of a limit is kept for WARN and above: of DingTalk's 18 it is 3. Chosen:
/// a flood of INFO must not keep the one WARN in it waiting.
const RESERVE: u32 = 6;

/// When deliveries go as a digest, and how many at most. Chosen: after five seconds nobody watches
/// the single message any more; of the items, those stay that the sink has room for.
const DIGEST: Digest = Digest {
    after: Duration::from_secs(5),
    items_max: 200,
};

/// Makes the sinks, writes the rules down and puts both together. Nothing is spawned and nobody is
/// contacted, so a reload that fails leaves nothing behind.
pub(super) async fn in_force(
    config: &Config,
    console_url: &str,
    journal: &dyn Journal,
    now: Timestamp,
) -> Result<InForce, Error> {
    let sinks = connect(config)?;
    let rules = Rules {
        since: now,
        subscriptions: config.subscription_texts(),
        sinks: config
            .sinks
            .iter()
            .map(|sink| Arc::clone(&sink.name))
            .collect(),
    };
    let generation = journal.begin(rules).await?;
    let numbers: HashMap<&str, SinkNo> = config
        .sinks
        .iter()
        .map(|sink| &*sink.name)
        .zip(generation.sinks.iter().copied())
        .collect();
    let console_url = config
        .server
        .console_url
        .as_ref()
        .map_or(console_url, |url| url.as_str());
    let mut ways_out = HashMap::new();
    for (settings, sink) in config.sinks.iter().zip(sinks) {
        let Some(number) = numbers.get(&*settings.name).copied() else {
            continue;
        };
        let way_out = way_out(config, settings, sink, number, console_url)?;
        ways_out.insert(number, Arc::new(way_out));
    }
    Ok(InForce {
        generation: generation.number,
        limits: in_force::limits(&config.server.limits),
        dedup_window: config.journal.dedup_window,
        announcing: announcing(config),
        sources: sources(config),
        subscriptions: Subscriptions::new(subscriptions(config, &generation, &numbers)),
        sinks: ways_out,
    })
}

/// Every sink of the file, made; all that cannot be made are named together.
fn connect(config: &Config) -> Result<Vec<Box<dyn herald_model::Sink>>, Error> {
    let mut sinks = Vec::new();
    let mut failed = Vec::new();
    for settings in &config.sinks {
        match settings.connect() {
            Ok(sink) => sinks.push(sink),
            Err(error) => failed.push(format!("sink `{}`: {error}", settings.name)),
        }
    }
    if failed.is_empty() {
        Ok(sinks)
    } else {
        Err(Error::Sinks(failed))
    }
}

fn way_out(
    config: &Config,
    settings: &config::Sink,
    sink: Box<dyn herald_model::Sink>,
    number: SinkNo,
    console_url: &str,
) -> Result<WayOut, Error> {
    let name = &settings.name;
    let templates = compile(&settings.policy.templates, || format!("sink `{name}`"))?;
    let mut subscription_templates = HashMap::new();
    for subscription in config
        .subscriptions
        .iter()
        .filter(|one| one.to.contains(name))
    {
        if subscription.templates == config::Templates::default() {
            continue;
        }
        let place = || format!("subscription `{}`", subscription.name);
        let own = compile(&subscription.templates, place)?;
        subscription_templates.insert(Arc::clone(&subscription.name), own.over(&templates));
    }
    let has_templates = templates.any() || !subscription_templates.is_empty();
    let form = sink.form().filter(|_| !has_templates);
    let policy = Arc::new(policy(&settings.policy, &*sink, form));
    let ways = u32::try_from(policy.endpoints.len().max(1)).unwrap_or(u32::MAX);
    Ok(WayOut {
        number,
        name: Arc::clone(name),
        kind: settings.kind,
        policy,
        sink,
        concurrency: settings.policy.concurrency.saturating_mul(ways),
        retry: settings.policy.retry.clone(),
        templates,
        subscription_templates,
        setting: Setting {
            language: settings.policy.language,
            time_zone: config.server.time_zone.clone(),
            console_url: Some(console_url.trim_end_matches('/').to_owned()),
        },
        probes: Probes::default(),
    })
}

/// How the journal makes messages for a sink, whose bodies may all be of one form.
fn policy(
    settings: &config::SinkPolicy,
    sink: &dyn herald_model::Sink,
    form: Option<&str>,
) -> Policy {
    let limit = settings.limit.map(|limit| Limit {
        messages: limit.messages,
        per: limit.per,
        in_flight: settings.concurrency,
        reserve: limit.messages / RESERVE,
    });
    let digest = match settings.overflow {
        Overflow::Digest => Some(DIGEST),
        Overflow::Wait => None,
    };
    Policy {
        endpoints: sink.endpoints(),
        limit,
        together: settings.together,
        digest,
        lane_patience: settings.lane_patience,
        max_backlog: settings.max_backlog,
        form: form.and_then(|form| Some(serde_json::to_string(&form_alone(form)).ok()?.into())),
    }
}

fn compile(texts: &config::Templates, place: impl Fn() -> String) -> Result<Templates, Error> {
    let parts = [
        (Part::Title, &texts.title),
        (Part::Text, &texts.text),
        (Part::Html, &texts.html),
        (Part::Body, &texts.body),
    ];
    let sources: BTreeMap<Part, String> = parts
        .into_iter()
        .filter_map(|(part, text)| Some((part, text.as_ref()?.to_string())))
        .collect();
    Templates::compile(sources).map_err(|errors| {
        let lines = errors
            .iter()
            .map(|(_, error)| format!("{}: {error}", place()));
        Error::Sinks(lines.collect())
    })
}

fn announcing(config: &Config) -> HashSet<String> {
    let open = config.accounts.iter().filter(|account| account.eni_events);
    open.map(|account| account.id.clone()).collect()
}

fn sources(config: &Config) -> HashMap<String, Arc<Source>> {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.iter().cloned().collect());
    let source = |settings: &config::Source| Source {
        name: settings.name.as_str().into(),
        accounts: some(&settings.accounts),
        products: some(&settings.products),
    };
    let named = |settings| {
        let source = source(settings);
        (source.name.to_string(), Arc::new(source))
    };
    config.sources.iter().map(named).collect()
}

/// The subscriptions with the integers that the journal gave them.
fn subscriptions(
    config: &Config,
    generation: &Generation,
    numbers: &HashMap<&str, SinkNo>,
) -> Vec<Subscription> {
    let orders: HashMap<&str, _> = config
        .sinks
        .iter()
        .map(|sink| (&*sink.name, sink.policy.order))
        .collect();
    let target = |name: &Arc<str>| {
        let name = Arc::clone(name);
        Some(Target {
            sink: *numbers.get(&*name)?,
            order: *orders.get(&*name)?,
            name,
        })
    };
    let subscription = |(settings, number): (&config::Subscription, _)| Subscription {
        number,
        name: Arc::clone(&settings.name),
        pattern: settings.pattern.clone(),
        form: settings.form,
        owner: settings.owner.clone(),
        to: settings.to.iter().filter_map(target).collect(),
        expires: settings.expires,
    };
    config
        .subscriptions
        .iter()
        .zip(generation.subscriptions.iter().copied())
        .map(subscription)
        .collect()
}

/// Who may ask for what.
pub(super) fn access(config: &Config, listening: std::net::SocketAddr) -> Access {
    let server = &config.server;
    let mut hosts = server.hosts.clone();
    hosts.push("localhost".to_owned());
    // An IPv6 address stands in brackets in a `Host`.
    let own = match listening.ip() {
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    hosts.push(own);
    if listening.ip().is_loopback() {
        hosts.extend(["127.0.0.1".to_owned(), "[::1]".to_owned()]);
    }
    let guarded = |source: &config::Source| {
        let way = source.settings.as_ref().map(|settings| settings.way());
        let (proof, is_fetched) = match way {
            Some(Way::Brought(proof)) => (proof, false),
            Some(Way::Fetched(_)) => (None, true),
            None => (None, false),
        };
        let entry = SourceAccess {
            tokens: source.tokens.clone(),
            networks: source.allow_from.clone(),
            proof,
            is_fetched,
        };
        (source.name.clone(), entry)
    };
    Access {
        hosts,
        tokens: server.tokens.clone(),
        sources: config.sources.iter().map(guarded).collect(),
        trusted_proxies: server.trusted_proxies.clone(),
        body_max: server.limits.body_max,
        body_timeout: server.limits.body_timeout,
    }
}
