//! Entries for a journal that is fed from memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use herald::journal::sqlite::SqliteJournal;
use herald::journal::{Entry, EventEntry, Generation, Identity, Journal, Planned, Rules};
use herald_model::event::Level;
use herald_model::{Addressee, Event, EventId};
use jiff::Timestamp;
use uuid::Uuid;

/// Bytes of an event's text.
pub(crate) const TEXT_BYTES: usize = 1_024;

/// A new journal with one subscription and one sink.
pub(crate) async fn open(path: PathBuf) -> (Arc<SqliteJournal>, Generation) {
    let journal = SqliteJournal::open(path, start()).unwrap();
    let rules = Rules {
        since: start(),
        subscriptions: vec![(Arc::from("all"), Arc::from("{}"))],
        sinks: vec![Arc::from("hook")],
    };
    let rules = journal.begin(rules).await.unwrap();
    (Arc::new(journal), rules)
}

/// An event as an ENI operation makes it: two identities, one subscription, one delivery.
pub(crate) fn entry(rules: &Generation, n: u128) -> Entry {
    // Identities are hashes; a multiplication scatters them as well.
    let scatter =
        |seed: u128| Identity((n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let mut text =
        format!(r#"{{"id":"{n:032x}","content":{{"eniId":"eni-{n}","requestId":"r-{n}","#);
    let fill = TEXT_BYTES - text.len() - 8;
    text.push_str(&format!(r#""x":"{}"}}}}"#, "x".repeat(fill)));
    let text: Arc<str> = Arc::from(text);
    let now = start();
    Entry::Event(Box::new(EventEntry {
        event: Event {
            id: EventId::from_uuid(Uuid::from_u128(n)),
            text: Arc::clone(&text),
            sender_id: None,
            product: String::new(),
            name: String::new(),
            level: Level::Info,
            user_id: String::new(),
            region_id: String::new(),
            resource_id: None,
            occurred_at: now,
            received_at: now,
            source: "bench".to_owned(),
            addressee: Addressee::User(String::new()),
            eni: None,
        },
        text_in_conflict: text,
        original: None,
        identities: vec![scatter(0), scatter(1 << 64)],
        fingerprint: 1,
        dedup_window: Duration::from_secs(86_400),
        generation: rules.number,
        matched: vec![rules.subscriptions[0]],
        deliveries: vec![Planned {
            subscription: rules.subscriptions[0],
            sink: rules.sinks[0],
            lane: None,
            level: Level::Info,
            expires_at: now + Duration::from_secs(86_400),
        }],
    }))
}

/// When everything happens.
pub(crate) fn start() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}
