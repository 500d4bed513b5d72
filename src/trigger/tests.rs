//! Every trigger condition, reason word and addressee rule.

use herald_model::event::{Addressee, Level};
use herald_model::ids::EventId;
use herald_model::operation::NotTriggered;
use herald_rules::json::{self, Limits};
use uuid::Uuid;

use super::*;
use crate::intake::{Sealed, decode_operation};

const ACCOUNT: &str = "1690700000000030";

const ATTACH: &str = r#"{"operation":"AttachNetworkInterface","requestId":"59701492-1","regionId":"cn-hangzhou",
  "userId":"1690700000000030","time":"20190409T121826.922+0800",
  "initiator":null,"error":null,"result":"success",
  "networkInterface":{"NetworkInterfaceId":"eni-8vb1qo0000000cdeg2n","Type":"Secondary","Status":"InUse",
                      "ServiceManaged":false,"MacAddress":"00:16:3e:00:00:01"}}"#;

fn run(body: &str) -> Result<Triggered, Refusal> {
    let value = json::parse(body.as_bytes(), Limits::default())
        .unwrap()
        .value;
    let result = decode_operation(&value)?;
    trigger(&result, &value, |account| account == ACCOUNT)
}

#[track_caller]
fn event(body: &str) -> Sealed {
    match run(body) {
        Ok(Triggered::Event(draft)) => draft.seal(
            EventId::from_uuid(Uuid::nil()),
            "api",
            jiff::Timestamp::UNIX_EPOCH,
        ),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn nothing(body: &str, reason: NotTriggered) {
    assert_eq!(run(body), Ok(Triggered::Nothing(reason)));
}

#[track_caller]
fn refused(body: &str, field: &str) {
    let refusal = run(body).unwrap_err();
    assert_eq!(refusal.reason, format!("`{field}` is missing"));
}

#[test]
fn an_accepted_operation_on_a_secondary_eni_makes_an_event() {
    let event = event(ATTACH).event;
    assert_eq!(
        event.name,
        "NetworkInterface:NetworkInterfaceOperateCompleted"
    );
    assert_eq!(event.product, "ECS");
    assert_eq!(event.level, Level::Info);
    let resource = "acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n";
    assert_eq!(event.resource_id.as_deref(), Some(resource));
    assert_eq!(event.occurred_at.to_string(), "2019-04-09T04:18:26.922Z");
    let eni = event.eni.unwrap();
    assert_eq!(eni.status.as_str(), "InUse");
    assert_eq!(eni.request_id, "59701492-1");
    assert!(
        event.text.contains(r#""MacAddress":"00:16:3e:00:00:01""#),
        "attributes are kept"
    );
}

#[test]
fn each_of_the_four_operations_is_announced() {
    for operation in ["Create", "Attach", "Detach", "Delete"] {
        let name = format!("{operation}NetworkInterface");
        let sealed = event(&ATTACH.replace("AttachNetworkInterface", &name));
        assert_eq!(sealed.event.eni.unwrap().operation.as_str(), name);
    }
}

#[test]
fn another_operation_is_not() {
    nothing(
        &ATTACH.replace("AttachNetwork", "ModifyNetwork"),
        NotTriggered::UnknownOperation,
    );
}

#[test]
fn an_account_that_has_not_opened_the_feature_hears_nothing() {
    nothing(
        &ATTACH.replace(ACCOUNT, "42"),
        NotTriggered::FeatureDisabled,
    );
    nothing(
        &ATTACH.replace(r#""userId":"1690700000000030","#, ""),
        NotTriggered::FeatureDisabled,
    );
}

#[test]
fn a_primary_eni_is_not_announced() {
    nothing(
        &ATTACH.replace("Secondary", "Primary"),
        NotTriggered::PrimaryEni,
    );
}

#[test]
fn nor_is_one_of_another_type() {
    for kind in ["Trunk", "Member", "secondary"] {
        nothing(
            &ATTACH.replace("Secondary", kind),
            NotTriggered::NotSecondary,
        );
    }
}

#[test]
fn a_refused_call_changes_nothing_and_announces_nothing() {
    let over_quota = r#""error":"EniPerInstanceLimitExceeded""#;
    nothing(
        &ATTACH.replace(r#""error":null"#, over_quota),
        NotTriggered::RequestRefused,
    );
    let structured = ATTACH
        .replace(
            r#""error":null"#,
            r#""error":{"Code":"MaxEniCountExceeded"}"#,
        )
        .replace(r#""result":"success""#, r#""result":null"#)
        .replace(r#""NetworkInterfaceId":"eni-8vb1qo0000000cdeg2n","#, "");
    nothing(&structured, NotTriggered::RequestRefused);
}

#[test]
fn the_conditions_are_tested_in_their_order() {
    let all_wrong = ATTACH
        .replace("Secondary", "Primary")
        .replace(r#""error":null"#, r#""error":"X""#);
    nothing(&all_wrong, NotTriggered::PrimaryEni);
    nothing(
        &all_wrong.replace(ACCOUNT, "42"),
        NotTriggered::FeatureDisabled,
    );
    let unknown = all_wrong
        .replace(ACCOUNT, "42")
        .replace("AttachNetworkInterface", "RunInstances");
    nothing(&unknown, NotTriggered::UnknownOperation);
}

#[test]
fn an_accepted_operation_that_ends_badly_is_a_warning() {
    for (result, level) in [
        ("success", Level::Info),
        ("succeeded", Level::Info),
        ("accomplished", Level::Info),
        ("failed", Level::Warn),
        ("timeout", Level::Warn),
    ] {
        let sealed = event(&ATTACH.replace("\"success\"", &format!("{result:?}")));
        assert_eq!(sealed.event.level, level, "{result}");
        assert_eq!(sealed.event.eni.unwrap().result.as_str(), result);
    }
}

#[test]
fn a_missing_field_is_named() {
    refused(
        &ATTACH.replace(r#""operation":"AttachNetworkInterface","#, ""),
        "operation",
    );
    refused(
        &ATTACH.replace(r#""Type":"Secondary","#, ""),
        "networkInterface.Type",
    );
    refused(
        &ATTACH.replace(r#""requestId":"59701492-1","#, ""),
        "requestId",
    );
    refused(&ATTACH.replace(r#","result":"success""#, ""), "result");
    refused(
        &ATTACH.replace(r#""NetworkInterfaceId":"eni-8vb1qo0000000cdeg2n","#, ""),
        "networkInterface.NetworkInterfaceId",
    );
}

#[test]
fn a_wrong_type_is_named() {
    let refusal =
        run(&ATTACH.replace(r#""requestId":"59701492-1""#, r#""requestId":7"#)).unwrap_err();
    assert_eq!(refusal.reason, "`requestId` must be a string");
    let refusal = run(r#"{"networkInterface":[]}"#).unwrap_err();
    assert_eq!(refusal.reason, "`networkInterface` must be an object");
}

#[test]
fn the_id_follows_from_the_identity() {
    let first = event(ATTACH);
    assert_eq!(first.event.sender_id, event(ATTACH).event.sender_id);
    assert_eq!(first.identities.all.len(), 2);
    let later = event(&ATTACH.replace("59701492-1", "59701492-2"));
    assert_ne!(first.event.sender_id, later.event.sender_id);
}

#[test]
fn the_addressee_is_the_initiator_then_the_service_then_the_user() {
    let user = Addressee::User(ACCOUNT.to_owned());
    assert_eq!(event(ATTACH).event.addressee, user);

    let managed = ATTACH.replace(r#""ServiceManaged":false"#, r#""ServiceManaged":true"#);
    assert_eq!(
        event(&managed).event.addressee,
        Addressee::Service("unknown".to_owned())
    );
    let owned = managed.replace(
        "\"MacAddress\"",
        "\"ServiceID\":18446744073709551617,\"MacAddress\"",
    );
    let service = Addressee::Service("18446744073709551617".to_owned());
    assert_eq!(event(&owned).event.addressee, service);

    let initiated = owned.replace(
        r#""initiator":null"#,
        r#""initiator":{"kind":"user","id":"77"}"#,
    );
    let sealed = event(&initiated);
    assert_eq!(sealed.event.addressee, Addressee::User("77".to_owned()));
    assert!(
        sealed
            .event
            .text
            .contains(r#""initiator":{"kind":"user","id":"77"}"#)
    );
}
