//! What a `body` template prints: every value as JSON, quotes and all, numbers exactly as they were
//! sent. So nothing that an event says can end a text early or add a member.

use std::fmt;
use std::sync::Arc;

use herald_rules::json::Number;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, escape_formatter};

/// Levels of arrays and objects that are written. Chosen: twice what intake lets in.
const DEPTH_MAX: usize = 2_048;

/// A number that no integer holds: its text.
#[derive(Debug)]
struct Exact(Number);

impl Object for Exact {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// `number` as a value that is printed as the sender wrote it.
pub(super) fn number(number: &Number) -> Value {
    Value::from_object(Exact(number.clone()))
}

/// Prints `value` where a template says `{{ … }}`.
///
/// # Errors
/// The value nests too deeply, or an iterator fails.
pub(super) fn print(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    match state.auto_escape() {
        // A safe string is a piece of the template, or was made by `tojson`.
        AutoEscape::Json if !value.is_safe() => {
            let mut text = String::new();
            write(&mut text, value, 0)?;
            out.write_str(&text).map_err(Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}

/// The filter `tojson`, with numbers as they were sent.
pub(super) fn tojson(value: &Value) -> Result<Value, Error> {
    let mut text = String::new();
    write(&mut text, value, 0)?;
    Ok(Value::from_safe_string(text))
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "it nests too deeply",
        ));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => out.push_str("null"),
        ValueKind::Bool | ValueKind::Number => match serde_json::to_string(value) {
            Ok(text) => out.push_str(&text),
            // Infinity and the like.
            Err(_) => out.push_str("null"),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, element) in value.try_iter()?.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, &element, depth + 1)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&quoted(&key.to_string()));
                out.push(':');
                write(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push('}');
        }
        _ => match value.downcast_object_ref::<Exact>() {
            Some(Exact(number)) => out.push_str(number.as_str()),
            None => out.push_str(&quoted(&value.to_string())),
        },
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    // Strings always serialise.
    serde_json::to_string(text).unwrap_or_default()
}
