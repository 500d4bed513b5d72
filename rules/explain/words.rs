//! Conditions and values in words.

use std::fmt::{self, Write as _};

use crate::json::{Value, quoted};
use crate::pattern::text::{TextKind, TextTest};
use crate::pattern::tree::{Bound, Condition, Numeric, Scalar};

/// Longer values are cut to this many characters (chosen): enough for a resource id.
const SHOWN_MAX: usize = 120;

/// What an event has at a field.
pub(super) fn found(value: Option<&Value>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(Value::String(text)) if is_word(text) => shortened(text),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(value) => shortened(value),
    }
}

/// What a leaf wants.
pub(super) fn wanted(conditions: &[Condition]) -> String {
    either(conditions.iter().map(condition))
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Equal(value) => scalar(value),
        Condition::Exactly(text) => bare_or_quoted(text),
        Condition::Text(test) => text(test),
        Condition::AnythingBut(values) => {
            format!("anything but {}", either(values.iter().map(scalar)))
        }
        Condition::AnythingButText(tests) => {
            format!("anything but {}", either(tests.iter().map(text)))
        }
        Condition::Numeric(numeric) => number(numeric),
        Condition::Cidr(network) => format!("an address in {network}"),
        Condition::Exists(true) => "any value".to_owned(),
        Condition::Exists(false) => "no value".to_owned(),
    }
}

fn number(numeric: &Numeric) -> String {
    match numeric {
        Numeric::Equal(number) => format!("the number {number}"),
        Numeric::NotEqual(number) => format!("a number other than {number}"),
        Numeric::Between { low, high } => {
            let side = |bound: &Bound, strict, inclusive| {
                let word = if bound.inclusive { inclusive } else { strict };
                format!("{word} {}", bound.number)
            };
            let low = low.as_ref().map(|bound| side(bound, "above", "at least"));
            let high = high.as_ref().map(|bound| side(bound, "below", "at most"));
            let sides: Vec<_> = low.into_iter().chain(high).collect();
            format!("a number {}", sides.join(" and "))
        }
    }
}

fn text(test: &TextTest) -> String {
    let shown = quoted(&test.text);
    match test.kind {
        TextKind::Prefix => format!("a text that begins with {shown}"),
        TextKind::Suffix => format!("a text that ends with {shown}"),
        TextKind::Contains => format!("a text that contains {shown}"),
        TextKind::Wildcard => format!("a text like {shown}"),
        TextKind::EqualsIgnoreCase => format!("{shown} in any case"),
        TextKind::PrefixIgnoreCase => format!("a text that begins with {shown} in any case"),
        TextKind::SuffixIgnoreCase => format!("a text that ends with {shown} in any case"),
    }
}

fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => bare_or_quoted(text),
        other => other.to_string(),
    }
}

/// `a`, `a or b`, `a, b or c`.
fn either(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    let Some(last) = words.pop() else {
        return String::new();
    };
    if words.is_empty() {
        last
    } else {
        format!("{} or {last}", words.join(", "))
    }
}

/// Words stand as they are; what could be taken for something else gets quotes.
fn bare_or_quoted(text: &str) -> String {
    if is_word(text) {
        text.to_owned()
    } else {
        quoted(text).to_string()
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic())
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.:/".contains(c))
        && !["true", "false", "null", "missing"].contains(&text)
}

fn shortened(value: impl fmt::Display) -> String {
    let mut shown = Shown {
        text: String::new(),
        left: SHOWN_MAX,
    };
    if write!(shown, "{value}").is_err() {
        shown.text.push('…');
    }
    shown.text
}

/// Takes no more than it shows: a value may be as long as an event.
struct Shown {
    text: String,
    left: usize,
}

impl fmt::Write for Shown {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(character);
        }
        Ok(())
    }
}
