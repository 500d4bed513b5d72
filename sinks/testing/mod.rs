//! Far sides to speak to, and notifications to send. For tests only.
//!
//! - `http`, `smtp`: scripted servers on loopback that can misbehave at every step,
//! - `tls`: a certificate for them,
//! - `settings`: a sink from TOML,
//! - this file: what is sent.

pub(crate) mod http;
pub(crate) mod settings;
pub(crate) mod smtp;
pub(crate) mod tls;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use herald_model::event::{ENI_OPERATION_EVENT, Eni, EniOperation, EniStatus, OperationOutcome};
use herald_model::sink::{Checkpoint, CheckpointError};
use herald_model::{
    Addressee, DeliveryId, Event, EventId, Item, Level, MessageId, Notification, Outcomes,
    Progress, Rendered, Sink,
};
use uuid::Uuid;

/// Canonical form of the event that [`notification`] carries. Its numbers are not ones that a float
/// could hold.
pub(crate) const EVENT: &str = r#"{"name":"NetworkInterface:NetworkInterfaceOperateCompleted","level":"WARN","content":{"eniId":"eni-8vb1qo0000000cdeg2n","n":12345678901234567890.10}}"#;

/// The lines of a file of published signature vectors; none, with a word why, where the collection
/// is not on this machine.
pub(crate) fn vectors(file: &str) -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/signatures")
        .join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("SKIPPED: {} is not on this machine", path.display());
        return Vec::new();
    };
    let vectors: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!vectors.is_empty());
    vectors
}

/// Some message.
pub(crate) fn message() -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(0x1234))
}

/// A failed attach, with `text` as its canonical form.
pub(crate) fn item(text: &str) -> Item {
    let id = EventId::from_uuid(Uuid::from_u128(7));
    Item {
        delivery: DeliveryId::derive(id, "failed operations", "sink"),
        subscription: "failed operations".into(),
        event: Arc::new(Event {
            id,
            text: text.into(),
            sender_id: Some("2256A988-0B26-4E2B-820A-8A0000000001".to_owned()),
            product: "ECS".to_owned(),
            name: ENI_OPERATION_EVENT.to_owned(),
            level: Level::Warn,
            user_id: "1690700000000030".to_owned(),
            region_id: "cn-hangzhou".to_owned(),
            resource_id: Some(
                "acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n".to_owned(),
            ),
            occurred_at: "2019-04-09T04:18:26.922Z".parse().unwrap(),
            received_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            source: "cloudmonitor".to_owned(),
            addressee: Addressee::User("1690700000000030".to_owned()),
            eni: Some(Eni {
                id: "eni-8vb1qo0000000cdeg2n".to_owned(),
                operation: EniOperation::Attach,
                status: EniStatus::Available,
                result: OperationOutcome::Failed,
                request_id: "59701492-1d47-4a8b-9fb4-000000000001".to_owned(),
            }),
        }),
    }
}

/// The first attempt at a message with one item.
pub(crate) fn notification() -> Notification {
    Notification {
        message: message(),
        composed_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        attempted_at: "2026-01-02T03:04:06.789Z".parse().unwrap(),
        attempt: 1,
        endpoint: None,
        items: vec![item(EVENT)],
        rendered: Rendered {
            title: "WARN: attach of eni-8vb1qo0000000cdeg2n failed".to_owned(),
            text: "The ENI was not attached.\n\nRegion: cn-hangzhou".to_owned(),
            html: None,
            body: None,
            form: None,
            link: None,
            failure: None,
        },
    }
}

/// A checkpoint in memory.
#[derive(Default)]
pub(crate) struct Memory {
    saved: Mutex<Vec<Vec<u8>>>,
    is_full: bool,
}

impl Memory {
    /// One that refuses to save.
    pub(crate) fn full() -> Self {
        Self {
            is_full: true,
            ..Self::default()
        }
    }

    /// The last checkpoint.
    pub(crate) fn last(&self) -> Option<Vec<u8>> {
        self.saved.lock().unwrap().last().cloned()
    }

    /// How often something was saved.
    pub(crate) fn count(&self) -> usize {
        self.saved.lock().unwrap().len()
    }
}

#[async_trait]
impl Checkpoint for Memory {
    async fn save(&self, bytes: Vec<u8>) -> Result<(), CheckpointError> {
        if self.is_full {
            return Err(CheckpointError("disk full".to_owned()));
        }
        self.saved.lock().unwrap().push(bytes);
        Ok(())
    }
}

/// One attempt that continues from what `memory` holds.
pub(crate) async fn deliver(
    sink: &dyn Sink,
    notification: &Notification,
    memory: &Memory,
) -> Outcomes {
    sink.deliver(notification, &Progress::new(memory.last(), memory))
        .await
}

/// Runs every row of a table at the same time, since some rows wait for a time-out.
pub(crate) async fn at_once<F>(rows: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let running: Vec<_> = rows.into_iter().map(tokio::spawn).collect();
    for row in running {
        if let Err(error) = row.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// The outcome of one attempt of [`notification`] with nothing before it: its word and its reason.
pub(crate) async fn attempt(sink: &dyn Sink) -> (&'static str, String) {
    let outcome = deliver(sink, &notification(), &Memory::default())
        .await
        .of(0);
    (outcome.as_str(), outcome.reason().to_owned())
}
