//! Events as CloudEvents 1.0, with the attributes that Alibaba Cloud's EventBridge gives them, so
//! that a receiver of its events takes Herald's too.
//!
//! Sources: the CloudEvents specification and its HTTP protocol binding (modes, content types,
//! encoding of header values); Alibaba Cloud, "EventBridge: ECS events" (`source`, `type`, `data`).

use std::collections::HashMap;

use herald_model::{Event, Item};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;

/// Content type of one event in structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

/// Content type of several.
pub(super) const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

/// What is encoded in the value of a `ce-` header, besides all that is not ASCII (HTTP protocol
/// binding, section 3.1.3.2).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

#[derive(Serialize)]
struct Structured<'a> {
    #[serde(flatten)]
    attributes: Attributes,
    datacontenttype: &'static str,
    /// As it is stored: numbers go out exactly as the sender wrote them.
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Attributes {
    specversion: &'static str,
    /// With `source` what a receiver knows a repetition by.
    id: String,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    aliyunaccountid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aliyunregionid: Option<String>,
    /// `level` has no place of its own in EventBridge's form.
    heraldlevel: &'static str,
    /// Herald's own id of the event, as in its console.
    heraldevent: String,
}

/// The body in structured mode: one event, or an array of several. `None` if an event's text is no
/// JSON object, which intake does not let in.
pub(super) fn structured(items: &[Item]) -> Option<String> {
    let mut events = Vec::with_capacity(items.len());
    for item in items {
        events.push(Structured {
            attributes: attributes(&item.event),
            datacontenttype: "application/json",
            data: data(&item.event)?,
        });
    }
    match events.as_slice() {
        [one] => serde_json::to_string(one).ok(),
        several => serde_json::to_string(several).ok(),
    }
}

/// The body in binary mode, which is the event's data alone; several events go as in
/// [`structured`].
pub(super) fn binary(items: &[Item]) -> Option<String> {
    match items {
        [item] => Some(data(&item.event)?.get().to_owned()),
        _ => structured(items),
    }
}

/// The headers of binary mode.
pub(super) fn headers(event: &Event) -> HeaderMap {
    let attributes = attributes(event);
    let Ok(serde_json::Value::Object(attributes)) = serde_json::to_value(attributes) else {
        return HeaderMap::new();
    };
    attributes
        .iter()
        .filter_map(|(name, value)| {
            Some((
                HeaderName::try_from(format!("ce-{name}")).ok()?,
                HeaderValue::try_from(header_value(value.as_str()?)).ok()?,
            ))
        })
        .collect()
}

/// Any text as the value of a header.
pub(super) fn header_value(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn attributes(event: &Event) -> Attributes {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let product = event.product.to_lowercase();
    let (source, r#type) = if product.is_empty() {
        ("herald".to_owned(), event.name.clone())
    } else {
        (
            format!("acs.{product}"),
            format!("{product}:{}", event.name),
        )
    };
    Attributes {
        specversion: "1.0",
        id: event
            .sender_id
            .clone()
            .unwrap_or_else(|| event.id.to_string()),
        source,
        r#type,
        subject: event.resource_id.clone(),
        time: event.occurred_at.to_string(),
        aliyunaccountid: given(&event.user_id),
        aliyunregionid: given(&event.region_id),
        heraldlevel: event.level.as_str(),
        heraldevent: event.id.to_string(),
    }
}

/// `content` of the canonical form, which is what EventBridge calls data; the whole form where
/// there is none.
fn data(event: &Event) -> Option<&RawValue> {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(&event.text).ok()?;
    match fields.get("content") {
        Some(content) => Some(content),
        None => serde_json::from_str(&event.text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EVENT, item};

    const DATA: &str = r#"{"eniId":"eni-8vb1qo0000000cdeg2n","n":12345678901234567890.10}"#;

    #[test]
    fn one_event_is_an_object_and_several_are_an_array() {
        let items = [item(EVENT), item(EVENT)];
        let one = structured(&items[..1]).unwrap();
        assert_eq!(
            one,
            format!(
                r#"{{"specversion":"1.0","id":"2256A988-0B26-4E2B-820A-8A0000000001","source":"acs.ecs","type":"ecs:NetworkInterface:NetworkInterfaceOperateCompleted","subject":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n","time":"2019-04-09T04:18:26.922Z","aliyunaccountid":"1690700000000030","aliyunregionid":"cn-hangzhou","heraldlevel":"WARN","heraldevent":"evt_00000000000000000000000000000007","datacontenttype":"application/json","data":{DATA}}}"#
            )
        );
        assert_eq!(structured(&items).unwrap(), format!("[{one},{one}]"));
    }

    #[test]
    fn binary_mode_puts_the_attributes_into_headers() {
        let item = item(EVENT);
        assert_eq!(binary(std::slice::from_ref(&item)).unwrap(), DATA);
        let mut event = (*item.event).clone();
        // The specification's own example.
        event.resource_id = Some("Euro € 😀".to_owned());
        let headers = headers(&event);
        assert_eq!(headers["ce-subject"], "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(headers["ce-specversion"], "1.0");
        assert_eq!(headers["ce-time"], "2019-04-09T04:18:26.922Z");
        assert!(!headers.contains_key("ce-datacontenttype"));
    }

    #[test]
    fn an_event_without_content_is_its_own_data() {
        assert_eq!(binary(&[item(r#"{"a":1.0}"#)]).unwrap(), r#"{"a":1.0}"#);
    }
}
