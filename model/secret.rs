//! Text that must not be seen.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A password, token or signing key. It has no `Display`, no `Serialize`, and a `Debug` that hides
/// it; its memory is wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes over `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// `text` with every occurrence of this secret replaced by `***`. For what a far side said: a
    /// server may repeat what it was sent. Secrets under 4 characters are left alone, since
    /// cutting them would only garble the text.
    pub fn redact(&self, text: &str) -> String {
        let secret = self.expose();
        if secret.len() < 4 {
            text.to_owned()
        } else {
            text.replace(secret, "***")
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl PartialEq for Secret {
    /// For noticing that a configuration changed; comparing what a caller sent is done in
    /// constant time where it is received.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }

    #[test]
    fn redaction_cuts_every_occurrence() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            secret.redact("bad hunter2, again hunter2"),
            "bad ***, again ***"
        );
    }
}
