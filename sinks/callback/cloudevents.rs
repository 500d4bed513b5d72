//! Events as CloudEvents 1.0. One that came as a CloudEvent leaves with its own attributes and data;
//! any other gets the attributes that Alibaba Cloud's EventBridge gives it, so that a receiver of its
//! events takes Herald's too.
//!
//! Sources: the CloudEvents specification and its HTTP protocol binding (modes, content types,
//! encoding of header values); Alibaba Cloud, "EventBridge: ECS events" (`source`, `type`, `data`).

use std::collections::BTreeMap;

use herald_model::event::CANONICAL_FIELDS;
use herald_model::{Event, Item};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Content type of one event in structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";

/// Content type of several.
pub(super) const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

/// What is encoded in the value of a `ce-` header, besides all that is not ASCII (HTTP protocol
/// binding, section 3.1.3.2).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The type of data: an attribute in the body, and the content type of a request in binary mode.
const DATA_TYPE: &str = "datacontenttype";

/// Data that is no text.
const PACKED: &str = "data_base64";

/// A CloudEvent.
#[derive(Serialize)]
struct Structured<'a> {
    #[serde(flatten)]
    attributes: Attributes,
    /// As it is stored: numbers go out exactly as the sender wrote them.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// Names and values, in the order in which they are written, each once.
struct Attributes(Vec<(String, Value)>);

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Attributes {
    fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_str())
    }
}

/// The body in structured mode: one event, or an array of several. `None` if an event's text is no
/// JSON object, which intake does not let in.
pub(super) fn structured(items: &[Item]) -> Option<String> {
    let events: Option<Vec<_>> = items.iter().map(|item| cloud_event(&item.event)).collect();
    match events?.as_slice() {
        [one] => serde_json::to_string(one).ok(),
        several => serde_json::to_string(several).ok(),
    }
}

/// The body in binary mode, which is the event's data alone. Several events, and one whose data is
/// no text, go as in [`structured`].
pub(super) fn binary(items: &[Item]) -> Option<String> {
    let [item] = items else {
        return structured(items);
    };
    let event = cloud_event(&item.event)?;
    if event.attributes.text(PACKED).is_some() {
        return structured(items);
    }
    let Some(data) = event.data else {
        return Some(String::new());
    };
    // A text of another type than JSON is its own bytes (JSON event format, section 3.1.1).
    let is_json = event.attributes.text(DATA_TYPE).is_none_or(is_json);
    let text = (!is_json)
        .then(|| serde_json::from_str::<String>(data.get()).ok())
        .flatten();
    Some(text.unwrap_or_else(|| data.get().to_owned()))
}

