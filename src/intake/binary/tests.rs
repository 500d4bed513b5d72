//! Attributes in headers, data in the body.

use super::Attributes;
use crate::intake::tests::{drafts, text};
use crate::intake::{Draft, Framing, Refusal};

fn read(
    headers: &[(&str, &str)],
    content_type: Option<&str>,
    data: &[u8],
) -> Result<Draft, Refusal> {
    let least = [
        ("specversion", "1.0"),
        ("id", "1"),
        ("source", "/s"),
        ("type", "t"),
    ];
    let attributes = Attributes {
        headers: least
            .iter()
            .chain(headers)
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        content_type: content_type.map(str::to_owned),
    };
    drafts(data, Framing::CloudEvent(attributes)).remove(0)
}

fn content(content_type: Option<&str>, data: &[u8]) -> Option<String> {
    let draft = read(&[], content_type, data).unwrap();
    draft.fields.get("content").map(ToString::to_string)
}

#[test]
fn data_is_read_by_its_type() {
    let json = br#"{"n":1.50}"#;
    assert_eq!(
        content(Some("Application/JSON; charset=utf-8"), json).as_deref(),
        Some(r#"{"n":1.50}"#)
    );
    assert_eq!(
        content(Some("application/vnd.x+json"), json).as_deref(),
        Some(r#"{"n":1.50}"#)
    );
    assert_eq!(
        content(Some("text/plain"), json).as_deref(),
        Some(r#""{\"n\":1.50}""#)
    );
    assert_eq!(content(None, json).as_deref(), Some(r#"{"n":1.50}"#));
    assert_eq!(content(None, b"words").as_deref(), Some(r#""words""#));
    assert_eq!(content(None, b""), None);
    for (media, bytes) in [
        (Some("image/png"), &b"\x00\xff"[..]),
        (Some("text/plain"), b"\xff"),
        (None, b"\xff"),
    ] {
        let draft = read(&[], media, bytes).unwrap();
        assert!(!text(&draft, "data_base64").is_empty(), "{media:?}");
        assert_eq!(text(&draft, "datacontenttype"), media.unwrap_or_default());
    }
    let broken = read(&[], Some("application/json"), b"{\"a\":}").unwrap_err();
    assert!(
        broken
            .reason
            .contains("not JSON: expected a value at byte 5"),
        "{broken}"
    );
}

#[test]
fn values_are_decoded_once() {
    let subject = |value: &str| {
        read(&[("subject", value)], None, b"").map(|draft| text(&draft, "subject").to_owned())
    };
    assert_eq!(subject("%2541").unwrap(), "%41");
    assert_eq!(
        subject("%C2%A1Hola!%20%F0%9F%98%80").unwrap(),
        "\u{a1}Hola! \u{1f600}"
    );
    assert_eq!(subject(r#""a \"b\" \\ c""#).unwrap(), r#"a "b" \ c"#);
    assert_eq!(
        subject(r#"{"othervalue": 5}"#).unwrap(),
        r#"{"othervalue": 5}"#
    );
    assert_eq!(subject("100%").unwrap(), "100%");
    assert_eq!(subject(r#"""#).unwrap(), r#"""#);
    assert!(
        subject("a%C0%A0b")
            .unwrap_err()
            .reason
            .contains("`ce-subject` must be percent-encoded UTF-8")
    );
}

#[test]
fn what_is_wrong_is_named() {
    let reason = |headers: &[(&str, &str)]| read(headers, None, b"").unwrap_err().reason;
    assert!(reason(&[("data", "x")]).contains("`ce-data` is no attribute"));
    assert!(reason(&[("my-name", "x")]).contains("`my-name` is no name"));
    assert!(reason(&[("specversion", "0.1")]).contains("`specversion` is `0.1`"));
    let bare = drafts(b"", Framing::CloudEvent(Attributes::default())).remove(0);
    assert!(bare.unwrap_err().reason.contains("`specversion` must be"));
    let twice = read(&[("x", "1"), ("x", "2")], None, b"").unwrap();
    assert!(twice.duplicate_keys && text(&twice, "x") == "2");
}
