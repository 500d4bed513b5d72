//! `herald events`, `herald deliveries`, `herald dead`

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Router, tree};
use super::table::{short, table};
use super::{Done, Failure};

/// Which rows, in the API's words.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Of this network interface
    #[arg(long, value_name = "ENI")]
    eni: Option<String>,
    /// Of the API call with this request id
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Received at or after this time, as in 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Received before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Rows
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// The `next` of the page before
    #[arg(long)]
    cursor: Option<String>,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("eni", &self.eni),
            ("request", &self.request),
            ("since", &self.since),
            ("until", &self.until),
            ("cursor", &self.cursor),
        ];
        let given = given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)));
        given.chain([("limit", self.limit.to_string())]).collect()
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct EventArguments {
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: Filter,
    /// Operation results that triggered nothing, instead
    #[arg(long)]
    not_triggered: bool,
    /// With --not-triggered: for this reason only
    #[arg(long, requires = "not_triggered", value_name = "REASON")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeliveryArguments {
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    which: Which,
    /// pending, delivered, dead or suppressed
    #[arg(long)]
    state: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DeadArguments {
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// To this sink
    #[arg(long)]
    sink: Option<String>,
    /// For this subscription
    #[arg(long)]
    subscription: Option<String>,
    /// Of this event, by Herald's id or the sender's
    #[arg(long, value_name = "ID")]
    event: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(alias = "events", alias = "deliveries", alias = "operations")]
    rows: Vec<Value>,
    next: Option<i64>,
}

pub(super) async fn events(arguments: EventArguments) -> Done {
    let client = Client::new(arguments.router)?;
    let mut query = arguments.filter.query();
    let json = arguments.filter.json;
    if !arguments.not_triggered {
        let header = ["RECEIVED", "LEVEL", "NAME", "ABOUT", "ID"];
        return page(&client, "/v1/events", &query, json, header, event_row).await;
    }
    if arguments.filter.eni.is_some() || arguments.filter.request.is_some() {
        return Err(Failure::new(
            "--not-triggered goes with --reason, --since, --until and --limit",
        ));
    }
    query.extend(arguments.reason.map(|reason| ("reason", reason)));
    let header = ["RECEIVED", "REASON", "OPERATION", "ENI", "REQUEST"];
    page(
        &client,
        "/v1/operations",
        &query,
        json,
        header,
        operation_row,
    )
    .await
}

pub(super) async fn deliveries(arguments: DeliveryArguments) -> Done {
    list_deliveries(
        arguments.router,
        &arguments.filter,
        arguments.which,
        arguments.state,
    )
    .await
}

pub(super) async fn dead(arguments: DeadArguments) -> Done {
    let state = Some("dead".to_owned());
    list_deliveries(arguments.router, &arguments.filter, arguments.which, state).await
}

async fn list_deliveries(
    router: Router,
    filter: &Filter,
    which: Which,
    state: Option<String>,
) -> Done {
    let client = Client::new(router)?;
    let mut query = filter.query();
    let given = [
        ("sink", which.sink),
        ("subscription", which.subscription),
        ("event", which.event),
        ("state", state),
    ];
    query.extend(
        given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    let header = ["STATE", "SINK", "SUBSCRIPTION", "TRIES", "REASON", "ID"];
    page(
        &client,
        "/v1/deliveries",
        &query,
        filter.json,
        header,
        delivery_row,
    )
    .await
}

async fn page<const N: usize>(
    client: &Client,
    path: &str,
    query: &[(&str, String)],
    json: bool,
    header: [&str; N],
    row: fn(&Value) -> [String; N],
) -> Done {
    if json {
        let answer: Box<serde_json::value::RawValue> = client.get(path, query).await?;
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let answer: Box<serde_json::value::RawValue> = client.get(path, query).await?;
    let page: Page = serde_json::from_value(tree(&answer))?;
    let rows: Vec<_> = page.rows.iter().map(row).collect();
    print!("{}", table(header, &rows));
    if let Some(next) = page.next {
        println!("more: --cursor {next}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The text at a path of keys; empty where there is none.
pub(super) fn text(value: &Value, path: &[&str]) -> String {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => short(text, 80),
        Some(other) => short(&other.to_string(), 80),
    }
}

fn event_row(row: &Value) -> [String; 5] {
    let operation = text(row, &["event", "content", "operation"]);
    let result = text(row, &["event", "content", "result"]);
    let name = match operation.is_empty() {
        true => text(row, &["event", "name"]),
        false => format!("{operation} {result}"),
    };
    let eni = text(row, &["event", "content", "eniId"]);
    let about = if eni.is_empty() {
        text(row, &["event", "resourceId"])
    } else {
        eni
    };
    let received = text(row, &["event", "intake", "receivedAt"]);
    [
        received,
        text(row, &["event", "level"]),
        name,
        about,
        text(row, &["id"]),
    ]
}

fn operation_row(row: &Value) -> [String; 5] {
    [
        text(row, &["receivedAt"]),
        text(row, &["reason"]),
        text(row, &["operation", "operation"]),
        text(
            row,
            &["operation", "networkInterface", "NetworkInterfaceId"],
        ),
        text(row, &["operation", "requestId"]),
    ]
}

fn delivery_row(row: &Value) -> [String; 6] {
    let phase = text(row, &["phase"]);
    let state = text(row, &["state"]);
    let state = if phase.is_empty() {
        state
    } else {
        format!("{state} ({phase})")
    };
    [
        state,
        text(row, &["sink"]),
        text(row, &["subscription"]),
        text(row, &["attemptCount"]),
        text(row, &["reason"]),
        text(row, &["id"]),
    ]
}
