//! How fast events are matched, as shares of what it costs to step over their bytes.
//!
//! Run with `cargo bench -p herald-rules`. `RULES_MAX=1000000` tries larger sets, `PEER=1` runs
//! quamina beside, `SET=scoped` that set alone. Figures of one run are comparable, those of two runs are not: the rounds of all
//! contestants alternate, and the table shows medians of three.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads clocks")]

mod sets;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use herald_rules::json::{Limits, parse};
use herald_rules::{Index, Pattern, Scratch};
use sets::World;

const ROUNDS: usize = 3;
const EVENTS: usize = 10_000;
const SIZES: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
/// The linear scan and the peer get as many events as they manage in about this time.
const PATIENCE: Duration = Duration::from_millis(150);

fn main() {
    let setting = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
    };
    let most = setting("RULES_MAX").unwrap_or(100_000);
    let peer = setting("PEER").is_some();
    let mut world = World::new();
    let events: Vec<String> = (0..EVENTS).map(|_| world.event()).collect();
    println!(
        "each figure but the first is a share of stepping over the same bytes (serde_json IgnoredAny)\n"
    );
    println!(
        "{:8} {:>9} {:>9}  {:>7} {:>8} {:>8}  {:>8} {:>9}  {:>8} {:>8} {:>7}",
        "set",
        "rules",
        "skip/s",
        "index",
        "linear",
        "quamina",
        "build ms",
        "B/rule",
        "hits",
        "p99/p50",
        "parse ms"
    );
    type Make = fn(&mut World, usize) -> String;
    let makers: [(&str, Make); 4] = [
        ("global", World::global),
        ("scoped", World::scoped),
        ("exact", World::exact),
        ("awkward", World::awkward),
    ];
    let only = std::env::var("SET").ok();
    for (name, make) in makers {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for size in SIZES.into_iter().filter(|&size| size <= most) {
            let texts: Vec<String> = (0..size).map(|place| make(&mut world, place)).collect();
            row(name, &texts, &events, peer);
        }
    }
}

fn row(name: &str, texts: &[String], events: &[String], peer: bool) {
    let start = Instant::now();
    let patterns: Vec<Pattern> = texts
        .iter()
        .map(|text| Pattern::from_json(text).expect(text))
        .collect();
    let parsing = start.elapsed();
    let start = Instant::now();
    let mut builder = Index::builder();
    for (id, pattern) in (0u32..).zip(&patterns) {
        builder.insert(id, pattern);
    }
    let index = builder.build();
    let building = start.elapsed();
    let mut scratch = Scratch::default();
    let mut other = peer.then(|| Peer::new(texts)).flatten();

    let (mut skips, mut shares, mut linears, mut others) = (vec![], vec![], vec![], vec![]);
    let mut hits = 0;
    for _ in 0..ROUNDS {
        let skip = rate(events, Duration::MAX, |event| {
            black_box(serde_json::from_slice::<serde::de::IgnoredAny>(event.as_bytes()).unwrap());
        });
        hits = 0;
        let indexed = rate(events, Duration::MAX, |event| {
            hits += index.matches(event.as_bytes(), &mut scratch).unwrap().len();
        });
        let linear = rate(events, PATIENCE, |event| {
            let event = parse(event.as_bytes(), Limits::default()).unwrap().value;
            black_box(
                patterns
                    .iter()
                    .filter(|pattern| pattern.evaluate(&event))
                    .count(),
            );
        });
        if let Some(other) = &mut other {
            others.push(rate(events, PATIENCE, |event| other.run(event)) / skip);
        }
        skips.push(skip);
        shares.push(indexed / skip);
        linears.push(linear / skip);
    }
    println!(
        "{name:8} {:>9} {:>9.0}  {:>7.3} {:>8.5} {:>8}  {:>8.1} {:>9.0}  {:>8.2} {:>8.2} {:>7.1}",
        texts.len(),
        median(skips),
        median(shares),
        median(linears),
        if others.is_empty() {
            "-".to_owned()
        } else {
            format!("{:.5}", median(others))
        },
        building.as_secs_f64() * 1e3,
        index.bytes() as f64 / texts.len() as f64,
        hits as f64 / events.len() as f64,
        spread(&index, events, &mut scratch),
        parsing.as_secs_f64() * 1e3,
    );
}

/// Events a second, until the events or the patience are used up.
fn rate(events: &[String], patience: Duration, mut run: impl FnMut(&str)) -> f64 {
    let start = Instant::now();
    let mut done = 0usize;
    for event in events {
        run(event);
        done += 1;
        if done.is_multiple_of(16) && start.elapsed() > patience {
            break;
        }
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// The 99th of a hundred times over the 50th, for single events.
fn spread(index: &Index, events: &[String], scratch: &mut Scratch) -> f64 {
    let mut times: Vec<f64> = events
        .iter()
        .map(|event| {
            let start = Instant::now();
            black_box(index.matches(event.as_bytes(), scratch).unwrap());
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100] / times[times.len() / 2]
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// quamina, where it takes the rules. Larger sets make it refuse, panic or run for minutes.
struct Peer(quamina::Quamina<u32>);

impl Peer {
    const RULES_MAX: usize = 1_000;

    fn new(texts: &[String]) -> Option<Self> {
        let distinct: BTreeSet<&String> = texts.iter().collect();
        if distinct.len() > Self::RULES_MAX {
            return None;
        }
        let mut peer = quamina::Quamina::new();
        for (id, text) in (0u32..).zip(texts) {
            peer.add_pattern(id, text).ok()?;
        }
        Some(Peer(peer))
    }

    fn run(&mut self, event: &str) {
        black_box(self.0.matches_for_event(event.as_bytes()).unwrap());
    }
}
