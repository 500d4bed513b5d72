//! The index, `explain` and the canonical text agree with the plain meaning of patterns.
//!
//! `PROPTEST_CASES` sets how many sets of rules are tried; each meets several events.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::collections::BTreeMap;

use herald_rules::json::{Limits, parse};
use herald_rules::{Index, Pattern, Scratch};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

/// Few names, so that patterns and events meet; some that are awkward.
const NAMES: &[&str] = &["a", "b", "c", "d.e", "é"];
/// Names as an event may write them.
const WRITTEN: &[&str] = &[
    "\"a\"",
    "\"b\"",
    "\"c\"",
    "\"d.e\"",
    "\"é\"",
    "\"\\u0061\"",
    "\"zz\"",
    "\"q\"",
];
const TEXTS: &[&str] = &[
    "",
    "a",
    "ab",
    "abc",
    "abcab",
    "B",
    "ABC",
    "x*y",
    "10.0.0.1",
    "10.0.1.1",
    "2001:db8::1",
    "É",
    "é",
    "straße",
    "STRASSE",
    "true",
    "1",
    "abcdefghijklmnop",
    "abcdefghijklmnoq",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "1.0",
    "10e-1",
    "-1",
    "300",
    "3e2",
    "12345678901234567890",
    "12345678901234567891",
    "0.1",
    "1e400",
    "-5.5",
];

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    select(TEXTS).prop_map(quoted)
}

fn number() -> impl Strategy<Value = String> {
    select(NUMBERS).prop_map(str::to_owned)
}

fn word() -> impl Strategy<Value = String> {
    select(&["null", "true", "false"][..]).prop_map(str::to_owned)
}

/// A text with its first character written as an escape.
fn escaped_text() -> impl Strategy<Value = String> {
    select(TEXTS).prop_map(|text| {
        let mut units = text.encode_utf16();
        let first = units
            .next()
            .map(|unit| format!("\\u{unit:04x}"))
            .unwrap_or_default();
        format!(
            "\"{first}{}\"",
            String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
        )
    })
}

fn event_value() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![4 => text(), 1 => escaped_text(), 3 => number(), 2 => word()];
    scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            2 => event_object(inner),
        ]
    })
}

fn event_object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    vec((select(WRITTEN), inner), 0..5).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        format!("{{{}}}", members.join(" ,"))
    })
}

fn event() -> impl Strategy<Value = String> {
    prop_oneof![30 => event_object(event_value()), 1 => event_value()]
}

fn wildcard() -> impl Strategy<Value = String> {
    select(
        &[
            "*",
            "a*",
            "*b",
            "a*b",
            "*b*",
            "a*c*b",
            "a*c*",
            "*c*b",
            "*b*c",
            "x\\*y",
            "",
            "abcdefg*p",
        ][..],
    )
    .prop_map(quoted)
}

