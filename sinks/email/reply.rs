//! What an SMTP reply means, by the step it answers.
//!
//! Sources: RFC 5321 section 4.2.1 (4yz: the same may succeed later; 5yz: it will not), sections
//! 3.8 and 4.5.3.1.10 (421, 552); RFC 4954 section 6 (AUTH); RFC 3463 and RFC 2034 (enhanced codes).

use std::error::Error as _;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;

use crate::trouble;

/// Where in the conversation a reply stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Greeting, EHLO, STARTTLS, TLS handshake.
    Connect,
    /// AUTH.
    Auth,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA, before the text.
    Data,
    /// The text and its final dot.
    Text,
}

impl Step {
    /// All steps, as a conversation takes them.
    pub(super) const IN_ORDER: [Self; 6] = [
        Self::Connect,
        Self::Auth,
        Self::Sender,
        Self::Recipient,
        Self::Data,
        Self::Text,
    ];
}

/// What is to be done about one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server took the mail.
    Accepted(String),
    /// It never will for this recipient.
    Refused(String),
    /// It may later.
    Later(String),
    /// It may have taken it.
    Unknown(String),
    /// The way itself is broken, whoever the recipient.
    Fault(String),
}

impl Verdict {
    /// The same verdict with its words changed.
    pub(super) fn map(self, change: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Accepted(words) => Self::Accepted(change(&words)),
            Self::Refused(words) => Self::Refused(change(&words)),
            Self::Later(words) => Self::Later(change(&words)),
            Self::Unknown(words) => Self::Unknown(change(&words)),
            Self::Fault(words) => Self::Fault(change(&words)),
        }
    }
}

/// Replies that speak of our credentials or encryption at whatever step they come: 530
/// authentication required, 534 mechanism too weak, 535 credentials invalid, 538 encryption
/// required (RFC 4954 section 6).
const CREDENTIALS: [u16; 4] = [530, 534, 535, 538];

/// Replies that people ask about, in words (RFC 4954 section 6).
const MEANINGS: [(u16, &str); 4] = [
    (
        530,
        "the server wants a login; set `username` and `password`",
    ),
    (534, "the server wants a stronger way to log in"),
    (
        535,
        "user or password is wrong; some providers want an authorisation code instead",
    ),
    (538, "the server wants encryption; set `tls`"),
];

/// Whether the server spoke (then the connection is in step), or the conversation broke.
pub(super) fn is_reply(error: &Error) -> bool {
    // 421 may come at any point and means that the server closes (RFC 5321 section 3.8).
    error.status().is_some_and(|code| u16::from(code) != 421)
}

/// The verdict of a step that failed. `dot_sent`: the final dot may have gone out.
pub(super) fn verdict(error: &Error, step: Step, dot_sent: bool) -> Verdict {
    let Some(code) = error.status() else {
        return broken(error, step, dot_sent);
    };
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    by_code(u16::from(code), &text, step)
}

/// The verdict of a negative reply.
fn by_code(code: u16, text: &str, step: Step) -> Verdict {
    let mut words = format!("{code} {}", text.replace('\n', " "));
    if let Some((_, meaning)) = MEANINGS.iter().find(|(known, _)| *known == code) {
        words = format!("{words} ({meaning})");
    }
    if code < 500 {
        return Verdict::Later(words);
    }
    if CREDENTIALS.contains(&code) {
        return Verdict::Fault(words);
    }
    match step {
        Step::Connect | Step::Auth => Verdict::Fault(words),
        // About `from`, not about the message; a message that is too big is the exception.
        Step::Sender if is_too_big(code, text) => Verdict::Refused(words),
        Step::Sender => Verdict::Fault(words),
        // A full transaction answers RCPT with 552 on old servers, meaning 452 (RFC 5321 section
        // 4.5.3.1.10). With an enhanced code the server says what it means.
        Step::Recipient if code == 552 && matches!(enhanced(text), None | Some("5.5.3")) => {
            Verdict::Later(words)
        }
        Step::Recipient | Step::Data | Step::Text => Verdict::Refused(words),
    }
}

/// `X.3.4` and `5.2.3`: message too big (RFC 3463 sections 3.3 and 3.4); 552 without one.
fn is_too_big(code: u16, text: &str) -> bool {
    match enhanced(text) {
        Some(enhanced) => matches!(enhanced, "5.3.4" | "5.2.3"),
        None => code == 552,
    }
}

/// The enhanced status code that begins a text (RFC 2034), of class 5.
fn enhanced(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let is_number = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    (parts.next() == Some("5")
        && parts.next().is_some_and(is_number)
        && parts.next().is_some_and(is_number)
        && parts.next().is_none())
    .then_some(word)
}

/// The verdict where the server did not speak, or not in SMTP.
fn broken(error: &Error, step: Step, dot_sent: bool) -> Verdict {
    let encryption = trouble::encrypting(error);
    let is_encryption = encryption.is_some();
    let words = encryption.unwrap_or_else(|| plain_words(error));
    let words = format!("while {}: {words}", doing(step));
    if dot_sent {
        Verdict::Unknown(words)
    } else if is_encryption || error.is_client() || error.is_tls() {
        // The client itself could not go on: no trusted connection, or STARTTLS or a mechanism is
        // not offered.
        Verdict::Fault(words)
    } else {
        Verdict::Later(words)
    }
}

