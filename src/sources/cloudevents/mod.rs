//! `cloudevents`: EventBridge posts its events, signed, to `/v1/sources/NAME/events`.
//!
//! - this file: the settings, and what a request must prove,
//! - `signature`: what is signed, `certificates`: by whose key,
//! - `consent`: the handshake before the first event.
//!
//! All customers of Alibaba Cloud share the signer. So a signature says that EventBridge sent it, and
//! for whom is said by the source's token, which is part of what is signed, and by `accounts`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use herald_model::settings::Table;
use herald_model::{Secret, duration};
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use url::Url;

use super::{Doubt, Proof, SourceConfig, SourceKind, Way, equal};

mod certificates;
mod consent;
mod signature;
#[cfg(test)]
mod tests;

use certificates::{Certificates, Network};
use signature::once;

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "cloudevents",
    summary: "Takes the signed posts of EventBridge.",
    example: include_str!("example.toml"),
    is_brought: true,
    configure,
};

#[derive(Debug, Clone, PartialEq)]
struct Settings {
    /// As it stands at EventBridge's target, since that is what is signed.
    url: String,
    regions: Vec<String>,
    /// How old, or how far ahead, a signature may be.
    window: Duration,
    /// Who may send, of those who ask before.
    origins: Vec<String>,
}

fn configure(table: &Table<'_>) -> Option<Arc<dyn SourceConfig>> {
    // EventBridge's own receivers refuse what is older ("Signature algorithm").
    let window = table
        .duration("window", Duration::from_secs(1)..=Duration::from_secs(900))
        .or(Duration::from_secs(60));
    let origins = table.texts("origins").or(Vec::new());
    let url = table
        .url("url")
        .required("\"https://herald.example.com/v1/sources/bridge/events\"");
    let regions = table.texts("regions").required("[\"cn-hangzhou\"]");
    let mut is_whole = wants(
        table,
        "token",
        "all customers of Alibaba Cloud share the signer, so a token must tell your events from \
         theirs; add the one of the target",
    );
    is_whole &= wants(
        table,
        "accounts",
        "all customers of Alibaba Cloud share the signer; list the accounts whose events are taken",
    );
    let regions = regions?;
    if regions.is_empty() || !regions.iter().all(|region| is_region(region)) {
        let text = format!(
            "`{}`: a list of the regions whose event buses send, as in [\"cn-hangzhou\"]",
            table.path_of("regions")
        );
        table.reading().mistake(table.span_of("regions"), text);
        is_whole = false;
    }
    let url = as_written(table, &url?);
    is_whole.then(|| {
        Arc::new(Settings {
            url,
            regions,
            window,
            origins,
        }) as Arc<dyn SourceConfig>
    })
}

/// The address as the file has it: a URL that is written anew may gain a slash.
fn as_written(table: &Table<'_>, url: &Url) -> String {
    table
        .text("url")
        .optional()
        .unwrap_or_else(|| url.to_string())
}

/// Whether a key that is optional elsewhere is there.
fn wants(table: &Table<'_>, key: &str, why: &str) -> bool {
    let is_empty = match table.raw(key).map(toml::Spanned::get_ref) {
        None => true,
        Some(toml::de::DeValue::Array(items)) => items.is_empty(),
        Some(_) => false,
    };
    if is_empty {
        let text = format!("`{}`: {why}", table.path_of(key));
        table.reading().mistake(table.span_of(key), text);
    }
    !is_empty
}

/// Lower-case words with dashes: what cannot stand in a host's name must not get into it.
fn is_region(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.len() <= 40 && text.contains('-') && text.split('-').all(is_word)
}

impl SourceConfig for Settings {
    fn way(&self) -> Way {
        let certificates = Certificates::new(&self.regions, Box::new(Network));
        Way::Brought(Some(Arc::new(Signed {
            settings: self.clone(),
            certificates,
        })))
    }

    fn equals(&self, other: &dyn SourceConfig) -> bool {
        equal(self, other)
    }
}

#[derive(Debug)]
struct Signed {
    settings: Settings,
    certificates: Certificates,
}

#[async_trait]
impl Proof for Signed {
    fn judge(&self, headers: &HeaderMap, tokens: &[Secret], now: Timestamp) -> Result<(), Doubt> {
        let sent = once(headers, signature::TOKEN)
            .unwrap_or_default()
            .as_bytes();
        let is_known = tokens.iter().fold(false, |found, token| {
            bool::from(token.expose().as_bytes().ct_eq(sent)) | found
        });
        if !is_known {
            return doubt("this source wants its token in `x-eventbridge-signature-token`");
        }
        if once(headers, signature::SIGNATURE).is_none() {
            let is_old = headers.contains_key(signature::OLD_SIGNATURE);
            return doubt(if is_old {
                "this is EventBridge's old signature, by HMAC; only `x-eventbridge-signature-v2` is \
                 taken"
            } else {
                "`x-eventbridge-signature-v2` must stand there once"
            });
        }
        for (name, wanted) in [(signature::VERSION, "1.0"), (signature::HASH, "SHA256")] {
            if once(headers, name) != Some(wanted) {
                return doubt(format!("`{name}` must be {wanted}"));
            }
        }
        let signed_at = once(headers, signature::TIMESTAMP).and_then(|text| text.parse().ok());
        let Some(signed_at) = signed_at.and_then(|at| Timestamp::from_millisecond(at).ok()) else {
            return doubt("`x-eventbridge-signature-timestamp` must be a time in milliseconds");
        };
        let off = now.duration_since(signed_at).unsigned_abs();
        if off > self.settings.window {
            let window = duration::write(self.settings.window);
            return doubt(format!(
                "it was signed {} s away from now; the source's `window` is {window}",
                off.as_secs()
            ));
        }
        let url = once(headers, signature::CERTIFICATE).unwrap_or_default();
        match self.certificates.address(url) {
            Some(_) => Ok(()),
            None => doubt(
                "`x-eventbridge-signature-url` is no address of a certificate in one of the \
                 source's `regions`",
            ),
        }
    }

    async fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<(), Doubt> {
        let url = once(headers, signature::CERTIFICATE).unwrap_or_default();
        let Some(url) = self.certificates.address(url) else {
            return doubt("`x-eventbridge-signature-url` is no address of a certificate");
        };
        let certificate = match self.certificates.get(&url, now).await {
            Ok(certificate) => certificate,
            Err(why) => {
                tracing::warn!(%url, "cannot get EventBridge's certificate: {why}");
                return Err(Doubt {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    why: "the signer's certificate cannot be had at the moment".to_owned(),
                });
            }
        };
        let signed = signature::signed(&self.settings.url, headers, body);
        let given = once(headers, signature::SIGNATURE).unwrap_or_default();
        if signature::is_signed(&certificate, signed, given) {
            return Ok(());
        }
        doubt(
            "the signature is wrong; the source's `url` must be the address as it stands at the \
             target",
        )
    }

    fn consent(&self, headers: &HeaderMap) -> Result<HeaderMap, Doubt> {
        consent::consent(&self.settings.origins, headers)
    }
}

fn doubt<T>(why: impl Into<String>) -> Result<T, Doubt> {
    Err(Doubt {
        status: StatusCode::UNAUTHORIZED,
        why: why.into(),
    })
}
