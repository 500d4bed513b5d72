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

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

fn runtime(workers: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
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
            let bare = Server::bare();
            let ceiling = load(bare.address, connections, batch, length).await;
            drop(bare);
            let herald = Server::herald().await;
            let measured = load(herald.address, connections, batch, length).await;
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
    let idle = Server::herald().await;
    println!(
        "start to listening: {:.0} ms",
        idle.started_in.as_secs_f64() * 1e3
    );
    println!("idle resident memory: {:.1} MiB", idle.resident_mib());
}

struct Server {
    child: Child,
    address: SocketAddr,
    started_in: Duration,
    _folder: Option<tempfile::TempDir>,
    _silent: Option<Arc<TcpListener>>,
}

impl Server {
    fn bare() -> Self {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--bare")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().parse().unwrap();
        Self {
            child,
            address,
            started_in: started.elapsed(),
            _folder: None,
            _silent: None,
        }
    }

    async fn herald() -> Self {
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
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
            .args(["serve", "-c"])
            .arg(path)
            .env("HERALD_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended").unwrap();
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().unwrap();
            }
        };
        let started_in = started.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            started_in,
            _folder: Some(folder),
            _silent: Some(Arc::new(silent)),
        }
    }

    fn resident_mib(&self) -> f64 {
        std::thread::sleep(Duration::from_secs(1));
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        tasks.push(tokio::spawn(post(
            stream,
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
    mut stream: TcpStream,
    batch: usize,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut answered = 0;
    let mut buffer = vec![0; 64 << 10];
    while !stop.load(Ordering::Relaxed) {
        let body: Vec<String> = (0..batch)
            .map(|_| event(next.fetch_add(1, Ordering::Relaxed)))
            .collect();
        let body = body.join("\n");
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut held = Vec::new();
        let (status, head, length) = loop {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the connection was closed");
            held.extend_from_slice(&buffer[..read]);
            if let Some(answer) = head(&held) {
                break answer;
            }
        };
        while held.len() < head + length {
            let read = stream.read(&mut buffer).await.unwrap();
            held.extend_from_slice(&buffer[..read]);
        }
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&held));
        answered += batch as u64;
    }
    answered
}

/// Status, length of the head, and length of the body.
fn head(held: &[u8]) -> Option<(u16, usize, usize)> {
    let end = held.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&held[..end]).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, length)| length.trim().parse().unwrap())
        .unwrap();
    Some((status, end, length))
}

fn event(number: u64) -> String {
    format!(
        r#"{{"ver":"1.0","id":"7C1D2E90-5A44-4B1E-9A33-{number:012}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb{number:017}","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{{"eniId":"eni-8vb{number:017}","operation":"AttachNetworkInterface","eniStatus":"Available","result":"failed","requestId":"59701492-0000-4000-8000-{number:012}"}}}}"#
    )
}
