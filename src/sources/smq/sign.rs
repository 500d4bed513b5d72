//! The signature of requests to the queue service.
//!
//! Source: Alibaba Cloud, Simple Message Queue, "Sign requests" and "How do I obtain the signature
//! string of an API request" (read November 2026): Base64 of HMAC-SHA1, by the access key's secret,
//! over method, MD5, type and date of the request, its `x-mns-` headers, and the path with its query.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_model::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// What of a request is signed. It bears no MD5 of its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    /// Upper-cased.
    pub(super) method: &'a str,
    /// `Content-Type`; empty where there is none.
    pub(super) content_type: &'a str,
    /// `Date`, as RFC 9110 writes it.
    pub(super) date: &'a str,
    /// The `x-mns-` headers, lower-cased and in alphabetical order.
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// Path and query as they are sent.
    pub(super) resource: &'a str,
}

/// The value of `Authorization`.
pub(super) fn authorization(key_id: &str, secret: &Secret, signed: Signed<'_>) -> String {
    format!("MNS {key_id}:{}", signature(secret, signed))
}

fn signature(secret: &Secret, signed: Signed<'_>) -> String {
    let Signed {
        method,
        content_type,
        date,
        headers,
        resource,
    } = signed;
    let mut text = format!("{method}\n\n{content_type}\n{date}\n");
    for (name, value) in headers {
        text.push_str(name);
        text.push(':');
        text.push_str(value);
        text.push('\n');
    }
    text.push_str(resource);
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page prints all but the last four characters.
    #[test]
    fn the_documented_example_is_met() {
        let signed = Signed {
            method: "GET",
            content_type: "",
            date: "Thu, 09 Jul 2015 03:01:34 GMT",
            headers: &[("x-mns-version", "2015-06-06")],
            resource: "/MyQueue",
        };
        let secret = Secret::new("TestAccessSecret");
        let value = authorization("TestAccessID", &secret, signed);
        let signature = value.strip_prefix("MNS TestAccessID:").unwrap();
        assert_eq!(signature.len(), 28);
        assert_eq!(&signature[..24], "uwx3yeWoILzgmvesW0BQSgfM");
        let other = Signed {
            resource: "/MyQueue?x",
            ..signed
        };
        assert_ne!(super::signature(&secret, other), signature);
    }

    /// By the same rule as the pages of 2015 to 2026 tell it; computed with Python's `hmac`.
    #[test]
    fn a_request_with_a_body_is_signed_with_its_type() {
        let signed = Signed {
            method: "DELETE",
            content_type: "text/xml",
            date: "Fri, 02 Jan 2026 03:04:05 GMT",
            headers: &[("x-mns-version", "2015-06-06")],
            resource: "/queues/eni-events/messages",
        };
        let found = signature(&Secret::new("s3cret"), signed);
        assert_eq!(found, "E5uUjDjg5XKrg1pwJZ6GwpfK0fA=");
    }
}
