//! `herald check`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use herald_model::{EventId, SinkKind};
use uuid::Uuid;

use super::{Done, Failure};
use crate::clock;
use crate::config::{Config, Machine, Reader, Strictness, Test, TestEvent};
use crate::in_force;
use crate::intake::{self, Framing};

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
        .filter_map(|test| failure(&config, &file, test))
        .collect();
    if !failed.is_empty() {
        return Err(Failure(failed));
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

fn counted(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

/// What is wrong with a test, with its place; `None` when it holds.
fn failure(config: &Config, file: &str, test: &Test) -> Option<String> {
    let place = format!("{file}:{}:{}", test.place.line, test.place.column);
    let planned = match planned(config, test) {
        Ok(planned) => planned,
        Err(why) => return Some(format!("{place}: {why}")),
    };
    let wanted: BTreeSet<_> = test
        .delivers
        .iter()
        .map(|route| format!("{} -> {}", route.subscription, route.sink))
        .collect();
    let missing = wanted
        .difference(&planned)
        .map(|route| format!("missing `{route}`"));
    let surplus = planned
        .difference(&wanted)
        .map(|route| format!("not expected `{route}`"));
    let differences: Vec<_> = missing.chain(surplus).collect();
    if differences.is_empty() {
        return None;
    }
    Some(format!(
        "{place}: the test delivers otherwise: {}",
        differences.join(", ")
    ))
}

fn planned(config: &Config, test: &Test) -> Result<BTreeSet<String>, String> {
    let body = match &test.event {
        TestEvent::Json(text) => text.clone().into_bytes(),
        TestEvent::File(path) => std::fs::read(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
    };
    let limits = in_force::limits(&config.server.limits);
    let item = intake::items(&body, Framing::Document, limits).pop();
    let received = item
        .ok_or("the test has no event")?
        .map_err(|refusal| refusal.reason)?;
    let draft = intake::decode(&received.value, received.duplicate_keys, None)
        .map_err(|refusal| refusal.reason)?;
    let now = test.now.unwrap_or_else(clock::now);
    let sealed = draft.seal(EventId::from_uuid(Uuid::nil()), "test", now);
    let wanting = config.subscriptions.iter().filter(|settings| {
        in_force::judging(settings).wants(&sealed.value, &sealed.event.addressee)
    });
    let routes = wanting.flat_map(|settings| {
        settings
            .to
            .iter()
            .map(|sink| format!("{} -> {sink}", settings.name))
    });
    Ok(routes.collect())
}
