//! Any bytes are a document for the index exactly when they are one for the reader, and the index
//! answers as the plain evaluation does. The first line is a pattern, the rest the event.
#![no_main]

use herald_rules::json::{Limits, next_document, parse};
use herald_rules::{Index, Pattern, Scratch};
use libfuzzer_sys::fuzz_target;

/// Used besides the fuzzer's own, so that every operator is met from the start.
const PATTERNS: &[&str] = &[
    r#"{"a":[1,"x",null,{"prefix":"é"},{"suffix":"b"},{"wildcard":"a*b"}]}"#,
    r#"{"a":{"b":[{"exists":false}]},"c":[{"anything-but":"x"}]}"#,
    r#"{"$none":[{"a":[{"numeric":["<",5]}]}],"c":[{"equals-ignore-case":"É"},{"cidr":"::/0"}]}"#,
    r#"{"$or":[{"a":{"b":[1],"c":[2]}},{"a":{"$any":[{"b":[{"contains":"x"}]},{"c":[true]}]}}]}"#,
];

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (first, event) = bytes.split_at(split);
    let own = std::str::from_utf8(first)
        .ok()
        .and_then(|text| Pattern::from_json(text).ok());
    let patterns: Vec<Pattern> = PATTERNS
        .iter()
        .map(|text| Pattern::from_json(text).expect("a pattern"))
        .chain(own)
        .collect();
    let mut builder = Index::builder();
    for (id, pattern) in (0u32..).zip(&patterns) {
        builder.insert(id, pattern);
    }
    let mut scratch = Scratch::default();
    let index = builder.build();
    let indexed = index.matches(event, &mut scratch);
    let parsed = match parse(event, Limits::default()) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!(indexed, Err(error));
            return;
        }
    };
    let plain: Vec<u32> = (0u32..)
        .zip(&patterns)
        .filter(|(_, pattern)| pattern.evaluate(&parsed.value))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(indexed.expect("a document"), plain);
    for (id, pattern) in (0u32..).zip(&patterns) {
        assert_eq!(
            pattern.explain(&parsed.value).is_match(),
            plain.contains(&id)
        );
    }
    let text = parsed.value.to_string();
    let again = parse(text.as_bytes(), Limits::default()).expect("what was written");
    assert_eq!(again.value, parsed.value);
    assert!(matches!(
        next_document(event, Limits::default(), true),
        Ok(Some(_))
    ));
});
