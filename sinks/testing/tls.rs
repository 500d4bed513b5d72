//! A certificate for `localhost` and 127.0.0.1, signed by nobody but itself.

use std::io::Write as _;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

/// The certificate, its key, and both as files.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    pub(crate) certificate_file: NamedTempFile,
    pub(crate) key_file: NamedTempFile,
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self::of(&["localhost", "127.0.0.1"])
    }

    /// For these names.
    pub(crate) fn of(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let file = |pem: &str| {
            let mut file = NamedTempFile::new().unwrap();
            file.write_all(pem.as_bytes()).unwrap();
            file
        };
        Self {
            certificate: made.cert.der().clone(),
            key: made.signing_key.serialize_der(),
            certificate_file: file(&made.cert.pem()),
            key_file: file(&made.signing_key.serialize_pem()),
        }
    }

    /// Path of the certificate, for `ca = …`.
    pub(crate) fn ca(&self) -> String {
        self.certificate_file.path().display().to_string()
    }

    /// Accepts TLS as this identity.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_for(None)
    }

    /// Accepts TLS as this identity from those who show the certificate of `client`.
    pub(crate) fn acceptor_for(&self, client: Option<&Self>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.certificate.clone()).unwrap();
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .unwrap(),
                )
            }
        };
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = builder
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
