//! The handshake by which a receiver agrees to be sent to.
//!
//! Source: CloudEvents 1.0, "HTTP 1.1 Web Hooks for Event Delivery", section 4: a sender asks with
//! OPTIONS, its DNS name in `WebHook-Request-Origin`, and the receiver repeats the name in
//! `WebHook-Allowed-Origin`. It is answered at once; `WebHook-Request-Callback` is not called, since
//! that would let anybody make Herald call an address of their choice.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::signature::once;
use crate::sources::Doubt;

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const REQUEST_RATE: &str = "webhook-request-rate";
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Answers a sender that asks; `*` among the origins agrees to every one.
///
/// # Errors
/// It does not name itself once, or is none of `origins`.
pub(super) fn consent(origins: &[String], headers: &HeaderMap) -> Result<HeaderMap, Doubt> {
    let Some(origin) = once(headers, REQUEST_ORIGIN).filter(|origin| is_name(origin)) else {
        return Err(Doubt {
            status: StatusCode::BAD_REQUEST,
            why: "`WebHook-Request-Origin` must be the sender's DNS name, once".to_owned(),
        });
    };
    let is_agreed = |agreed: &String| agreed == "*" || agreed.eq_ignore_ascii_case(origin);
    if !origins.iter().any(is_agreed) {
        return Err(Doubt {
            status: StatusCode::FORBIDDEN,
            why: "this sender is none of the source's `origins`".to_owned(),
        });
    }
    let mut answer = HeaderMap::new();
    answer.insert(header::ALLOW, HeaderValue::from_static("POST"));
    if let Ok(origin) = HeaderValue::from_str(origin) {
        answer.insert(ALLOWED_ORIGIN, origin);
    }
    if headers.contains_key(REQUEST_RATE) {
        // What is too much at the moment is answered 503.
        answer.insert(ALLOWED_RATE, HeaderValue::from_static("*"));
    }
    Ok(answer)
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}
