//! What is kept of a body, or of one item of a body, that was refused: enough to see what was
//! wrong with it and to read it again, and no personal data and no token.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use herald_rules::json::{self, Object, Value};

use super::{Attributes, Framing, PERSONAL_DATA, Received};

/// Bytes of a body that is kept. Of a longer one only the refusal is. Chosen: three times the
/// largest known event; a thousand of them must not weigh more than the events do.
pub const KEPT_MAX: usize = 256 << 10;

/// A refused body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How its items are set apart, in a word that [`framing`] reads.
    pub framing: String,
    /// Bytes as received, or of the item alone.
    pub bytes: usize,
    /// The body, compressed; `None` where it is too long, or may hold personal data that cannot be
    /// cut out because it cannot be read.
    pub body: Option<Vec<u8>>,
}

impl Kept {
    /// Of an item that was read.
    pub fn item(received: &Received) -> Self {
        let text = || received.value.to_string().into_bytes();
        let bytes = received.bytes.clone().unwrap_or_else(text);
        Self::part(&bytes)
    }

    /// Of an item that could not be read, by its own bytes.
    pub fn part(bytes: &[u8]) -> Self {
        Self::of(bytes, &Framing::Document)
    }

    /// Of a body that failed as a whole.
    pub fn of(body: &[u8], framing: &Framing) -> Self {
        let clean = match body.len() {
            0..=KEPT_MAX => clean(body, framing),
            _ => None,
        };
        Self {
            framing: word(framing),
            bytes: body.len(),
            body: clean.map(|clean| deflated(&clean)),
        }
    }

    /// Of something of which there is nothing to be kept.
    pub fn nothing(bytes: usize) -> Self {
        Self {
            framing: word(&Framing::Document),
            bytes,
            body: None,
        }
    }
}

/// The body without personal data and tokens; `None` where it cannot be told whether it holds any.
fn clean(body: &[u8], framing: &Framing) -> Option<Vec<u8>> {
    if *framing == Framing::Form {
        let pairs = body.split(|byte| *byte == b'&');
        let cut = pairs.filter(|pair| !is_token(pair));
        let rest = cut.collect::<Vec<_>>().join(&b'&');
        return (!mentions(&rest)).then_some(rest);
    }
    if !mentions(body) {
        return Some(body.to_vec());
    }
    let limits = json::Limits {
        depth_max: json::Limits::DEPTH_CEILING,
    };
    let mut value = json::parse(body, limits).ok()?.value;
    cut(&mut value);
    let rest = value.to_string().into_bytes();
    // It may stand in a text that holds a document.
    (!mentions(&rest)).then_some(rest)
}

/// What a sender that can set no header puts into a form or a query to prove itself.
fn is_token(pair: &[u8]) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    percent_encoding::percent_decode(name).eq(b"token".iter().copied())
}

fn mentions(bytes: &[u8]) -> bool {
    let personal = PERSONAL_DATA.as_bytes();
    bytes
        .windows(personal.len())
        .any(|window| window.eq_ignore_ascii_case(personal))
}

fn cut(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove(PERSONAL_DATA);
            object.iter_mut().for_each(|(_, member)| cut(member));
        }
        Value::Array(elements) => elements.iter_mut().for_each(cut),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let written = encoder.write_all(bytes);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// A kept body as it was before it was compressed; `None` where it is damaged.
pub fn inflated(body: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(KEPT_MAX).unwrap_or(u64::MAX);
    let read = DeflateDecoder::new(body)
        .take(limit)
        .read_to_end(&mut bytes);
    read.ok().map(|_| bytes)
}

/// The attributes of a CloudEvent in headers, by their word.
const CLOUD_EVENT: &str = "cloudevent ";

fn word(framing: &Framing) -> String {
    match framing {
        Framing::Document => "document".to_owned(),
        Framing::Lines => "lines".to_owned(),
        Framing::Form => "form".to_owned(),
        Framing::CloudEvent(attributes) => format!("{CLOUD_EVENT}{}", written(attributes)),
    }
}

