//! `smq`: receives messages of a Simple Message Queue (formerly MNS), and deletes them when the
//! journal has them.
//!
//! - this file: the settings, and the way of a message from receipt to deletion,
//! - `queue`: the requests, `sign`: their signature, `xml`: the answers.
//!
//! A message is deleted after the commit alone, and only while its receipt is good. Whatever comes
//! in between (a kill, a lost answer, an expired receipt) brings it a second time, and the second
//! time it is recognised.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use herald_model::Secret;
use herald_model::settings::Table;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use url::{Host, Url};

use super::intake::Patience;
use super::{Fetch, Intake, SourceConfig, SourceKind, Way, equal};
use crate::clock;
use crate::pipeline::Answer;
use crate::telemetry::Backlog;

mod queue;
mod sign;
#[cfg(test)]
mod tests;
mod xml;

use queue::Queue;
use xml::Message;

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "smq",
    summary: "Receives the messages of a Simple Message Queue (formerly MNS).",
    example: include_str!("example.toml"),
    is_brought: false,
    configure,
};

/// Least time from one empty answer to the next question, where the far side does not wait.
/// Chosen.
const EMPTY_LEAST: Duration = Duration::from_secs(1);

/// How often it is asked how many messages the queue holds. Chosen: metrics are read as often.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A receipt is not used in its last moments: the deletion may arrive after them. Chosen.
const MARGIN: i64 = 500;

/// Tries at deleting what is durable, and the pause between them. Chosen: what cannot be deleted so
/// comes again and is recognised.
const DELETING: (u32, Duration) = (3, Duration::from_millis(300));

/// How long a deletion may still take once the router stops. Chosen.
const LAST_DELETION: Duration = Duration::from_secs(2);

/// Longest name of a queue ("CreateQueue", read November 2026).
const NAME_MAX: usize = 256;

#[derive(Clone, PartialEq)]
struct Settings {
    endpoint: Url,
    queue: String,
    access_key_id: String,
    access_key_secret: Secret,
    security_token: Option<Secret>,
    /// How long an empty queue holds a request back.
    wait: Duration,
    /// Messages of one request.
    batch: u64,
    /// For connecting, and for everything but the waiting of one request.
    timeout: Duration,
    ca: Option<PathBuf>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint.host_str())
            .field("queue", &self.queue)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

fn configure(table: &Table<'_>) -> Option<Arc<dyn SourceConfig>> {
    // The service takes 1 to 16 messages and 0 to 30 seconds ("BatchReceiveMessage").
    let batch = table.number("batch", 1..=16).or(16);
    let wait = table
        .duration("wait", Duration::ZERO..=Duration::from_secs(30))
        .or(Duration::from_secs(20));
    let timeout = table
        .duration("timeout", Duration::from_secs(1)..=Duration::from_secs(300))
        .or(Duration::from_secs(10));
    let ca = table.file("ca").optional();
    let security_token = table.secret("security_token").optional();
    let endpoint = endpoint(table);
    let queue = table.text("queue").required("\"eni-events\"");
    let key_id = table
        .text("access_key_id")
        .required("\"${env:SMQ_KEY_ID}\"");
    let secret = table
        .secret("access_key_secret")
        .required("\"${env:SMQ_KEY_SECRET}\"");
    let (queue, key_id) = (queue?, key_id?);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !queue.chars().all(fits) || queue.len() > NAME_MAX {
        let text = format!(
            "`{}`: a queue's name is made of letters, digits and `-`, at most {NAME_MAX}; without \
             a path",
            table.path_of("queue")
        );
        table.reading().mistake(table.span_of("queue"), text);
        return None;
    }
    if !key_id.chars().all(|c| c.is_ascii_graphic() && c != ':') {
        let text = format!(
            "`{}`: an access key's id is made of visible ASCII characters",
            table.path_of("access_key_id")
        );
        table
            .reading()
            .mistake(table.span_of("access_key_id"), text);
        return None;
    }
    Some(Arc::new(Settings {
        endpoint: endpoint?,
        queue,
        access_key_id: key_id,
        access_key_secret: secret?,
        security_token,
        wait,
        batch,
        timeout,
        ca,
    }))
}

fn endpoint(table: &Table<'_>) -> Option<Url> {
    let example = "\"https://1690700000000030.mns.cn-hangzhou.aliyuncs.com\"";
    let url = table.url("endpoint").required(example)?;
    let path = table.path_of("endpoint");
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_bare {
        let text =
            format!("`{path}`: an endpoint has no path and no user; the queue stands in `queue`");
        table.reading().mistake(table.span_of("endpoint"), text);
        return None;
    }
    let is_near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !is_near {
        let text = format!("`{path}`: events come in the clear; use https://");
        table.reading().warning(table.span_of("endpoint"), text);
    }
    Some(url)
}

impl SourceConfig for Settings {
    fn way(&self) -> Way {
        Way::Fetched(Box::new(Receiver(self.clone())))
    }

