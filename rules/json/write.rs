//! Compact JSON text.

use std::fmt::{self, Write};

use super::scan::plain_run;
use super::{Object, Value};

/// Writes compact JSON: no white space, numbers as they were, only what must be escaped escaped.
/// What [`parse`](fn@super::parse) reads from it is the same value.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// Writes compact JSON, as for [`Value`].
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Value {
    /// Writes what [`Display`](fmt::Display) does, without its indirection: into a `String` it is
    /// several times as fast.
    ///
    /// # Errors
    /// Those of `out`; a `String` has none.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Bool(true) => out.write_str("true"),
            Value::Bool(false) => out.write_str("false"),
            Value::Number(number) => out.write_str(number.as_str()),
            Value::String(text) => write_text(out, text),
            Value::Object(object) => object.write(out),
            Value::Array(elements) => {
                out.write_char('[')?;
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.write_char(',')?;
                    }
                    element.write(out)?;
                }
                out.write_char(']')
            }
        }
    }
}

impl Object {
    /// Writes compact JSON, as [`Value::write`].
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        out.write_char('{')?;
        for (place, (key, value)) in self.iter().enumerate() {
            if place > 0 {
                out.write_char(',')?;
            }
            write_text(out, key)?;
            out.write_char(':')?;
            value.write(out)?;
        }
        out.write_char('}')
    }
}

/// `text` as a JSON string, quotes included.
pub(crate) fn quoted(text: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| write_text(f, text))
}

/// Writes `text` as a JSON string, quotes included.
///
/// # Errors
/// Those of `out`; a `String` has none.
pub fn write_text(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    loop {
        let plain = plain_run(rest.as_bytes());
        out.write_str(rest.get(..plain).unwrap_or_default())?;
        let Some(&byte) = rest.as_bytes().get(plain) else {
            break;
        };
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            _ => write!(out, "\\u{byte:04x}")?,
        }
        // What is escaped is one byte of ASCII, so the rest begins at a character.
        rest = rest.get(plain + 1..).unwrap_or_default();
    }
    out.write_char('"')
}
