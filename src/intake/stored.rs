//! The typed event of a stored text, without building the values that nobody asks for.
//!
//! Each delivery reads its event back, so this is on the way of all of them. What is written
//! otherwise than Herald writes it (a name that is no text, say) is left to the slower way, which
//! takes everything.

use std::sync::Arc;

use herald_model::event::{Addressee, ENI_OPERATION_EVENT, Eni, Event, Level};
use herald_model::ids::EventId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::time;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored<'a> {
    id: Option<String>,
    product: Option<String>,
    level: Option<&'a str>,
    name: Option<String>,
    user_id: Option<String>,
    region_id: Option<String>,
    resource_id: Option<String>,
    event_time: Option<&'a str>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    addressee: Option<Parts<'a>>,
    #[serde(borrow)]
    intake: Option<Intake<'a>>,
}

#[derive(Deserialize)]
struct Parts<'a> {
    kind: Option<&'a str>,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intake<'a> {
    source: Option<String>,
    received_at: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    eni_id: Option<String>,
    operation: Option<&'a str>,
    eni_status: Option<&'a str>,
    result: Option<&'a str>,
    request_id: Option<String>,
}

/// The event, as [`event`](super::canonical::event) makes it of the same text; `None` for a text
/// that must be read the other way.
pub(super) fn read(id: EventId, text: &Arc<str>) -> Option<Event> {
    let stored: Stored<'_> = serde_json::from_str(text).ok()?;
    let (source, received_at) = stored
        .intake
        .map(|intake| (intake.source, intake.received_at))
        .unwrap_or_default();
    let received_at = received_at
        .and_then(time::parse)
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let name = stored.name.unwrap_or_default();
    let eni = match stored.content {
        Some(content) if name == ENI_OPERATION_EVENT => eni(content)?,
        _ => None,
    };
    Some(Event {
        id,
        sender_id: stored.id,
        product: stored.product.unwrap_or_default(),
        level: stored.level.and_then(Level::named).unwrap_or_default(),
        user_id: stored.user_id.unwrap_or_default(),
        region_id: stored.region_id.unwrap_or_default(),
        resource_id: stored.resource_id.filter(|id| !id.is_empty()),
        occurred_at: stored
            .event_time
            .and_then(time::parse)
            .unwrap_or(received_at),
        received_at,
        source: source.unwrap_or_default(),
        addressee: stored
            .addressee
            .and_then(|parts| Addressee::from_parts(parts.kind?, &parts.id?))
            .unwrap_or_else(|| Addressee::User(String::new())),
        eni,
        name,
        text: Arc::clone(text),
    })
}

/// The content of an ENI operation event; the outer `None` for one that must be read the other way.
fn eni(content: &RawValue) -> Option<Option<Eni>> {
    // A reader of structures would take an array for one, too.
    if !content.get().starts_with('{') {
        return Some(None);
    }
    let content: Content<'_> = serde_json::from_str(content.get()).ok()?;
    let (Some(id), Some(operation)) = (content.eni_id, content.operation) else {
        return Some(None);
    };
    Some(Some(Eni {
        id,
        operation: operation.into(),
        status: content.eni_status.unwrap_or_default().into(),
        result: content.result.unwrap_or_default().into(),
        request_id: content.request_id.unwrap_or_default(),
    }))
}

#[cfg(test)]
mod tests {
    use herald_rules::json::{self, Limits};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::intake::canonical;

    const ID: EventId = EventId::from_uuid(Uuid::nil());

    #[track_caller]
    fn check(text: &str) {
        let text: Arc<str> = text.into();
        let limits = Limits {
            depth_max: Limits::DEPTH_CEILING,
        };
        let value = json::parse(text.as_bytes(), limits).unwrap().value;
        let slow = canonical::event(ID, &value, Arc::clone(&text));
        if let Some(fast) = read(ID, &text) {
            assert_eq!(format!("{fast:?}"), format!("{slow:?}"), "{text}");
        }
        let restored = canonical::restore(ID, text).unwrap();
        assert_eq!(format!("{restored:?}"), format!("{slow:?}"));
    }

    const WHOLE: &str = r#"{"ver":"1.0","id":"A\u4e2d","product":"ECS","resourceId":"acs:x","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1","regionId":"cn","eventTime":"20190409T121826.922+0800","n":1e99999,"content":{"eniId":"eni-1","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"r","deep":[[{"a":[1]}]]},"addressee":{"kind":"service","id":"s"},"intake":{"source":"api","format":"flat","receivedAt":"2026-01-02T03:04:05.678Z"}}"#;

    #[test]
    fn an_ordinary_event_is_read_the_fast_way() {
        assert!(read(ID, &WHOLE.into()).is_some());
        check(WHOLE);
    }

    #[test]
    fn what_is_no_text_is_left_to_the_other_way() {
        for text in [
            "{}",
            r#"{"name":7,"level":"WARN"}"#,
            r#"{"id":null,"content":"text","intake":[]}"#,
            r#"{"level":"W\u0041RN","addressee":{"kind":"user"}}"#,
            r#"{"name":"NetworkInterface:NetworkInterfaceOperateCompleted","content":[]}"#,
            r#"{"name":"NetworkInterface:NetworkInterfaceOperateCompleted","content":["e","o","s","r","q"]}"#,
            r#"{"name":"NetworkInterface:NetworkInterfaceOperateCompleted","content":{"eniId":"e"}}"#,
            r#"{"name":"NetworkInterface:NetworkInterfaceOperateCompleted","content":{"eniId":"e","operation":9}}"#,
        ] {
            check(text);
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree(key in "id|level|name|content|addressee|intake|eventTime|resourceId", value in r#"null|7|"x"|"\\u0041"|\[\]|\{\}|\{"kind":"user","id":"1"\}|\{"id":7\}|"#) {
            prop_assume!(!value.is_empty());
            let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&WHOLE.replace("1e99999", "1")).unwrap();
            object.insert(key, serde_json::from_str(&value).unwrap());
            check(&serde_json::to_string(&object).unwrap());
        }
    }
}
