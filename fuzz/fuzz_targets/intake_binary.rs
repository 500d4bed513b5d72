//! A CloudEvent in headers: lines `name: value` up to an empty one, then data. The first byte says
//! which type it is said to have.
#![no_main]

use herald::intake::{Attributes, Framing};
use libfuzzer_sys::fuzz_target;

mod intake;

const TYPES: [Option<&str>; 4] = [
    None,
    Some("application/json"),
    Some("text/plain"),
    Some("application/octet-stream"),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, mut rest)) = bytes.split_first() else {
        return;
    };
    let mut attributes = Attributes {
        content_type: TYPES[usize::from(*first) % TYPES.len()].map(str::to_owned),
        ..Attributes::default()
    };
    if first & 0x80 == 0 {
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "s"),
            ("type", "t"),
        ] {
            attributes.headers.push((name.to_owned(), value.into()));
        }
    }
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            break;
        };
        let name = String::from_utf8_lossy(&line[..colon]).into_owned();
        attributes.headers.push((name, line[colon + 1..].to_vec()));
    }
    intake::body(rest, Framing::CloudEvent(attributes));
});
