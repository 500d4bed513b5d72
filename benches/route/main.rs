//! One in, one out: events come over HTTP, each matches one callback, and a receiver answers at
//! once. Durable throughout, over loopback, beside a bare run from the loader to the receiver in
//! the same run.
//!
//! `cargo bench --bench route [-- --rounds 3 --seconds 60 --waiting 1000000]`
//!
//! - **full load** is the highest paced rate at which what is under way does not grow for
//!   `--seconds`;
//! - **paced** is the time from the post to the arrival at 200 a second, beside the median
//!   `fdatasync` on the same disk, and at 0.8 of full load;
//! - **waiting**: what `--waiting` deliveries that wait for another sink cost: memory, the start
//!   to the first delivery, the latency of others, the rate at which they drain.
//!
//! With `--rate 5000` nothing but what an event costs at that rate, `--rounds` times for `--seconds`.
//!
//! Loader and receiver are this process, the router is another; all share the machine.
//! `HERALD_BENCH_DIR` names another disk, `HERALD_BENCH_PROGRAM` another build of the router.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench ends where something is not as it must be, and reads the clock"
)]

#[path = "../peers/mod.rs"]
mod peers;

mod cost;
mod deep;
mod disk;
mod full;
mod receiver;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use peers::Process;
use peers::log::Log;
use peers::pace::{About, Sender};

/// Connections that post at a time.
const CONNECTIONS: u64 = 64;

/// Deliveries on their way at a time. More than connections, so that a stop of the disk, which claims
/// and settlements wait for as posts do, leaves no backlog that grows.
const CONCURRENCY: u64 = 256;

/// Events that can be told apart.
const NUMBERS: usize = 12_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |flag: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == flag);
        at.and_then(|at| arguments.get(at + 1))
            .map_or(default, |text| text.parse().unwrap())
    };
    let rounds = number("--rounds", 3);
    let length = Duration::from_secs(number("--seconds", 60));
    let waiting = number("--waiting", 1_000_000);
    let rate = u32::try_from(number("--rate", 0)).unwrap();
    peers::runtime(1).block_on(async {
        if rate > 0 {
            return cost::run(rate.into(), rounds, length).await;
        }
        for round in 1..=rounds {
            println!("round {round}");
            full::round(length).await;
        }
        if waiting > 0 {
            deep::run(waiting).await;
            deep::in_one_lane(waiting).await;
        }
    });
}

/// A folder on the disk that is measured.
fn folder() -> tempfile::TempDir {
    let disk = std::env::var("HERALD_BENCH_DIR");
    let disk = disk.unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    tempfile::tempdir_in(disk).unwrap()
}

/// Two ways through the router, told apart by the source: `live` and `deep`.
fn configuration(folder: &Path, live: SocketAddr, deep: SocketAddr, max_size: &str) -> PathBuf {
    let way = |name: &str, address: SocketAddr| {
        format!(
            "[source.{name}]\nkind = \"http\"\n\
             [sink.{name}]\nkind = \"callback\"\nurl = \"http://{address}/\"\n\
             allow_addresses = [\"127.0.0.0/8\"]\nconcurrency = {CONCURRENCY}\n\
             [[subscription]]\nname = \"{name}\"\nto = [\"{name}\"]\n\
             [subscription.when]\nlevel = \"WARN\"\nintake.source = \"{name}\"\n"
        )
    };
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[journal]\nmax_size = \"{max_size}\"\n{}{}",
        way("live", live),
        way("deep", deep)
    );
    let path = folder.join("config.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn sender(address: SocketAddr, path: &'static str, log: &Arc<Log>) -> Sender {
    Sender {
        address,
        path,
        about: About::Each,
        log: Arc::clone(log),
        next: Arc::new(AtomicU64::new(1)),
    }
}

/// The median time that syncing one small record takes.
fn fdatasync(folder: &Path) -> Duration {
    let mut file = std::fs::File::create(folder.join("synced")).unwrap();
    let mut times: Vec<Duration> = (0..500)
        .map(|_| {
            file.write_all(&[7; 1_024]).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Waits until nothing new has come for a while.
async fn settled(log: &Log) {
    let mut before = u64::MAX;
    while before != log.arrivals() {
        before = log.arrivals();
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

/// A router on a journal of its own, with both receivers.
struct Bench {
    folder: tempfile::TempDir,
    config: PathBuf,
    router: Process,
    live: Arc<Log>,
    deep: Arc<Log>,
}

impl Bench {
    /// `max_size` is the journal's: what is over goes, oldest first, when it comes near.
    async fn start(max_size: &str) -> Self {
        let folder = folder();
        let (live, deep) = (Log::new(NUMBERS), Log::new(NUMBERS));
        let config = configuration(
            folder.path(),
            receiver::listen(Arc::clone(&live)).await,
            receiver::listen(Arc::clone(&deep)).await,
            max_size,
        );
        let router = Process::herald(&config);
        Self {
            folder,
            config,
            router,
            live,
            deep,
        }
    }

    fn live(&self) -> Sender {
        sender(self.router.address, "/v1/sources/live/events", &self.live)
    }
}
