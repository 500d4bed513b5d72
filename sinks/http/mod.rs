//! The HTTP client of all sinks. It follows no redirect, asks no proxy, keeps no cookie, repeats
//! nothing, decompresses nothing, reads answers to a cap, and is done within its time limit.
//!
//! An attempt ends in one of two ways: an [`Answer`] (a status line came, whatever became of the
//! rest), or a [`Failure`] that says how far the request got, because only that decides whether it
//! may have arrived.

mod date;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use herald_model::sink::ConnectError;
use http::{HeaderMap, StatusCode};
use reqwest::redirect::Policy;
use tokio::time::Instant;

use crate::guard::{Guard, Refused};
use crate::said::{KEPT, one_line};
use crate::trouble;

use self::resolve::{Guarded, LookUp, System};

pub(crate) use date::{http_date, seconds_ahead};
pub(crate) use target::Target;

/// How much of an answer is read. What comes after is not waited for. Chosen: above the longest
/// answer that is understood (DingTalk's, some hundred bytes), below anything that would matter in
/// memory with hundreds of attempts at a time.
const READ_AT_MOST: usize = 16 * 1024;

/// How long an idle connection is kept. Short, since a peer that closes it at the moment of the next
/// request leaves that one unknown (hyper issue 2136); many servers close after 60 s or more.
const IDLE: Duration = Duration::from_secs(15);

/// What a client is made from.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// For the whole exchange, from the look-up of the name to the end of the answer.
    pub(crate) timeout: Duration,
    /// For look-up, connection and TLS handshake.
    pub(crate) connect_timeout: Duration,
    /// Which addresses may be connected to.
    pub(crate) guard: Guard,
    /// Whether the target is `https://`. The client of a plain one follows no redirect to TLS
    /// either, so it goes without the system's roots, which take time and memory to read and are
    /// absent from slim images.
    pub(crate) is_encrypted: bool,
    /// A PEM file whose certificates are trusted besides the system's.
    pub(crate) ca: Option<PathBuf>,
    /// A PEM file with the client's certificate chain, and one with its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// One client per sink.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    inner: reqwest::Client,
    guard: Guard,
    timeout: Duration,
}

/// A status line came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The first bytes of the body.
    pub(crate) body: Vec<u8>,
    /// Whether `body` ended where the far side said it would; not so after a cut, a time-out, or
    /// more bytes than are read.
    pub(crate) body_end: BodyEnd,
}

/// How the reading of an answer's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// All of it was read.
    Whole,
    /// There is more than is read.
    TooLong,
    /// The connection was cut or time ran out.
    Lost,
}

/// No status line came. The texts hold no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The guard refused the target.
    #[error("{0}")]
    Refused(Refused),
    /// No trusted connection could be made: certificate or TLS version.
    #[error("{0}")]
    Tls(String),
    /// No connection was made: nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// The request, or part of it, was on its way.
    #[error("{0}")]
    Lost(String),
}

impl Client {
    /// Makes the client. Reads the certificate files; contacts nobody.
    ///
    /// # Errors
    /// A certificate file cannot be read, or the system has no trusted roots.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConnectError> {
        Self::looking_up(settings, System)
    }

    fn looking_up(settings: &Settings, look_up: impl LookUp) -> Result<Self, ConnectError> {
        // Fails only when a provider is installed already, by this or by the program, which is as
        // good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .http1_only()
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(IDLE)
            .dns_resolver(Arc::new(Guarded::new(settings.guard.clone(), look_up)));
        if let Some(path) = &settings.ca {
            let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?)
                .map_err(|error| unusable(path, &error))?;
            if certificates.is_empty() {
                return Err(ConnectError(format!(
                    "{} holds no certificate in PEM form",
                    path.display()
                )));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if !settings.is_encrypted {
            builder = builder.tls_certs_only([]);
        }
        if let Some((chain, key)) = &settings.identity {
            let mut pem = read(chain)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let identity =
                reqwest::Identity::from_pem(&pem).map_err(|error| unusable(chain, &error))?;
            builder = builder.identity(identity);
        }
        let inner = builder.build().map_err(|error| {
            ConnectError(format!("cannot set up TLS: {}", trouble::chain(&error)))
        })?;
        Ok(Self {
            inner,
            guard: settings.guard.clone(),
            timeout: settings.timeout,
        })
    }

    /// For building the request to [`send`](Self::send).
    pub(crate) fn request(&self, method: http::Method, url: url::Url) -> reqwest::RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends `request` once.
    ///
    /// # Errors
    /// No status line came; see [`Failure`].
    pub(crate) async fn send(&self, request: reqwest::Request) -> Result<Answer, Failure> {
        self.guard
            .judge_url(request.url())
            .map_err(Failure::Refused)?;
        let deadline = Instant::now() + self.timeout;
        let place = place(request.url());
        let response = tokio::time::timeout_at(deadline, self.inner.execute(request)).await;
        let mut response = match response {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(classify(error, &place)),
            // Connecting has its own, shorter limit: whoever gets here was connected.
            Err(_) => {
                return Err(Failure::Lost(format!(
                    "no answer within {}",
                    herald_model::duration::write(self.timeout)
                )));
            }
        };
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        let body_end = loop {
            match tokio::time::timeout_at(deadline, response.chunk()).await {
                Ok(Ok(None)) => break BodyEnd::Whole,
                Ok(Ok(Some(chunk))) => {
                    let room = READ_AT_MOST - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        break BodyEnd::TooLong;
                    }
                }
                Ok(Err(_)) | Err(_) => break BodyEnd::Lost,
            }
        };
        Ok(Answer {
            status,
            headers,
            body,
            body_end,
        })
    }
}

/// Says how far a request to `place` got that has no answer.
fn classify(error: reqwest::Error, place: &str) -> Failure {
    let error = error.without_url();
    if let Some(refused) = trouble::find::<Refused>(&error) {
        return Failure::Refused(refused.clone());
    }
    if let Some(words) = trouble::encrypting(&error)
        && (error.is_connect() || is_refused_in_tls(&error))
    {
        return Failure::Tls(words);
    }
    if error.is_connect() && error.is_timeout() {
        return Failure::NotSent(trouble::silent(place));
    }
    if error.is_builder() || error.is_connect() {
        let words = trouble::connecting(&error, place);
        return Failure::NotSent(words.unwrap_or_else(|| trouble::chain(&error)));
    }
    // The libraries' own words for "it was sent" stand in front of the cause.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Failure::Lost(one_line(
        &format!("the connection broke before an answer came: {cause}"),
        KEPT,
    ))
}

/// Host and port of `url`, which is all of it that is shown.
fn place(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the server said in TLS that it takes nothing from us. Other trouble after the handshake
/// may hide that it took the request.
fn is_refused_in_tls(error: &reqwest::Error) -> bool {
    matches!(
        trouble::find::<rustls::Error>(error),
        Some(rustls::Error::AlertReceived(alert)) if trouble::is_about_our_certificate(*alert)
    )
}

fn read(path: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(path)
        .map_err(|error| ConnectError(format!("cannot read {}: {error}", path.display())))
}

fn unusable(path: &Path, error: &reqwest::Error) -> ConnectError {
    ConnectError(format!(
        "{} is not usable: {}",
        path.display(),
        trouble::chain(error)
    ))
}
