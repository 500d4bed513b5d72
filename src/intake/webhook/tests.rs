//! The push as the page prints it, with the event of the ECS pages in it.

use crate::intake::Framing;
use crate::intake::tests::{drafts, inflate, refused, sealed, text};

pub(in crate::intake) const PUSH: &str = r#"{"userInfo":{"aliyunId":"ops@example.com","userIdSec":"12****56","aliyunIdSec":"op****om","nickName":"ops","nickNameSec":"o*s","userName":"ops","userId":"1234567890123456","userNameSec":"o*s"},"subscription":{"subscriptionUuid":"b0b1b2b3c4c5d6d7e8e9f0f1a2a3a4a5","conditions":[{"field":"source","op":"EQ","value":"SYS_EVENT"},{"field":"product","op":"IN","value":"ECS"}],"relation":"AND"},"batchId":"0123456789abcdef0123456789abcdef","alert":{"alertStatus":"TRIGGERED","groupId":"","source":"SYS_EVENT","eventContentMap":{"eniId":"eni-bp1exampleexample01","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"0F0E0D0C-1111-2222-3333-444455556666"},"eventRawContent":"{\"eniId\":\"eni-raw\"}","dedupId":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","traceId":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","eventName":"NetworkInterface:NetworkInterfaceOperateCompleted","arn":"acs:ecs:cn-hangzhou:1234567890123456:eni/eni-bp1exampleexample01","timestamp":1767323045000,"severity":"INFO","product":"ECS","eventType":"StatusNotification","userId":"1234567890123456","groupName":"web","meta":{"sysEventMeta":{"regionNameEn":"cn-hangzhou","regionNameZh":"China (Hangzhou)","resourceId":"acs:ecs:cn-hangzhou:1234567890123456:eni/eni-bp1exampleexample01","product":"ECS","instanceName":"eni-bp1exampleexample01","level":"INFO","resource":"","groupId":"","eventType":"StatusNotification","regionId":"cn-hangzhou","eventTime":"20260102T110405.123+0800","name":"NetworkInterface:NetworkInterfaceOperateCompleted","id":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","status":"Normal"}}},"severity":"INFO","strategyName":"eni-ops","userId":"1234567890123456","time":1767323045000}"#;

#[test]
fn the_event_is_read_out_of_the_alert() {
    let event = sealed(PUSH).event;
    assert_eq!(
        event.sender_id.as_deref(),
        Some("7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4")
    );
    assert_eq!(event.product, "ECS");
    assert_eq!(event.user_id, "1234567890123456");
    assert_eq!(event.region_id, "cn-hangzhou");
    assert_eq!(event.occurred_at.to_string(), "2026-01-02T03:04:05.123Z");
    assert_eq!(event.eni.unwrap().id, "eni-bp1exampleexample01");
    for kept in [
        r#""format":"webhook""#,
        r#""strategyName":"eni-ops""#,
        r#""relation":"AND""#,
        r#""alertStatus":"TRIGGERED""#,
        r#""instanceName":"eni-bp1exampleexample01""#,
        r#""alert":{"groupName":"web"}"#,
    ] {
        assert!(event.text.contains(kept), "{kept}");
    }
}

#[test]
fn the_contact_of_the_account_is_kept_nowhere() {
    let form = form(PUSH);
    for (body, framing) in [(PUSH, Framing::Document), (&form, Framing::Form)] {
        let draft = drafts(body.as_bytes(), framing).remove(0).unwrap();
        let original = String::from_utf8(draft.original.clone().unwrap()).unwrap();
        for personal in ["ops@example.com", "op****om", "nickName", "userInfo"] {
            assert!(!draft.compact().contains(personal));
            assert!(!original.contains(personal), "{original}");
        }
    }
    let kept = inflate(&sealed(PUSH).original.unwrap());
    assert!(kept.contains("regionNameZh") && !kept.contains("ops@example.com"));
}

