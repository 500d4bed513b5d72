//! Compact JSON text.

use std::fmt::{self, Write as _};

use super::{Object, Value};

/// Writes compact JSON: no white space, numbers as they were, only what must be escaped escaped.
/// What [`parse`](fn@super::parse) reads from it is the same value.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Number(number) => f.write_str(number.as_str()),
            Value::String(text) => write_text(f, text),
            Value::Object(object) => object.fmt(f),
            Value::Array(elements) => {
                f.write_char('[')?;
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        f.write_char(',')?;
                    }
                    element.fmt(f)?;
                }
                f.write_char(']')
            }
        }
    }
}

/// Writes compact JSON, as for [`Value`].
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (place, (key, value)) in self.iter().enumerate() {
            if place > 0 {
                f.write_char(',')?;
            }
            write_text(f, key)?;
            f.write_char(':')?;
            value.fmt(f)?;
        }
        f.write_char('}')
    }
}

/// `text` as a JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| write_text(f, text))
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        f.write_str(text.get(plain_from..at).unwrap_or_default())?;
        plain_from = at + 1;
        match byte {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            _ => write!(f, "\\u{byte:04x}")?,
        }
    }
    f.write_str(text.get(plain_from..).unwrap_or_default())?;
    f.write_char('"')
}
