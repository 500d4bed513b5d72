//! Bodies in, drafts and identities out.

use herald_model::event::{Addressee, EniOperation, EniStatus, Level};
use herald_model::ids::EventId;
use jiff::Timestamp;
use uuid::Uuid;

use super::*;

/// The ENI notification with `ver`, as the ECS pages print it.
pub(super) const SAMPLE: &str = r#"{"ver":"1.0","id":"7C1D2E90-5A44-4B1E-9A33-0F5B6B2C11D4","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1234567890123456:eni/eni-bp1exampleexample01","level":"INFO","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1234567890123456","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-bp1exampleexample01","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"0F0E0D0C-1111-2222-3333-444455556666"}}"#;

/// The newer form: no `ver`, ids masked with asterisks.
const MASKED: &str = r#"{"id":"2256A988-0B26-4E2B-820A-8B********A5","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:169070********30:eni/eni-8vb1qo********cdeg2n","level":"INFO","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"169070********30","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-8vb1qo********cdeg2n","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"59701492-35E5-47F1-8C47-1F2C********"}}"#;

pub(super) fn received_at() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

#[track_caller]
pub(super) fn one(body: &str) -> Received {
    let mut items = items(body.as_bytes(), Framing::Document, Limits::default());
    assert_eq!(items.len(), 1);
    items.pop().unwrap().unwrap()
}

#[track_caller]
pub(super) fn sealed(body: &str) -> Sealed {
    let received = one(body);
    let draft = decode(
        &received.value,
        received.duplicate_keys,
        received.bytes.as_deref(),
    )
    .unwrap();
    draft.seal(
        EventId::from_uuid(Uuid::from_u128(1)),
        "cloudmonitor",
        received_at(),
    )
}

#[track_caller]
pub(super) fn refused(body: &str) -> String {
    let received = match items(body.as_bytes(), Framing::Document, Limits::default()).pop() {
        Some(Ok(received)) => received,
        Some(Err(refusal)) => return refusal.reason,
        None => panic!("no item"),
    };
    decode(&received.value, false, None).unwrap_err().reason
}

#[test]
fn an_eni_notification_becomes_a_typed_event() {
    for (body, user, eni) in [
        (SAMPLE, "1234567890123456", "eni-bp1exampleexample01"),
        (MASKED, "169070********30", "eni-8vb1qo********cdeg2n"),
    ] {
        let event = sealed(body).event;
        assert_eq!(event.user_id, user);
        assert_eq!(event.level, Level::Info);
        assert_eq!(event.product, "ECS");
        assert_eq!(event.region_id, "cn-hangzhou");
        assert_eq!(event.addressee, Addressee::User(user.to_owned()));
        assert_eq!(event.occurred_at.to_string(), "2019-04-09T04:18:26.922Z");
        assert_eq!(event.received_at, received_at());
        let typed = event.eni.unwrap();
        assert_eq!(typed.id, eni);
        assert_eq!(typed.operation, EniOperation::Attach);
        assert_eq!(typed.status, EniStatus::InUse);
        assert!(typed.result.is_success());
    }
}

#[test]
fn the_canonical_text_is_the_senders_with_heralds_fields_behind() {
    let sealed = sealed(SAMPLE);
    let added = r#","addressee":{"kind":"user","id":"1234567890123456"},"intake":{"source":"cloudmonitor","format":"flat","receivedAt":"2026-01-02T03:04:05.678Z"}}"#;
    assert_eq!(
        *sealed.event.text,
        *format!("{}{added}", &SAMPLE[..SAMPLE.len() - 1])
    );
    assert_eq!(
        sealed.original, None,
        "nothing is lost, so nothing is kept beside it"
    );
    let read_back = restore(sealed.event.id, sealed.event.text.clone()).unwrap();
    assert_eq!(read_back, sealed.event);
}

