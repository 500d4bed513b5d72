//! A pattern as it stands in a file, before it means anything: one shape for JSON and TOML, with
//! the place of everything.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Mistake;
use crate::json::scan::{Cursor, Kind};
use crate::json::{Error, Limits, Number};

#[derive(Debug)]
pub(super) struct Written {
    pub(super) span: Range<usize>,
    pub(super) what: What,
    /// Which file format it stands in, because the two differ in what may be left out.
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
}

#[derive(Debug)]
pub(super) enum What {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Written>),
    Object(Vec<Member>),
    /// Something that has no place in a pattern, with what to write instead.
    Foreign(String),
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Written,
}

/// How deep a pattern may be nested; the same limit as for events, which it looks like.
pub(super) fn depth_max() -> usize {
    Limits::default().depth()
}

pub(super) fn from_json(text: &str) -> Result<Written, Mistake> {
    let read = || {
        let mut cursor = Cursor::new(text.as_bytes())?;
        cursor.skip_space();
        let written = json_value(&mut cursor, depth_max())?;
        cursor.finish()?;
        Ok(written)
    };
    read().map_err(|Error { offset, reason }| {
        let wrong = text.get(offset..).and_then(|rest| rest.chars().next());
        Mistake {
            span: offset..offset + wrong.map_or(0, char::len_utf8),
            pointer: String::new(),
            reason: reason.to_string(),
        }
    })
}

fn json_value(cursor: &mut Cursor<'_>, depth: usize) -> Result<Written, Error> {
    let start = cursor.at();
    let what = match cursor.kind()? {
        Kind::String => What::Text(cursor.string()?.unescaped().into_owned()),
        Kind::Number => What::Number(Number::of_checked(cursor.number()?)),
        Kind::True => {
            cursor.word("true")?;
            What::Bool(true)
        }
        Kind::False => {
            cursor.word("false")?;
            What::Bool(false)
        }
        Kind::Null => {
            cursor.word("null")?;
            What::Null
        }
        Kind::Array => {
            let depth = cursor.descend(depth)?;
            let mut elements = Vec::new();
            let mut more = cursor.open(b']');
            while more {
                elements.push(json_value(cursor, depth)?);
                more = cursor.next_element()?;
            }
            What::List(elements)
        }
        Kind::Object => {
            let depth = cursor.descend(depth)?;
            let mut members = Vec::new();
            let mut more = cursor.open(b'}');
            while more {
                let key_start = cursor.at();
                let raw = cursor.key()?;
                let key_span = key_start..key_start + raw.text.len() + 2;
                let key = raw.unescaped().into_owned();
                members.push(Member {
                    key,
                    key_span,
                    value: json_value(cursor, depth)?,
                });
                more = cursor.next_member()?;
            }
            What::Object(members)
        }
    };
    Ok(Written {
        span: start..cursor.at(),
        what,
        format: Format::Json,
    })
}

pub(super) fn from_toml(table: &DeTable<'_>) -> Written {
    Written {
        span: 0..0,
        what: toml_table(table, depth_max()),
        format: Format::Toml,
    }
}

fn toml_table(table: &DeTable<'_>, depth: usize) -> What {
    let Some(depth) = depth.checked_sub(1) else {
        return What::Foreign(format!("a pattern may be {} levels deep", depth_max()));
    };
    let mut members: Vec<Member> = table
        .iter()
        .map(|(key, value)| Member {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            value: toml_value(value.span(), value.get_ref(), depth),
        })
        .collect();
    // The table is sorted by key; the order of the file decides which difference is told first.
    members.sort_by_key(|member| member.key_span.start);
    match in_other_words(&members) {
        Some(scalar) => scalar,
        None => What::Object(members),
    }
}

fn toml_value(span: Range<usize>, value: &DeValue<'_>, depth: usize) -> Written {
    let what = match value {
        DeValue::String(text) => What::Text(text.to_string()),
        DeValue::Boolean(truth) => What::Bool(*truth),
        DeValue::Integer(integer) if integer.radix() == 10 => toml_number(integer.as_str()),
        DeValue::Integer(_) => What::Foreign("write the number in decimal".to_owned()),
        DeValue::Float(float) => toml_number(float.as_str()),
        DeValue::Datetime(_) => {
            What::Foreign("events hold times as text; put the time in quotes".to_owned())
        }
        DeValue::Table(table) => toml_table(table, depth),
        DeValue::Array(elements) => match depth.checked_sub(1) {
            None => What::Foreign(format!("a pattern may be {} levels deep", depth_max())),
            Some(depth) => What::List(
                elements
                    .iter()
                    .map(|element| toml_value(element.span(), element.get_ref(), depth))
                    .collect(),
            ),
        },
    };
    Written {
        span,
        what,
        format: Format::Toml,
    }
}

/// TOML numbers are floats or 64-bit integers to most programs that rewrite a file; up to this many
/// digits both are exact.
const TOML_DIGITS_MAX: usize = 15;

fn toml_number(text: &str) -> What {
    match Number::from_text(text.strip_prefix('+').unwrap_or(text)) {
        None => What::Foreign(format!("`{text}` is no number that an event can hold")),
        Some(number) if number.decimal().digit_count() > TOML_DIGITS_MAX => What::Foreign(format!(
            "a number of more than {TOML_DIGITS_MAX} digits is not safe in TOML; write \
             {{ number = \"{text}\" }}, or \"{text}\" if the field holds text"
        )),
        Some(number) => What::Number(number),
    }
}

/// What TOML has no word for: `{ null = true }` and `{ number = "…" }`.
fn in_other_words(members: &[Member]) -> Option<What> {
    let [Member { key, value, .. }] = members else {
        return None;
    };
    match (key.as_str(), &value.what) {
        ("null", What::Bool(true)) => Some(What::Null),
        ("null", What::Bool(false)) => {
            Some(What::Foreign("null is written { null = true }".to_owned()))
        }
        ("number", What::Text(text)) => Some(match Number::from_text(text) {
            Some(number) => What::Number(number),
            None => What::Foreign(format!("`{text}` is not a number as JSON writes it")),
        }),
        _ => None,
    }
}