/// The library's words, put so that they say what to do.
fn plain_words(error: &Error) -> String {
    let words = trouble::chain(error);
    for (theirs, ours) in [
        (
            "STARTTLS is not supported",
            "the server offers no STARTTLS; set tls = \"implicit\" if it encrypts from the start",
        ),
        (
            "No compatible authentication mechanism",
            "the server offers neither AUTH PLAIN nor LOGIN; if it does after STARTTLS, set `tls`",
        ),
        ("incomplete response", "the server closed the connection"),
    ] {
        if words.contains(theirs) {
            return ours.to_owned();
        }
    }
    // The library says it once for each of its layers.
    words.replace("Connection error: ", "")
}

/// A positive reply at a step; anything but the expected code means that replies are out of step
/// with commands, and then nothing that was read can be trusted.
pub(super) fn expect(response: &Response, step: Step) -> Result<String, Verdict> {
    let code = u16::from(response.code());
    let text: Vec<_> = response.message().collect();
    let words = format!("{code} {}", text.join(" "));
    let expected = match step {
        Step::Connect => (200..300).contains(&code),
        Step::Auth => code == 235,
        Step::Sender => code == 250,
        Step::Recipient => matches!(code, 250..=252),
        Step::Data => code == 354,
        // Done only on a final 2yz, whatever the library calls a success.
        Step::Text => (200..300).contains(&code),
    };
    if expected {
        return Ok(words);
    }
    let words = format!("{words}, which is no answer to {}", doing(step));
    Err(match step {
        Step::Text => Verdict::Unknown(words),
        _ => Verdict::Later(words),
    })
}

/// What was being done, in words that follow "while".
pub(super) fn doing(step: Step) -> &'static str {
    match step {
        Step::Connect => "connecting",
        Step::Auth => "logging in",
        Step::Sender => "naming the sender",
        Step::Recipient => "naming the recipient",
        Step::Data => "asking to send the text",
        Step::Text => "sending the text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_by_step() {
        use Step::{Auth, Connect, Data, Recipient, Sender, Text};
        for (code, text, step, expected) in [
            (421, "4.3.2 shutting down", Connect, "later"),
            (554, "5.7.1 go away", Connect, "fault"),
            (521, "no mail here", Connect, "fault"),
            (454, "4.7.0 temporary authentication failure", Auth, "later"),
            (535, "5.7.8 credentials invalid", Auth, "fault"),
            (534, "5.7.9 mechanism too weak", Auth, "fault"),
            (530, "5.7.0 authentication required", Sender, "fault"),
            (538, "5.7.11 encryption required", Sender, "fault"),
            (550, "5.7.1 sender refused", Sender, "fault"),
            (552, "5.3.4 too big", Sender, "refused"),
            (552, "too big", Sender, "refused"),
            (451, "4.7.1 greylisted", Recipient, "later"),
            (452, "4.5.3 too many recipients", Recipient, "later"),
            (552, "too many recipients", Recipient, "later"),
            (552, "5.5.3 too many recipients", Recipient, "later"),
            (552, "5.2.2 mailbox full", Recipient, "refused"),
            (550, "5.1.1 no such mailbox", Recipient, "refused"),
            (550, "5.1.2 no such host", Recipient, "refused"),
            (553, "5.1.3 bad syntax", Recipient, "refused"),
            (521, "host accepts no mail", Recipient, "refused"),
            (550, "5.2.2 mailbox full", Recipient, "refused"),
            (421, "4.3.2 shutting down", Recipient, "later"),
            (450, "4.4.1 no answer", Recipient, "later"),
            (450, "4.7.1 rate limited", Recipient, "later"),
            (534, "5.7.9 mechanism too weak", Recipient, "fault"),
            (550, "5.2.1 mailbox disabled", Recipient, "refused"),
            (556, "5.1.10 null MX", Recipient, "refused"),
            (550, "5.7.1 refused by policy", Recipient, "refused"),
            (530, "5.7.0 authentication required", Recipient, "fault"),
            (450, "4.2.2 mailbox full", Recipient, "later"),
            (554, "no valid recipients", Data, "refused"),
            (451, "4.4.1 no answer", Data, "later"),
            (552, "5.2.3 too big", Text, "refused"),
            (554, "5.7.1 spam", Text, "refused"),
            (552, "5.3.4 too big", Text, "refused"),
            (451, "4.3.0 try again", Text, "later"),
            (451, "4.4.2 bad connection", Text, "later"),
            (421, "4.3.2 shutting down", Text, "later"),
            (451, "4.7.0 not now", Sender, "later"),
            (452, "4.3.1 no room", Sender, "later"),
            (538, "5.7.11 encryption required", Auth, "fault"),
            (502, "5.5.1 no AUTH", Auth, "fault"),
        ] {
            let word = match by_code(code, text, step) {
                Verdict::Accepted(_) => "accepted",
                Verdict::Refused(_) => "refused",
                Verdict::Later(_) => "later",
                Verdict::Unknown(_) => "unknown",
                Verdict::Fault(_) => "fault",
            };
            assert_eq!(word, expected, "{code} {text} at {step:?}");
        }
    }
}
