//! Accepted durable events a second over HTTP, beside a bare axum endpoint that parses the same
//! bytes and forgets them. All in one run, rounds interleaved, so that ratios hold where absolute
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
    reason = "a bench ends where something is not as it must be, and reads the clock"
)]

mod peers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use peers::{Client, Process, event, runtime};
use tokio::net::TcpListener;

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
        "{:<34} {:>10} {:>10} {:>10}",
        "events/s", "round", "bare", "ratio"
    );
    let cases = [(1, 1), (64, 1), (512, 1), (8, BATCH)];
    let mut ratios = vec![Vec::new(); cases.len()];
    for round in 1..=rounds {
        for ((connections, batch), ratios) in cases.into_iter().zip(&mut ratios) {
            let bare = Process::beside("--bare");
            let ceiling = load(bare.address, connections, batch, length).await;
            drop(bare);
            let herald = Herald::start().await;
            let measured = load(herald.process.address, connections, batch, length).await;
            let what = format!("{connections} connections, {batch} a body");
            let ratio = measured / ceiling;
            ratios.push(ratio);
            println!("{what:<34} {measured:>10.0} {ceiling:>10.0} {ratio:>10.2}   (round {round})");
        }
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
    let started = Instant::now();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for task in tasks {
        answered += task.await.unwrap();
    }
    answered as f64 / started.elapsed().as_secs_f64()
}

async fn post(
    mut client: Client,
    batch: usize,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let body: Vec<String> = (0..batch)
            .map(|_| event(next.fetch_add(1, Ordering::Relaxed)))
            .collect();
        let kind = "application/x-ndjson";
        let (status, answer) = client.post("/v1/events", kind, &body.join("\n")).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(answer));
        answered += batch as u64;
    }
    answered
}
