//! Standard Webhooks 1.0.0 signatures, version `v1` (HMAC-SHA256).
//!
//! Source: the specification at `standard-webhooks/standard-webhooks`, `spec/standard-webhooks.md`.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use herald_model::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a secret begins with when it is shown. It is no part of the key.
const PREFIX: &str = "whsec_";

/// Bytes of a key (specification, "Signature scheme": 24 to 64 random bytes).
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The reference libraries take secrets whose last character has bits to spare, with padding or
/// without; so does this.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signing key.
#[derive(Clone)]
pub(super) struct Key {
    /// The decoded bytes, which are the key (unlike DingTalk's secret, which is used as text).
    bytes: Vec<u8>,
    /// The secret as it was written, with and without its prefix, for redaction.
    written: [Secret; 2],
}

impl Key {
    /// Reads a secret as it is shown: `whsec_` and base64. The prefix may be left out.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub(super) fn parse(secret: &Secret) -> Result<Self, &'static str> {
        let text = secret.expose();
        let digits = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = LENIENT.decode(digits).map_err(|_| {
            "this is no Standard Webhooks secret: write `whsec_` and base64, as in \
             `echo whsec_$(head -c 32 /dev/urandom | base64)`"
        })?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err("the secret must decode to 24 to 64 bytes; make one by \
                 `echo whsec_$(head -c 32 /dev/urandom | base64)`");
        }
        Ok(Self {
            bytes,
            written: [secret.clone(), Secret::new(digits)],
        })
    }

    /// The spellings that must not be shown.
    pub(super) fn written(&self) -> impl Iterator<Item = Secret> {
        self.written.clone().into_iter()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// The value of `webhook-signature`: one entry per key, so that receivers can move from an old key
/// to a new one. `timestamp` is in seconds, of this attempt; `body` is exactly what is sent.
pub(super) fn sign(keys: &[Key], id: &str, timestamp: i64, body: &[u8]) -> String {
    let entries: Vec<_> = keys
        .iter()
        .map(|key| entry(key, id, timestamp, body))
        .collect();
    entries.join(" ")
}

fn entry(key: &Key, id: &str, timestamp: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length, so there is no error to handle.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key.bytes) else {
        return String::new();
    };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vectors;

    fn signed(secrets: &[&str], id: &str, timestamp: i64, body: &str) -> String {
        let keys: Vec<_> = secrets
            .iter()
            .map(|secret| Key::parse(&Secret::new(*secret)).unwrap())
            .collect();
        sign(&keys, id, timestamp, body.as_bytes())
    }

    #[test]
    fn published_vectors() {
        // From the reference libraries: Python (A) and Rust (B).
        let a = (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
        let b = (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            "{\"email\":\"test@example.com\",\"username\":\"test_user\"}",
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        );
        for (secret, id, timestamp, body, signature) in [a, b] {
            assert_eq!(signed(&[secret], id, timestamp, body), signature);
        }
    }

    #[test]
    fn vectors_of_the_shared_collection() {
        for vector in vectors("standard-webhooks.jsonl") {
            let text = |key: &str| vector[key].as_str().unwrap_or_default();
            match text("kind") {
                "sign" => assert_eq!(
                    signed(
                        &[text("secret")],
                        text("msg_id"),
                        vector["timestamp"].as_i64().unwrap(),
                        text("payload"),
                    ),
                    text("signature"),
                    "{}",
                    text("id")
                ),
                // A signature that the reference accepts is the one we would have made.
                "verify" if vector["valid"] == true => {
                    let headers = &vector["headers"];
                    let ours = signed(
                        &[text("secret")],
                        headers["webhook-id"].as_str().unwrap(),
                        headers["webhook-timestamp"]
                            .as_str()
                            .unwrap()
                            .parse()
                            .unwrap(),
                        text("payload"),
                    );
                    let theirs = headers["webhook-signature"].as_str().unwrap();
                    assert!(
                        theirs.split(' ').any(|entry| entry == ours),
                        "{}",
                        text("id")
                    );
                }
                _ => {}
            }
        }
    }

    #[test]
    fn two_keys_sign_side_by_side() {
        let [old, new] = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        ];
        let both = signed(&[new, old], "msg_1", 1, "x");
        let each = [new, old].map(|secret| signed(&[secret], "msg_1", 1, "x"));
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn short_and_garbled_secrets_are_refused_without_being_repeated() {
        for wrong in ["whsec_c2hvcnQ=", "whsec_!!!", "hunter2"] {
            let why = Key::parse(&Secret::new(wrong)).unwrap_err();
            assert!(!why.contains(wrong) && why.contains("whsec_"), "{why}");
        }
    }
}
