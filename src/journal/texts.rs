//! What people search an event by, read out of its canonical text.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The searchable texts of one event. Absent, or not a string: `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts<'a> {
    /// The sender's `id`.
    pub(crate) sender_id: Option<Cow<'a, str>>,
    /// `content.eniId`.
    pub(crate) eni: Option<Cow<'a, str>>,
    /// `content.requestId`.
    pub(crate) request: Option<Cow<'a, str>>,
}

#[derive(serde::Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "eniId")]
    eni: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestId")]
    request: Option<&'a RawValue>,
}

impl<'a> Texts<'a> {
    /// Reads them; a text that is no JSON object has none.
    pub(crate) fn of(canonical: &'a str) -> Self {
        let Ok(outer) = serde_json::from_str::<Outer<'a>>(canonical) else {
            return Self::default();
        };
        let content: Option<Content<'a>> = outer
            .content
            .and_then(|content| serde_json::from_str(content.get()).ok());
        Self {
            sender_id: string(outer.id),
            eni: content.as_ref().and_then(|content| string(content.eni)),
            request: content.and_then(|content| string(content.request)),
        }
    }
}

fn string(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    let borrowed: Borrowed<'_> = serde_json::from_str(value?.get()).ok()?;
    Some(borrowed.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_where_they_stand() {
        let texts = Texts::of(
            r#"{"id":"A\u0041","n":1e400,"content":{"eniId":"eni-1","requestId":"r","x":[{}]}}"#,
        );
        assert_eq!(texts.sender_id.as_deref(), Some("AA"));
        assert_eq!(texts.eni.as_deref(), Some("eni-1"));
        assert_eq!(texts.request.as_deref(), Some("r"));
    }

    #[test]
    fn what_is_not_a_string_is_not_searched() {
        assert_eq!(Texts::of("[]"), Texts::default());
        assert_eq!(Texts::of(r#"{"id":7,"content":"text"}"#), Texts::default());
    }
}
