//! The robot's `sign` setting: a timestamp and an HMAC in the query.
//!
//! Source: DingTalk open platform, "Custom bot security settings".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_model::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::Url;

/// `webhook` with `timestamp` and `sign` for this attempt. DingTalk takes a timestamp that is at
/// most one hour off, so both are made anew for every attempt and never stored.
pub(super) fn signed(webhook: &Url, secret: &Secret, timestamp_ms: i64) -> Url {
    let mut url = webhook.clone();
    // The serialiser encodes exactly once; an encoded value would be encoded again and give
    // `310000 sign not match`.
    url.query_pairs_mut()
        .append_pair("timestamp", &timestamp_ms.to_string())
        .append_pair("sign", &sign(secret, timestamp_ms));
    url
}

/// The base64 text before it is encoded for the query. The secret is used as it is written, `SEC`
/// and all (unlike Standard Webhooks, where it is decoded).
fn sign(secret: &Secret, timestamp_ms: i64) -> String {
    // HMAC takes keys of any length, so there is no error to handle.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{timestamp_ms}\n{}", secret.expose()).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vectors;

    #[track_caller]
    fn check(timestamp_ms: i64, secret: &str, base64: &str, in_the_query: Option<&str>) {
        let secret = Secret::new(secret);
        assert_eq!(sign(&secret, timestamp_ms), base64);
        let webhook = Url::parse("https://oapi.dingtalk.com/robot/send?access_token=t").unwrap();
        let url = signed(&webhook, &secret, timestamp_ms);
        if let Some(encoded) = in_the_query {
            assert_eq!(
                url.query().unwrap(),
                format!("access_token=t&timestamp={timestamp_ms}&sign={encoded}")
            );
        }
    }

    #[test]
    fn published_vectors() {
        // Unit tests of a Go client (CatchZeng/dingtalk) and of a C# library (Hestia.Security).
        check(
            1_582_163_555_000,
            "SECb90923e19e58b466481e9e7b7a5b4f108a4531abde590ad3967fb29f0eae5c68",
            "BQKsG+QOCl+bYJOLc6pxDHxjVquzlZPWgvRzeN2J5zY=",
            Some("BQKsG%2BQOCl%2BbYJOLc6pxDHxjVquzlZPWgvRzeN2J5zY%3D"),
        );
        check(
            1_234_567_890_987,
            "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "DS4ksAxenBH2OvTFmGArI+u0ba8l5x9WZOdj6LHZzUo=",
            Some("DS4ksAxenBH2OvTFmGArI%2Bu0ba8l5x9WZOdj6LHZzUo%3D"),
        );
    }

    #[test]
    fn vectors_of_the_shared_collection() {
        for vector in vectors("dingtalk.jsonl") {
            // Whether a timestamp is still good is the receiver's business; the sign is ours.
            if vector["kind"] == "verify" && vector["valid"] != true {
                continue;
            }
            check(
                vector["timestamp"].as_i64().unwrap(),
                vector["secret"].as_str().unwrap(),
                vector["sign_base64"].as_str().unwrap(),
                vector["sign_urlencoded"].as_str(),
            );
        }
    }
}
