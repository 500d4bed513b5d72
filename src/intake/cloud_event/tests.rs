//! Events as EventBridge's pages print them, and what the standard asks.

use herald_model::event::Level;

use crate::intake::tests::{drafts, refused, sealed, text};
use crate::intake::{Draft, Framing};

/// The ENI event in the form of the page on ECS events. Its `subject` is a guess.
pub(in crate::intake) const ENI: &str = r#"{"specversion":"1.0","id":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","source":"acs.ecs","type":"ecs:NetworkInterface:NetworkInterfaceOperateCompleted","subject":"acs.ecs:cn-hangzhou:1234567890123456:guess","time":"2026-01-02T03:04:05.123Z","datacontenttype":"application/json;charset=utf-8","aliyunaccountid":"1234567890123456","aliyunoriginalaccountid":"1234567890123456","aliyunpublishtime":"2026-01-02T03:04:05.456Z","aliyunpublishaddr":"192.0.2.10","aliyuneventbusname":"default","aliyunregionid":"cn-hangzhou","data":{"eniId":"eni-bp1exampleexample01","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"0F0E0D0C-1111-2222-3333-444455556666"}}"#;

fn draft(body: &str) -> Draft {
    drafts(body.as_bytes(), Framing::Document)
        .remove(0)
        .unwrap()
}

#[test]
fn envelope_fields_are_derived_from_the_attributes() {
    let event = sealed(ENI).event;
    assert_eq!(
        event.name,
        "NetworkInterface:NetworkInterfaceOperateCompleted"
    );
    assert_eq!(event.product, "ECS");
    assert_eq!(event.level, Level::Info);
    assert_eq!(event.user_id, "1234567890123456");
    assert_eq!(event.region_id, "cn-hangzhou");
    assert_eq!(
        event.resource_id.as_deref(),
        Some("acs:ecs:cn-hangzhou:1234567890123456:eni/eni-bp1exampleexample01")
    );
    assert_eq!(event.occurred_at.to_string(), "2026-01-02T03:04:05.123Z");
    assert_eq!(event.eni.unwrap().id, "eni-bp1exampleexample01");
    for kept in [
        r#""source":"acs.ecs""#,
        r#""aliyuneventbusname":"default""#,
        r#""specversion":"1.0""#,
    ] {
        assert!(event.text.contains(kept), "{kept}");
    }
}

#[test]
fn a_failed_operation_is_a_warning() {
    assert_eq!(
        sealed(&ENI.replace("success", "failed")).event.level,
        Level::Warn
    );
    let strange = sealed(&ENI.replace("success", "half-done")).event;
    assert_eq!(strange.level, Level::Warn, "an outcome that is no success");
    let other = ENI.replace("NetworkInterfaceOperateCompleted", "Other");
    assert_eq!(
        sealed(&other.replace("success", "half-done")).event.level,
        Level::Info
    );
    assert_eq!(
        sealed(&other.replace("success", "failed")).event.level,
        Level::Warn
    );
    let levelled = other.replace(r#""result":"success""#, r#""eventLevel":"critical""#);
    assert_eq!(sealed(&levelled).event.level, Level::Critical);
}

#[track_caller]
fn check_derived(source: &str, kind: &str, product: &str, name: &str) {
    let draft = draft(&format!(
        r#"{{"specversion":"1.0","id":"1","source":"{source}","type":"{kind}"}}"#
    ));
    assert_eq!(
        (text(&draft, "product"), text(&draft, "name")),
        (product, name)
    );
}

#[test]
fn product_and_name_come_from_source_and_type() {
    check_derived(
        "acs.oss",
        "oss:ObjectCreated:PostObject",
        "OSS",
        "ObjectCreated:PostObject",
    );
    check_derived(
        "acs:aliyuncvc",
        "aliyuncvc:MeetingEvent:MemberOperate",
        "ALIYUNCVC",
        "MeetingEvent:MemberOperate",
    );
    check_derived(
        "RocketMQ-trigger",
        "mq:Topic:SendMessage",
        "ROCKETMQ-TRIGGER",
        "mq:Topic:SendMessage",
    );
    check_derived("acs.ecs", "ecs:", "ECS", "ecs:");
    check_derived("acs.", "x", "ACS.", "x");
    check_derived(
        "https://cloudevents.io",
        "io.cloudevents.test",
        "HTTPS://CLOUDEVENTS.IO",
        "io.cloudevents.test",
    );
}

#[test]
fn a_resource_is_the_enis_the_contents_or_the_subjects() {
    let with = |subject: &str, data: &str| {
        let body = format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"{subject}","data":{data}}}"#
        );
        text(&draft(&body), "resourceId").to_owned()
    };
    assert_eq!(with("acs.ebs:r:12:215672", "{}"), "acs:ebs:r:12:215672");
    assert_eq!(
        with("acs:oss:r:12:b/k", r#"{"resourceId":"d-1"}"#),
        "acs:oss:r:12:b/k"
    );
    assert_eq!(
        with(
            "acs:oss:r:12:b/k",
            r#"{"resourceId":"acs:ecs:r:12:disk/d-1"}"#
        ),
        "acs:ecs:r:12:disk/d-1"
    );
    assert_eq!(with("tests", "{}"), "");
}

