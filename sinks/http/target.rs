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

    /// What of the URL may be a token: the values of the query, as they are written and as they are
    /// meant, and long segments of the path.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let meant = self.0.query_pairs().map(|(_, value)| value.into_owned());
        let pairs = self.0.query().unwrap_or_default().split('&');
        let written = pairs.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
        let segments = self.0.path_segments().into_iter().flatten();
        let long = segments.filter(|segment| segment.len() >= TOKEN_SEGMENT);
        meant
            .chain(written)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_origin_is_shown_and_tokens_are_known() {
        let url = "https://example.com:8443/hooks/T0123456789abcdef?key=a%2Bb1&x";
        let target = Target::new(Url::parse(url).unwrap());
        assert_eq!(format!("{target:?}"), "https://example.com:8443/…");
        let secrets: Vec<_> = target.secrets();
        let secrets: Vec<_> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets, ["a+b1", "", "a%2Bb1", "T0123456789abcdef"]);
    }
}
