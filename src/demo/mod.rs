//! `herald demo`: the router as production runs it, with stand-ins for all sinks on loopback.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use herald_model::settings::Environment;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{self, Listening, Origin, Running};
use crate::cli::{Done, Failure};
use crate::config::{Reader, Strictness};

mod samples;
mod stand_ins;

use stand_ins::{Arrival, StandIns};

/// Longest wait for everything to arrive. Chosen: it takes a tenth of a second; a machine that is
/// busy compiling gets its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arrivals when all is well: two events, three sinks.
const EXPECTED: usize = 6;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Exit when everything has arrived: 0, or 1 when something did not
    #[arg(long)]
    once: bool,
}

/// Values for the demo's configuration, in place of the process's environment.
struct Values(HashMap<&'static str, String>);

impl Environment for Values {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("the demo reads no files".to_owned())
    }
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It lies among temporary files; what cannot be removed does no harm there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) async fn run(arguments: Arguments) -> Done {
    let folder = Folder(std::env::temp_dir().join(format!("herald-demo-{}", Uuid::now_v7())));
    std::fs::create_dir_all(&folder.0)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.0.display())))?;
    let (sender, mut arrivals) = mpsc::unbounded_channel();
    let stand_ins = stand_ins::start(sender).await?;
    let running = start(&folder.0, &stand_ins).await?;
    let url = format!("http://{}", running.address());
    println!("Herald runs; its console: {url}/");
    println!(
        "Stand-ins: SMTP {}, DingTalk and callback {}\n",
        stand_ins.smtp, stand_ins.http
    );
    let story = tell(&url, &mut arrivals, &running).await;
    if arguments.once || story.is_err() {
        running.stop().await;
        story?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nThe console stays up until Ctrl-C.");
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            Some(arrival) = arrivals.recv() => println!("{}", line(&arrival)),
        }
    }
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn start(folder: &Path, stand_ins: &StandIns) -> Result<Running, Failure> {
    let http = stand_ins.http;
    let values = Values(HashMap::from([
        ("LISTEN", "127.0.0.1:0".to_owned()),
        ("SMTP", stand_ins.smtp.to_string()),
        (
            "DINGTALK_WEBHOOK",
            format!("http://{http}/robot/send?access_token=demo"),
        ),
        ("DINGTALK_SECRET", stand_ins::DINGTALK_SECRET.to_owned()),
        ("CALLBACK_URL", format!("http://{http}/eni")),
        ("CALLBACK_SECRET", stand_ins::CALLBACK_SECRET.to_owned()),
    ]));
    let kinds = herald_sinks::ALL;
    let reader = Reader {
        environment: &values,
        strictness: Strictness::Serve,
        kinds,
    };
    let loaded = reader.parse(include_str!("demo.toml"), "demo.toml", folder)?;
    let origin = Origin { path: None, kinds };
    Ok(app::start(loaded.config, origin, Listening::Configured).await?)
}

/// Sends the samples and prints what came of them; fails unless all of it did.
async fn tell(
    url: &str,
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    running: &Running,
) -> Result<(), Failure> {
    let sent = [
        (
            "an ENI event: attach succeeded",
            "/v1/events",
            samples::ATTACHED,
            "accepted",
            "",
        ),
        (
            "an operation result: attach failed",
            "/v1/operations",
            samples::ATTACH_FAILED,
            "accepted",
            "",
        ),
        (
            "an operation on a primary ENI",
            "/v1/operations",
            samples::PRIMARY,
            "not-triggered",
            "primary-eni",
        ),
        (
            "a call that was refused",
            "/v1/operations",
            samples::REFUSED,
            "not-triggered",
            "request-refused",
        ),
    ];
    for (what, path, body, status, reason) in sent {
        let result = post(&format!("{url}{path}"), body).await?;
        let word = |key: &str| result[key].as_str().unwrap_or_default();
        let detail = if word("reason").is_empty() {
            word("id")
        } else {
            word("reason")
        };
        println!("sent      {what:<36} {:<14} {detail}", word("status"));
        if word("status") != status || !word("reason").starts_with(reason) {
            return Err(Failure::new(format!(
                "expected {status} {reason} for {what}"
            )));
        }
    }
    println!();
    let deadline = Instant::now() + PATIENCE;
    for count in 0..EXPECTED {
        let Ok(Some(arrival)) = tokio::time::timeout_at(deadline, arrivals.recv()).await else {
            return Err(Failure::new(format!(
                "{count} of {EXPECTED} notifications arrived within {} s",
                PATIENCE.as_secs()
            )));
        };
        println!("{}", line(&arrival));
        if let Arrival::Callback {
            verified: false,
            id,
            ..
        } = arrival
        {
            return Err(Failure::new(format!(
                "the signature of callback {id} is wrong"
            )));
        }
    }
    settled(running, deadline).await
}

/// Waits until the journal, too, knows that everything was delivered.
async fn settled(running: &Running, deadline: Instant) -> Result<(), Failure> {
    loop {
        let totals = running.journal().totals().await?;
        if totals.delivered == EXPECTED as u64 {
            println!(
                "\njournal   planned {} = delivered {} + dead {} + suppressed {} + pending {}",
                totals.planned, totals.delivered, totals.dead, totals.suppressed, totals.pending
            );
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "not everything was settled: {totals:?}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One line, with what a person would see first.
fn line(arrival: &Arrival) -> String {
    let text = match arrival {
        Arrival::Mail { to, subject } => format!("e-mail    to {to}, subject: {subject}"),
        Arrival::DingTalk { text } => {
            let told: Vec<_> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .take(2)
                .collect();
            format!("DingTalk  {}", told.join(" / "))
        }
        Arrival::Callback {
            verified,
            id,
            summary,
        } => {
            let signature = if *verified {
                "signature verified"
            } else {
                "SIGNATURE WRONG"
            };
            format!("callback  {signature}, {id}, {summary}")
        }
    };
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The one result of posting one item.
async fn post(url: &str, body: &str) -> Result<Value, Failure> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_owned());
    let answer: Value = request.send().await?.json().await?;
    Ok(answer["results"][0].clone())
}
