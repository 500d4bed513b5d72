//! A configured address of the web. Its path and query may hold a token, so only its origin is ever
//! shown.

use std::fmt;

use url::Url;

/// A URL that shows no more than scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target(Url);

impl Target {
    pub(crate) fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL, for the one place that sends to it.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port, as in `https://example.com` or `http://127.0.0.1:8080`.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.origin())
    }
}