#[test]
fn the_time_as_sent_is_kept_and_an_unreadable_one_is_flagged() {
    let text = sealed(SAMPLE).event.text;
    assert!(text.contains(r#""eventTime":"20190409T121826.922+0800""#));
    let bad = sealed(&SAMPLE.replace("20190409T121826.922+0800", "yesterday"));
    assert!(bad.event.text.contains(r#""eventTime":"yesterday""#));
    assert!(bad.event.text.contains(r#""badTime":true"#));
    assert_eq!(bad.event.occurred_at, received_at());
}

#[test]
fn numbers_are_kept_exactly() {
    let huge = "12345678901234567890.123456789012345678901234567890e-400";
    let body = SAMPLE.replace(
        r#""result":"success""#,
        &format!(r#""result":"success","n":{huge}"#),
    );
    assert!(sealed(&body).event.text.contains(huge));
}

#[test]
fn unknown_keys_are_kept_and_heralds_own_are_not_the_senders_to_write() {
    let body = SAMPLE.replace(
        r#""ver":"1.0""#,
        r#""groupId":"7","addressee":{"kind":"service","id":"x"},"intake":{"test":true},"cause":1"#,
    );
    let sealed = sealed(&body);
    assert!(sealed.event.text.contains(r#""groupId":"7""#));
    assert!(!sealed.event.text.contains("service"));
    assert!(!sealed.event.text.contains(r#""test""#));
    assert!(!sealed.event.text.contains(r#""cause""#));
}

#[test]
fn personal_data_is_cut_out_of_text_and_original() {
    let body = SAMPLE.replace(
        r#""ver":"1.0""#,
        r#""userInfo":{"aliyunId":"ops@example.com"}"#,
    );
    assert!(!sealed(&body).event.text.contains("ops@example.com"));
    let differing = sealed(&body.replace(r#""ECS""#, r#""ecs""#));
    let kept = inflate(&differing.original.unwrap());
    assert!(
        kept.contains("ecs") && !kept.contains("ops@example.com"),
        "{kept}"
    );
}

pub(super) fn inflate(bytes: &[u8]) -> String {
    use std::io::Read;
    let mut text = String::new();
    flate2::read::DeflateDecoder::new(bytes)
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn received_bytes_that_differ_are_kept() {
    let pretty = SAMPLE.replace(',', ",\n  ");
    assert_eq!(inflate(&sealed(&pretty).original.unwrap()), pretty);
    let lower = SAMPLE.replace(r#""ECS""#, r#""ecs""#);
    let sealed = sealed(&lower);
    assert_eq!(sealed.event.product, "ECS");
    assert_eq!(inflate(&sealed.original.unwrap()), lower);
}

#[test]
fn content_may_come_as_json_text_or_as_anything_else() {
    let object = r#"{"eniId":"eni-1","operation":"DeleteNetworkInterface"}"#;
    let text = r#""{\"eniId\":\"eni-1\",\"operation\":\"DeleteNetworkInterface\"}""#;
    let body = |content: &str| {
        format!(
            r#"{{"name":"NetworkInterface:NetworkInterfaceOperateCompleted","content":{content}}}"#
        )
    };
    let eni = sealed(&body(text)).event.eni;
    assert_eq!(eni, sealed(&body(object)).event.eni);
    assert_eq!(eni.unwrap().id, "eni-1");
    for other in ["null", "[1,2]", "7", r#""just words""#] {
        let sealed = sealed(&body(other));
        assert!(sealed.event.text.contains(&format!(r#""content":{other}"#)));
        assert_eq!(sealed.event.eni, None);
    }
}

#[test]
fn identity_is_the_senders_id_and_the_five_parts() {
    let first = sealed(SAMPLE).identities;
    assert_eq!(first.all.len(), 2);
    let lower = SAMPLE
        .replace("7C1D2E90-5A44-4B1E-9A33", "7c1d2e90-5a44-4b1e-9a33")
        .replace("0F0E0D0C", "0f0e0d0c");
    assert_eq!(
        sealed(&lower).identities,
        first,
        "the case of a UUID says nothing"
    );
    assert_eq!(sealed(SAMPLE).identities, first);

    let other_id = sealed(&SAMPLE.replace("7C1D2E90", "00000000")).identities;
    assert_ne!(other_id.all[0], first.all[0]);
    assert_eq!(
        other_id.all[1], first.all[1],
        "one event that came by two sources"
    );

    let other_result = sealed(&SAMPLE.replace("success", "failed")).identities;
    assert_eq!(other_result.all[0], first.all[0]);
    assert_ne!(other_result.all[1], first.all[1]);
    assert_ne!(
        other_result.fingerprint, first.fingerprint,
        "same id, other content: a conflict"
    );

    let reordered = SAMPLE.replace(
        r#""eniStatus":"InUse","result":"success""#,
        r#""result":"success","eniStatus":"InUse""#,
    );
    assert_eq!(sealed(&reordered).identities, first);
}

#[test]
fn a_body_without_id_is_a_test_without_identity() {
    let body = SAMPLE.replace(r#""id":"7C1D2E90-5A44-4B1E-9A33-0F5B6B2C11D4","#, "");
    let sealed = sealed(&body);
    assert_eq!(sealed.identities.all, vec![]);
    assert!(sealed.event.text.contains(r#""test":true"#));
    assert_eq!(sealed.event.sender_id, None);
}

#[test]
fn duplicate_keys_take_the_last_and_are_flagged() {
    let body = SAMPLE.replace(r#""level":"INFO""#, r#""level":"WARN","level":"CRITICAL""#);
    let event = sealed(&body).event;
    assert_eq!(event.level, Level::Critical);
    assert!(event.text.contains(r#""duplicateKeys":true"#));
    assert!(!event.text.contains("WARN"));
}

#[test]
fn a_conflict_is_marked_in_the_text() {
    let sealed = sealed(SAMPLE);
    let marked = restore(sealed.event.id, sealed.text_in_conflict.clone()).unwrap();
    assert_eq!(marked.sender_id, sealed.event.sender_id);
    assert!(sealed.text_in_conflict.ends_with(r#","conflict":true}}"#));
}

#[test]
fn an_initiator_is_the_addressee() {
    let body = SAMPLE.replace(
        r#""ver":"1.0""#,
        r#""initiator":{"kind":"service","id":"ack"}"#,
    );
    assert_eq!(
        sealed(&body).event.addressee,
        Addressee::Service("ack".to_owned())
    );
    let body = SAMPLE.replace(r#""ver":"1.0""#, r#""initiator":{"kind":"team","id":"x"}"#);
    assert!(refused(&body).contains("`initiator` must be"));
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("<Message/>", "`MessageBody`"),
        ("", "not JSON: the document ends too early at byte 0"),
        (r#"{"name": }"#, "at byte 9"),
        ("7", "an event must be a JSON object"),
        ("{}", "no known shape"),
        (r#"{"name":"x"}"#, "found `name`"),
        (r#"{"name":5,"content":{}}"#, "`name` must be a string"),
        (r#"{"name":"","content":{}}"#, "`name` is missing"),
        (
            r#"{"name":"x","content":{},"userId":5}"#,
            "`userId` must be a string",
        ),
        (r#"{"specversion":"1.0","id":"1"}"#, "`source` is missing"),
        (
            r#"{"alertName":"cpu","alertState":"ALERT"}"#,
            "a threshold alert",
        ),
        (
            r#"{"operation":"x","networkInterface":{}}"#,
            "/v1/operations",
        ),
    ];
    for (body, expected) in cases {
        let reason = refused(body);
        assert!(reason.contains(expected), "{body}: {reason}");
    }
}

#[test]
fn depth_and_count_are_bounded_by_name() {
    let deep = [&*"[".repeat(10_000), &*"]".repeat(10_000)].concat();
    let refusal = items(deep.as_bytes(), Framing::Document, Limits::default()).remove(0);
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.class, Class::Limit);
    assert_eq!(
        refusal.reason,
        "arrays and objects stand deeper in one another than `server.depth_max`, 64, at byte 64"
    );
    let many = format!("[{}]", vec!["1"; 1_001].join(","));
    let items = items(many.as_bytes(), Framing::Document, Limits::default());
    assert!(
        items[0]
            .as_ref()
            .unwrap_err()
            .reason
            .contains("`server.batch_max` is 1000")
    );
}

#[test]
fn a_text_that_is_too_long_names_the_limit() {
    let limits = Limits {
        field_max: 10,
        ..Limits::default()
    };
    let refusal = items(br#"{"content":"12345678901"}"#, Framing::Document, limits).remove(0);
    assert!(
        refusal
            .unwrap_err()
            .reason
            .contains("`server.field_max`, 10 bytes")
    );
}

#[test]
fn a_bad_line_does_not_take_the_others_with_it() {
    let body = format!("{SAMPLE}\n\n@not json\r\n{MASKED}\n");
    let items = items(body.as_bytes(), Framing::Lines, Limits::default());
    let sound: Vec<_> = items.iter().map(Result::is_ok).collect();
    assert_eq!(sound, [true, false, true]);
    let reason = &items[1].as_ref().unwrap_err().reason;
    let offset = SAMPLE.len() + 2;
    assert!(reason.contains(&format!("at byte {offset}")), "{reason}");
}

#[test]
fn invalid_utf8_is_refused_with_its_place() {
    let items = items(b"{\"name\":\"\xff\"}", Framing::Document, Limits::default());
    let reason = &items[0].as_ref().unwrap_err().reason;
    assert!(
        reason.contains("UTF-8") && reason.contains("at byte 9"),
        "{reason}"
    );
}

/// Takes a body apart and reads every item.
#[track_caller]
pub(super) fn drafts(body: &[u8], framing: Framing) -> Vec<Result<Draft, Refusal>> {
    let read = |item: Result<Received, Refusal>| {
        item.and_then(|item| decode(&item.value, item.duplicate_keys, item.bytes.as_deref()))
    };
    items(body, framing, Limits::default())
        .into_iter()
        .map(read)
        .collect()
}

/// The text at a path of a draft's fields.
#[track_caller]
pub(super) fn text<'a>(draft: &'a Draft, key: &str) -> &'a str {
    let value = draft.fields.get(key);
    value.and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn base64_of_a_body_is_read_as_the_body() {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let packed = engine.encode(SAMPLE);
    assert_eq!(sealed(&packed).event.text, sealed(SAMPLE).event.text);
    let lines = format!("{packed}\n{SAMPLE}");
    assert_eq!(drafts(lines.as_bytes(), Framing::Lines).len(), 2);
    let batch = engine.encode(format!("[{SAMPLE},{SAMPLE}]"));
    assert_eq!(drafts(batch.as_bytes(), Framing::Document).len(), 2);

    let broken = engine.encode(r#"{"name": }"#);
    assert!(refused(&broken).contains("at byte 9 of what the Base64 holds"));
    let words = engine.encode("no JSON");
    assert!(refused(&words).contains("unknown word") || refused(&words).contains("expected"));
}

#[test]
fn many_keys_cost_no_more_than_their_number() {
    let keys: String = (0..100_000).map(|key| format!(r#","k{key}":1"#)).collect();
    for (before, after) in [
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"t""#,
            "}",
        ),
        (r#"{"batchId":"1","alert":{"eventName":"n"}"#, "}"),
        (r#"{"batchId":"1","alert":{"eventName":"n""#, "}}"),
        (r#"{"id":"1","name":"n","content":{}"#, "}"),
        (r#"{"id":"1","name":"n","content":{"k":1"#, "}}"),
        (r#"{"SystemEvents":{"SystemEvent":[{"Name":"n""#, "}]}}"),
    ] {
        let begun = std::time::Instant::now();
        sealed(&format!("{before}{keys}{after}"));
        // By the square of the keys it takes a minute and more.
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(20),
            "{before}"
        );
    }
}
