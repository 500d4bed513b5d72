//! Accepted durable events a second over HTTP, beside a bare axum endpoint that parses the same
//! bytes and forgets them, and beside the journal alone, fed from memory. All in one run, rounds interleaved, so that ratios hold where absolute
//! figures do not.
//!
//! `cargo bench --bench intake [-- --seconds 5 --rounds 3]`
//!
//! Server and loader share the machine; each server is a process of its own. The one subscription
//! matches every event, and its sink answers nothing, so what is measured is intake alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench ends where something is not as it must be, and reads the clock"
)]

mod peers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use herald::journal::Journal;
use peers::entry::{entry, open};
use peers::log::{Log, quantile};
use peers::pace::{About, Sender};
use peers::{Client, Process, event, runtime};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const BATCH: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--bare") {
        return runtime(2).block_on(bare());
    }
    let number = |flag: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == flag);
        at.and_then(|at| arguments.get(at + 1))
            .map_or(default, |text| text.parse().unwrap())
    };
    let seconds = Duration::from_secs(number("--seconds", 5));
    runtime(1).block_on(compare(seconds, number("--rounds", 3)));
}

async fn compare(length: Duration, rounds: u64) {
    println!(
        "{:<30} {:>9} {:>9} {:>7} {:>13} {:>7}",
        "events a second", "Herald", "bare", "ratio", "journal alone", "ratio"
    );
    let cases = [(1, 1), (64, 1), (512, 1), (8, BATCH)];
    let mut ratios = vec![Vec::new(); cases.len()];
    for round in 1..=rounds {
        let mut full = 0.0;
        for ((connections, batch), ratios) in cases.into_iter().zip(&mut ratios) {
            let bare = Process::beside("--bare");
            let ceiling = load(bare.address, connections, batch, length).await;
            drop(bare);
            let alone = journal_alone(connections, batch, length).await;
            let herald = Herald::start().await;
            let measured = load(herald.process.address, connections, batch, length).await;
            let what = format!("{connections} connections, {batch} a body");
            let ratio = measured / ceiling;
            ratios.push(ratio);
            println!(
                "{what:<30} {measured:>9.0} {ceiling:>9.0} {ratio:>7.2} {alone:>13.0} {:>7.2}   (round {round})",
                measured / alone
            );
            if (connections, batch) == (64, 1) {
                full = measured;
            }
        }
        let (median, p99) = at_half(full, length).await;
        println!(
            "answers at half of it            p50 {median:.2} ms, p99 {p99:.2} ms, {:.1} times   (round {round})",
            p99 / median
        );
    }
    for ((connections, batch), mut ratios) in cases.into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        println!("median ratio, {connections} connections, {batch} a body: {median:.2}");
    }
    let idle = Herald::start().await;
    let idle = &idle.process;
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "start to listening: {:.0} ms",
        idle.started_in.as_secs_f64() * 1e3
    );
    println!("idle resident memory: {:.1} MiB", idle.resident_mib());
}

/// A router whose sink answers nothing.
struct Herald {
    process: Process,
    _folder: tempfile::TempDir,
    _silent: TcpListener,
}

impl Herald {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Connections wait in its backlog and are never answered.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [sink.silent]\nkind = \"callback\"\nurl = \"http://{}/\"\n\
             allow_addresses = [\"127.0.0.0/8\"]\nconcurrency = 1\ntimeout = \"5m\"\n\
             [[subscription]]\nname = \"all\"\nto = [\"silent\"]\n\
             [subscription.when]\nlevel = \"WARN\"\n",
            silent.local_addr().unwrap()
        );
        let path = folder.path().join("config.toml");
        std::fs::write(&path, config).unwrap();
        Self {
            process: Process::herald(&path),
            _folder: folder,
            _silent: silent,
        }
    }
}

/// An endpoint that parses and forgets.
async fn bare() {
    use axum::Json;
    use axum::body::Bytes;
    use axum::routing::post;
    use serde_json::{Value, json};
    async fn take(body: Bytes) -> Json<Value> {
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let results: Vec<Value> = lines
            .enumerate()
            .map(|(index, line)| {
                let event: Value = serde_json::from_slice(line).unwrap();
                json!({"index": index, "status": "accepted", "id": event["id"]})
            })
            .collect();
        Json(json!({ "results": results }))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().route("/v1/events", post(take));
    axum::serve(listener, routes).await.unwrap();
}

/// Events a second that were answered with 200.
async fn load(address: SocketAddr, connections: usize, batch: usize, length: Duration) -> f64 {
    let next = Arc::new(AtomicU64::new(1));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for _ in 0..connections {
        tasks.push(tokio::spawn(post(
            Client::to(address).await,
            batch,
            Arc::clone(&next),
            Arc::clone(&stop),
        )));
    }
    counted(tasks, &stop, length).await
}

async fn counted(tasks: Vec<JoinHandle<u64>>, stop: &AtomicBool, length: Duration) -> f64 {
    let started = Instant::now();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    done as f64 / started.elapsed().as_secs_f64()
}

async fn post(
    mut client: Client,
    batch: usize,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let first = next.fetch_add(batch as u64, Ordering::Relaxed);
        let body: Vec<String> = (first..first + batch as u64)
            .map(|number| event(number, number))
            .collect();
        let kind = "application/x-ndjson";
        let (status, answer) = client.post("/v1/events", kind, &body.join("\n")).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(answer));
        answered += batch as u64;
    }
    answered
}

/// Events a second that the journal alone takes from so many tasks.
async fn journal_alone(callers: usize, batch: usize, length: Duration) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let (journal, rules) = open(folder.path().join("journal.db")).await;
    let next = Arc::new(AtomicU64::new(1));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (journal, rules) = (Arc::clone(&journal), rules.clone());
        let (next, stop) = (Arc::clone(&next), Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            let mut recorded = 0;
            while !stop.load(Ordering::Relaxed) {
                let first = next.fetch_add(batch as u64, Ordering::Relaxed);
                let entries = (first..first + batch as u64).map(|n| entry(&rules, n.into()));
                recorded += journal.record(entries.collect()).await.unwrap().len() as u64;
            }
            recorded
        }));
    }
    let rate = counted(tasks, &stop, length).await;
    journal.close().await;
    rate
}

/// Answer times at half of `full`: median and 99 of 100, in milliseconds.
async fn at_half(full: f64, length: Duration) -> (f64, f64) {
    let herald = Herald::start().await;
    let log = Log::new(4_000_000);
    let sender = Sender {
        address: herald.process.address,
        path: "/v1/events",
        about: About::Each,
        log: Arc::clone(&log),
        next: Arc::new(AtomicU64::new(1)),
    };
    sender.paced(64, full / 2.0, length / 4).await;
    let sent = sender.paced(64, full / 2.0, length).await;
    let times = log.answer_times(sent.numbers);
    (quantile(&times, 0.5), quantile(&times, 0.99))
}
