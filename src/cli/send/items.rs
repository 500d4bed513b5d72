//! The items of a file, one after the other, with no more of it in memory than one needs.

use std::fs::File;
use std::io::{self, Read};

use herald_model::EventId;
use herald_rules::json::{self, Limits, Reason};
use uuid::Uuid;

use crate::{clock, intake};

/// Longest item in bytes; bounds the memory that a broken file may take. Chosen: sixteen times
/// what a router takes by default.
const ITEM_MAX: usize = 64 << 20;

/// Bytes that are read at least at a time. Chosen.
const CHUNK: usize = 64 << 10;

const LIMITS: Limits = Limits {
    depth_max: Limits::DEPTH_CEILING,
};

/// One event or operation result, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Its place in its file, from 1.
    pub(super) number: usize,
    /// On one line.
    pub(super) text: String,
    /// Whether the router recognises it when it comes again, so that it may be sent twice.
    pub(super) has_identity: bool,
}

/// Calls `each` with every item of the file `name` (`-` is standard input) until it says that no
/// more is wanted. Documents may follow each other in any way; arrays are taken apart.
///
/// # Errors
/// The file cannot be read, or is no JSON from some byte on. What came before was handed over.
pub(super) fn read(
    name: &str,
    are_operations: bool,
    each: &mut dyn FnMut(Item) -> bool,
) -> Result<(), String> {
    let input: Box<dyn Read> = match name {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path).map_err(|error| error.to_string())?),
    };
    let mut number = 0;
    documents(input, &mut |document| {
        number += 1;
        each(Item {
            number,
            text: one_line(document),
            has_identity: are_operations || has_identity(document),
        })
    })
}

/// Whether a router would find an identity in an event (or refuse it, which leaves nothing). It is
/// asked of the router's own decoder, so the two agree.
fn has_identity(document: &[u8]) -> bool {
    let Ok(parsed) = json::parse(document, LIMITS) else {
        return true;
    };
    match intake::decode(&parsed.value, parsed.duplicate_keys, None) {
        Err(_) => true,
        Ok(draft) => {
            let sealed = draft.seal(EventId::from_uuid(Uuid::nil()), "send", clock::now());
            !sealed.identities.all.is_empty()
        }
    }
}

/// A document on one line. Outside of strings a line break is only white space, and inside of them
/// JSON allows none.
fn one_line(document: &[u8]) -> String {
    String::from_utf8_lossy(document)
        .trim()
        .replace(['\r', '\n'], " ")
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// A document, or `[`.
    Top,
    /// An element, or `]` where none has come yet.
    Element { is_first: bool },
    /// `,` or `]`.
    Between,
}

