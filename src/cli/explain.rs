//! `herald explain`

use std::path::PathBuf;
use std::process::ExitCode;

use herald_model::SinkKind;
use herald_rules::json;

use super::table::{short, table};
use super::{Done, Failure};
use crate::api::VerdictView;
use crate::api::verdicts;
use crate::config::{Machine, Reader, Strictness};
use crate::in_force;
use crate::intake::{self, Framing, Received, Refusal};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(short, long, default_value = "config.toml", value_name = "FILE")]
    config: PathBuf,
    /// Events, in any shape that the router takes: one, an array of them, or several documents
    event: PathBuf,
    /// Print JSON: one object a line for each event
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
    let file = arguments.event.display();
    let body = std::fs::read(&arguments.event)
        .map_err(|error| Failure::new(format!("cannot read {file}: {error}")))?;
    let items = items(&body, in_force::limits(&config.server.limits));
    if items.is_empty() {
        return Err(Failure::new(format!("{file}: there is no event in it")));
    }
    let subscriptions: Vec<_> = config.subscriptions.iter().map(in_force::judging).collect();
    let several = items.len() > 1;
    let mut refused = Vec::new();
    for (number, item) in (1..).zip(items) {
        let explained =
            item.and_then(|item| Ok((verdicts(&item, &subscriptions)?, sender_id(&item))));
        match explained {
            Err(refusal) if several => refused.push(format!("{file}, event {number}: {refusal}")),
            Err(refusal) => refused.push(format!("{file}: {refusal}")),
            Ok((verdicts, id)) if arguments.json => {
                let line = serde_json::json!({ "event": id, "verdicts": verdicts });
                println!("{line}");
            }
            Ok((verdicts, id)) => {
                if several {
                    let gap = if number > 1 { "\n" } else { "" };
                    let id = short(id.as_deref().unwrap_or_default(), 80);
                    println!("{gap}event {number} {id}");
                }
                print!("{}", shown(&verdicts));
            }
        }
    }
    if refused.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure(refused))
    }
}

/// The events of a file: as of a body, or of each of several documents one after the other.
fn items(bytes: &[u8], limits: intake::Limits) -> Vec<Result<Received, Refusal>> {
    let depth = json::Limits {
        depth_max: limits.depth_max,
    };
    let mut documents = Vec::new();
    let mut start = 0;
    while let Ok(Some(place)) = json::next_document(&bytes[start..], depth, true) {
        documents.push(&bytes[start..][place.clone()]);
        start += place.end;
    }
    // What is no row of documents is one body, whatever it holds: intake reads it or says why not.
    if documents.len() < 2 || !bytes[start..].trim_ascii().is_empty() {
        return intake::items(bytes, Framing::Document, limits);
    }
    let items = |document| intake::items(document, Framing::Document, limits);
    documents.into_iter().flat_map(items).collect()
}

/// The `id` that the sender gave, wherever the shape has it.
fn sender_id(received: &Received) -> Option<String> {
    let draft = intake::decode(&received.value, received.duplicate_keys, None).ok()?;
    let id = draft.fields.get("id")?.as_str()?;
    Some(id.to_owned())
}

/// A table of verdicts, each with what held or what differed.
pub(super) fn shown(verdicts: &[VerdictView]) -> String {
    let row = |view: &VerdictView| {
        [
            short(&view.subscription, 40),
            view.verdict.clone(),
            short(&view.why(), 300),
        ]
    };
    let rows: Vec<_> = verdicts.iter().map(row).collect();
    table(["SUBSCRIPTION", "VERDICT", "WHY"], &rows)
}