fn one_or_list(one: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    let one = one.boxed();
    prop_oneof![
        one.clone(),
        vec(one, 1..4).prop_map(|list| format!("[{}]", list.join(",")))
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let affix = || select(&TEXTS[1..]).prop_map(quoted);
    let under = |operator: &'static str| move |inner: String| format!("{{\"{operator}\":{inner}}}");
    let folded = || text().prop_map(under("equals-ignore-case"));
    let numeric = prop_oneof![
        (
            select(&["=", "!=", "<", "<=", ">", ">="][..]),
            select(&NUMBERS[..11])
        )
            .prop_map(|(sign, number)| format!("[\"{sign}\",{number}]")),
        Just("[\">\",-1,\"<=\",1]".to_owned()),
        Just("[\">=\",0,\"<\",300]".to_owned()),
    ];
    let anything_but = prop_oneof![
        one_or_list(text()),
        one_or_list(number()),
        one_or_list(affix()).prop_map(under("prefix")),
        one_or_list(affix()).prop_map(under("suffix")),
        one_or_list(wildcard()).prop_map(under("wildcard")),
        one_or_list(text()).prop_map(under("equals-ignore-case")),
    ];
    prop_oneof![
        6 => text(),
        3 => number(),
        2 => word(),
        1 => text().prop_map(under("exactly")),
        2 => text().prop_map(under("prefix")),
        2 => text().prop_map(under("suffix")),
        1 => folded().prop_map(under("prefix")),
        1 => folded().prop_map(under("suffix")),
        1 => folded(),
        1 => text().prop_map(under("contains")),
        2 => wildcard().prop_map(under("wildcard")),
        2 => anything_but.prop_map(under("anything-but")),
        2 => numeric.prop_map(under("numeric")),
        1 => select(&["\"10.0.0.0/24\"", "\"10.0.0.1\"", "\"2001:db8::/32\"", "\"0.0.0.0/0\""][..])
            .prop_map(|network| format!("{{\"cidr\":{network}}}")),
        1 => Just("{\"exists\":true}".to_owned()),
        2 => Just("{\"exists\":false}".to_owned()),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    let leaf = vec(condition(), 1..4).prop_map(|list| format!("[{}]", list.join(",")));
    let fields = |value: BoxedStrategy<String>| {
        btree_map(select(NAMES).prop_map(str::to_owned), value, 1..4)
    };
    let render = |members: BTreeMap<String, String>| {
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{}:{value}", quoted(key)))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    let leaf = leaf.boxed();
    fields(leaf.clone())
        .prop_map(render)
        .prop_recursive(3, 12, 3, move |inner| {
            let combined = (
                select(&["$or", "$any", "$all", "$none"][..]),
                vec(inner.clone(), 2..4),
            )
                .prop_map(|(how, groups)| (how.to_owned(), format!("[{}]", groups.join(","))));
            let value = prop_oneof![2 => leaf.clone(), 1 => inner].boxed();
            (fields(value), proptest::option::weighted(0.3, combined)).prop_map(
                move |(mut members, combined)| {
                    members.extend(combined);
                    render(members)
                },
            )
        })
}

fn sought() -> impl Strategy<Value = String> {
    let operator = select(
        &[
            "contains",
            "prefix",
            "suffix",
            "wildcard",
            "equals-ignore-case",
        ][..],
    );
    let text = prop_oneof![
        "[abB]{1,12}",
        "[ab]{1,8}é[ab]{0,8}",
        "\\*?([ab]{1,6}\\*){0,3}[ab]{0,6}",
    ];
    let condition = (operator, text).prop_map(|(operator, text)| {
        let text = if operator == "wildcard" {
            text
        } else {
            text.replace('*', "")
        };
        format!("{{\"{operator}\":{}}}", quoted(&text))
    });
    vec(condition, 1..3).prop_map(|list| format!("[{}]", list.join(",")))
}

fn check(patterns: &[String], events: &[String]) -> Result<(), TestCaseError> {
    let read: Vec<Pattern> = patterns
        .iter()
        .map(|text| Pattern::from_json(text).expect(text))
        .collect();
    let mut builder = Index::builder();
    for (id, pattern) in read.iter().enumerate() {
        prop_assert_eq!(&Pattern::from_json(&pattern.to_json()).unwrap(), pattern);
        builder.insert(id as u32, pattern);
    }
    let index = builder.build();
    let mut scratch = Scratch::default();
    for (place, text) in events.iter().enumerate() {
        let event = parse(text.as_bytes(), Limits::default()).expect(text).value;
        let plain: Vec<u32> = (0u32..)
            .zip(&read)
            .filter(|(_, p)| p.evaluate(&event))
            .map(|(id, _)| id)
            .collect();
        let indexed = index.matches(text.as_bytes(), &mut scratch).unwrap();
        prop_assert_eq!(indexed, &plain, "{}", text);
        for (id, pattern) in (0u32..).zip(&read) {
            prop_assert!(
                !(pattern.never_matches() && plain.contains(&id)),
                "{}",
                pattern.to_json()
            );
        }
        // Explaining costs more than all the rest, and a few events a set say as much.
        for (id, pattern) in (0u32..)
            .zip(&read)
            .take(if place < 8 { read.len() } else { 0 })
        {
            let explained = pattern.explain(&event);
            prop_assert_eq!(
                explained.is_match(),
                plain.contains(&id),
                "{} {}",
                pattern.to_json(),
                text
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn index_and_explain_agree_with_evaluate(
        patterns in vec(pattern(), 1..10),
        events in vec(event(), 50),
    ) {
        check(&patterns, &events)?;
    }

    /// The index refuses exactly the bytes that the reader of documents refuses.
    #[test]
    fn index_refuses_what_parse_refuses(
        patterns in vec(pattern(), 1..3),
        event in event(),
        at in any::<proptest::sample::Index>(),
        byte in prop_oneof![any::<u8>(), select(&b"\"\\{}[],:0123456789.eE-+untrfalse \x00"[..])],
        insert in any::<bool>(),
    ) {
        let mut bytes = event.into_bytes();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        let mut builder = Index::builder();
        for pattern in &patterns {
            builder.insert(0, &Pattern::from_json(pattern).unwrap());
        }
        let mut scratch = Scratch::default();
        let indexed = builder.build().matches(&bytes, &mut scratch).map(<[u32]>::to_vec);
        match parse(&bytes, Limits::default()) {
            Err(error) => prop_assert_eq!(indexed, Err(error)),
            Ok(parsed) => {
                let plain = patterns
                    .iter()
                    .any(|pattern| Pattern::from_json(pattern).unwrap().evaluate(&parsed.value));
                prop_assert_eq!(indexed, Ok(if plain { vec![0] } else { vec![] }));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// So many texts are sought in one field that the index cuts them into parts and shortens
    /// prefixes and suffixes.
    #[test]
    fn index_agrees_on_many_texts_in_one_field(
        patterns in vec(sought(), 1..60),
        events in vec(vec("[abB*]{0,14}é?[ab]{0,9}", 1..3), 20),
    ) {
        let patterns: Vec<_> = patterns.iter().map(|leaf| format!("{{\"a\":{leaf}}}")).collect();
        let events: Vec<_> =
            events.iter().map(|texts| serde_json::json!({ "a": texts }).to_string()).collect();
        check(&patterns, &events)?;
    }
}

/// 1,000 sets of rules, each with 50 events, make 50,000 cases. Most of the time goes into making
/// them up.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(1_000)
}
