//! `herald status` and `herald reload`

use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Done;
use super::client::{Client, Router, expect_success};
use super::list::text;
use super::table::{counted, table};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ReloadArguments {
    #[command(flatten)]
    router: Router,
}

pub(super) async fn run(arguments: Arguments) -> Done {
    let client = Client::new(arguments.router)?;
    let answer: Box<RawValue> = client.get("/v1/status", &[]).await?;
    if arguments.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let status: Value = serde_json::from_str(answer.get())?;
    let total = |key: &str| text(&status, &["totals", key]);
    println!(
        "herald {}, {} recorded, {} in force",
        text(&status, &["version"]),
        counted(total("events"), "event"),
        counted(text(&status, &["subscriptions"]), "subscription")
    );
    println!(
        "planned {} = delivered {} + dead {} + suppressed {} + pending {} + removed {}{}",
        total("planned"),
        total("delivered"),
        total("dead"),
        total("suppressed"),
        total("pending"),
        total("removed"),
        if status["conserved"] == true {
            ""
        } else {
            "  NOT CONSERVED: please report this"
        },
    );
    println!("{}", size(&status["size"]));
    let sinks = status["sinks"].as_array().cloned().unwrap_or_default();
    let row = |sink: &Value| {
        let keys = ["name", "kind", "state", "pending", "oldest", "endpoint"];
        let [name, kind, state, pending, oldest, endpoint] = keys.map(|key| text(sink, &[key]));
        [name, kind, state, pending, oldest, endpoint, why(sink)]
    };
    let rows: Vec<_> = sinks.iter().map(row).collect();
    if !rows.is_empty() {
        println!();
        print!(
            "{}",
            table(
                [
                    "SINK", "KIND", "STATE", "PENDING", "OLDEST", "ENDPOINT", "WHY"
                ],
                &rows
            )
        );
    }
    let hands = status["hands"].as_array().cloned().unwrap_or_default();
    let row = |hand: &Value| ["at", "who", "verb", "what", "why"].map(|key| text(hand, &[key]));
    let rows: Vec<_> = hands.iter().take(HANDS_MAX).map(row).collect();
    if !rows.is_empty() {
        println!();
        print!("{}", table(["AT", "WHO", "DID", "TO", "WHY"], &rows));
    }
    Ok(ExitCode::SUCCESS)
}

/// How much room the journal takes, and what follows from that.
fn size(size: &Value) -> String {
    let mebibytes = |key: &str| size[key].as_u64().unwrap_or(0) >> 20;
    let note = match size["fill"].as_str() {
        Some("trimming") => ": finished events go early",
        Some("near") => ": intake is about to be refused",
        Some("full") => ": INTAKE IS REFUSED until there is room",
        _ => "",
    };
    format!(
        "journal {} MiB of {} MiB in use{note}",
        mebibytes("used"),
        mebibytes("max"),
    )
}

/// Why nothing leaves by a sink, where nothing does.
fn why(sink: &Value) -> String {
    let until = text(sink, &["until"]);
    let paused = &sink["paused"];
    if paused.is_object() {
        let [who, at, why] = ["who", "at", "why"].map(|key| text(paused, &[key]));
        let words = if why.is_empty() {
            why
        } else {
            format!(": {why}")
        };
        return format!("paused by {who} at {at}{words}");
    }
    match sink["state"].as_str() {
        Some("held") => text(sink, &["reason"]),
        Some("penalty") => format!("the far side punishes it until {until}"),
        Some("broken") => format!("its breaker is open; next probe {until}"),
        Some("limited") if until.is_empty() => "it waits for an open attempt to end".to_owned(),
        Some("limited") => format!("its limit is used up until {until}"),
        _ => String::new(),
    }
}

/// Deeds of people shown at most. Chosen: a screen has other things to show; `--json` has more.
const HANDS_MAX: usize = 5;

pub(super) async fn reload(arguments: ReloadArguments) -> Done {
    let client = Client::new(arguments.router)?;
    let response = client
        .send(client.request(Method::POST, "/v1/reload"))
        .await?;
    let report: Value = expect_success(response)
        .await?
        .json()
        .await
        .unwrap_or_default();
    for note in report["notes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        eprintln!("herald: {note}");
    }
    println!("reloaded");
    Ok(ExitCode::SUCCESS)
}
