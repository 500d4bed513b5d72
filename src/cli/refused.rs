//! `herald refused`

use std::process::ExitCode;

use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::client::{Client, PATIENT, Router, expect_success, tree};
use super::list::text;
use super::table::{short, table};
use super::{Done, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    router: Router,
    /// This one, with its body
    #[arg(long, value_name = "N", conflicts_with_all = ["source", "since", "until", "cursor"])]
    id: Option<i64>,
    /// From this source
    #[arg(long)]
    source: Option<String>,
    /// Refused at or after this time, as in 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Refused before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Send them through again, as after an upgrade; what is taken leaves the list
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    again: bool,
    /// Only count what would be taken
    #[arg(long, requires = "again")]
    dry_run: bool,
    /// For the record
    #[arg(long, requires = "again")]
    why: Option<String>,
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

pub(super) async fn run(arguments: Arguments) -> Done {
    let client = Client::new(arguments.router.clone())?;
    match arguments.id {
        _ if arguments.again => again(&client, &arguments).await,
        Some(id) => show(&client, id, arguments.json).await,
        None => list(&client, &arguments).await,
    }
}

async fn list(client: &Client, arguments: &Arguments) -> Done {
    let given = [
        ("source", &arguments.source),
        ("since", &arguments.since),
        ("until", &arguments.until),
        ("cursor", &arguments.cursor),
    ];
    let mut query = vec![("limit", arguments.limit.to_string())];
    query.extend(
        given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?))),
    );
    let answer: Box<RawValue> = client.get("/v1/refused", &query).await?;
    if arguments.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let page = tree(&answer);
    let row = |row: &Value| {
        let bytes = text(row, &["bytes"]);
        let size = match row["kept"] == true {
            true => bytes,
            false => format!("{bytes} (not kept)"),
        };
        [
            text(row, &["id"]),
            text(row, &["refusedAt"]),
            text(row, &["source"]),
            size,
            text(row, &["reason"]),
        ]
    };
    let rows: Vec<_> = page["refused"].as_array().into_iter().flatten().collect();
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    print!(
        "{}",
        table(["ID", "REFUSED", "SOURCE", "BYTES", "REASON"], &rows)
    );
    if let Some(next) = page["next"].as_i64() {
        println!("more: --cursor {next}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client, id: i64, json: bool) -> Done {
    let answer: Box<RawValue> = client.get(&format!("/v1/refused/{id}"), &[]).await?;
    if json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let one = tree(&answer);
    for (label, key) in [
        ("refused", "refusedAt"),
        ("source", "source"),
        ("reason", "reason"),
        ("brought", "bringing"),
        ("type", "contentType"),
        ("bytes", "bytes"),
    ] {
        println!("{label:<9} {}", short(&text(&one, &[key]), 400));
    }
    let body = one["body"].as_str().or(one["bodyBase64"].as_str());
    match body {
        // Lines stay lines; nothing else may steer the terminal.
        Some(body) => body
            .lines()
            .for_each(|line| println!("{}", short(line, usize::MAX))),
        None => println!("the body was not kept"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn again(client: &Client, arguments: &Arguments) -> Done {
    let given = [
        ("source", &arguments.source),
        ("since", &arguments.since),
        ("until", &arguments.until),
        ("why", &arguments.why),
    ];
    let mut body: Map<String, Value> = given
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), Value::String(value.clone()?))))
        .collect();
    body.extend(arguments.id.map(|id| ("id".to_owned(), Value::from(id))));
    body.insert("dryRun".to_owned(), Value::Bool(arguments.dry_run));
    let request = client
        .request(Method::POST, "/v1/refused/again")
        .timeout(PATIENT)
        .json(&body);
    let answer: Value = expect_success(client.send(request).await?)
        .await?
        .json()
        .await
        .map_err(|_| Failure::new("the answer is not that of a Herald of this version"))?;
    if arguments.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let verb = if arguments.dry_run {
        "would be taken"
    } else {
        "taken"
    };
    println!(
        "{} {verb}, {} refused again, {} not kept",
        text(&answer, &["count"]),
        text(&answer, &["refused"]),
        text(&answer, &["notKept"]),
    );
    Ok(ExitCode::SUCCESS)
}
