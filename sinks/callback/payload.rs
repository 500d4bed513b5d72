//! The body of a callback.

use herald_model::{DeliveryId, Item, MessageId};
use serde::Serialize;
use serde_json::value::RawValue;

/// Version of the body's form. Receivers may rely on it; fields may be added without a new one.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    id: MessageId,
    items: Vec<BodyItem<'a>>,
}

#[derive(Serialize)]
struct BodyItem<'a> {
    delivery: DeliveryId,
    subscription: &'a str,
    /// As it is stored: numbers go out exactly as the sender wrote them.
    event: &'a RawValue,
}

/// `{"version":1,"id":"msg_…","items":[{"delivery","subscription","event":{…}}]}`; `None` if an
/// event's text is no JSON, which intake does not let in.
pub(super) fn body(message: MessageId, items: &[Item]) -> Option<String> {
    let items = items
        .iter()
        .map(|item| {
            Some(BodyItem {
                delivery: item.delivery,
                subscription: &item.subscription,
                event: serde_json::from_str(&item.event.text).ok()?,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    serde_json::to_string(&Body {
        version: VERSION,
        id: message,
        items,
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use crate::testing::{item, message};

    #[test]
    fn events_are_embedded_byte_for_byte() {
        let text = r#"{"n":12345678901234567890.10,"z":1,"a":"\u4e2d"}"#;
        let items = [item(text)];
        let body = super::body(message(), &items).unwrap();
        assert_eq!(
            body,
            format!(
                r#"{{"version":1,"id":"{}","items":[{{"delivery":"{}","subscription":"failed operations","event":{text}}}]}}"#,
                message(),
                items[0].delivery
            )
        );
    }
}
