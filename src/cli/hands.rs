//! `herald replay` and `herald cancel`

use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value};

use super::client::{Client, PATIENT, Router, expect_success};
use super::{Done, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// A delivery (dlv_…), or an event (evt_…) for all its deliveries
    #[arg(conflicts_with_all = ["event"])]
    id: Option<String>,
    /// To this sink
    #[arg(long)]
    sink: Option<String>,
    /// For this subscription
    #[arg(long)]
    subscription: Option<String>,
    /// Of this event, by Herald's id or the sender's
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Of this network interface
    #[arg(long, value_name = "ENI")]
    eni: Option<String>,
    /// Of the API call with this request id
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// dead, suppressed or delivered; to cancel: pending
    #[arg(long)]
    state: Option<String>,
    /// Received at or after this time, as in 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Received before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "WORDS")]
    why: Option<String>,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn replay(arguments: Arguments) -> Done {
    let path = match arguments.id.as_deref().filter(|id| id.starts_with("dlv_")) {
        Some(id) => format!(
            "/v1/deliveries/{}/replay",
            utf8_percent_encode(id, NON_ALPHANUMERIC)
        ),
        None => "/v1/replay".to_owned(),
    };
    let (answer, said) = ask(&arguments, &path).await?;
    if !said {
        let count = answer["count"].as_u64().unwrap_or(0);
        println!("{} due again", done(count, arguments.dry_run));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn cancel(arguments: Arguments) -> Done {
    let (answer, said) = ask(&arguments, "/v1/cancel").await?;
    if !said {
        let count = answer["count"].as_u64().unwrap_or(0);
        let in_flight = answer["inFlight"].as_u64().unwrap_or(0);
        println!("{} suppressed", done(count, arguments.dry_run));
        if in_flight > 0 {
            println!("{} in flight: left alone", deliveries(in_flight));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The router's answer, and whether it was printed as it is.
async fn ask(arguments: &Arguments, path: &str) -> Result<(Value, bool), Failure> {
    let client = Client::new(arguments.router.clone())?;
    let request = client
        .request(Method::POST, path)
        .timeout(PATIENT)
        .json(&body(arguments, path));
    let response = expect_success(client.send(request).await?).await?;
    let answer: Value = response
        .json()
        .await
        .map_err(|_| Failure::new("the answer is not that of a Herald of this version"))?;
    if arguments.json {
        println!("{answer}");
    }
    Ok((answer, arguments.json))
}

fn body(arguments: &Arguments, path: &str) -> Value {
    let (delivery, event) = match &arguments.id {
        Some(_) if path.starts_with("/v1/deliveries/") => (None, None),
        Some(id) if id.starts_with("dlv_") => (Some(id), None),
        Some(id) => (None, Some(id)),
        None => (None, arguments.event.as_ref()),
    };
    let given = [
        ("delivery", delivery),
        ("event", event),
        ("sink", arguments.sink.as_ref()),
        ("subscription", arguments.subscription.as_ref()),
        ("eni", arguments.eni.as_ref()),
        ("request", arguments.request.as_ref()),
        ("state", arguments.state.as_ref()),
        ("since", arguments.since.as_ref()),
        ("until", arguments.until.as_ref()),
        ("why", arguments.why.as_ref()),
    ];
    let mut body: Map<String, Value> = given
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), Value::String(value?.clone()))))
        .collect();
    body.insert("dryRun".to_owned(), Value::Bool(arguments.dry_run));
    Value::Object(body)
}

fn done(count: u64, dry_run: bool) -> String {
    let verb = match (dry_run, count) {
        (true, _) => "would be",
        (false, 1) => "is",
        (false, _) => "are",
    };
    format!("{} {verb}", deliveries(count))
}

fn deliveries(count: u64) -> String {
    match count {
        1 => "1 delivery".to_owned(),
        _ => format!("{count} deliveries"),
    }
}
