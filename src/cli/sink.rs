//! `herald sink test`, `herald sink pause` and `herald sink resume`

use std::process::ExitCode;

use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, PATIENT, Router, expect_success};
use super::list::text;
use super::table::short;
use super::{Done, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a marked message through a sink and explain the answer; exit 0 only if it arrived
    Test(Test),
    /// Hold a sink back: what waits for it stays until it is let go, or expires
    Pause(Hold),
    /// Let a sink go: what waits for it is due at once
    Resume(Hold),
}

#[derive(Debug, clap::Args)]
struct Test {
    #[command(flatten)]
    router: Router,
    /// Its name
    name: String,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Hold {
    #[command(flatten)]
    router: Router,
    /// Its name
    name: String,
    /// Why, for the record
    #[arg(long, value_name = "WORDS")]
    why: Option<String>,
    /// Print the API's JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> Done {
    match arguments.verb {
        Verb::Test(test) => probe(test).await,
        Verb::Pause(hold) => change(hold, "pause").await,
        Verb::Resume(hold) => change(hold, "resume").await,
    }
}

async fn probe(test: Test) -> Done {
    let answer = ask(test.router, &test.name, "test", &Value::Null).await?;
    if test.json {
        println!("{answer}");
    } else {
        println!("{}", short(&text_of(&answer, "explanation"), 2_000));
    }
    Ok(match answer["outcome"].as_str() {
        Some("delivered") => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

async fn change(hold: Hold, verb: &str) -> Done {
    let body = json!({ "why": hold.why });
    let answer = ask(hold.router, &hold.name, verb, &body).await?;
    if hold.json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut line = format!(
        "{} is {}; {} pending",
        text(&answer, &["name"]),
        text(&answer, &["state"]),
        text(&answer, &["pending"])
    );
    let paused = &answer["paused"];
    if paused.is_object() {
        let why = text(paused, &["why"]);
        line.push_str(&format!(
            "; since {} by {}{}",
            text(paused, &["at"]),
            text(paused, &["who"]),
            if why.is_empty() {
                why
            } else {
                format!(": {why}")
            }
        ));
    }
    println!("{line}");
    Ok(ExitCode::SUCCESS)
}

async fn ask(router: Router, name: &str, verb: &str, body: &Value) -> Result<Value, Failure> {
    let client = Client::new(router)?;
    let path = format!(
        "/v1/sinks/{}/{verb}",
        utf8_percent_encode(name, NON_ALPHANUMERIC)
    );
    let request = client.request(Method::POST, &path).timeout(PATIENT);
    let request = if body.is_null() {
        request
    } else {
        request.json(body)
    };
    let response = expect_success(client.send(request).await?).await?;
    response
        .json()
        .await
        .map_err(|_| Failure::new("the answer is not that of a Herald of this version"))
}

fn text_of(answer: &Value, key: &str) -> String {
    answer[key].as_str().unwrap_or_default().to_owned()
}
