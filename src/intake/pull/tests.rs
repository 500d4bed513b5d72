//! The answer as the API's page prints it, and with several events.

use herald_rules::json::Value;

use super::*;
use crate::intake::Framing;
use crate::intake::tests::{drafts, refused, text};

/// The published example (CloudMonitor API, "DescribeSystemEventAttribute"), shortened.
const ANSWER: &str = r#"{"SystemEvents":{"SystemEvent":[{"Status":"normal","InstanceName":"instanceId1","ResourceId":"xxxxx-1","Content":"[{\"product\":\"CloudMonitor\",\"content\":\"{\\\"ipGroup\\\":\\\"112.126.XX.XX,10.163.XX.XX\\\",\\\"tianjimonVersion\\\":\\\"1.2.22\\\"}\",\"groupId\":\"176,177\",\"time\":\"1552209568000\",\"resourceId\":\"acs:ecs:cn-beijing:173651113438****:instance/i-25k35****\",\"level\":\"CRITICAL\",\"status\":\"stopped\",\"instanceName\":\"cmssiteprobebj-6\",\"name\":\"Agent_Status_Stopped\",\"regionId\":\"cn-beijing\"}]","Product":"CloudMonitor","Level":"WARN","Time":"1552199984000","RegionId":"cn-hangzhou","Name":"Agent_Status_Stopped","GroupId":"12345"}]},"Message":"success","RequestId":"60912C8D-B340-4253-ADE7-61ACDFD25CFC","Code":"200","Success":"true"}"#;

fn event(id: &str, content: &str) -> String {
    let content = Value::from(content);
    format!(
        r#"{{"Id":"{id}","Product":"ECS","Name":"NetworkInterface:NetworkInterfaceOperateCompleted","Level":"INFO","RegionId":"cn-hangzhou","ResourceId":"acs:ecs:cn-hangzhou:1234567890123456:eni/eni-1","Time":1767323045123,"Content":{content}}}"#
    )
}

fn list(events: &[String]) -> String {
    format!(
        r#"{{"SystemEvents":{{"SystemEvent":[{}]}}}}"#,
        events.join(",")
    )
}

fn envelope(content: &str) -> String {
    format!(r#"[{{"name":"inner","level":"WARN","content":{content},"time":"1767323045999"}}]"#)
}

#[test]
fn the_published_example_is_one_event() {
    let drafts = drafts(ANSWER.as_bytes(), Framing::Document);
    let [Ok(draft)] = &drafts[..] else {
        panic!("{drafts:?}")
    };
    assert_eq!(draft.format, "pull");
    assert_eq!(text(draft, "name"), "Agent_Status_Stopped");
    assert_eq!(text(draft, "level"), "WARN", "the list's own field");
    assert_eq!(text(draft, "product"), "CLOUDMONITOR");
    assert_eq!(text(draft, "eventTime"), "2019-03-10T06:39:44Z");
    assert_eq!(text(draft, "regionId"), "cn-hangzhou");
    let arn = "acs:ecs:cn-beijing:173651113438****:instance/i-25k35****";
    assert_eq!(text(draft, "resourceId"), arn, "the one that is an ARN");
    assert_eq!(text(draft, "userId"), "173651113438****");
    let content = draft.fields.get("content").unwrap();
    assert_eq!(
        content.get("tianjimonVersion").and_then(Value::as_str),
        Some("1.2.22")
    );
    assert_eq!(draft.original.as_deref(), Some(ANSWER.as_bytes()));
}

#[test]
fn an_event_without_id_is_known_again_at_the_next_poll() {
    let id = |body: &str| {
        text(
            &drafts(body.as_bytes(), Framing::Document)
                .remove(0)
                .unwrap(),
            "id",
        )
        .to_owned()
    };
    assert_eq!(id(ANSWER), id(ANSWER));
    assert_ne!(
        id(ANSWER),
        id(&ANSWER.replace("1552199984000", "1552199984001"))
    );
    assert_ne!(id(ANSWER), id(&ANSWER.replace("1.2.22", "1.2.23")));
}

#[test]
fn every_event_of_a_list_is_an_item() {
    let body = list(&[
        event(
            "a",
            &envelope(r#""{\"eniId\":\"eni-1\",\"operation\":\"AttachNetworkInterface\"}""#),
        ),
        "7".to_owned(),
        event("b", r#"{"eniId":"eni-2"}"#),
        event("c", "plain words"),
    ]);
    for (body, framing) in [
        (body.clone(), Framing::Document),
        (body.clone() + "\n", Framing::Lines),
        (format!("[{body}]"), Framing::Document),
    ] {
        let drafts = drafts(body.as_bytes(), framing);
        let [Ok(a), Err(number), Ok(b), Ok(c)] = &drafts[..] else {
            panic!("{drafts:?}")
        };
        assert!(number.reason.contains("must hold objects"));
        assert_eq!(
            [text(a, "id"), text(b, "id"), text(c, "id")],
            ["a", "b", "c"]
        );
        assert_eq!(text(a, "eventTime"), "2026-01-02T03:04:05.123Z");
        let eni = |draft: &Draft| {
            draft
                .fields
                .get("content")
                .and_then(|c| c.get("eniId"))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        assert_eq!(eni(a).as_deref(), Some("eni-1"));
        assert_eq!(eni(b).as_deref(), Some("eni-2"));
        assert_eq!(text(c, "content"), "plain words");
        assert!(a.original.is_some());
    }
}

#[test]
fn several_envelopes_in_one_content_are_several_events() {
    let content = r#"[{"id":"own","name":"one","content":{"n":1},"time":"1767323045999"},{"content":{"n":2}},{"eventTime":"20260102T110405.5+0800","content":{}}]"#;
    let drafts = drafts(list(&[event("a", content)]).as_bytes(), Framing::Document);
    let [Ok(one), Ok(two), Ok(three)] = &drafts[..] else {
        panic!("{drafts:?}")
    };
    assert_eq!(
        [text(one, "id"), text(two, "id"), text(three, "id")],
        ["own", "a#1", "a#2"]
    );
    assert_eq!(text(one, "name"), "one");
    assert_eq!(
        text(two, "name"),
        "NetworkInterface:NetworkInterfaceOperateCompleted"
    );
    assert_eq!(text(one, "eventTime"), "2026-01-02T03:04:05.999Z");
    assert_eq!(text(two, "eventTime"), "2026-01-02T03:04:05.123Z");
    assert_eq!(text(three, "eventTime"), "20260102T110405.5+0800");
    assert_eq!(text(two, "userId"), "1234567890123456");
}

#[test]
fn an_empty_list_is_no_work_and_a_missing_one_is_named() {
    assert_eq!(drafts(list(&[]).as_bytes(), Framing::Document).len(), 0);
    for body in [r#"{"SystemEvents":{}}"#, r#"{"SystemEvents":7}"#] {
        assert!(refused(body).contains("`SystemEvents.SystemEvent` must be an array"));
    }
    let nameless = list(&["{}".to_owned()]);
    assert!(refused(&nameless).contains("`SystemEvents.SystemEvent.Name` is missing"));
}

#[test]
fn what_a_list_unfolds_to_is_bounded() {
    let many = format!("[{}]", vec!["1"; 1_001].join(","));
    assert!(refused(&list(&[event("a", &many)])).contains("`server.batch_max`"));
    let long = event(&"x".repeat(2_000), "[1,2]");
    assert!(refused(&list(&[long])).contains("is longer than 1024 bytes"));
}
