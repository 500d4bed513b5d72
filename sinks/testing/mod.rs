//! Far sides to speak to, and notifications to send. For tests only.

use std::path::Path;
use std::sync::Arc;

use herald_model::event::{ENI_OPERATION_EVENT, Eni, EniOperation, EniStatus, OperationOutcome};
use herald_model::{Addressee, DeliveryId, Event, EventId, Item, Level, MessageId};
use uuid::Uuid;

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
