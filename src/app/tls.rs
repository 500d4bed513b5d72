//! The certificate that the router shows, read from its files.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use super::Error;
use crate::config::Tls;

/// Reads certificate and key, and proves that they belong together. TLS 1.2 and 1.3, HTTP/1.1 only.
///
/// # Errors
/// A file cannot be read, holds nothing of its kind, or the two do not fit.
pub(super) fn load(tls: &Tls) -> Result<Arc<ServerConfig>, Error> {
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
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| unusable("key", &tls.key, &words(&error)))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable("key", &tls.key, &fitting(&error)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
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
