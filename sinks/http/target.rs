//! A configured address of the web. Its path and query may hold a token, so only its origin is ever
//! shown.

use std::fmt;

use herald_model::Secret;
use url::Url;

/// A path segment from this length on is taken for a token. Chosen: words are shorter, keys longer.
const TOKEN_SEGMENT: usize = 16;

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

    /// Whether TLS is spoken.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// What of the URL may be a token: the values of the query, and long segments of the path.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let values = self.0.query_pairs().map(|(_, value)| value.into_owned());
        let segments = self.0.path_segments().into_iter().flatten();
        let long = segments.filter(|segment| segment.len() >= TOKEN_SEGMENT);
        values
            .chain(long.map(str::to_owned))
            .map(Secret::new)
            .collect()
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
