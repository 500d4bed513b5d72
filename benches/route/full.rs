//! Full load, and the latency below it.

use std::sync::Arc;
use std::time::Duration;

use crate::disk::{self, Commits};
use crate::peers::Client;
use crate::peers::log::{Log, quantile};
use crate::peers::pace::{Sender, Sent};
use crate::{Bench, CONNECTIONS, fdatasync, receiver, sender, settled};

/// How long a rate is tried before the one that is confirmed.
const TRIAL: Duration = Duration::from_secs(8);

/// The first of these waits, in which caches fill, is not looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The journal's bound: half a minute of full load, so that retention deletes as fast as events are
/// accepted for all of it.
const SMALL: &str = "192 MiB";

/// Events that fill it that far before anything is tried, and how many stand in a body.
const FILL: (u64, u64) = (180_000, 100);

/// Full load is found to this share.
const STEP: f64 = 0.04;

pub(crate) async fn round(length: Duration) {
    let bare_before = bare().await;
    println!("  loader to receiver, nothing between     {bare_before:>10.0} a second");

    let bench = Bench::start(SMALL).await;
    let synced = fdatasync(bench.folder.path());
    let sender = bench.live();
    sender.paced(8, 200.0, Duration::from_secs(1)).await;
    settled(&bench.live).await;
    let before = Commits::of(&bench.router).await;
    let slow = sender.paced(8, 200.0, Duration::from_secs(10)).await;
    settled(&bench.live).await;
    let took = bench.live.latencies(slow.numbers);
    println!(
        "  paced at 200 a second                   p50 {:.2} ms, p99 {:.2} ms; aim for p50 {:.2} ms \
         (1 ms and four times fdatasync {:.3} ms)",
        quantile(&took, 0.5),
        quantile(&took, 0.99),
        1.0 + 4e3 * synced.as_secs_f64(),
        1e3 * synced.as_secs_f64(),
    );
    disk::tell(&bench.router, before, slow.took, bench.folder.path()).await;

    sender.in_batches(FILL.0, FILL.1).await;
    settled(&bench.live).await;
    let accepted = sender.flat_out(CONNECTIONS, TRIAL / 2).await.rate();
    settled(&bench.live).await;
    println!("  accepted flat out                       {accepted:>10.0} a second");
    let full = full_load(&sender, &bench.live, accepted, length).await;
    let resident = bench.router.resident_mib();
    let bare_after = bare().await;
    println!("  loader to receiver again                {bare_after:>10.0} a second");
    // The machine is another one after some minutes of search.
    println!(
        "  full load                               {full:>10.0} a second, {:.3} of the mean of both; {resident:.1} MiB resident",
        full / f64::midpoint(bare_before, bare_after)
    );

    let before = Commits::of(&bench.router).await;
    let below = sender
        .paced(CONNECTIONS, 0.8 * full, length.min(2 * TRIAL))
        .await;
    settled(&bench.live).await;
    let took = bench.live.latencies(below.numbers);
    let (p50, p99) = (quantile(&took, 0.5), quantile(&took, 0.99));
    println!(
        "  at 0.8 of it                            p50 {p50:.2} ms, p99 {p99:.2} ms, {:.1} times",
        p99 / p50
    );
    disk::tell(&bench.router, before, below.took, bench.folder.path()).await;
    assert_eq!(
        bench.live.arrivals(),
        sender.next.load(std::sync::atomic::Ordering::Relaxed) - 1,
        "every event arrives"
    );
    println!(
        "  delivered twice                         {:>10}",
        bench.live.repeats()
    );
    let mut client = Client::to(bench.router.address).await;
    let (_, status) = client.get("/v1/status").await;
    let status: serde_json::Value = serde_json::from_slice(status).unwrap();
    let totals = &status["totals"];
    println!(
        "  removed by retention meanwhile          {:>10} of {}",
        totals["removed"], totals["planned"]
    );
}

async fn bare() -> f64 {
    let log = Log::new(3_000_000);
    let address = receiver::listen(Arc::clone(&log)).await;
    let sender = sender(address, "/", &log);
    sender.flat_out(CONNECTIONS, TRIAL / 2).await.rate()
}

/// The highest rate that is held: halved towards it in short trials, then confirmed for `length`.
async fn full_load(sender: &Sender, log: &Arc<Log>, accepted: f64, length: Duration) -> f64 {
    // Flat out is no bound: a few seconds, in which more waits than at any pace that is held.
    let (mut held, mut too_much) = (0.0, 1.5 * accepted);
    while too_much - held > STEP * accepted {
        let rate = f64::midpoint(held, too_much);
        // A trial is short enough for one stop of the disk to decide it; two in a row seldom do.
        if is_held(sender, log, rate, TRIAL).await || is_held(sender, log, rate, TRIAL).await {
            held = rate;
        } else {
            too_much = rate;
        }
    }
    while !is_held(sender, log, held, length).await {
        held *= 1.0 - STEP / 2.0;
    }
    held
}

/// Whether what is under way does not grow at this rate, and the rate itself is kept.
async fn is_held(sender: &Sender, log: &Arc<Log>, rate: f64, length: Duration) -> bool {
    let arrived_before = log.arrivals();
    let sent_before = sender.next.load(std::sync::atomic::Ordering::Relaxed);
    let watched = tokio::spawn({
        let (log, next) = (Arc::clone(log), Arc::clone(&sender.next));
        async move {
            let mut under_way = Vec::new();
            loop {
                tokio::time::sleep(LOOK).await;
                let sent = next.load(std::sync::atomic::Ordering::Relaxed) - sent_before;
                under_way.push(sent.saturating_sub(log.arrivals() - arrived_before));
                if under_way.len() as u128 > length.as_millis() / LOOK.as_millis() {
                    return under_way;
                }
            }
        }
    });
    let sent = sender.paced(CONNECTIONS, rate, length).await;
    let under_way = watched.await.unwrap();
    settled(log).await;
    let third = under_way.len() / 3;
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len() as f64;
    let growth = mean(&under_way[2 * third..]) - mean(&under_way[third..2 * third]);
    let allowed = (rate * length.as_secs_f64() / 3.0 * 0.005).max(64.0);
    let is_held = growth <= allowed && keeps_pace(&sent, rate);
    println!(
        "    {rate:>8.0} a second for {} s: {} under way at the end, grown by {growth:.0}: {}",
        length.as_secs(),
        under_way.last().unwrap(),
        if is_held { "held" } else { "not held" }
    );
    is_held
}

fn keeps_pace(sent: &Sent, rate: f64) -> bool {
    sent.rate() > 0.98 * rate
}
