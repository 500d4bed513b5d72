//! `herald backup`
//!
//! The copy is made by this command, which reads the journal as one more reader, and not by the
//! router: no route of it writes files for its callers, and the copy goes straight to the disk
//! that the operator names. So it runs on the router's machine, as a user that may read the
//! journal.

use std::path::PathBuf;
use std::process::ExitCode;

use herald_model::SinkKind;
use serde_json::{Value, json};

use super::client::{Client, Router};
use super::{Done, Failure};
use crate::config::{Engine, Machine, Reader, Strictness};
use crate::journal::sqlite;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// Copy the journal that this configuration names, instead of asking the running router where
    /// its own is; for when none runs
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The copy; a Herald whose `journal.path` it is starts on it
    file: PathBuf,
}

pub(super) async fn run(arguments: Arguments, kinds: &'static [SinkKind]) -> Done {
    let journal = match &arguments.config {
        Some(config) => configured(config, kinds)?,
        None => asked(arguments.router).await?,
    };
    if !journal.is_file() {
        return Err(Failure::new(format!(
            "the journal {} is not on this machine, or not for this user to read; run this where \
             the router runs",
            journal.display()
        )));
    }
    let file = arguments.file;
    let to = file.clone();
    let made = tokio::task::spawn_blocking(move || sqlite::backup(&journal, &to)).await??;
    if arguments.json {
        let totals = made.totals;
        println!(
            "{}",
            json!({ "file": file, "bytes": made.bytes, "totals": totals })
        );
    } else {
        println!(
            "{}: {} bytes, {} events, {} deliveries of which {} are pending",
            file.display(),
            made.bytes,
            made.totals.events,
            made.totals.planned - made.totals.removed,
            made.totals.pending
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn configured(config: &std::path::Path, kinds: &'static [SinkKind]) -> Result<PathBuf, Failure> {
    let reader = Reader {
        environment: &Machine,
        strictness: Strictness::Check,
        kinds,
    };
    let Engine::Embedded(path) = reader.load(config)?.config.journal.engine;
    Ok(path)
}

async fn asked(router: Router) -> Result<PathBuf, Failure> {
    let client = Client::new(router)?;
    let status: Value = client.get("/v1/status", &[]).await?;
    let path = status["journal"].as_str();
    path.map(PathBuf::from)
        .ok_or_else(|| Failure::new("the answer is not that of a Herald of this version"))
}
