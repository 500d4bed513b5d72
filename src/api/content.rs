//! What a request says of its body: media type, coding, and attributes of a CloudEvent in headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::intake::{Attributes, Framing};

/// How the bytes of a body are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Plain,
    /// `gzip` (RFC 1952).
    Gzip,
}

/// Reads `Content-Encoding`.
///
/// # Errors
/// What to send instead; the answer's status is 415.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, String> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let text = match (codings.next(), codings.next()) {
        (None, _) => return Ok(Coding::Plain),
        (Some(one), None) => one.to_str().unwrap_or("?").trim(),
        (Some(_), Some(_)) => "?",
    };
    if text.is_empty() || text.eq_ignore_ascii_case("identity") {
        Ok(Coding::Plain)
    } else if text.eq_ignore_ascii_case("gzip") || text.eq_ignore_ascii_case("x-gzip") {
        // RFC 9110, section 8.4.1.3: both names are the same coding.
        Ok(Coding::Gzip)
    } else {
        Err("`Content-Encoding` must be gzip, once, or be left out".to_owned())
    }
}

/// How the items of the body are set apart, by `Content-Type` and the `ce-` headers. No type at all
/// is read as JSON.
///
/// # Errors
/// What to send instead; the answer's status is 415.
pub(super) fn framing(headers: &HeaderMap) -> Result<Framing, String> {
    let media = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or("?"));
    let essence = media.and_then(|media| media.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    // The media type decides: a structured event may repeat its attributes in headers
    // (CloudEvents 1.0.2, HTTP binding, section 3).
    if !essence.starts_with("application/cloudevents") && is_binary(headers) {
        return Ok(Framing::CloudEvent(attributes(headers, media)));
    }
    match essence.as_str() {
        "" | "application/json" => Ok(Framing::Document),
        "application/x-ndjson" => Ok(Framing::Lines),
        "application/x-www-form-urlencoded" => Ok(Framing::Form),
        other if other.starts_with("application/") && other.ends_with("+json") => {
            Ok(Framing::Document)
        }
        _ => Err(
            "`Content-Type` must be application/json (or another …+json), application/x-ndjson, \
             application/x-www-form-urlencoded, or any type beside the headers of a CloudEvent"
                .to_owned(),
        ),
    }
}

const PREFIX: &str = "ce-";

/// Whether a request has an attribute that every CloudEvent has. The other names may stand in a
/// request that is none.
fn is_binary(headers: &HeaderMap) -> bool {
    ["ce-specversion", "ce-id", "ce-source", "ce-type"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

fn attributes(headers: &HeaderMap, media: Option<&str>) -> Attributes {
    let attribute = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = name.as_str().strip_prefix(PREFIX)?;
        Some((name.to_owned(), value.as_bytes().to_vec()))
    };
    Attributes {
        headers: headers.iter().filter_map(attribute).collect(),
        content_type: media.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[track_caller]
    fn check(media: &str, expected: Option<&Framing>) {
        let headers = headers(&[("content-type", media)]);
        let framing = framing(&headers).ok();
        assert_eq!(framing.as_ref(), expected, "{media}");
    }

    #[test]
    fn the_media_type_says_how_items_are_set_apart() {
        check("application/json", Some(&Framing::Document));
        check("Application/JSON; charset=UTF-8", Some(&Framing::Document));
        check("application/cloudevents+json", Some(&Framing::Document));
        check(
            "application/cloudevents-batch+json",
            Some(&Framing::Document),
        );
        check("application/vnd.something+json", Some(&Framing::Document));
        check("application/x-ndjson", Some(&Framing::Lines));
        check(
            "application/x-www-form-urlencoded; charset=utf-8",
            Some(&Framing::Form),
        );
        check("", Some(&Framing::Document));
        assert_eq!(framing(&HeaderMap::new()), Ok(Framing::Document));
        for other in [
            "text/plain",
            "text/xml",
            "application/cloudevents+hello",
            "json",
            "image/svg+json",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn attributes_in_headers_make_a_binary_event_unless_the_body_is_one() {
        let binary = [
            ("ce-id", "1"),
            ("CE-Subject", "s"),
            ("x-ce-no", "n"),
            ("content-type", "text/plain"),
        ];
        let Ok(Framing::CloudEvent(attributes)) = framing(&headers(&binary)) else {
            panic!()
        };
        let mut names: Vec<_> = attributes
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["id", "subject"]);
        assert_eq!(attributes.content_type.as_deref(), Some("text/plain"));

        let structured = [
            ("ce-id", "1"),
            ("content-type", "application/cloudevents+json"),
        ];
        assert_eq!(framing(&headers(&structured)), Ok(Framing::Document));
        assert_eq!(
            framing(&headers(&[("ce-subject", "s")])),
            Ok(Framing::Document)
        );
    }

    #[test]
    fn gzip_is_the_only_coding() {
        let coding = |pairs: &[(&'static str, &str)]| coding(&headers(pairs)).ok();
        assert_eq!(coding(&[]), Some(Coding::Plain));
        for (text, expected) in [
            ("identity", Some(Coding::Plain)),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("br", None),
            ("gzip, gzip", None),
        ] {
            assert_eq!(coding(&[("content-encoding", text)]), expected, "{text}");
        }
        let twice: HeaderMap = ["gzip", "gzip"]
            .iter()
            .map(|text| (header::CONTENT_ENCODING, text.parse().unwrap()))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            });
        assert!(super::coding(&twice).is_err());
    }
}
