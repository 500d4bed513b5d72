//! What made-up cases seldom meet.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use herald_rules::json::{Limits, Reason, parse};
use herald_rules::{Index, Pattern, Scratch};

fn index(patterns: &[&str]) -> Index {
    let mut builder = Index::builder();
    for (id, text) in (0u32..).zip(patterns) {
        builder.insert(id, &Pattern::from_json(text).expect(text));
    }
    builder.build()
}

#[track_caller]
fn check(patterns: &[&str], event: &str, expected: &[u32]) {
    let value = parse(event.as_bytes(), Limits::default()).unwrap().value;
    let plain: Vec<u32> = (0u32..)
        .zip(patterns)
        .filter(|(_, text)| Pattern::from_json(text).unwrap().evaluate(&value))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(plain, expected, "evaluate, {event}");
    let mut scratch = Scratch::default();
    let indexed = index(patterns)
        .matches(event.as_bytes(), &mut scratch)
        .unwrap()
        .to_vec();
    assert_eq!(indexed, expected, "index, {event}");
}

#[test]
fn objects_without_a_tested_field_count_as_elements() {
    let patterns = [
        r#"{"a":{"$none":[{"b":[{"exists":false}]}]}}"#,
        r#"{"a":{"b":[{"exists":false}]}}"#,
        r#"{"a":{"b":[1]}}"#,
    ];
    check(&patterns, r#"{"a":[{"b":1},{"z":2}]}"#, &[2]);
    check(&patterns, r#"{"a":[{"b":1},{"b":2}]}"#, &[0, 2]);
    check(&patterns, r#"{"a":[{"z":1},{}]}"#, &[1]);
    check(&patterns, r#"{"a":[{"b":1},3]}"#, &[0, 2]);
}

#[test]
fn a_key_that_is_there_twice_takes_what_was_below_with_it() {
    let patterns = [
        r#"{"a":{"b":{"c":[1]}}}"#,
        r#"{"a":{"b":{"c":[{"exists":false}]}}}"#,
    ];
    check(&patterns, r#"{"a":{"b":{"c":1}},"a":{"b":{"c":1}}}"#, &[0]);
    check(&patterns, r#"{"a":{"b":{"c":1},"b":2}}"#, &[1]);
    check(&patterns, r#"{"a":{"b":{"c":1}},"\u0061":7}"#, &[1]);
    check(
        &patterns,
        r#"{"a":[{"b":{"c":2}}],"a":{"b":{"c":1,"c":2,"c":1}}}"#,
        &[0],
    );
}

#[test]
fn prefixes_of_very_many_lengths() {
    let prefixes: Vec<String> = (1..200).map(|n| "é".repeat(n)).collect();
    let suffixes: Vec<String> = (1..200).map(|n| format!("{}!", "é".repeat(n))).collect();
    let patterns: Vec<String> = prefixes
        .iter()
        .map(|prefix| format!(r#"{{"a":[{{"prefix":"{prefix}"}}]}}"#))
        .chain(
            suffixes
                .iter()
                .map(|suffix| format!(r#"{{"a":[{{"suffix":"{suffix}"}}]}}"#)),
        )
        .collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let expected: Vec<u32> = (0..120).collect();
    check(
        &patterns,
        &format!(r#"{{"a":"{}x"}}"#, "é".repeat(120)),
        &expected,
    );
    let expected: Vec<u32> = (0..50).chain(199..249).collect();
    check(
        &patterns,
        &format!(r#"{{"a":"{}!"}}"#, "é".repeat(50)),
        &expected,
    );
}

#[test]
fn wildcards_with_literal_ends() {
    let patterns = [
        r#"{"a":[{"wildcard":"ab*ba"}]}"#,
        r#"{"a":[{"wildcard":"ab*x*"}]}"#,
        r#"{"a":[{"wildcard":"*x*ba"}]}"#,
        r#"{"a":[{"wildcard":"ab"}]}"#,
    ];
    check(&patterns, r#"{"a":"abba"}"#, &[0]);
    check(&patterns, r#"{"a":"aba"}"#, &[]);
    check(&patterns, r#"{"a":"abxba"}"#, &[0, 1, 2]);
    check(&patterns, r#"{"a":["x","ab"]}"#, &[3]);
}

#[test]
fn ids_are_told_once_and_in_order() {
    let pattern = |text| Pattern::from_json(text).unwrap();
    let mut builder = Index::builder();
    builder
        .insert(9, &pattern(r#"{"a":[1,2],"b":["x"]}"#))
        .insert(4, &pattern(r#"{"a":[1]}"#))
        .insert(9, &pattern(r#"{"a":[1.0]}"#))
        .insert(4, &pattern(r#"{"a":[1]}"#))
        .insert(u32::MAX, &pattern(r#"{"a":[{"exists":true}]}"#));
    let index = builder.build();
    let mut scratch = Scratch::default();
    let matched = index
        .matches(br#"{"a":[1,2],"b":"x"}"#, &mut scratch)
        .unwrap();
    assert_eq!(matched, [4, 9, u32::MAX]);
}

#[test]
fn nothing_to_match_with() {
    let mut scratch = Scratch::default();
    let empty = index(&[]);
    assert!(empty.is_empty());
    assert_eq!(empty.matches(b"{\"a\":1}", &mut scratch), Ok(&[][..]));
    assert_eq!(
        empty.matches(b"{", &mut scratch).unwrap_err().reason,
        Reason::EndsEarly
    );
    let absent = index(&[r#"{"a":[{"exists":false}]}"#]);
    assert_eq!(absent.matches(b"[]", &mut scratch), Ok(&[][..]));
    assert_eq!(absent.matches(b"{}", &mut scratch), Ok(&[0][..]));
}

#[test]
fn scratch_moves_between_indexes() {
    let (one, other) = (
        index(&[r#"{"a":[1]}"#]),
        index(&[r#"{"x":[2]}"#, r#"{"x":[1],"a":[1]}"#]),
    );
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        assert_eq!(one.matches(br#"{"a":1,"x":1}"#, &mut scratch), Ok(&[0][..]));
        assert_eq!(
            other.matches(br#"{"a":1,"x":1}"#, &mut scratch),
            Ok(&[1][..])
        );
        assert_eq!(other.matches(br#"{"x":2}"#, &mut scratch), Ok(&[0][..]));
        assert_eq!(one.matches(br#"{"x":1}"#, &mut scratch), Ok(&[][..]));
    }
}

#[test]
fn threads_share_patterns_and_indexes() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Pattern>();
    shared::<Index>();
}

#[test]
fn depth_is_limited_by_name() {
    let mut builder = Index::builder();
    builder
        .limits(Limits { depth_max: 2 })
        .insert(0, &Pattern::from_json(r#"{"a":[1]}"#).unwrap());
    let index = builder.build();
    let mut scratch = Scratch::default();
    assert_eq!(
        index.matches(br#"{"b":[0],"a":[1]}"#, &mut scratch),
        Ok(&[0][..])
    );
    for deep in [r#"{"b":[[0]]}"#, r#"{"a":[[0]]}"#] {
        let error = index.matches(deep.as_bytes(), &mut scratch).unwrap_err();
        assert_eq!((error.offset, error.reason), (6, Reason::TooDeep));
    }
    let deep = "[".repeat(100_000);
    assert_eq!(
        index
            .matches(deep.as_bytes(), &mut scratch)
            .unwrap_err()
            .offset,
        2
    );
}