    fn equals(&self, other: &dyn SourceConfig) -> bool {
        equal(self, other)
    }
}

struct Receiver(Settings);

#[async_trait]
impl Fetch for Receiver {
    async fn run(self: Box<Self>, intake: Intake, stop: CancellationToken) {
        let Self(settings) = *self;
        let mut patience = Patience::new(&intake);
        let queue = loop {
            match Queue::new(&settings) {
                Ok(queue) => break queue,
                Err(why) => patience.pause(&why, &stop).await,
            }
            if stop.is_cancelled() {
                return;
            }
        };
        tokio::select! {
            () = receive(&queue, &intake, patience, &stop) => {}
            () = look(&queue, &intake) => {}
        }
    }
}

/// Receives and hands in until `stop`.
async fn receive(
    queue: &Queue<'_>,
    intake: &Intake,
    mut patience: Patience,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let received = tokio::select! {
            received = queue.receive(clock::now()) => received,
            // What the queue has just handed out comes again when its receipt has expired.
            () = stop.cancelled() => return,
        };
        match received {
            Ok(messages) => {
                patience.succeeded();
                intake.waits(Backlog {
                    messages: None,
                    oldest: Some(oldest(&messages)),
                });
                if messages.is_empty() {
                    tokio::select! {
                        () = tokio::time::sleep_until(begun + EMPTY_LEAST) => {}
                        () = stop.cancelled() => return,
                    }
                } else if hand_in(intake, &messages, &mut patience, stop).await {
                    tokio::select! {
                        () = delete(queue, intake, &messages) => {}
                        () = cut(stop) => return,
                    }
                }
            }
            Err(why) => patience.pause(&why, stop).await,
        }
    }
}

/// Returns some time after `stop`.
async fn cut(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_DELETION).await;
}

/// Tells how much waits, again and again.
async fn look(queue: &Queue<'_>, intake: &Intake) {
    loop {
        match queue.held(clock::now()).await {
            Ok(messages) => intake.waits(Backlog {
                messages: Some(messages),
                oldest: None,
            }),
            // Whether the queue can be reached is told by the one who receives.
            Err(why) => debug!(source = intake.name(), "{why}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How long the oldest of them has waited.
fn oldest(messages: &[Message]) -> Duration {
    let now = clock::now().as_millisecond();
    let sent = messages.iter().map(|message| message.enqueue_time).min();
    let waited = sent.map_or(0, |sent| now - sent);
    Duration::from_millis(u64::try_from(waited).unwrap_or(0))
}

/// Whether the messages are durable. Where the journal takes nothing, it is tried again as long as
/// the receipts are good; afterwards the queue brings them again.
async fn hand_in(
    intake: &Intake,
    messages: &[Message],
    patience: &mut Patience,
    stop: &CancellationToken,
) -> bool {
    let bodies: Vec<&[u8]> = messages
        .iter()
        .map(|message| message.message_body.as_bytes())
        .collect();
    loop {
        match intake.take(&bodies, None).await {
            Ok(answers) => {
                for (message, answers) in messages.iter().zip(&answers) {
                    tell_refusals(intake, message, answers);
                }
                return true;
            }
            Err(error) => patience.pause(&error.to_string(), stop).await,
        }
        if stop.is_cancelled() || !messages.iter().any(is_ours) {
            return false;
        }
    }
}

fn tell_refusals(intake: &Intake, message: &Message, answers: &[Answer]) {
    for answer in answers {
        if let Answer::Refused(why) = answer {
            let (source, id, count) = (intake.name(), &message.message_id, message.dequeue_count);
            warn!(
                source,
                "message {id}, received {count} times, is refused: {why}"
            );
        }
    }
}

/// Whether the message's receipt is still good.
fn is_ours(message: &Message) -> bool {
    message.next_visible_time - MARGIN > clock::now().as_millisecond()
}

/// Deletes what is durable: also what was refused, which would come again for ever.
async fn delete(queue: &Queue<'_>, intake: &Intake, messages: &[Message]) {
    let (tries, pause) = DELETING;
    let mut why = String::new();
    for left in (0..tries).rev() {
        let handles: Vec<&str> = messages
            .iter()
            .filter(|message| is_ours(message))
            .map(|message| &*message.receipt_handle)
            .collect();
        let expired = messages.len() - handles.len();
        if expired > 0 {
            debug!(source = intake.name(), expired, "receipts have expired");
        }
        if handles.is_empty() {
            return;
        }
        match queue.delete(&handles, clock::now()).await {
            Ok(undeleted) => {
                for one in undeleted {
                    // Another receipt was given, or it was deleted before its answer got lost.
                    debug!(
                        source = intake.name(),
                        code = one.code,
                        "a message was not deleted"
                    );
                }
                return;
            }
            Err(error) => why = error,
        }
        if left > 0 {
            tokio::time::sleep(pause).await;
        }
    }
    warn!(
        source = intake.name(),
        "{why}; these messages come again, and are recognised"
    );
}
