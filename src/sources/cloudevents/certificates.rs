//! The certificates that EventBridge signs with: from which addresses they may come, fetched once,
//! and kept for a while.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;
use url::Url;

use crate::sources::web;

/// Certificates kept. Chosen: there is one per region, and a change of it.
const KEPT_MAX: usize = 16;

/// How long one is kept. Chosen: a certificate that was withdrawn must not be good for ever.
const FRESH: SignedDuration = SignedDuration::from_hours(24);

/// How long it is remembered that one could not be had, so that nobody can make Herald ask for it
/// again and again. Chosen: below the pause of EventBridge before it sends again, 10 to 20 s.
const FAILED: SignedDuration = SignedDuration::from_secs(5);

/// Longest certificate in PEM form. Chosen: they have two thousand bytes.
const LENGTH_MAX: usize = 64 << 10;

/// For connecting, and for the whole.
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(5));

/// Longest address of one.
const URL_MAX: usize = 512;

/// Gets what stands at an address.
#[async_trait]
pub(super) trait Fetcher: Send + Sync {
    /// The body of a 200.
    ///
    /// # Errors
    /// It cannot be had; in words.
    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, String>;
}

/// Asks the network.
#[derive(Debug)]
pub(super) struct Network;

#[async_trait]
impl Fetcher for Network {
    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, String> {
        // A client for each, since one a day is asked for.
        download(&web::client(TIMEOUTS.0, None)?, url).await
    }
}

/// Gets a certificate's text by `client`.
///
/// # Errors
/// The answer is no 200, too long, or too late; in words.
pub(super) async fn download(client: &reqwest::Client, url: &Url) -> Result<Vec<u8>, String> {
    let request = client.get(url.clone()).timeout(TIMEOUTS.1);
    let response = request.send().await.map_err(|why| web::words(&why))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("answered {status}"));
    }
    web::body(response, LENGTH_MAX).await
}

/// Certificates from the addresses of some regions.
pub(super) struct Certificates {
    hosts: Vec<String>,
    fetcher: Box<dyn Fetcher>,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    at: Timestamp,
    found: Result<CertificateDer<'static>, String>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// The one host that holds a region's certificate ("Signature algorithm", read November 2026).
pub(super) fn host(region: &str) -> String {
    format!("{region}-eventbridge.oss-accelerate.aliyuncs.com")
}

impl Certificates {
    pub(super) fn new(regions: &[String], fetcher: Box<dyn Fetcher>) -> Self {
        Self {
            hosts: regions.iter().map(|region| host(region)).collect(),
            fetcher,
            kept: Mutex::default(),
        }
    }

    /// The address, if a certificate may come from it: the name of the host is compared whole, since
    /// whoever chooses the host chooses the key.
    pub(super) fn address(&self, text: &str) -> Option<Url> {
        if text.len() > URL_MAX {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let is_plain = url.scheme() == "https"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let is_known = url
            .host_str()
            .is_some_and(|host| self.hosts.iter().any(|known| known == host));
        (is_plain && is_known).then_some(url)
    }

    #[cfg(test)]
    pub(super) async fn kept(&self) -> usize {
        self.kept.lock().await.len()
    }

    /// The certificate at an [`address`](Self::address). While one is fetched, others wait for it
    /// instead of asking too.
    ///
    /// # Errors
    /// It cannot be had, or is none; in words.
    pub(super) async fn get(
        &self,
        url: &Url,
        now: Timestamp,
    ) -> Result<CertificateDer<'static>, String> {
        let mut kept = self.kept.lock().await;
        if let Some(known) = kept.get(url.as_str()) {
            let age = now.duration_since(known.at);
            let keep = if known.found.is_ok() { FRESH } else { FAILED };
            if age < keep {
                return known.found.clone();
            }
        }
        let found = match self.fetcher.fetch(url).await {
            Ok(pem) => CertificateDer::from_pem_slice(&pem)
                .map_err(|_| "it is no certificate in PEM form".to_owned()),
            Err(why) => Err(why),
        };
        let oldest = kept.iter().min_by_key(|(_, known)| known.at);
        let oldest = oldest.map(|(url, _)| url.clone());
        if kept.len() >= KEPT_MAX
            && let Some(oldest) = oldest
        {
            kept.remove(&oldest);
        }
        let (at, answer) = (now, found.clone());
        kept.insert(url.as_str().to_owned(), Kept { at, found });
        answer
    }
}
