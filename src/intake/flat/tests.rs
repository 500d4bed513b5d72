//! The envelope in the forms that its senders give it. The ENI notification of the ECS pages is the
//! sample of the tests one level up.

use crate::intake::tests::{refused, sealed};

/// The old alert-rule callback, with the fields of the page's table and of its sample together.
const CALLBACK: &str = r#"{"ver":"1.0","id":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","traceId":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1234567890123456:eni/eni-bp1exampleexample01","level":"INFO","instanceName":"eni-bp1exampleexample01","status":"Normal","groupId":"","eventType":"StatusNotification","name":"NetworkInterface:NetworkInterfaceOperateCompleted","ruleName":"eni-ops","userId":"1234567890123456","eventTime":"20260102T110405.123+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-bp1exampleexample01","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"0F0E0D0C-1111-2222-3333-444455556666"}}"#;

/// What the dry-run sender makes.
const DRY_RUN: &str = r#"{"product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1234567890123456:eni/eni-bp1exampleexample01","level":"INFO","instanceName":"eni-bp1exampleexample01","regionId":"cn-hangzhou","groupId":"0","name":"NetworkInterface:NetworkInterfaceOperateCompleted","content":{"eniId":"eni-bp1exampleexample01","operation":"DetachNetworkInterface","eniStatus":"Available","result":"success","requestId":"r-1"},"status":"Normal"}"#;

#[test]
fn the_old_callback_is_the_envelope_with_more_fields() {
    let event = sealed(CALLBACK).event;
    assert_eq!(event.eni.unwrap().id, "eni-bp1exampleexample01");
    assert_eq!(event.occurred_at.to_string(), "2026-01-02T03:04:05.123Z");
    for kept in [
        r#""ruleName":"eni-ops""#,
        r#""groupId":"""#,
        r#""status":"Normal""#,
    ] {
        assert!(event.text.contains(kept), "{kept}");
    }
    assert!(event.text.contains(r#""format":"flat""#));
}

#[test]
fn a_trace_id_stands_in_for_a_missing_id() {
    let own = r#""id":"7c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4","#;
    for without in ["", r#""id":"","#, r#""id":null,"#] {
        let sealed = sealed(
            &CALLBACK
                .replace(own, without)
                .replace(r#""traceId":"7c"#, r#""traceId":"8c"#),
        );
        let id = sealed.event.sender_id.unwrap();
        assert_eq!(id, "8c1d2e90-5a44-4b1e-9a33-0f5b6b2c11d4");
        assert_eq!(sealed.identities.all.len(), 2);
        assert!(!sealed.event.text.contains(r#""test""#));
    }
}

#[test]
fn a_dry_run_has_no_identity_but_an_account() {
    let sealed = sealed(DRY_RUN);
    assert_eq!(sealed.identities.all, vec![]);
    assert_eq!(sealed.event.sender_id, None);
    assert_eq!(sealed.event.user_id, "1234567890123456");
    assert_eq!(sealed.event.occurred_at, sealed.event.received_at);
    assert!(sealed.event.text.contains(r#""test":true"#));
    assert!(!sealed.event.text.contains("badTime"));
}

#[test]
fn content_as_text_is_opened_and_its_duplicates_are_flagged() {
    let text = CALLBACK.replace(
        r#""content":{"eniId":"eni-bp1exampleexample01","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"0F0E0D0C-1111-2222-3333-444455556666"}"#,
        r#""content":"{\"eniId\":\"x\",\"operation\":\"DeleteNetworkInterface\",\"eniId\":\"eni-2\"}""#,
    );
    let event = sealed(&text).event;
    assert_eq!(event.eni.unwrap().id, "eni-2");
    assert!(event.text.contains(r#""duplicateKeys":true"#));
}

#[test]
fn an_entry_of_the_pull_apis_inner_document_has_its_time() {
    let entry = r#"[{"product":"CloudMonitor","content":"{\"a\":\"1\"}","groupId":"176,177","time":"1552209568000","resourceId":"acs:ecs:cn-beijing:173651113438****:instance/i-25k35****","level":"CRITICAL","status":"stopped","name":"Agent_Status_Stopped","regionId":"cn-beijing"}]"#;
    let event = sealed(entry).event;
    assert_eq!(event.occurred_at.to_string(), "2019-03-10T09:19:28Z");
    assert_eq!(event.user_id, "173651113438****");
}

#[test]
fn an_arn_is_tidied() {
    let event = sealed(&DRY_RUN.replace("acs:ecs:", " arn:acs:ecs:")).event;
    assert!(
        event
            .resource_id
            .unwrap()
            .starts_with("acs:ecs:cn-hangzhou:1234")
    );
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    let reason = refused(&CALLBACK.replace(r#""level":"INFO""#, r#""level":3"#));
    assert_eq!(reason, "`level` must be a string");
}
