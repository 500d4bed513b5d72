//! CloudEvents in the binary content mode: attributes in `ce-` headers, data in the body
//! (CloudEvents 1.0.2, HTTP protocol binding, section 3.1).
//!
//! Such a request becomes the structured form of the same event, so that there is one reader of
//! attributes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_rules::json::{Object, Value};
use percent_encoding::percent_decode;

use super::{Limits, Received, Refusal, body, cloud_event, shorten};

/// What came in headers, still encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Names without `ce-`, in lower case, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// `Content-Type`, which is the attribute `datacontenttype`.
    pub content_type: Option<String>,
}

/// The event that attributes and data make together.
pub(super) fn item(
    attributes: &Attributes,
    data: &[u8],
    limits: Limits,
) -> Result<Received, Refusal> {
    let mut event = Object::new();
    let mut duplicate_keys = false;
    // It is what the reader tells the shape by, so it must be there to be missed.
    event.insert("specversion", Value::Null);
    for (name, value) in &attributes.headers {
        if matches!(name.as_str(), "data" | "data_base64") {
            let header = format!("ce-{name}");
            return Err(Refusal::field(&header, "is no attribute; data is the body"));
        }
        let was = event.insert(name.as_str(), decoded(name, value)?);
        duplicate_keys |= was.is_some_and(|was| !was.is_null());
    }
    let media = attributes.content_type.as_deref();
    if let Some(media) = media {
        event.insert("datacontenttype", media);
    }
    if !data.is_empty() {
        match carried(media, data, limits)? {
            Carried::Document(received) => {
                duplicate_keys |= received.duplicate_keys;
                event.insert("data", received.value);
            }
            Carried::Text(text) => {
                event.insert("data", text);
            }
            Carried::Bytes => {
                event.insert("data_base64", STANDARD.encode(data));
            }
        }
    }
    let value = Value::Object(event);
    body::check_texts(&value, limits)?;
    Ok(Received {
        value,
        duplicate_keys,
        bytes: None,
    })
}

enum Carried {
    Document(Received),
    Text(String),
    Bytes,
}

/// Data by its type. Without a type it is what it can be read as; no type is made up for it.
fn carried(media: Option<&str>, data: &[u8], limits: Limits) -> Result<Carried, Refusal> {
    let text = || std::str::from_utf8(data).map(str::to_owned);
    match media {
        Some(media) if cloud_event::is_json(media) => {
            body::parse(data, 0, limits).map(Carried::Document)
        }
        Some(media) if cloud_event::is_text(media) => {
            Ok(text().map_or(Carried::Bytes, Carried::Text))
        }
        Some(_) => Ok(Carried::Bytes),
        None => Ok(match (body::parse(data, 0, limits), text()) {
            (Ok(received), _) => Carried::Document(received),
            (Err(_), Ok(text)) => Carried::Text(text),
            (Err(_), Err(_)) => Carried::Bytes,
        }),
    }
}

/// One round of percent-decoding after double quotes around the whole are taken off, as section
/// 3.1.3.2 asks of receivers for the sake of older senders.
fn decoded(name: &str, value: &[u8]) -> Result<String, Refusal> {
    let bare = unquoted(value);
    let bytes: Cow<'_, [u8]> = percent_decode(&bare).into();
    String::from_utf8(bytes.into_owned()).map_err(|_| {
        let header = format!("ce-{}", shorten(name));
        Refusal::field(&header, "must be percent-encoded UTF-8")
    })
}

fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inner) = inner else {
        return value.into();
    };
    let mut bare = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        let escaped = (byte == b'\\').then(|| bytes.next()).flatten();
        bare.push(escaped.copied().unwrap_or(byte));
    }
    bare.into()
}

#[cfg(test)]
mod tests;
