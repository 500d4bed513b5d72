//! Every example of `reference.md` is true.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use herald_rules::json::{Limits, parse};
use herald_rules::{Index, Pattern, REFERENCE, Scratch};
use toml::de::DeTable;

/// The fenced blocks of a page: the word after the fence, and the lines.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in REFERENCE.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some((word, lines))) => blocks.push((word, lines.join("\n"))),
            (Some(word), None) => open = Some((word, Vec::new())),
            (None, Some((word, mut lines))) => {
                lines.push(line);
                open = Some((word, lines));
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn examples_are_true() {
    let mut seen = 0;
    for (_, block) in blocks().iter().filter(|(word, _)| *word == "example") {
        let mut pattern = None;
        for line in block.lines() {
            let (word, rest) = line.split_once("  ").unwrap_or_else(|| panic!("{line}"));
            seen += 1;
            match word {
                "pattern" => pattern = Some(Pattern::from_json(rest).expect(rest)),
                "matches" | "differs" => {
                    check(pattern.as_ref().unwrap(), rest, word == "matches");
                }
                "refused" => refused(rest),
                _ => panic!("{line}"),
            }
        }
    }
    assert!(seen > 150, "only {seen} lines of examples");
}

fn check(pattern: &Pattern, event: &str, expected: bool) {
    let value = parse(event.as_bytes(), Limits::default())
        .expect(event)
        .value;
    assert_eq!(
        pattern.evaluate(&value),
        expected,
        "{} {event}",
        pattern.to_json()
    );
    assert_eq!(
        pattern.explain(&value).is_match(),
        expected,
        "{} {event}",
        pattern.to_json()
    );
    let mut builder = Index::builder();
    builder.insert(3, pattern);
    let mut scratch = Scratch::default();
    let indexed = builder
        .build()
        .matches(event.as_bytes(), &mut scratch)
        .unwrap()
        == [3];
    assert_eq!(indexed, expected, "{} {event}", pattern.to_json());
}

fn refused(line: &str) {
    let (text, reason) = line.split_once(" → ").unwrap();
    let mistakes = Pattern::from_json(text).expect_err(text);
    assert!(
        mistakes[0].reason.starts_with(reason),
        "{text}: {}",
        mistakes[0].reason
    );
}

#[test]
fn toml_says_what_the_json_below_says() {
    let blocks = blocks();
    let mut seen = 0;
    for pair in blocks.windows(2) {
        let [("toml", table), ("json", json)] = pair else {
            continue;
        };
        let table = DeTable::parse(table).unwrap();
        assert_eq!(
            Pattern::from_toml(table.get_ref()).unwrap().to_json(),
            *json
        );
        seen += 1;
    }
    assert_eq!(seen, 2);
}
