//! `application/x-www-form-urlencoded`: the webhook's FORM, as a body or as a query
//! (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>).
//!
//! Each top-level key of the webhook is a field, objects as JSON text. A GET with format JSON has
//! the whole document in the field `data` instead.

use herald_rules::json::{Object, Value};
use percent_encoding::percent_decode;

use super::{Limits, Received, Refusal, body, shorten};

/// The field that holds a whole document.
const DOCUMENT: &str = "data";

/// What a sender that can set no header puts in the query to prove itself; it is no part of the
/// event.
const TOKEN: &str = "token";

/// The items of a form.
pub(super) fn items(form: &[u8], limits: Limits) -> Vec<Result<Received, Refusal>> {
    let (fields, duplicate_keys) = match fields(form) {
        Ok(fields) => fields,
        Err(refusal) => return vec![Err(refusal)],
    };
    if fields.is_empty() {
        return vec![Err(Refusal::whole(
            "the form has no fields; an event has `data`, or `alert` and its other fields",
        ))];
    }
    let is_whole = !fields.contains_key("alert") && !fields.contains_key("name");
    if let Some(Value::String(text)) = fields.get(DOCUMENT).filter(|_| is_whole) {
        return body::document(text.as_bytes(), limits)
            .into_iter()
            .map(|item| item.map_err(|why| Refusal::field(DOCUMENT, &format!("is {why}"))))
            .collect();
    }
    let value = Value::Object(fields);
    let item = body::check_texts(&value, limits).map(|()| Received {
        value,
        duplicate_keys,
        bytes: None,
    });
    vec![item]
}

/// The fields as texts, the last of a name winning, and whether one came twice.
fn fields(form: &[u8]) -> Result<(Object, bool), Refusal> {
    let mut pairs = Vec::new();
    let mut offset = 0;
    for pair in form.split(|byte| *byte == b'&') {
        if !pair.is_empty() {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let [name, value] = [halves.next(), halves.next()].map(Option::unwrap_or_default);
            let name = decoded(name, offset)?;
            let value_from = offset + pair.len() - value.len();
            if name != TOKEN {
                pairs.push((name, Value::String(decoded(value, value_from)?)));
            }
        }
        offset += pair.len() + 1;
    }
    let named = pairs.len();
    let fields: Object = pairs.into_iter().collect();
    let has_duplicates = fields.len() < named;
    Ok((fields, has_duplicates))
}

fn decoded(text: &[u8], offset: usize) -> Result<String, Refusal> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(error.as_bytes());
        Refusal::whole(format!(
            "not UTF-8 in the form's text at byte {offset}, which begins `{}`",
            shorten(&before)
        ))
    })
}

#[cfg(test)]
mod tests;
