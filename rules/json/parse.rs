//! From bytes to a [`Value`].

use std::ops::Range;

use super::scan::{Cursor, Kind};
use super::{Error, Limits, Number, Object, Reason, Value};

/// A document and what was noticed while reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The document.
    pub value: Value,
    /// Whether some object named a key twice. The last one won; the key stands where it first
    /// stood.
    pub duplicate_keys: bool,
}

/// Reads one document.
///
/// # Errors
/// When the bytes are not exactly one document of RFC 8259, or pass a limit. The error names the
/// offset.
///
/// ```
/// use herald_rules::json::{Limits, parse};
/// let parsed = parse(br#"{"id": 12345678901234567890.10}"#, Limits::default())?;
/// assert_eq!(parsed.value.to_string(), r#"{"id":12345678901234567890.10}"#);
/// # Ok::<(), herald_rules::json::Error>(())
/// ```
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Parsed, Error> {
    let mut reader = Reader {
        cursor: Cursor::new(bytes)?,
        duplicate_keys: false,
    };
    reader.cursor.skip_space();
    let value = reader.value(limits.depth())?;
    reader.cursor.finish()?;
    Ok(Parsed {
        value,
        duplicate_keys: reader.duplicate_keys,
    })
}

/// Finds the first document of a stream of documents (NDJSON, or written one after the other):
/// where it stands in `bytes`, without the white space around it. `None` when nothing but white
/// space is left. `complete` says that no more bytes will follow; until then
/// [`Reason::EndsEarly`] means that more are needed.
///
/// # Errors
/// As [`parse`], for the first document alone. A reader of lines may go on after the next line
/// break.
///
/// ```
/// use herald_rules::json::{Limits, next_document};
/// let stream = b" {\"a\":1} {\"a\":2}";
/// assert_eq!(next_document(stream, Limits::default(), true), Ok(Some(1..8)));
/// ```
pub fn next_document(
    bytes: &[u8],
    limits: Limits,
    complete: bool,
) -> Result<Option<Range<usize>>, Error> {
    // What follows may be cut in the middle of a character, or be another sender's.
    let sound = match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(cause) => cause.valid_up_to(),
    };
    let mut cursor = Cursor::new(bytes.get(..sound).unwrap_or_default())?;
    cursor.skip_space();
    let start = cursor.at();
    if start == bytes.len() {
        return Ok(None);
    }
    let is_number = cursor
        .peek()
        .is_some_and(|byte| byte == b'-' || byte.is_ascii_digit());
    cursor
        .skip(limits.depth())
        .map_err(|error| match error.reason {
            Reason::EndsEarly if complete && sound < bytes.len() => Error {
                offset: sound,
                reason: Reason::NotUtf8,
            },
            _ => error,
        })?;
    // A number that touches the end may go on in bytes that are still to come.
    if is_number && !complete && cursor.at() == bytes.len() {
        return cursor.fail(Reason::EndsEarly);
    }
    Ok(Some(start..cursor.at()))
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    duplicate_keys: bool,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let cursor = &mut self.cursor;
        Ok(match cursor.kind()? {
            Kind::String => Value::String(cursor.string()?.unescaped().into_owned()),
            Kind::Number => Value::Number(Number::of_checked(cursor.number()?)),
            Kind::True => {
                cursor.word("true")?;
                Value::Bool(true)
            }
            Kind::False => {
                cursor.word("false")?;
                Value::Bool(false)
            }
            Kind::Null => {
                cursor.word("null")?;
                Value::Null
            }
            Kind::Object => self.object(depth)?,
            Kind::Array => self.array(depth)?,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value, Error> {
        let depth = self.cursor.descend(depth)?;
        let mut members = Vec::new();
        let mut more = self.cursor.open(b'}');
        while more {
            let key = self.cursor.key()?.unescaped().into_owned();
            members.push((key, self.value(depth)?));
            more = self.cursor.next_member()?;
        }
        let (object, duplicate) = Object::of_members(members);
        self.duplicate_keys |= duplicate;
        Ok(Value::Object(object))
    }

    fn array(&mut self, depth: usize) -> Result<Value, Error> {
        let depth = self.cursor.descend(depth)?;
        let mut elements = Vec::new();
        let mut more = self.cursor.open(b']');
        while more {
            elements.push(self.value(depth)?);
            more = self.cursor.next_element()?;
        }
        Ok(Value::Array(elements))
    }
}
