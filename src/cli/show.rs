//! `herald show`

use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Done;
use super::client::{Client, Router, tree};
use super::explain;
use super::list::text;
use super::table::{short, table};
use crate::api::{DeliveryView, VerdictView};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// An event (evt_…, or the sender's id) or a delivery (dlv_…)
    id: String,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> Done {
    let client = Client::new(arguments.router)?;
    let is_delivery = arguments.id.starts_with("dlv_");
    let kind = if is_delivery { "deliveries" } else { "events" };
    let path = format!(
        "/v1/{kind}/{}",
        utf8_percent_encode(&arguments.id, NON_ALPHANUMERIC)
    );
    let answer: Box<RawValue> = client.get(&path, &[]).await?;
    if arguments.json {
        println!("{answer}");
    } else if is_delivery {
        print!("{}", delivery(&serde_json::from_str(answer.get())?));
    } else {
        print!("{}", event(&tree(&answer))?);
    }
    Ok(ExitCode::SUCCESS)
}

fn event(whole: &Value) -> Result<String, serde_json::Error> {
    let page = &whole["event"];
    let fields = [
        ("id", text(page, &["id"])),
        ("sender's id", text(page, &["event", "id"])),
        ("name", text(page, &["event", "name"])),
        ("level", text(page, &["event", "level"])),
        ("resource", text(page, &["event", "resourceId"])),
        ("time", text(page, &["event", "eventTime"])),
        ("received", text(page, &["event", "intake", "receivedAt"])),
        ("source", text(page, &["event", "intake", "source"])),
        ("content", short(&page["event"]["content"].to_string(), 400)),
    ];
    let mut out = pairs(&fields);
    let verdicts: Vec<VerdictView> = serde_json::from_value(whole["verdicts"].clone())?;
    out.push('\n');
    out.push_str(&explain::shown(&verdicts));
    let today: Vec<VerdictView> = serde_json::from_value(whole["today"].clone())?;
    if explain::shown(&today) != explain::shown(&verdicts) {
        out.push_str("\nToday's rules would say:\n");
        out.push_str(&explain::shown(&today));
    }
    let deliveries: Vec<DeliveryView> = serde_json::from_value(whole["deliveries"].clone())?;
    for one in &deliveries {
        out.push('\n');
        out.push_str(&delivery(one));
    }
    Ok(out)
}

fn delivery(view: &DeliveryView) -> String {
    let phase = view
        .phase
        .as_ref()
        .map(|phase| format!(" ({phase})"))
        .unwrap_or_default();
    let next = view
        .next_attempt
        .map(|at| at.to_string())
        .unwrap_or_default();
    let fields = [
        ("delivery", view.id.clone()),
        ("event", view.event.clone()),
        ("route", format!("{} -> {}", view.subscription, view.sink)),
        ("state", format!("{}{phase}", view.state)),
        (
            "reason",
            short(view.reason.as_deref().unwrap_or_default(), 300),
        ),
        ("next attempt", next),
    ];
    let mut out = pairs(&fields);
    let rows: Vec<_> = view.attempts.iter().map(attempt).collect();
    if !rows.is_empty() {
        out.push_str(&table(
            ["STARTED", "ENDED", "OUTCOME", "WHAT WAS SAID", "MESSAGE"],
            &rows,
        ));
    }
    out
}

fn attempt(view: &crate::api::AttemptView) -> [String; 5] {
    let said = view
        .reason
        .as_deref()
        .or(view.reply.as_deref())
        .unwrap_or_default();
    [
        view.started.to_string(),
        view.ended.map(|at| at.to_string()).unwrap_or_default(),
        view.outcome.clone().unwrap_or_else(|| "open".to_owned()),
        short(said, 120),
        view.message.clone(),
    ]
}

/// Labelled values; empty ones are left out.
fn pairs(fields: &[(&str, String)]) -> String {
    let shown = fields.iter().filter(|(_, value)| !value.is_empty());
    shown
        .map(|(label, value)| format!("{label:<13} {value}\n"))
        .collect()
}
