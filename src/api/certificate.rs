//! The certificate that the door shows, and how long it is still good.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// How long before its end a certificate is spoken of. Chosen: what renews certificates by itself has
/// long done so by then, and a person still has two weeks.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What handshakes are made with.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Chain and key, for rustls.
    pub config: Arc<ServerConfig>,
    /// When the first of the chain expires; `None` where one of them cannot be read.
    pub ends: Option<Timestamp>,
}

impl Certificate {
    /// What there is to say of a certificate that is about to expire, or has; `None` while that is
    /// more than two weeks away.
    pub fn notice(&self, now: Timestamp) -> Option<String> {
        let ends = self.ends?;
        let left = ends.duration_since(now);
        if left > NOTICE {
            return None;
        }
        let said = if left.is_negative() {
            format!(
                "the certificate of `server.tls.cert` has expired on {ends}, so senders refuse it"
            )
        } else {
            let days = left.as_hours() / 24;
            format!("the certificate of `server.tls.cert` expires on {ends}, in {days} days")
        };
        Some(format!(
            "{said}; renew it, a running router takes the new one"
        ))
    }
}

/// When the first certificate of a chain expires; `None` if one of them cannot be read.
pub fn ends(chain: &[CertificateDer<'_>]) -> Option<Timestamp> {
    let end = |der: &CertificateDer<'_>| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let seconds = certificate.validity().not_after.timestamp();
        Timestamp::from_second(seconds).ok()
    };
    let ends: Option<Vec<_>> = chain.iter().map(end).collect();
    ends?.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(ends: Timestamp) -> Certificate {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        Certificate {
            config: Arc::new(config),
            ends: Some(ends),
        }
    }

    #[test]
    fn it_is_spoken_of_two_weeks_before_its_end_and_after_it() {
        let ends: Timestamp = "2026-03-15T00:00:00Z".parse().unwrap();
        let certificate = certificate(ends);
        let notice = |now: &str| certificate.notice(now.parse().unwrap());
        assert_eq!(notice("2026-02-28T23:59:59Z"), None);
        let before = notice("2026-03-01T00:00:00Z").unwrap();
        assert!(
            before.contains("expires on 2026-03-15T00:00:00Z, in 14 days"),
            "{before}"
        );
        let last = notice("2026-03-14T12:00:00Z").unwrap();
        assert!(last.contains("in 0 days"), "{last}");
        let after = notice("2026-03-15T00:00:01Z").unwrap();
        assert!(
            after.contains("has expired on 2026-03-15T00:00:00Z"),
            "{after}"
        );
    }

    #[test]
    fn the_first_end_of_a_chain_counts() {
        let made = |year: i32| {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 2, 3);
            let key = rcgen::KeyPair::generate().unwrap();
            params.self_signed(&key).unwrap().der().clone()
        };
        let chain = [made(2040), made(2035)];
        assert_eq!(ends(&chain), Some("2035-02-03T00:00:00Z".parse().unwrap()));
        let broken = CertificateDer::from(vec![48, 3, 2, 1]);
        assert_eq!(ends(&[made(2040), broken]), None);
    }
}
