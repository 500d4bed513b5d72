//! The certificate that the router shows, read from its files, and a word before it expires.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Error;
use crate::api::{self, Certificate};
use crate::clock;
use crate::config::Tls;

/// How often a certificate that is about to expire is spoken of in the log. Chosen: a log is read by
/// the day.
const REMINDED: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads certificate and key, and proves that they belong together. TLS 1.2 and 1.3, HTTP/1.1 only.
///
/// # Errors
/// A file cannot be read, holds nothing of its kind, or the two do not fit.
pub(super) fn load(tls: &Tls) -> Result<Certificate, Error> {
    let unusable = |key: &str, path: &Path, why: &dyn std::fmt::Display| {
        let path = path.display();
        Error::Tls(format!("`server.tls.{key}`: {path}: {why}"))
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable("cert", &tls.cert, &words(&error)))?;
    if chain.is_empty() {
        let why = "there is no certificate in PEM form in it";
        return Err(unusable("cert", &tls.cert, &why));
    }
    let ends = api::ends(&chain);
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| unusable("key", &tls.key, &words(&error)))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable("key", &tls.key, &fitting(&error)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate {
        config: Arc::new(config),
        ends,
    })
}

/// Says in the log that the certificate in force is about to expire, or has, now and once a day until
/// `stop`.
pub(super) async fn remind(certificate: Arc<ArcSwap<Certificate>>, stop: CancellationToken) {
    loop {
        if let Some(notice) = certificate.load().notice(clock::now()) {
            warn!("{notice}");
        }
        tokio::select! {
            () = tokio::time::sleep(REMINDED) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => {
            "there is no private key in PEM form without a password in it".to_owned()
        }
        other => other.to_string(),
    }
}

fn fitting(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "it is not the key of the certificate in `server.tls.cert`".to_owned()
        }
        other => other.to_string(),
    }
}
