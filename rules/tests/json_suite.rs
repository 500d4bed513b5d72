//! The reader of JSON against the files of JSONTestSuite.

#![allow(clippy::unwrap_used, reason = "a test")]

mod shared;

use herald_rules::json::{Limits, parse};

#[test]
fn agrees_with_the_suite() {
    let Some(folder) = shared::data("json") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in shared::rows(&folder.join("manifest.jsonl")) {
        let file = row["file"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let read = parse(&bytes, Limits::default());
        seen += 1;
        let right = match row["expect"].as_str().unwrap() {
            "accept" => read.is_ok(),
            "reject" => read.is_err(),
            _ => true,
        };
        if !right {
            wrong.push(format!("{file}: {read:?}"));
        }
        if let Ok(parsed) = read {
            let text = parsed.value.to_string();
            let again = parse(text.as_bytes(), Limits::default()).unwrap();
            assert_eq!(again.value, parsed.value, "{file}");
        }
    }
    assert!(seen > 100, "only {seen} files");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
