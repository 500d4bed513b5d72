//! What keeps a connection from being made, in words that say what to do about it.

use std::error::Error;
use std::io::ErrorKind;

use rustls::{AlertDescription, CertificateError};

use crate::said::{KEPT, one_line};

/// A name that nobody knows an address of. Made where names are looked up.
#[derive(Debug, thiserror::Error)]
#[error("no address is known for {name}")]
pub(crate) struct Unknown {
    pub(crate) name: String,
    #[source]
    pub(crate) cause: std::io::Error,
}

/// An error and its causes on one line, without what repeats.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(this) = cause {
        let words = this.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = this.source();
    }
    one_line(&text, KEPT)
}

/// The first of `error` and its causes that is a `T`. An `io::Error` hides what it wraps from
/// `source()`, and may wrap another one.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if let Some(found) = this.downcast_ref() {
            return Some(found);
        }
        let hidden = this
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        cause = match hidden {
            Some(hidden) => Some(hidden),
            None => this.source(),
        };
    }
    None
}

/// What kept a connection to `place`, a host and port, from being made; `None` where there are no
/// better words than the library's.
pub(crate) fn connecting(error: &(dyn Error + 'static), place: &str) -> Option<String> {
    if let Some(unknown) = find::<Unknown>(error) {
        return Some(format!(
            "{unknown} ({}); check how it is written, and this machine's name service",
            unknown.cause
        ));
    }
    match find::<std::io::Error>(error)?.kind() {
        ErrorKind::ConnectionRefused => Some(format!(
            "{place} refuses connections; check the port, and whether the program there runs"
        )),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some(format!(
            "there is no way from here to {place}; check this machine's network and its firewall"
        )),
        ErrorKind::TimedOut => Some(silent(place)),
        _ => None,
    }
}

/// Nobody answered a call to `place`.
pub(crate) fn silent(place: &str) -> String {
    format!("{place} does not answer; a firewall may be in between")
}

/// What the TLS library has to say of the far side; `None` where it said nothing.
pub(crate) fn encrypting(error: &(dyn Error + 'static)) -> Option<String> {
    let error = find::<rustls::Error>(error)?;
    let words = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is signed by an authority that is not trusted here; name \
                 its file in `ca`"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name; write the name that is in it"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired; have it renewed"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; check this machine's clock"
            }
            CertificateError::Revoked => "the server's certificate was revoked",
            _ => return Some(format!("the server's certificate is no good: {error}")),
        },
        rustls::Error::AlertReceived(alert) if is_about_our_certificate(*alert) => {
            "the server wants a client certificate that it trusts; a callback shows one by \
             `client_cert` and `client_key`"
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not answer in TLS; check the port, and whether it encrypts at all"
        }
        _ => return Some(format!("TLS failed: {error}")),
    };
    Some(words.to_owned())
}

/// Whether the server refused the certificate that we showed, or that we showed none. In TLS 1.3 it
/// says so after the handshake, when the request may have been written; it was not read.
pub(crate) fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: rustls::Error, words: &str) {
        // As the libraries hand it up.
        let error = std::io::Error::other(std::io::Error::other(error));
        let found = encrypting(&error).unwrap();
        assert!(found.contains(words), "{found}");
    }

    #[test]
    fn troubles_of_tls_say_what_to_do() {
        use rustls::Error::{AlertReceived, General, InvalidCertificate, InvalidMessage};
        check(
            InvalidCertificate(CertificateError::UnknownIssuer),
            "name its file in `ca`",
        );
        check(
            InvalidCertificate(CertificateError::NotValidForName),
            "for another name",
        );
        check(InvalidCertificate(CertificateError::Expired), "expired");
        check(
            InvalidCertificate(CertificateError::NotValidYet),
            "this machine's clock",
        );
        check(InvalidCertificate(CertificateError::Revoked), "revoked");
        check(
            InvalidCertificate(CertificateError::BadEncoding),
            "is no good: ",
        );
        check(
            AlertReceived(AlertDescription::CertificateRequired),
            "`client_cert`",
        );
        check(
            InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            "does not answer in TLS",
        );
        check(
            AlertReceived(AlertDescription::HandshakeFailure),
            "TLS failed: received fatal alert",
        );
        check(General("x".to_owned()), "TLS failed: ");
        assert_eq!(encrypting(&std::io::Error::other("x")), None);
    }

    #[test]
    fn troubles_of_the_network_say_what_to_do() {
        let words = |kind: ErrorKind| connecting(&std::io::Error::from(kind), "h:25");
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, "h:25 refuses connections; "),
            (ErrorKind::HostUnreachable, "no way from here to h:25"),
            (ErrorKind::NetworkUnreachable, "no way from here to h:25"),
            (ErrorKind::TimedOut, "h:25 does not answer"),
        ] {
            let found = words(kind).unwrap();
            assert!(found.contains(expected), "{found}");
        }
        assert_eq!(words(ErrorKind::ConnectionReset), None);
        let unknown = Unknown {
            name: "smtp.exmaple.com".to_owned(),
            cause: std::io::Error::other("Name or service not known"),
        };
        assert_eq!(
            connecting(&std::io::Error::other(unknown), "h:25").unwrap(),
            "no address is known for smtp.exmaple.com (Name or service not known); check how it is \
             written, and this machine's name service"
        );
    }
}
