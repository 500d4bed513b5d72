//! `herald explain`

use std::path::PathBuf;
use std::process::ExitCode;

use herald_model::SinkKind;

use super::table::{short, table};
use super::{Done, Failure};
use crate::api::VerdictView;
use crate::api::verdicts;
use crate::config::{Machine, Reader, Strictness};
use crate::in_force;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(short, long, default_value = "config.toml", value_name = "FILE")]
    config: PathBuf,
    /// One event, in any shape that the router takes
    event: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, kinds: &'static [SinkKind]) -> Done {
    let reader = Reader {
        environment: &Machine,
        strictness: Strictness::Check,
        kinds,
    };
    let config = reader.load(&arguments.config)?.config;
    let body = std::fs::read(&arguments.event).map_err(|error| {
        Failure::new(format!(
            "cannot read {}: {error}",
            arguments.event.display()
        ))
    })?;
    let limits = in_force::limits(&config.server.limits);
    let subscriptions: Vec<_> = config.subscriptions.iter().map(in_force::judging).collect();
    let verdicts = verdicts(&body, &subscriptions, limits)
        .map_err(|refusal| Failure::new(format!("{}: {refusal}", arguments.event.display())))?;
    if arguments.json {
        println!("{}", serde_json::json!({ "verdicts": verdicts }));
    } else {
        print!("{}", shown(&verdicts));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn shown(verdicts: &[VerdictView]) -> String {
    let row = |view: &VerdictView| {
        let why = match (&view.field, &view.wanted, &view.found) {
            (Some(field), Some(wanted), Some(found)) => {
                format!("{field} is {found}; the rule wants {wanted}")
            }
            _ => String::new(),
        };
        [
            short(&view.subscription, 40),
            view.verdict.clone(),
            short(&why, 300),
        ]
    };
    let rows: Vec<_> = verdicts.iter().map(row).collect();
    table(["SUBSCRIPTION", "VERDICT", "WHY"], &rows)
}
