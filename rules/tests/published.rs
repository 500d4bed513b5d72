//! Published patterns with their answers, from other engines' tests and documentation.

#![allow(clippy::unwrap_used, reason = "a test")]

mod shared;

use std::collections::BTreeMap;

use herald_rules::Pattern;
use herald_rules::json::{Limits, parse};

const TWICE: &str = "a key that is there twice is an error; the others keep the last";
const DOTTED: &str = "a key with a dot is one key; AWS joins keys with dots and cannot tell";
const ALIBABA: &str = "Alibaba's dialect; AWS's meaning holds";

/// Where Herald's answer is another on purpose, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("pat-12204ea339c3", TWICE),
    ("pat-c9b1e00b1f6c", TWICE),
    ("pat-ceba4116c830", TWICE),
    ("pat-ff8bb90d9920", TWICE),
    ("pat-184e29e1ddf5", DOTTED),
    ("pat-77243f450269", DOTTED),
    ("pat-83232667fa14", DOTTED),
    ("pat-b799b42d86e0", DOTTED),
    (
        "pat-471bbd248e6a",
        "numbers are exact; Alibaba's engine compares to seven places",
    ),
    (
        "pat-f9d0ac2f8886",
        "300 = 3e2; Alibaba's engine compares texts",
    ),
    (
        "pat-6a7ba32d268c",
        "keys are AND-ed; in AWS's engine a field in `$or` replaces one beside it",
    ),
    ("val-25e963d913f5", TWICE),
    ("val-7abb3143599a", TWICE),
    (
        "val-38588bc82dbe",
        "six stars are too much for AWS's automaton; here their cost is linear",
    ),
    ("val-4c72e7e3e9cb", ALIBABA),
    ("val-68da15223fa5", ALIBABA),
    ("val-c7f46ac8c13a", ALIBABA),
];

/// Every wrong answer is listed above, and every listed one is still wrong.
#[track_caller]
fn check(wrong: &BTreeMap<String, String>, prefix: &str) {
    let listed = |id: &str| DIFFERENT.iter().any(|(known, _)| *known == id);
    let news: Vec<_> = wrong.iter().filter(|(id, _)| !listed(id)).collect();
    assert!(
        news.is_empty(),
        "{} unexpected answers: {news:#?}",
        news.len()
    );
    for (id, reason) in DIFFERENT.iter().filter(|(id, _)| id.starts_with(prefix)) {
        assert!(
            wrong.contains_key(*id),
            "{id} is as published now; delete: {reason}"
        );
    }
}

#[test]
fn answers_as_published() {
    let Some(folder) = shared::data("patterns") else {
        return;
    };
    let mut wrong = BTreeMap::new();
    for row in shared::rows(&folder.join("cases.jsonl")) {
        let text = |exact: &str, parsed: &str| match row[exact].as_str() {
            Some(text) => text.to_owned(),
            None => row[parsed].to_string(),
        };
        let id = row["id"].as_str().unwrap();
        let (pattern, event) = (text("pattern_text", "pattern"), text("event_text", "event"));
        let answer = match Pattern::from_json(&pattern) {
            Ok(read) => match parse(event.as_bytes(), Limits::default()) {
                Ok(parsed) => {
                    let explained = read.explain(&parsed.value).is_match();
                    let answer = read.evaluate(&parsed.value);
                    assert_eq!(explained, answer, "{id}");
                    assert_eq!(Pattern::from_json(&read.to_json()).unwrap(), read, "{id}");
                    format!("{answer}")
                }
                Err(error) => format!("event: {error}"),
            },
            Err(mistakes) => format!("pattern: {}", mistakes[0]),
        };
        if row["match"].as_bool() != answer.parse().ok() {
            wrong.insert(id.to_owned(), format!("{pattern} on {event}: {answer}"));
        }
    }
    check(&wrong, "pat-");
}

#[test]
fn accepts_and_refuses_as_published() {
    let Some(folder) = shared::data("patterns") else {
        return;
    };
    let mut wrong = BTreeMap::new();
    for row in shared::rows(&folder.join("validity.jsonl")) {
        let text = row["pattern_text"].as_str().unwrap();
        let read = Pattern::from_json(text);
        if read.is_ok() != row["valid"].as_bool().unwrap() {
            wrong.insert(
                row["id"].as_str().unwrap().to_owned(),
                format!("{text}: {:?}", read.err()),
            );
        }
    }
    check(&wrong, "val-");
}