#[test]
fn time_falls_back_to_whole_seconds_and_then_to_what_was_written() {
    let time = |body: &str| sealed(body).event;
    let unreadable = PUSH.replace("20260102T110405.123+0800", "soon");
    assert_eq!(
        time(&unreadable).occurred_at.to_string(),
        "2026-01-02T03:04:05Z"
    );
    let missing = PUSH.replace(r#""eventTime":"20260102T110405.123+0800","#, "");
    assert_eq!(
        time(&missing).occurred_at.to_string(),
        "2026-01-02T03:04:05Z"
    );
    let only_top = missing.replace(r#""timestamp":1767323045000,"#, "");
    assert_eq!(
        time(&only_top).occurred_at.to_string(),
        "2026-01-02T03:04:05Z"
    );
    let none = unreadable.replace("1767323045000", "null");
    assert_eq!(time(&none).occurred_at, time(&none).received_at);
    assert!(time(&none).text.contains(r#""badTime":true"#));
}

#[test]
fn content_falls_back_to_the_raw_text() {
    let content = |map: &str, raw: &str| {
        let from = PUSH.find(r#""eventContentMap""#).unwrap();
        let to = PUSH.find(r#","dedupId""#).unwrap();
        let body = format!(
            r#"{}"eventContentMap":{map},"eventRawContent":{raw}{}"#,
            &PUSH[..from],
            &PUSH[to..]
        );
        drafts(body.as_bytes(), Framing::Document)
            .remove(0)
            .unwrap()
            .fields
            .get("content")
            .unwrap()
            .to_string()
    };
    assert_eq!(content(r#"{"a":1.50}"#, r#""{}""#), r#"{"a":1.50}"#);
    for empty in ["{}", "null", r#""""#] {
        assert_eq!(content(empty, r#""{\"b\":2.50}""#), r#"{"b":2.50}"#);
    }
    assert_eq!(content("{}", r#""plain words""#), r#""plain words""#);
    assert_eq!(content("{}", "null"), "{}");
}

/// The FORM variant: each top-level key a field, objects as JSON text.
fn form(push: &str) -> String {
    let parsed = herald_rules::json::parse(push.as_bytes(), Default::default()).unwrap();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in parsed.value.as_object().unwrap().iter() {
        form.append_pair(
            key,
            &value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        );
    }
    form.finish()
}

#[test]
fn the_form_says_the_same() {
    let fields = |body: &str, framing| {
        let draft = drafts(body.as_bytes(), framing).remove(0).unwrap();
        draft.fields.to_string()
    };
    let json = fields(PUSH, Framing::Document);
    let number_as_text = json.replace(r#""time":1767323045000"#, r#""time":"1767323045000""#);
    assert_ne!(json, number_as_text);
    assert_eq!(fields(&form(PUSH), Framing::Form), number_as_text);
}

#[test]
fn what_is_no_system_event_is_refused() {
    let metric = r#"{"batchId":"1","alert":{"source":"METRIC","alertStatus":"TRIGGERED"}}"#;
    assert!(refused(metric).contains("an alert of source `METRIC`"));
    let bare = r#"{"batchId":"1","alert":{"source":"SYS_EVENT"}}"#;
    assert!(refused(bare).contains("`alert.eventName`"));
    for alert in ["7", "null", "[]", r#""no json""#, r#""[]""#] {
        let body = format!(r#"{{"batchId":"1","alert":{alert}}}"#);
        assert!(
            refused(&body).contains("`alert` must be an object"),
            "{alert}"
        );
    }
}

#[test]
fn a_push_with_its_envelope_cut_down_is_still_an_event() {
    let least = r#"{"strategyName":"s","alert":{"eventName":"CloudAssistant:FirstHeartbeat","dedupId":"d","severity":"warn"}}"#;
    let draft = drafts(least.as_bytes(), Framing::Document)
        .remove(0)
        .unwrap();
    assert_eq!(text(&draft, "level"), "WARN");
    assert_eq!(text(&draft, "id"), "d");
}