fn documents(mut input: impl Read, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String> {
    let mut buffer = Vec::new();
    let mut start = 0;
    let mut offset = 0_u64;
    let mut is_complete = false;
    let mut at = At::Top;
    // Looking for one item, no more is looked at than it may need.
    let mut window = CHUNK;
    loop {
        let rest = &buffer[start..];
        let space = rest.len() - trim_start(rest).len();
        let next = rest.get(space).copied();
        let taken = match (at, next) {
            (At::Top, None) if is_complete => return Ok(()),
            (_, None) if !is_complete => None,
            (At::Top, Some(b'[')) => {
                at = At::Element { is_first: true };
                Some(space + 1)
            }
            (At::Element { is_first: true } | At::Between, Some(b']')) => {
                at = At::Top;
                Some(space + 1)
            }
            (At::Between, Some(b',')) => {
                at = At::Element { is_first: false };
                Some(space + 1)
            }
            (At::Between, _) => {
                let why = json::Error {
                    offset: space,
                    reason: match next {
                        Some(_) => Reason::NoCommaInArray,
                        None => Reason::EndsEarly,
                    },
                };
                return Err(not_json(&why, offset));
            }
            (At::Top | At::Element { .. }, _) => {
                let seen = &rest[..window.min(rest.len())];
                let is_all = seen.len() == rest.len();
                match json::next_document(seen, LIMITS, is_complete && is_all) {
                    Ok(Some(place)) => {
                        json::parse(&rest[place.clone()], LIMITS)
                            .map_err(|error| not_json(&error, offset + place.start as u64))?;
                        if !each(&rest[place.clone()]) {
                            return Ok(());
                        }
                        if at != At::Top {
                            at = At::Between;
                        }
                        window = CHUNK;
                        Some(place.end)
                    }
                    Ok(None) | Err(_) if !is_all => {
                        window *= 2;
                        continue;
                    }
                    Err(error) if is_complete || error.reason != Reason::EndsEarly => {
                        return Err(not_json(&error, offset));
                    }
                    Ok(None) | Err(_) => None,
                }
            }
        };
        if let Some(taken) = taken {
            start += taken;
            offset += taken as u64;
            continue;
        }
        buffer.drain(..start);
        start = 0;
        let held = buffer.len();
        if held > ITEM_MAX {
            return Err(format!("an item is longer than {ITEM_MAX} bytes"));
        }
        // Doubling, so that a long item is looked through only a few times.
        buffer.resize(held + held.max(CHUNK), 0);
        let read = loop {
            match input.read(&mut buffer[held..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| error.to_string())?,
            }
        };
        buffer.truncate(held + read);
        is_complete = read == 0;
    }
}

/// JSON's own white space (RFC 8259, section 2).
fn trim_start(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let from = bytes.iter().position(|byte| !is_space(byte));
    from.map_or(&[], |from| &bytes[from..])
}

fn not_json(error: &json::Error, offset: u64) -> String {
    format!(
        "not JSON: {} at byte {}",
        error.reason,
        offset + error.offset as u64
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str], why: Option<&str>) {
        let mut whole = Vec::new();
        let done = documents(text.as_bytes(), &mut |document| {
            whole.push(String::from_utf8(document.to_vec()).unwrap());
            true
        });
        assert_eq!(whole, expected, "{text}");
        assert_eq!(done.err().as_deref(), why, "{text}");
        let mut dripped = Vec::new();
        let done = documents(Dripping(text.as_bytes()), &mut |document| {
            dripped.push(String::from_utf8(document.to_vec()).unwrap());
            true
        });
        assert_eq!(dripped, expected, "{text}, byte by byte");
        assert_eq!(done.err().as_deref(), why, "{text}, byte by byte");
    }

    #[test]
    fn documents_are_found_and_arrays_taken_apart() {
        check("", &[], None);
        check(" \n", &[], None);
        check("{\"a\":1}\n{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"], None);
        check("{}{}", &["{}", "{}"], None);
        check("[]", &[], None);
        check("[{},1 , [2]] {}", &["{}", "1", "[2]", "{}"], None);
        check("[ ] [1]\n12", &["1", "12"], None);
    }

    #[test]
    fn what_is_no_json_is_named_with_its_place() {
        check(
            "{} !",
            &["{}"],
            Some("not JSON: expected a value at byte 3"),
        );
        check(
            "[{}",
            &["{}"],
            Some("not JSON: the document ends too early at byte 3"),
        );
        check("[1,]", &["1"], Some("not JSON: expected a value at byte 3"));
        check(
            "[1 2]",
            &["1"],
            Some("not JSON: expected `,` or `]` after the element at byte 3"),
        );
        check(
            "{\"a\"",
            &[],
            Some("not JSON: the document ends too early at byte 4"),
        );
    }

    #[test]
    fn what_has_no_id_has_no_identity() {
        assert!(has_identity(
            br#"{"id":"1","userId":"1","name":"n","content":{}}"#
        ));
        assert!(!has_identity(br#"{"name":"n","content":{}}"#));
        assert!(has_identity(b"7"), "the router refuses it every time");
    }
}
