//! `herald check`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use herald_model::{EventId, SinkKind};
use herald_rules::COST_MAX;
use uuid::Uuid;

use super::table::{counted, short};
use super::{Done, Failure};
use crate::api::VerdictView;
use crate::clock;
use crate::config::{Config, Machine, Reader, Strictness, Subscription, Test, TestEvent};
use crate::in_force;
use crate::intake::{self, Framing, Sealed};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(short, long, default_value = "config.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments, kinds: &'static [SinkKind]) -> Done {
    let reader = Reader {
        environment: &Machine,
        strictness: Strictness::Check,
        kinds,
    };
    let loaded = reader.load(&arguments.config)?;
    for warning in &loaded.warnings {
        eprintln!("herald: {warning}");
    }
    let config = loaded.config;
    let file = arguments.config.display().to_string();
    let failed: Vec<String> = config
        .tests
        .iter()
        .flat_map(|test| failures(&config, &file, test))
        .collect();
    if !failed.is_empty() {
        return Err(Failure(failed));
    }
    for line in costs(&config) {
        println!("{line}");
    }
    println!(
        "{file}: ok ({}, {}, {}, {} passed)",
        counted(config.sources.len(), "source"),
        counted(config.sinks.len(), "sink"),
        counted(config.subscriptions.len(), "subscription"),
        counted(config.tests.len(), "test"),
    );
    Ok(ExitCode::SUCCESS)
}

/// So many patterns are listed with their cost, the most expensive ones. Chosen: what fits a screen.
const COSTS_SHOWN: usize = 10;

/// What the patterns cost, the most expensive first.
fn costs(config: &Config) -> Vec<String> {
    let cost = |settings: &Subscription| {
        let pattern = settings.pattern.as_ref()?;
        Some((pattern.cost(), Arc::clone(&settings.name)))
    };
    let mut costs: Vec<_> = config.subscriptions.iter().filter_map(cost).collect();
    costs.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
    let line = |(cost, name): &(u32, Arc<str>)| {
        let compared = counted(*cost as usize, "comparison");
        format!("pattern of `{}`: {compared} an event", short(name, 60))
    };
    let mut lines: Vec<String> = costs.iter().take(COSTS_SHOWN).map(line).collect();
    if let Some((cost, _)) = costs.get(COSTS_SHOWN) {
        let more = counted(costs.len() - COSTS_SHOWN, "more pattern");
        lines.push(format!(
            "{more}: {} at most",
            counted(*cost as usize, "comparison")
        ));
    }
    if !lines.is_empty() {
        lines.push(format!("a pattern may cost {COST_MAX} (COST_MAX)"));
    }
    lines
}

/// What is wrong with a test, a line for each difference, with the test's place; empty when it holds.
fn failures(config: &Config, file: &str, test: &Test) -> Vec<String> {
    let place = format!("{file}:{}:{}", test.place.line, test.place.column);
    let sealed = match sealed(config, test) {
        Ok(sealed) => sealed,
        Err(why) => return vec![format!("{place}: {why}")],
    };
    let judge = |settings: &Subscription| {
        in_force::judging(settings).judge(&sealed.value, &sealed.event.addressee)
    };
    let judged: Vec<_> = config
        .subscriptions
        .iter()
        .map(|settings| (settings, VerdictView::of(&settings.name, &judge(settings))))
        .collect();
    let is_wanted = |subscription: &str, sink: &str| {
        test.delivers
            .iter()
            .any(|route| *route.subscription == *subscription && *route.sink == *sink)
    };
    let verdict = |name: &str| judged.iter().find(|(settings, _)| *settings.name == *name);
    let mut lines = Vec::new();
    for route in &test.delivers {
        let (subscription, sink) = (&route.subscription, &route.sink);
        match verdict(subscription) {
            Some((_, view)) if view.verdict != MATCHED => lines.push(format!(
                "{place}: the test misses `{subscription} -> {sink}`: {}: {}",
                view.verdict,
                view.why()
            )),
            _ => {}
        }
    }
    for (settings, view) in judged.iter().filter(|(_, view)| view.verdict == MATCHED) {
        let surplus = settings
            .to
            .iter()
            .filter(|sink| !is_wanted(&settings.name, sink));
        for sink in surplus {
            let why = match view.why() {
                why if why.is_empty() => "it has no pattern".to_owned(),
                why => why,
            };
            lines.push(format!(
                "{place}: the test does not expect `{} -> {sink}`: {}: {why}",
                settings.name, view.verdict
            ));
        }
    }
    lines
}

/// The word of a verdict that makes deliveries.
const MATCHED: &str = "matched";

fn sealed(config: &Config, test: &Test) -> Result<Sealed, String> {
    let body = match &test.event {
        TestEvent::Json(text) => text.clone().into_bytes(),
        TestEvent::File(path) => std::fs::read(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
    };
    let limits = in_force::limits(&config.server.limits);
    let mut items = intake::items(&body, Framing::Document, limits);
    let received = match (items.pop(), items.is_empty()) {
        (Some(item), true) => item.map_err(|refusal| refusal.reason)?,
        (None, _) => return Err("the test has no event".to_owned()),
        (Some(_), false) => {
            let count = items.len() + 1;
            return Err(format!(
                "the test has {count} events; write one test for each"
            ));
        }
    };
    let draft = intake::decode(&received.value, received.duplicate_keys, None)
        .map_err(|refusal| refusal.reason)?;
    let now = test.now.unwrap_or_else(clock::now);
    Ok(draft.seal(EventId::from_uuid(Uuid::nil()), "test", now))
}
