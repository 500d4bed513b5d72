//! `herald send`

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use herald_rules::json::{self, Limits, Value};
use reqwest::Method;
use serde::Deserialize;

use super::client::{Client, Router};
use super::{Done, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// The files hold operation results, not events
    #[arg(long)]
    operations: bool,
    /// Print one JSON document per item
    #[arg(long)]
    json: bool,
    /// JSON documents (objects or arrays), one after the other or one a line; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Items of one request. Chosen: large enough that the journal commits in groups, small enough for
/// a router with the default `server.batch_max`.
const BATCH: usize = 100;

#[derive(Debug, Deserialize)]
struct Results {
    results: Vec<Line>,
}

#[derive(Debug, Deserialize, serde::Serialize)]
struct Line {
    #[serde(skip_serializing)]
    index: usize,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// How many items were answered what.
#[derive(Default)]
struct Tally {
    sent: usize,
    accepted: usize,
    duplicate: usize,
    not_triggered: usize,
    refused: usize,
}

pub(super) async fn run(arguments: Arguments) -> Done {
    let path = if arguments.operations {
        "/v1/operations"
    } else {
        "/v1/events"
    };
    let client = Client::new(arguments.router)?;
    let mut tally = Tally::default();
    let progress = std::io::stderr().is_terminal() && !arguments.json;
    for file in &arguments.files {
        let name = file.display().to_string();
        let items = items(&read(&name)?).map_err(|why| Failure::new(format!("{name}: {why}")))?;
        for (batch, items) in items.chunks(BATCH).enumerate() {
            let lines = post(&client, path, items).await?;
            for line in lines {
                let number = batch * BATCH + line.index + 1;
                tally.count(&line);
                tell(
                    &line,
                    &name,
                    number,
                    arguments.json,
                    items.len() == 1 && batch == 0,
                )?;
            }
            if progress && tally.sent > BATCH {
                eprint!("\r{} sent", tally.sent);
            }
        }
    }
    if progress && tally.sent > BATCH {
        eprintln!();
    }
    if !arguments.json {
        println!(
            "{} sent: {} accepted, {} duplicate, {} not triggered, {} refused",
            tally.sent, tally.accepted, tally.duplicate, tally.not_triggered, tally.refused
        );
    }
    Ok(if tally.refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(line: &Line, file: &str, number: usize, json: bool, only: bool) -> Result<(), Failure> {
    if json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string(line)?)?;
    } else if line.status == "refused" {
        let reason = super::table::short(line.reason.as_deref().unwrap_or_default(), 500);
        eprintln!("herald: {file}, item {number}: refused: {reason}");
    } else if only {
        let what = line
            .id
            .as_deref()
            .or(line.reason.as_deref())
            .unwrap_or_default();
        println!("{} {what}", line.status);
    }
    Ok(())
}

impl Tally {
    fn count(&mut self, line: &Line) {
        self.sent += 1;
        match line.status.as_str() {
            "accepted" => self.accepted += 1,
            "duplicate" => self.duplicate += 1,
            "not-triggered" => self.not_triggered += 1,
            _ => self.refused += 1,
        }
    }
}

fn read(name: &str) -> Result<Vec<u8>, Failure> {
    if name != "-" {
        return std::fs::read(name)
            .map_err(|error| Failure::new(format!("cannot read {name}: {error}")));
    }
    let mut all = Vec::new();
    std::io::stdin().lock().read_to_end(&mut all)?;
    Ok(all)
}

/// The items of a file: its documents, arrays taken apart.
fn items(bytes: &[u8]) -> Result<Vec<String>, String> {
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    let mut items = Vec::new();
    let mut start = 0;
    loop {
        let refused = |error: json::Error| {
            let at = error.offset + start;
            format!(
                "not JSON: {} at byte {at}; nothing of this file was sent",
                error.reason
            )
        };
        let Some(place) = json::next_document(&bytes[start..], limits, true).map_err(refused)?
        else {
            return Ok(items);
        };
        let document = &bytes[start..][place.clone()];
        match json::parse(document, limits).map_err(refused)?.value {
            Value::Array(elements) => items.extend(elements.iter().map(ToString::to_string)),
            // The document's own text: it may hold what the parsed form does not.
            _ => items.push(one_line(document)),
        }
        start += place.end;
    }
}

/// A document on one line. Outside of strings a line break is only white space, and inside of them
/// JSON allows none.
fn one_line(document: &[u8]) -> String {
    String::from_utf8_lossy(document)
        .trim()
        .replace(['\r', '\n'], " ")
}

async fn post(client: &Client, path: &str, items: &[String]) -> Result<Vec<Line>, Failure> {
    let request = client
        .request(Method::POST, path)
        .header("content-type", "application/x-ndjson")
        .body(items.join("\n"));
    let response = client.send(request).await?;
    let status = response.status();
    let unlike = || {
        Failure::new(format!(
            "the router answered {status}, and not as a Herald does"
        ))
    };
    let answer: Results = response.json().await.map_err(|_| unlike())?;
    match answer.results.as_slice() {
        // A request that failed as a whole.
        [line] if !status.is_success() && items.len() > 1 => Err(Failure::new(format!(
            "the router answered {status}: {}",
            line.reason.as_deref().unwrap_or_default()
        ))),
        lines if lines.len() == items.len() => Ok(answer.results),
        _ => Err(unlike()),
    }
}
