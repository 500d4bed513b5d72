//! What a great many waiting deliveries cost.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::peers::{Client, Process};
use crate::{Bench, quantile, sender, settled};

/// Deliveries beside which the drain of many is compared: an empty journal's.
const FEW: u64 = 100_000;

pub(crate) async fn run(waiting: u64) {
    let mut bench = Bench::start("64 GiB").await;
    println!("with deliveries waiting for another sink");
    let deep = sender(bench.router.address, "/v1/sources/deep/events", &bench.deep);

    let empty = drain(&bench, &deep, FEW).await;
    println!("  drains, {FEW} waiting                    {empty:>10.0} a second");
    let alone = latency(&bench).await;
    bench.router = restart(&bench).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let none = bench.router.resident_mib();

    order(&bench, "pause").await;
    let deep = crate::pace::Sender {
        address: bench.router.address,
        ..deep
    };
    let loaded = deep.in_batches(waiting, 500).await;
    println!(
        "  loaded                                  {:>10.0} a second",
        loaded.rate()
    );
    let beside = latency(&bench).await;
    println!(
        "  others at 200 a second                  p50 {:.2} ms, p99 {:.2} ms; without them p50 {:.2} ms, p99 {:.2} ms",
        beside.0, beside.1, alone.0, alone.1
    );
    bench.router = restart(&bench).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let many = bench.router.resident_mib();
    println!("  resident                                {many:.1} MiB, without them {none:.1} MiB");

    order(&bench, "resume").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    bench.router = restart(&bench).await;
    bench.deep.forget_first();
    let first = loop {
        if let Some(first) = bench.deep.first() {
            break first;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    println!(
        "  restart to the first delivery           {:.0} ms, of which {:.0} ms to listening",
        1e3 * (first - began).as_secs_f64(),
        1e3 * bench.router.started_in.as_secs_f64()
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (from, before) = (Instant::now(), bench.deep.arrivals());
    let left = waiting.saturating_sub(before.saturating_sub(FEW));
    while bench.deep.arrivals() - before < (left / 2).max(1) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rate = (bench.deep.arrivals() - before) as f64 / from.elapsed().as_secs_f64();
    println!(
        "  drains, {waiting} waiting                   {rate:>10.0} a second, {:.2} of the other",
        rate / empty
    );
}

/// Latency of the other sink's events, p50 and p99 in milliseconds.
async fn latency(bench: &Bench) -> (f64, f64) {
    let live = bench.live();
    live.next
        .store(1 + 10_000_000 + bench.live.arrivals(), Ordering::Relaxed);
    let sent = live.paced(8, 200.0, Duration::from_secs(10)).await;
    settled(&bench.live).await;
    let took = bench.live.latencies(sent.numbers);
    (quantile(&took, 0.5), quantile(&took, 0.99))
}

/// The rate at which so many leave that waited.
async fn drain(bench: &Bench, deep: &crate::pace::Sender, count: u64) -> f64 {
    order(bench, "pause").await;
    deep.in_batches(count, 500).await;
    let before = bench.deep.arrivals();
    order(bench, "resume").await;
    let began = Instant::now();
    while bench.deep.arrivals() - before < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Pauses or resumes the deep sink.
async fn order(bench: &Bench, verb: &str) {
    let mut client = Client::to(bench.router.address).await;
    let path = format!("/v1/sinks/deep/{verb}");
    let (status, answer) = client.post(&path, "application/json", "{}").await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(answer));
}

/// Kills the router and starts it again on the same journal.
async fn restart(bench: &Bench) -> Process {
    bench.router.kill();
    // The journal's lock is free once the process is gone.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Process::herald(&bench.config)
}
