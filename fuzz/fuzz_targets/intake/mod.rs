//! What holds for every item that is taken, whatever shape it came in.

use std::sync::Arc;

use herald::intake::{self, Framing, Limits, Received};
use herald_model::ids::EventId;
use herald_rules::json::{self, Value};
use jiff::Timestamp;
use uuid::Uuid;

/// Takes a body apart and checks every item of it.
#[allow(dead_code, reason = "not every target takes whole bodies")]
pub fn body(bytes: &[u8], framing: Framing) {
    for item in intake::items(bytes, framing, Limits::default()) {
        match item {
            Ok(item) => taken(&item),
            Err(refusal) => assert!(!refusal.reason.is_empty()),
        }
    }
}

/// An item is refused with a reason, or its canonical form reads back as the same event.
pub fn taken(item: &Received) {
    let draft = match intake::decode(&item.value, item.duplicate_keys, item.bytes.as_deref()) {
        Ok(draft) => draft,
        Err(refusal) => {
            assert!(!refusal.reason.is_empty() && refusal.reason.len() < 1_000);
            return;
        }
    };
    let id = EventId::from_uuid(Uuid::nil());
    let sealed = draft.seal(id, "fuzz", Timestamp::UNIX_EPOCH);
    let back = intake::restore(id, Arc::clone(&sealed.event.text));
    assert_eq!(back.as_ref(), Ok(&sealed.event));
    assert!(sealed.value.get("userInfo").is_none());
    assert!(sealed.identities.all.is_empty() == sealed.event.sender_id.is_none());
    let limits = json::Limits { depth_max: 1_024 };
    let marked = json::parse(sealed.text_in_conflict.as_bytes(), limits).map(|parsed| parsed.value);
    let mark = marked.ok().and_then(|value| {
        let mark = value.path(["intake", "conflict"]);
        mark.and_then(Value::as_bool)
    });
    assert_eq!(mark, Some(true));
}