#[test]
fn a_time_with_a_zones_name_is_read_and_an_unreadable_one_flagged() {
    let at = |time: &str| sealed(&ENI.replace("2026-01-02T03:04:05.123Z", time)).event;
    let named = at("2020-08-17T16:04:46.149Asia/Shanghai");
    assert_eq!(named.occurred_at.to_string(), "2020-08-17T08:04:46.149Z");
    assert!(!named.text.contains("badTime"));
    let bad = at("2023-1-25T01:45:16.969Z");
    assert_eq!(bad.occurred_at, bad.received_at);
    assert!(bad.text.contains(r#""badTime":true"#));
}

#[test]
fn base64_data_is_read_by_its_type() {
    let with = |more: &str| {
        draft(&format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{more}}}"#
        ))
    };
    let content = |more: &str| with(more).fields.get("content").map(ToString::to_string);
    let packed = r#""data_base64":"eyAieHl6IjogMTIzIH0=""#;
    assert_eq!(content(packed).as_deref(), Some(r#"{"xyz":123}"#));
    assert_eq!(
        content(&format!(r#"{packed},"datacontenttype":"application/json""#)).as_deref(),
        Some(r#"{"xyz":123}"#)
    );
    let text = format!(r#"{packed},"datacontenttype":"text/plain""#);
    assert_eq!(content(&text).as_deref(), Some(r#""{ \"xyz\": 123 }""#));
    let bytes = with(
        r#""data_base64":"AAECAwQ=","datacontenttype":"application/vnd.apache.thrift.binary""#,
    );
    assert_eq!(bytes.fields.get("content"), None);
    assert_eq!(super::super::tests::text(&bytes, "data_base64"), "AAECAwQ=");
}

#[test]
fn what_the_standard_forbids_is_named() {
    let with = |more: &str| {
        refused(&format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{more}}}"#
        ))
    };
    assert!(with(r#""data":1,"data_base64":"e30=""#).contains("`data_base64` must not stand"));
    assert!(with(r#""data_base64":"***""#).contains("is not Base64"));
    assert!(with(r#""MyExtension":"x""#).contains("`MyExtension` is no name"));
    assert!(with(r#""long":4247483647"#).contains("`long` must be a string, a boolean"));
    assert!(with(r#""object":{}"#).contains("`object` must be"));
    assert!(with(r#""subject":"""#).contains("`subject` must be a string that is not empty"));
    assert!(with(r#""specversion":"0.3""#).contains("is `0.3`; Herald reads CloudEvents `1.0`"));
    assert!(with(r#""id":null"#).contains("`id` is missing"));
    assert!(with(r#""id":25"#).contains("`id` must be a string"));
}

#[test]
fn an_extension_does_not_pass_for_a_field_of_the_event() {
    let body = ENI.replace(
        r#""time""#,
        r#""level":"CRITICAL","name":"x","content":"y","addressee":"z","time""#,
    );
    let event = sealed(&body).event;
    assert_eq!(event.level, Level::Info);
    assert_eq!(
        event.name,
        "NetworkInterface:NetworkInterfaceOperateCompleted"
    );
    assert!(event.eni.is_some());
}

#[test]
fn identity_counts_the_source() {
    let [id, eni] = sealed(ENI).identities.all[..] else {
        panic!()
    };
    let [other, same] = sealed(&ENI.replace("acs.ecs\"", "acs:ecs\""))
        .identities
        .all[..]
    else {
        panic!()
    };
    assert_ne!(id, other);
    assert_eq!(eni, same);
}
