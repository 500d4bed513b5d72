//! How fast events are matched, as shares of what it costs to step over their bytes.
//!
//! `cargo bench -p herald-rules` prints two tables in Markdown: every set at every size, and what was
//! aimed at beside what was reached. `RULES_MAX=100000` leaves out larger sets, `SET=scoped` the other
//! sets, `PEER=0` quamina. Figures of one run are comparable, those of two runs are not: the rounds of
//! all contestants alternate, and the tables show medians of three.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads clocks")]

mod aims;
mod sets;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use herald_rules::json::{Limits, parse};
use herald_rules::{Index, Pattern, Scratch};
use serde::de::IgnoredAny;
use sets::World;

const ROUNDS: usize = 3;
const EVENTS: usize = 10_000;
const SIZES: [usize; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
/// The linear scan and the peer get as many events as they manage in about this time.
const PATIENCE: Duration = Duration::from_millis(150);
/// The index gets all events, or as many as it manages in this time: a set that has nothing to be
/// found by must not hold up the others.
const LONG_PATIENCE: Duration = Duration::from_secs(4);
/// The first so many events are timed one by one, for one alone may use up the patience.
const CLOSELY: usize = 16;

fn main() {
    let setting = |name| std::env::var(name).ok();
    let most = setting("RULES_MAX")
        .and_then(|text| text.parse().ok())
        .unwrap_or(usize::MAX);
    let peer = setting("PEER").is_none_or(|text| text != "0");
    let only = setting("SET");
    let mut world = World::new();
    let events: Vec<String> = (0..EVENTS).map(|_| world.event()).collect();
    type Make = fn(&mut World, usize) -> String;
    let makers: [(&'static str, Make); 4] = [
        ("global", World::global),
        ("scoped", World::scoped),
        ("exact", World::exact),
        ("awkward", World::awkward),
    ];
    println!(
        "Index, linear scan and quamina as shares of the ceiling: serde_json stepping over the"
    );
    println!("same bytes (`IgnoredAny`), in events a second.\n");
    Row::head();
    let mut rows = Vec::new();
    for (name, make) in makers {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for size in SIZES.into_iter().filter(|&size| size <= most) {
            let texts: Vec<String> = (0..size).map(|place| make(&mut world, place)).collect();
            let row = Row::measured(name, &texts, &events, peer);
            row.print();
            rows.push(row);
        }
    }
    aims::print(&rows);
}

/// One set at one size.
struct Row {
    set: &'static str,
    rules: usize,
    /// Events a second that are stepped over.
    ceiling: f64,
    /// Shares of the ceiling.
    index: f64,
    linear: f64,
    peer: Option<f64>,
    /// The 99th of a hundred single events over the 50th.
    spread: f64,
    /// Rules that match an event, on average.
    hits: f64,
    parsing: Duration,
    building: Duration,
    /// Bytes of the index for each rule.
    bytes: f64,
}

impl Row {
    fn measured(set: &'static str, texts: &[String], events: &[String], peer: bool) -> Self {
        let start = Instant::now();
        let patterns: Vec<Pattern> = texts
            .iter()
            .map(|text| Pattern::from_json(text).expect(text).without_fields())
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
        let mut spreads = vec![];
        let (mut hits, mut seen) = (0, 0);
        for _ in 0..ROUNDS {
            let skip = rate(events, Duration::MAX, |event| {
                black_box(serde_json::from_slice::<IgnoredAny>(event.as_bytes()).unwrap());
            });
            (hits, seen) = (0, 0);
            let indexed = rate(events, LONG_PATIENCE, |event| {
                seen += 1;
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
            spreads.push(spread(&index, events, &mut scratch));
        }
        Row {
            set,
            rules: texts.len(),
            ceiling: median(skips),
            index: median(shares),
            linear: median(linears),
            peer: (!others.is_empty()).then(|| median(others)),
            spread: median(spreads),
            hits: hits as f64 / f64::from(seen),
            parsing,
            building,
            bytes: index.bytes() as f64 / texts.len() as f64,
        }
    }

    fn head() {
        println!(
            "| Set | Rules | Ceiling | Index | Linear scan | quamina | p99 / p50 | Matches | Read, ms \
             | Build, ms | Bytes a rule |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
    }

    fn print(&self) {
        let peer = self.peer.map_or("–".to_owned(), share);
        println!(
            "| {} | {} | {:.0} | {} | {} | {peer} | {:.1} | {:.2} | {:.1} | {:.1} | {:.0} |",
            self.set,
            self.rules,
            self.ceiling,
            share(self.index),
            share(self.linear),
            self.spread,
            self.hits,
            self.parsing.as_secs_f64() * 1e3,
            self.building.as_secs_f64() * 1e3,
            self.bytes,
        );
    }
}

/// Two digits that count, however small the share.
fn share(figure: f64) -> String {
    let zeros = (-figure.log10()).floor().max(0.0) as usize;
    format!("{figure:.*}", zeros + 2)
}

/// Events a second, until the events or the patience are used up.
fn rate(events: &[String], patience: Duration, mut run: impl FnMut(&str)) -> f64 {
    let start = Instant::now();
    let mut done = 0usize;
    for event in events {
        run(event);
        done += 1;
        if (done < CLOSELY || done.is_multiple_of(CLOSELY)) && start.elapsed() > patience {
            break;
        }
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// The 99th of a hundred times over the 50th, for single events.
fn spread(index: &Index, events: &[String], scratch: &mut Scratch) -> f64 {
    let begun = Instant::now();
    let mut times: Vec<f64> = events
        .iter()
        .take_while(|_| begun.elapsed() < LONG_PATIENCE)
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
