//! What one event costs at a fixed pace: processor time, commits, latency. Two builds compare by this
//! where full load, found by trials, drowns the difference in the disk's moods.

use std::time::Duration;

use crate::disk::Commits;
use crate::peers::log::quantile;
use crate::{Bench, CONNECTIONS, settled};

/// Measures `times` times, each time for `length`.
pub(crate) async fn run(rate: f64, times: u64, length: Duration) {
    let bench = Bench::start("192 MiB").await;
    let sender = bench.live();
    sender
        .paced(CONNECTIONS, rate, Duration::from_secs(3))
        .await;
    settled(&bench.live).await;
    println!("at {rate:.0} a second, of the router alone:");
    for _ in 0..times {
        let (before, busy) = (Commits::of(&bench.router).await, bench.router.busy());
        let sent = sender.paced(CONNECTIONS, rate, length).await;
        settled(&bench.live).await;
        let (after, busy) = (Commits::of(&bench.router).await, bench.router.busy() - busy);
        let events = (sent.numbers.end - sent.numbers.start) as f64;
        let took = bench.live.latencies(sent.numbers.clone());
        println!(
            "  {:>6.0} held, {:>5.0} us of a processor an event, {:.2} commits an event, \
             p50 {:.2} ms, p99 {:.2} ms",
            sent.rate(),
            1e6 * busy.as_secs_f64() / events,
            after.since(before) / events,
            quantile(&took, 0.5),
            quantile(&took, 0.99),
        );
    }
}
