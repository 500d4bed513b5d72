//! What EventBridge signs, and whether it did.
//!
//! Source: Alibaba Cloud, EventBridge, "Signature algorithm" (read November 2026), and the vendor's
//! `SignatureVerify` for Java: RSA, PKCS1 v1.5, with SHA-256, over the address of the target, five
//! headers and the body.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

pub(super) const TIMESTAMP: &str = "x-eventbridge-signature-timestamp";
pub(super) const HASH: &str = "x-eventbridge-hash-method";
pub(super) const VERSION: &str = "x-eventbridge-signature-version";
pub(super) const CERTIFICATE: &str = "x-eventbridge-signature-url";
pub(super) const TOKEN: &str = "x-eventbridge-signature-token";
pub(super) const SIGNATURE: &str = "x-eventbridge-signature-v2";

/// The signature of the scheme before, with a secret that is sent along.
pub(super) const OLD_SIGNATURE: &str = "x-eventbridge-signature";

/// The signed headers, in the order in which they are.
const SIGNED: [&str; 5] = [TIMESTAMP, HASH, VERSION, CERTIFICATE, TOKEN];

/// The value of a header that stands there once, as text.
pub(super) fn once<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// The bytes that are signed for a request to `url`.
pub(super) fn signed(url: &str, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{url}\n").into_bytes();
    for name in SIGNED {
        let value = once(headers, name).unwrap_or_default();
        text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
    }
    text.extend_from_slice(body);
    text
}

/// Whether the owner of `certificate` signed these bytes. Some senders sign a line's end behind the
/// body, as the vendor's code for Java does.
pub(super) fn is_signed(
    certificate: &CertificateDer<'_>,
    mut signed: Vec<u8>,
    signature: &str,
) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
        return false;
    };
    let verifies = |signed: &[u8]| {
        certificate
            .verify_signature(&RsaSha256, signed, &signature)
            .is_ok()
    };
    verifies(&signed) || {
        signed.push(b'\n');
        verifies(&signed)
    }
}

/// RSA with SHA-256, of keys from 1,024 bits: the vendor's own tests have such a key, and which one
/// it signs with is not ours to choose. A forger of it still needs the source's token.
#[derive(Debug)]
struct RsaSha256;

impl SignatureVerificationAlgorithm for RsaSha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_PKCS1_SHA256
    }
}
