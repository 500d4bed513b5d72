//! The mail as it goes over the wire.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use herald_model::{Level, Notification};
use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use crate::said::{is_unfit, one_line};

/// The longest subject, in bytes. Chosen: lettre does not fold a word without spaces, a line may
/// have 998 octets (RFC 5322 section 2.1.1), and some receivers refuse oddly folded ones.
const SUBJECT_AT_MOST: usize = 240;

/// The longest value of a header of our own, in bytes. Chosen, as above.
const HEADER_AT_MOST: usize = 240;

/// Events named in a header of a mail that carries several.
const EVENTS_NAMED: usize = 20;

/// What is the same in every mail of a sink.
#[derive(Debug, Clone)]
pub(super) struct Letterhead {
    pub(super) from: Mailbox,
    /// Name of the sink, for filters of people.
    pub(super) list: String,
}

impl Letterhead {
    /// The mail to one recipient, byte for byte the same at every attempt.
    ///
    /// # Errors
    /// The library's word; no settings and no event leads there, as far as is known.
    pub(super) fn mail(
        &self,
        notification: &Notification,
        to: &Mailbox,
    ) -> Result<Vec<u8>, lettre::error::Error> {
        let rendered = &notification.rendered;
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(one_line(&rendered.title, SUBJECT_AT_MOST))
            .date(date(notification))
            .message_id(Some(self.message_id(notification, to)))
            // RFC 3834 section 5: stops vacation replies; the second is Exchange's word for it.
            .raw_header(text_header("Auto-Submitted", "auto-generated"))
            .raw_header(text_header("X-Auto-Response-Suppress", "All"))
            .raw_header(text_header("List-Id", &self.list_id()));
        if let Some(root) = self.thread(notification) {
            builder = builder.in_reply_to(root.clone()).references(root);
        }
        if notification.level() == Level::Critical {
            builder = builder.raw_header(text_header("Importance", "high"));
        }
        for (name, value) in own_headers(notification) {
            builder = builder.raw_header(text_header(name, &value));
        }
        let text = SinglePart::builder()
            .header(ContentType::TEXT_PLAIN)
            .body(lines(&rendered.text));
        let message = match &rendered.html {
            None => builder.singlepart(text)?,
            Some(html) => {
                let html = SinglePart::builder()
                    .header(ContentType::TEXT_HTML)
                    .body(lines(html));
                builder.multipart(
                    MultiPart::alternative()
                        .boundary(boundary(notification))
                        .singlepart(text)
                        // Last is preferred (RFC 2046 section 5.1.4).
                        .singlepart(html),
                )?
            }
        };
        Ok(message.formatted())
    }

    /// Equal at all attempts, so that a receiver can drop a second copy (RFC 5322 section 3.6.4).
    fn message_id(&self, notification: &Notification, to: &Mailbox) -> String {
        let recipient = to.email.to_string().to_lowercase();
        format!(
            "<{}.{}@{}>",
            notification.message,
            hash(&[&recipient]),
            self.domain()
        )
    }

    /// The id under which mail programs gather the story of one resource. It follows from the
    /// resource alone; no mail with this id need ever have been sent.
    fn thread(&self, notification: &Notification) -> Option<String> {
        let mut resources = notification
            .items
            .iter()
            .map(|item| item.event.resource_id.as_deref());
        let first = resources.next()??;
        resources
            .all(|other| other == Some(first))
            .then(|| format!("<resource.{}@{}>", hash(&[first]), self.domain()))
    }

    /// RFC 2919: a label below a name that the sender's domain owns.
    fn list_id(&self) -> String {
        let label: String = self
            .list
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        format!("Herald {label} <{label}.herald.{}>", self.domain())
    }

    fn domain(&self) -> &str {
        self.from.email.domain()
    }
}

/// For filters and for finding the event again; none of them changes between attempts.
fn own_headers(notification: &Notification) -> Vec<(&'static str, String)> {
    let items = &notification.items;
    let mut events: Vec<_> = items
        .iter()
        .take(EVENTS_NAMED)
        .map(|item| item.event.id.to_string())
        .collect();
    events.dedup();
    let mut subscriptions: Vec<&str> = items.iter().map(|item| &*item.subscription).collect();
    subscriptions.dedup();
    let mut headers = vec![
        ("X-Herald-Message", notification.message.to_string()),
        ("X-Herald-Level", notification.level().to_string()),
        ("X-Herald-Subscription", subscriptions.join(", ")),
    ];
    if let [item] = items.as_slice()
        && let Some(resource) = &item.event.resource_id
    {
        headers.push(("X-Herald-Resource", resource.clone()));
    }
    // Folded at the spaces, so its length does not matter.
    headers.push(("X-Herald-Event", events.join(" ")));
    headers
}

/// A header whose value may hold anything: one line of bounded length, encoded where it is not
/// ASCII.
fn text_header(name: &'static str, value: &str) -> HeaderValue {
    let most = if name == "X-Herald-Event" {
        usize::MAX
    } else {
        HEADER_AT_MOST
    };
    HeaderValue::new(HeaderName::new_from_ascii_str(name), one_line(value, most))
}

/// When the message was composed, within the years that the library can write.
fn date(notification: &Notification) -> SystemTime {
    let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    SystemTime::from(notification.composed_at).clamp(SystemTime::UNIX_EPOCH, latest)
}

/// A boundary that follows from the content and that no content can therefore hold on purpose.
fn boundary(notification: &Notification) -> String {
    let rendered = &notification.rendered;
    let parts = [
        notification.message.to_string(),
        rendered.text.clone(),
        rendered.html.clone().unwrap_or_default(),
    ];
    format!("herald-{}", hash(&parts.each_ref().map(String::as_str)))
}

/// 64 bits of SHA-256 over `parts`, in hexadecimal.
fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// `text` with every kind of line end made one, and without other control characters: a bare CR
/// passes through the library, and receivers that take it for a line end let a mail be forged
/// inside this one.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\r' | '\u{2028}' | '\u{2029}' => '\n',
            '\n' | '\t' => c,
            c if is_unfit(c) => ' ',
            c => c,
        })
        .collect()
}
