//! The disk's part in how long events take: what the router's commits took, and the same disk alone.
//!
//! Disks stand still now and then, shared ones more often, and nothing durable is quicker than its
//! disk. The same number of syncs a second, of the same bytes, by nobody but the bench, says what
//! the best router could reach there.

use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::peers::log::quantile;
use crate::peers::{Client, Process};

/// A commit beyond this is a stop of the disk. Chosen: some fifty times a usual `fdatasync`.
const STOP_SECONDS: f64 = 0.0128;

/// The file that is written over and over, as a log is that starts over.
const FILE_BYTES: u64 = 32 << 20;

/// What commits did up to a moment.
#[derive(Clone, Copy)]
pub(crate) struct Commits {
    count: f64,
    stops: f64,
    bytes: f64,
}

impl Commits {
    /// Asks the router's metrics and the system.
    pub(crate) async fn of(router: &Process) -> Self {
        let mut client = Client::to(router.address).await;
        let (status, text) = client.get("/metrics").await;
        assert_eq!(status, 200);
        let text = std::str::from_utf8(text).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect(name).trim().parse().unwrap()
        };
        let count = value("herald_journal_commit_seconds_count");
        let at_most = format!("herald_journal_commit_seconds_bucket{{le=\"{STOP_SECONDS}\"}}");
        Self {
            count,
            stops: count - value(&at_most),
            bytes: router.written_bytes(),
        }
    }

    /// How many there were since `before`.
    pub(crate) fn since(self, before: Self) -> f64 {
        self.count - before.count
    }
}

/// Prints what the commits since `before` took, and what the disk alone takes for the same.
pub(crate) async fn tell(router: &Process, before: Commits, length: Duration, folder: &Path) {
    let after = Commits::of(router).await;
    let count = after.count - before.count;
    let rate = count / length.as_secs_f64();
    let bytes = (after.bytes - before.bytes) / count;
    println!(
        "    commits {rate:.0} a second of {:.0} KiB, {:.0} over {} ms",
        bytes / 1_024.0,
        after.stops - before.stops,
        1e3 * STOP_SECONDS
    );
    let folder = folder.to_owned();
    let alone = tokio::task::spawn_blocking(move || alone(&folder, rate, bytes, length));
    let took = alone.await.unwrap();
    let stop = Duration::from_secs_f64(STOP_SECONDS).as_micros();
    let stops = took.iter().filter(|took| u128::from(**took) > stop);
    println!(
        "    the disk alone, as many of as much      p50 {:.2} ms, p99 {:.2} ms, {} over {} ms",
        quantile(&took, 0.5),
        quantile(&took, 0.99),
        stops.count(),
        1e3 * STOP_SECONDS
    );
}

/// Microseconds that each sync took, from the time it was due, sorted.
fn alone(folder: &Path, rate: f64, bytes: f64, length: Duration) -> Vec<u64> {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some KiB"
    )]
    let block = vec![7; (bytes as usize).max(1)];
    let mut file = std::fs::File::create(folder.join("alone")).unwrap();
    let filled = vec![1; usize::try_from(FILE_BYTES).unwrap()];
    file.write_all(&filled).unwrap();
    file.sync_all().unwrap();
    file.rewind().unwrap();
    let step = Duration::from_secs_f64(1.0 / rate);
    let began = Instant::now();
    let (mut due, mut took) = (began, Vec::new());
    while due < began + length {
        if file.stream_position().unwrap() + block.len() as u64 > FILE_BYTES {
            file.rewind().unwrap();
        }
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
            due = Instant::now();
        }
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        took.push(u64::try_from(due.elapsed().as_micros()).unwrap());
        due += step;
    }
    took.sort_unstable();
    took
}
