//! How many full cycles (event, delivery, open attempt, settlement) the journal takes a second,
//! beside what bounds it on the same disk in the same run.
//!
//! `cargo bench --bench journal [-- EVENTS]`; `HERALD_BENCH_DIR` names another disk, and
//! `HERALD_BENCH_ONLY` a part of the names to be run. Three rounds; each measures in turn:
//!
//! - **bare file**: the bytes of a group appended, then one `fdatasync`;
//! - **bare SQLite**: one row of the same size per event, a group per transaction, WAL, FULL;
//! - **journal**: groups of 64 recorded by one task, claimed and settled by two others, so that
//!   each commit holds 64 of each;
//! - **journal, one after the other**: the same with a single task, so that each group costs three
//!   commits;
//! - **journal, with text**: as the first, and the text of every message saved before it is sent.
//!
//! A figure means something only as a ratio to the others of its round.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot run has nothing to say"
)]

mod peers;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use herald::journal::sqlite::SqliteJournal;
use herald::journal::{
    ClaimRequest, Claimed, Entry, Generation, Journal, Next, Room, Saved, SettledItem, Settlement,
};
use herald_model::{Outcome, Signal};
use jiff::Timestamp;
use peers::entry::{TEXT_BYTES, entry, open, start};

const GROUP: usize = 64;
const ROUNDS: usize = 3;
const EVENTS: usize = 64_000;

fn main() {
    let events = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(EVENTS);
    let only = std::env::var("HERALD_BENCH_ONLY").unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    println!("{events} events of {TEXT_BYTES} bytes in groups of {GROUP}; per second:");
    for round in 1..=ROUNDS {
        for (name, run) in [
            (
                "bare file",
                bare_file as fn(&Path, usize, &tokio::runtime::Runtime) -> Duration,
            ),
            ("bare SQLite", bare_sqlite),
            ("journal", piped),
            ("journal, one after the other", in_turn),
            ("journal, with text", with_text),
        ] {
            if !name.contains(&only) {
                continue;
            }
            let disk = std::env::var("HERALD_BENCH_DIR");
            let disk = disk.unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
            let dir = tempfile::tempdir_in(disk).unwrap();
            let took = run(dir.path(), events, &runtime);
            #[allow(clippy::cast_precision_loss, reason = "for people")]
            let rate = events as f64 / took.as_secs_f64();
            println!("round {round}  {name:<30} {rate:>9.0}");
        }
    }
}

fn bare_file(dir: &Path, events: usize, _: &tokio::runtime::Runtime) -> Duration {
    let mut file = File::create(dir.join("bare")).unwrap();
    let group = vec![b'x'; TEXT_BYTES * GROUP];
    let began = Instant::now();
    for _ in 0..events / GROUP {
        file.write_all(&group).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed()
}

fn bare_sqlite(dir: &Path, events: usize, _: &tokio::runtime::Runtime) -> Duration {
    let conn = rusqlite::Connection::open(dir.join("bare.db")).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE row (seq INTEGER PRIMARY KEY, text TEXT)",
    )
    .unwrap();
    let mut insert = conn.prepare("INSERT INTO row (text) VALUES (?1)").unwrap();
    let text = "x".repeat(TEXT_BYTES);
    let began = Instant::now();
    for _ in 0..events / GROUP {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..GROUP {
            insert.execute([&text]).unwrap();
        }
        conn.execute_batch("COMMIT").unwrap();
    }
    began.elapsed()
}

fn piped(dir: &Path, events: usize, runtime: &tokio::runtime::Runtime) -> Duration {
    runtime.block_on(both(dir, events, false))
}

fn with_text(dir: &Path, events: usize, runtime: &tokio::runtime::Runtime) -> Duration {
    runtime.block_on(both(dir, events, true))
}

async fn both(dir: &Path, events: usize, text: bool) -> Duration {
    let (journal, rules) = open(dir.join("journal.db")).await;
    let began = Instant::now();
    let recorder = {
        let (journal, rules) = (Arc::clone(&journal), rules.clone());
        tokio::spawn(async move {
            for group in 0..events / GROUP {
                let made = journal.record(entries(&rules, group)).await.unwrap();
                assert_eq!(made.len(), GROUP);
            }
        })
    };
    let wanted = events / GROUP * GROUP;
    let delivered = AtomicUsize::new(0);
    let due = journal.due_signal();
    let dispatch = async || {
        while delivered.load(Ordering::Relaxed) < wanted {
            let now = start();
            let claimed = claim(&journal, &rules, now).await;
            if claimed.is_empty() {
                tokio::select! {
                    () = due.notified() => {}
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
                continue;
            }
            if text {
                let saving = claimed.iter().map(|one| {
                    let text = "x".repeat(TEXT_BYTES);
                    journal.save(one.attempt, Saved::Text(text))
                });
                for saved in futures_util::future::join_all(saving).await {
                    saved.unwrap();
                }
            }
            let count = claimed.len();
            settle(&journal, claimed, now).await;
            delivered.fetch_add(count, Ordering::Relaxed);
        }
    };
    futures_util::future::join(dispatch(), dispatch()).await;
    recorder.await.unwrap();
    let took = began.elapsed();
    tell_cpu(wanted);
    let totals = herald::journal::Look::totals(&*journal).await.unwrap();
    assert_eq!((totals.delivered, totals.pending), (wanted as u64, 0));
    journal.close().await;
    took
}

/// Prints the CPU time that each of the journal's threads has used per event: unlike the rate, it
/// hardly depends on what else the machine does.
fn tell_cpu(events: usize) {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return;
    };
    for thread in threads.flatten() {
        let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let (name, times) = (read("comm"), read("schedstat"));
        let nanos: u64 = times
            .split(' ')
            .next()
            .and_then(|time| time.parse().ok())
            .unwrap_or(0);
        if let Some(name) = name.trim().strip_prefix("journal-") {
            let each = nanos / events as u64;
            print!("  {name} {}.{} µs", each / 1_000, each % 1_000 / 100);
        }
    }
    println!();
}

fn in_turn(dir: &Path, events: usize, runtime: &tokio::runtime::Runtime) -> Duration {
    runtime.block_on(async {
        let (journal, rules) = open(dir.join("journal.db")).await;
        let began = Instant::now();
        for group in 0..events / GROUP {
            let entries = entries(&rules, group);
            journal.record(entries).await.unwrap();
            let claimed = claim(&journal, &rules, start()).await;
            assert_eq!(claimed.len(), GROUP);
            settle(&journal, claimed, start()).await;
        }
        let took = began.elapsed();
        journal.close().await;
        took
    })
}

async fn claim(journal: &SqliteJournal, rules: &Generation, now: Timestamp) -> Vec<Claimed> {
    let request = ClaimRequest {
        now,
        room: vec![Room::plain(rules.sinks[0], 64)],
    };
    journal.claim(request).await.unwrap().messages
}

async fn settle(journal: &SqliteJournal, claimed: Vec<Claimed>, now: Timestamp) {
    let settling = claimed.iter().map(|claimed| {
        journal.settle(Settlement {
            attempt: claimed.attempt,
            ended: now,
            items: vec![SettledItem {
                delivery: claimed.items[0].number,
                outcome: Outcome::Delivered {
                    reply: "200 OK".to_owned(),
                },
                next: Next::Delivered,
            }],
            signal: Signal::None,
        })
    });
    for settled in futures_util::future::join_all(settling).await {
        settled.unwrap();
    }
}

fn entries(rules: &Generation, group: usize) -> Vec<Entry> {
    (group * GROUP..(group + 1) * GROUP)
        .map(|n| entry(rules, n as u128 + 1))
        .collect()
}
