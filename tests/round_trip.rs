//! What came as a CloudEvent leaves a callback as it came: each published case goes in, out by the
//! sink, and into a second router.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::path::Path;
use std::time::Duration;

use herald::intake;
use herald::journal::EventRow;
use herald_model::settings::{Environment, Reading, Table};
use herald_model::sink::{Checkpoint, CheckpointError};
use herald_model::{DeliveryId, Item, MessageId, Notification, Outcome, Progress, Rendered, Sink};
use router::{Router, published};
use serde_json::Value;

mod router;

/// No variable, no file, and no checkpoint that is kept.
struct Nowhere;

impl Environment for Nowhere {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

#[async_trait::async_trait]
impl Checkpoint for Nowhere {
    async fn save(&self, _: Vec<u8>) -> Result<(), CheckpointError> {
        Ok(())
    }
}

/// A callback to a router, in this format.
fn callback(to: &Router, format: &str) -> Box<dyn Sink> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let keys = format!(
        "kind = \"callback\"\nurl = \"http://localhost:{}/v1/events\"\nformat = \"{format}\"\n\
         allow_addresses = [\"127.0.0.0/8\"]\n",
        to.address.port()
    );
    let document = toml::de::DeTable::parse(&keys).unwrap();
    let reading = Reading::new(&Nowhere, Path::new("/"), false);
    let mut table = Table::new(&reading, document.get_ref(), document.span(), "sink.other");
    let kind = herald_sinks::ALL
        .iter()
        .find(|kind| kind.name == "callback");
    let config = (kind.unwrap().configure)(&mut table).unwrap();
    config.connect().unwrap()
}

fn notification(rows: &[EventRow]) -> Notification {
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let item = |row: &EventRow| Item {
        delivery: DeliveryId::derive(row.id, "all", "other"),
        subscription: "all".into(),
        event: intake::restore(row.id, row.text.clone()).unwrap().into(),
    };
    let items: Vec<_> = rows.iter().map(item).collect();
    Notification {
        message: MessageId::derive(items[0].delivery, 1),
        composed_at: now,
        attempted_at: now,
        attempt: 1,
        endpoint: None,
        items,
        rendered: Rendered::default(),
    }
}

/// The events of a router, oldest first.
async fn rows(router: &Router) -> Vec<EventRow> {
    use herald::journal::Look as _;
    let mut rows = router
        .journal
        .events(Default::default())
        .await
        .unwrap()
        .rows;
    rows.reverse();
    rows
}

/// What an event is, without what each router says of it by itself. In headers everything is text
/// (CloudEvents 1.0.2, HTTP protocol binding, section 3.1.3), so there a number comes back as one, and
/// the type of data that is left out is written out (JSON event format, section 2.4).
fn essence(row: &EventRow, format: &str) -> Value {
    let mut fields: Value = serde_json::from_str(&row.text).unwrap();
    let object = fields.as_object_mut().unwrap();
    let in_headers = format == "cloudevents-binary";
    for (name, value) in object.iter_mut().filter(|(name, _)| *name != "content") {
        assert!(!value.is_null(), "{name}");
        if in_headers && (value.is_number() || value.is_boolean()) {
            *value = value.to_string().into();
        }
    }
    if in_headers && object.contains_key("content") {
        let media = object.entry("datacontenttype");
        media.or_insert_with(|| "application/json".into());
    }
    for own in ["intake", "heraldlevel", "heraldevent"] {
        object.remove(own);
    }
    fields
}

#[tokio::test]
async fn every_published_cloud_event_comes_out_as_it_went_in() {
    let Some(folder) = published("cloudevents") else {
        return;
    };
    let cases = std::fs::read_to_string(folder.join("cases.jsonl")).unwrap();
    let mut trips = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        if case["valid"] != true {
            continue;
        }
        let first = Router::start(Duration::from_secs(60)).await;
        send(&first, &case["request"]).await;
        let sent = rows(&first).await;
        if sent.is_empty() {
            continue;
        }
        for format in ["cloudevents", "cloudevents-binary"] {
            let second = Router::start(Duration::from_secs(60)).await;
            let sink = callback(&second, format);
            let notification = notification(&sent);
            let progress = Progress::new(None, &Nowhere);
            let outcomes = sink.deliver(&notification, &progress).await;
            let delivered = matches!(outcomes.of(0), Outcome::Delivered { .. });
            assert!(delivered, "{id}, {format}: {outcomes:?}");
            let got = rows(&second).await;
            let essences = |rows: &[EventRow]| -> Vec<Value> {
                rows.iter().map(|row| essence(row, format)).collect()
            };
            let (sent, got) = (essences(&sent), essences(&got));
            assert_eq!(got, sent, "{id}, {format}");
            check_sources(&case, &got, id);
            trips += 1;
        }
    }
    assert!(trips >= 60, "{trips}");
}

/// The events have the sources that the case names.
fn check_sources(case: &Value, got: &[Value], id: &str) {
    for event in case["events"].as_array().unwrap() {
        let source = &event["attributes"]["source"];
        assert!(got.iter().any(|found| found["source"] == *source), "{id}");
    }
}

async fn send(router: &Router, request: &Value) {
    let headers: Vec<(String, String)> =
        serde_json::from_value(request["headers"].clone()).unwrap();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = request["body"].as_str().unwrap_or_default();
    let mut connection = router.connect().await;
    connection
        .ask("POST /v1/events", &headers, body.as_bytes())
        .await;
}