/// The headers of a request whose body is in binary mode, its content type among them.
pub(super) fn binary_headers(items: &[Item]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let alone = match items {
        [item] => cloud_event(&item.event),
        _ => None,
    };
    let Some(event) = alone.filter(|event| event.attributes.text(PACKED).is_none()) else {
        let media = if items.len() == 1 { STRUCTURED } else { BATCH };
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media));
        return headers;
    };
    for (name, value) in &event.attributes.0 {
        if name == DATA_TYPE {
            continue;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let name = HeaderName::try_from(format!("ce-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(header_value(&text))) {
            headers.insert(name, value);
        }
    }
    // Without a type, data is JSON; without data there is nothing to have a type.
    let media = event.attributes.text(DATA_TYPE);
    let media = media.or_else(|| event.data.map(|_| "application/json"));
    if let Some(media) = media.and_then(|media| HeaderValue::from_str(media).ok()) {
        headers.insert(http::header::CONTENT_TYPE, media);
    }
    headers
}

/// Any text as the value of a header.
pub(super) fn header_value(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn cloud_event(event: &Event) -> Option<Structured<'_>> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&event.text).ok()?;
    let content = fields.get("content").copied();
    let (mut attributes, data) = if fields.contains_key("specversion") {
        (own(event, &fields), content)
    } else {
        // `content` is what EventBridge calls data; the whole form where there is none.
        let data = content.or_else(|| serde_json::from_str(&event.text).ok());
        (made(event), data)
    };
    // Of another Herald's marks these take the place.
    attributes.retain(|(name, _)| name != "heraldlevel" && name != "heraldevent");
    // `level` has no place of its own in EventBridge's form.
    attributes.push(("heraldlevel".to_owned(), event.level.as_str().into()));
    // Herald's own id of the event, as in its console.
    attributes.push(("heraldevent".to_owned(), event.id.to_string().into()));
    Some(Structured {
        attributes: Attributes(attributes),
        data,
    })
}

/// The attributes that an event came with, under their own names and as they were. With `id`,
/// `source` is what a receiver knows a repetition by.
fn own(event: &Event, fields: &BTreeMap<String, &RawValue>) -> Vec<(String, Value)> {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    let id = event.sender_id.clone();
    let id = id.unwrap_or_else(|| event.id.to_string());
    let mut attributes = vec![("id".to_owned(), id.into())];
    let time = fields.get("eventTime").and_then(|time| value(time));
    attributes.extend(time.map(|time| ("time".to_owned(), time)));
    let others = fields
        .iter()
        .filter(|(name, _)| !CANONICAL_FIELDS.contains(&name.as_str()));
    attributes.extend(others.filter_map(|(name, raw)| Some((name.clone(), value(raw)?))));
    attributes
}

/// The attributes that EventBridge would have given an event.
fn made(event: &Event) -> Vec<(String, Value)> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let product = event.product.to_lowercase();
    let (source, kind) = if product.is_empty() {
        ("herald".to_owned(), event.name.clone())
    } else {
        (
            format!("acs.{product}"),
            format!("{product}:{}", event.name),
        )
    };
    let id = event.sender_id.clone();
    [
        ("specversion", Some("1.0".to_owned())),
        ("id", id.or_else(|| Some(event.id.to_string()))),
        ("source", Some(source)),
        ("type", Some(kind)),
        ("subject", event.resource_id.clone()),
        ("time", Some(event.occurred_at.to_string())),
        ("aliyunaccountid", given(&event.user_id)),
        ("aliyunregionid", given(&event.region_id)),
        (DATA_TYPE, Some("application/json".to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
    .collect()
}

/// Whether a media type is JSON: `application/json`, `…+json`.
fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
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
                r#"{{"specversion":"1.0","id":"2256A988-0B26-4E2B-820A-8A0000000001","source":"acs.ecs","type":"ecs:NetworkInterface:NetworkInterfaceOperateCompleted","subject":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n","time":"2019-04-09T04:18:26.922Z","aliyunaccountid":"1690700000000030","aliyunregionid":"cn-hangzhou","datacontenttype":"application/json","heraldlevel":"WARN","heraldevent":"evt_00000000000000000000000000000007","data":{DATA}}}"#
            )
        );
        assert_eq!(structured(&items).unwrap(), format!("[{one},{one}]"));
    }

    #[test]
    fn binary_mode_puts_the_attributes_into_headers() {
        let item = item(EVENT);
        assert_eq!(binary(std::slice::from_ref(&item)).unwrap(), DATA);
        let mut euro = item;
        let mut event = (*euro.event).clone();
        // The specification's own example.
        event.resource_id = Some("Euro € 😀".to_owned());
        euro.event = event.into();
        let headers = binary_headers(&[euro]);
        assert_eq!(headers["ce-subject"], "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(headers["ce-specversion"], "1.0");
        assert_eq!(headers["ce-time"], "2019-04-09T04:18:26.922Z");
        assert!(!headers.contains_key("ce-datacontenttype"));
        assert_eq!(headers["content-type"], "application/json");
    }

    #[test]
    fn an_event_without_content_is_its_own_data() {
        assert_eq!(binary(&[item(r#"{"a":1.0}"#)]).unwrap(), r#"{"a":1.0}"#);
    }

    /// A CloudEvent of another cloud in the canonical form, with `more`.
    fn foreign(more: &str) -> Item {
        item(&format!(
            r#"{{"id":"x","product":"HTTPS://SHOP.EXAMPLE","name":"order.paid","level":"INFO","eventTime":"2026-01-02T03:04:05.60+01:00","addressee":{{"kind":"user","id":""}},"specversion":"1.0","source":"https://shop.example","type":"order.paid","heraldlevel":"CRITICAL","count":5{more}}}"#
        ))
    }

    #[test]
    fn a_foreign_event_keeps_its_attributes_and_its_data() {
        let sent = foreign(r#","datacontenttype":"text/plain","subject":"s/1","content":"a\nb""#);
        let sent = [sent];
        let body: Value = serde_json::from_str(&structured(&sent).unwrap()).unwrap();
        let expected = serde_json::json!({
            "specversion": "1.0",
            "id": "2256A988-0B26-4E2B-820A-8A0000000001",
            "source": "https://shop.example",
            "type": "order.paid",
            "subject": "s/1",
            "time": "2026-01-02T03:04:05.60+01:00",
            "count": 5,
            "datacontenttype": "text/plain",
            "heraldlevel": "WARN",
            "heraldevent": "evt_00000000000000000000000000000007",
            "data": "a\nb",
        });
        assert_eq!(body, expected);
        assert_eq!(binary(&sent).unwrap(), "a\nb");
        let headers = binary_headers(&sent);
        assert_eq!(headers["ce-source"], "https://shop.example");
        assert_eq!(headers["ce-count"], "5");
        assert_eq!(headers["ce-heraldlevel"], "WARN");
        assert_eq!(headers["content-type"], "text/plain");
    }

    #[test]
    fn data_that_is_no_text_goes_in_the_structured_mode() {
        let sent = [foreign(
            r#","datacontenttype":"image/png","data_base64":"AAECAwQ=""#,
        )];
        let body = binary(&sent).unwrap();
        assert_eq!(Some(&body), structured(&sent).as_ref());
        assert!(body.contains(r#""data_base64":"AAECAwQ=""#) && !body.contains(r#""data":"#));
        let headers = binary_headers(&sent);
        assert_eq!(
            (headers.len(), &headers["content-type"]),
            (1, &HeaderValue::from_static(STRUCTURED))
        );
    }

    #[test]
    fn an_event_without_data_has_no_type_of_it() {
        let sent = [foreign("")];
        assert_eq!(binary(&sent).unwrap(), "");
        assert!(!binary_headers(&sent).contains_key("content-type"));
        assert!(!structured(&sent).unwrap().contains(r#""data""#));
    }
}
