//! The HTTP client of sources: it follows no redirect, asks no proxy, repeats nothing, reads answers
//! to a cap and is done in time.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;

/// A client that gives up a connection that is not made within `connect_timeout`, and trusts the
/// certificates in the PEM file `ca` beside the system's.
///
/// # Errors
/// The file cannot be read or holds no certificate, or the system has no roots; in words that follow
/// a colon.
pub(super) fn client(
    connect_timeout: Duration,
    ca: Option<&Path>,
) -> Result<reqwest::Client, String> {
    builder(connect_timeout, ca)?
        .build()
        .map_err(|error| format!("cannot set up TLS: {}", words(&error)))
}

/// The same before it is built.
pub(super) fn builder(
    connect_timeout: Duration,
    ca: Option<&Path>,
) -> Result<reqwest::ClientBuilder, String> {
    // It fails only where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .http1_only()
        .connect_timeout(connect_timeout);
    let Some(path) = ca else { return Ok(builder) };
    let pem =
        std::fs::read(path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|why| format!("cannot use {}: {}", path.display(), words(&why)))?;
    if certificates.is_empty() {
        return Err(format!(
            "{} holds no certificate in PEM form",
            path.display()
        ));
    }
    Ok(builder.tls_certs_merge(certificates))
}

/// Reads an answer's body of at most `max` bytes.
///
/// # Errors
/// It is longer, or was cut; in words that follow a colon.
pub(super) async fn body(mut response: reqwest::Response, max: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| words(&why))? {
        if chunk.len() > max - body.len() {
            return Err(format!("the answer is longer than {max} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error of the client with its causes; its URL, which may hold a secret, left out.
pub(super) fn words(error: &reqwest::Error) -> String {
    let mut text = match error {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        _ if error.is_connect() => "cannot connect".to_owned(),
        _ => "the connection failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
