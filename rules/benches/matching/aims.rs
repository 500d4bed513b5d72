//! What was aimed at, beside what was reached.

use super::Row;

/// Bytes that a rule may take in the index.
const BYTES_MAX: f64 = 512.0;
/// Seconds in which 100,000 rules must be read and built.
const BUILD_MAX: f64 = 1.0;
/// How much longer than the 50th of a hundred events the 99th may take.
const SPREAD_MAX: f64 = 6.0;

/// The least share of the ceiling by set and size.
const LEAST: [(&str, usize, f64); 6] = [
    ("global", 1, 0.40),
    ("scoped", 1, 0.40),
    ("exact", 1, 0.40),
    ("global", 100_000, 0.08),
    ("scoped", 100_000, 0.08),
    ("exact", 100_000, 0.10),
];

/// Prints the aims that these rows speak of. The set without a name here, and a million rules, have
/// none but to stay ahead of the scan.
pub(super) fn print(rows: &[Row]) {
    println!("\n| Aim | Reached | |\n|---|---|---|");
    let line = |aim: String, reached: String, is_reached: bool| {
        let word = if is_reached { "yes" } else { "**no**" };
        println!("| {aim} | {reached} | {word} |");
    };
    for (set, rules, least) in LEAST {
        if let Some(row) = rows.iter().find(|row| row.set == set && row.rules == rules) {
            let aim = format!("{set}, {rules}: at least {least:.2} of the ceiling");
            line(aim, super::share(row.index), row.index >= least);
        }
    }
    let aimed: Vec<&Row> = rows
        .iter()
        .filter(|row| row.rules <= 100_000 && LEAST.iter().any(|(set, ..)| *set == row.set))
        .collect();
    if let Some(worst) = most(&aimed, |row| row.spread) {
        let aim = format!("p99 under {SPREAD_MAX} times p50");
        line(aim, format!("{worst:.1}"), worst < SPREAD_MAX);
    }
    let large: Vec<&Row> = aimed
        .into_iter()
        .filter(|row| row.rules == 100_000)
        .collect();
    if let Some(worst) = most(&large, |row| (row.parsing + row.building).as_secs_f64()) {
        let aim = format!("100,000 rules read and built within {BUILD_MAX} s");
        line(aim, format!("{worst:.2} s"), worst < BUILD_MAX);
    }
    if let Some(worst) = most(&large, |row| row.bytes) {
        let aim = format!("at most {BYTES_MAX} bytes a rule at 100,000");
        line(aim, format!("{worst:.0}"), worst <= BYTES_MAX);
    }
    let all: Vec<&Row> = rows.iter().collect();
    if let Some(worst) = most(&all, |row| row.linear / row.index) {
        let aim = "never slower than the linear scan".to_owned();
        line(
            aim,
            format!("{:.1} times as fast", 1.0 / worst),
            worst <= 1.0,
        );
    }
}

fn most(rows: &[&Row], figure: impl Fn(&Row) -> f64) -> Option<f64> {
    rows.iter().map(|row| figure(row)).max_by(f64::total_cmp)
}
