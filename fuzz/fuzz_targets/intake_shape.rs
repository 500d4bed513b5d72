//! Any object, made to look like each shape in turn, so that every decoder is reached at once.
#![no_main]

use herald::intake::Received;
use herald_rules::json::{self, Limits, Object, Value};
use libfuzzer_sys::fuzz_target;

mod intake;

/// Keys that tell a shape, with JSON that its decoder goes on with.
const MARKS: [&[(&str, &str)]; 4] = [
    &[("name", r#""n""#), ("content", r#""{}""#)],
    &[
        ("specversion", r#""1.0""#),
        ("id", r#""1""#),
        ("source", r#""acs.ecs""#),
        ("type", r#""ecs:a:b""#),
    ],
    &[("batchId", r#""1""#), ("alert", r#"{"eventName":"n"}"#)],
    &[(
        "SystemEvents",
        r#"{"SystemEvent":[{"Name":"n","Content":"[{}]"}]}"#,
    )],
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let Ok(parsed) = json::parse(rest, Limits::default()) else {
        return;
    };
    let Value::Object(object) = parsed.value else {
        return;
    };
    let marks = MARKS[usize::from(*first) % MARKS.len()];
    let mut marked = Object::new();
    for (key, text) in marks {
        let mark = json::parse(text.as_bytes(), Limits::default())
            .unwrap()
            .value;
        // Half of the inputs keep what they have themselves under a telling key.
        let own = object.get(key).filter(|_| first & 0x80 == 0);
        marked.insert(*key, own.cloned().unwrap_or(mark));
    }
    let own = object
        .into_iter()
        .filter(|(key, _)| !marks.iter().any(|(mark, _)| mark == key));
    let value: Object = marked.into_iter().chain(own).collect();
    intake::taken(&Received {
        value: value.into(),
        duplicate_keys: parsed.duplicate_keys,
        bytes: None,
    });
});