/// How the items of a kept body are set apart; `None` for a word of a later version.
pub fn framing(word: &str) -> Option<Framing> {
    match word {
        "document" => Some(Framing::Document),
        "lines" => Some(Framing::Lines),
        "form" => Some(Framing::Form),
        _ => read(word.strip_prefix(CLOUD_EVENT)?).map(Framing::CloudEvent),
    }
}

/// Header values are bytes; each stands for itself as a character.
fn written(attributes: &Attributes) -> String {
    let header = |(name, value): &(String, Vec<u8>)| {
        let text: String = value.iter().copied().map(char::from).collect();
        Value::from(vec![Value::from(name.as_str()), Value::from(text)])
    };
    let mut object = Object::new();
    let headers: Vec<Value> = attributes.headers.iter().map(header).collect();
    object.insert("headers", headers);
    if let Some(media) = attributes.content_type.as_deref() {
        object.insert("contentType", media);
    }
    Value::Object(object).to_string()
}

fn read(text: &str) -> Option<Attributes> {
    let value = json::parse(text.as_bytes(), json::Limits::default())
        .ok()?
        .value;
    let header = |pair: &Value| {
        let [name, value] = pair.as_array()? else {
            return None;
        };
        let bytes: Option<Vec<u8>> = value
            .as_str()?
            .chars()
            .map(|character| u8::try_from(character).ok())
            .collect();
        Some((name.as_str()?.to_owned(), bytes?))
    };
    let headers = value.get("headers")?.as_array()?;
    Some(Attributes {
        headers: headers.iter().map(header).collect::<Option<_>>()?,
        content_type: value
            .get("contentType")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, framing: &Framing, expected: Option<&str>) {
        let kept = Kept::of(body.as_bytes(), framing);
        assert_eq!(kept.bytes, body.len());
        let found = kept.body.map(|body| inflated(&body).unwrap());
        let found = found.map(|body| String::from_utf8(body).unwrap());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn what_is_kept_is_what_came() {
        check("{\"a\": 1.50}", &Framing::Document, Some("{\"a\": 1.50}"));
        check("no { JSON", &Framing::Lines, Some("no { JSON"));
        check("", &Framing::Document, Some(""));
    }

    #[test]
    fn personal_data_is_cut_out_at_any_depth_or_nothing_is_kept() {
        let document = r#"{"a":[{"userInfo":{"mail":"x"},"b":1}],"userInfo":2}"#;
        check(document, &Framing::Document, Some(r#"{"a":[{"b":1}]}"#));
        check(r#"{"userInfo":"#, &Framing::Document, None);
        check(r#"{"a":"{\"userInfo\":1}"}"#, &Framing::Document, None);
        check("userInfo=x&name=y", &Framing::Form, None);
    }

    #[test]
    fn tokens_of_forms_are_cut_out() {
        check(
            "a=%FF&token=t0ken&b=2&%74oken=t0ken",
            &Framing::Form,
            Some("a=%FF&b=2"),
        );
    }

    #[test]
    fn of_what_is_too_long_only_the_length_is_kept() {
        let body = "x".repeat(KEPT_MAX);
        check(&body, &Framing::Document, Some(&body));
        check(&"x".repeat(KEPT_MAX + 1), &Framing::Document, None);
    }

    #[test]
    fn a_word_gives_the_framing_back() {
        let attributes = Attributes {
            headers: vec![
                ("id".to_owned(), b"a \"b\" \xc3\xa9\xff".to_vec()),
                ("type".to_owned(), Vec::new()),
            ],
            content_type: Some("text/plain; charset=x".to_owned()),
        };
        for one in [
            Framing::Document,
            Framing::Lines,
            Framing::Form,
            Framing::CloudEvent(attributes),
            Framing::CloudEvent(Attributes::default()),
        ] {
            assert_eq!(framing(&word(&one)), Some(one));
        }
        assert_eq!(framing("of another time"), None);
    }
}
