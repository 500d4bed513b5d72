//! Published events and CloudEvents: each is read, or refused by its name.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use herald::intake::{self, Draft, Framing, Limits, Refusal};
use router::{Connection, Router, head, published};
use serde_json::{Value, json};

mod router;

/// What becomes of the file whose name begins so: the name of its event, or a part of the refusal.
const EXPECTED: &[(&str, Result<&str, &str>)] = &[
    (
        "actiontrail--CreateGroup--080ab171",
        Err("an ActionTrail record"),
    ),
    (
        "actiontrail--CreateGroup--e135d574",
        Err("an ActionTrail record"),
    ),
    ("callback--", Err("a media callback (ApsaraVideo)")),
    (
        "cloudmonitor-ens-callback--",
        Err("the content of an ENS event"),
    ),
    ("cloudmonitor-metric-callback--", Err("a threshold alert")),
    ("cloudmonitor-mns-metric-alert--", Err("a threshold alert")),
    (
        "cloudmonitor-subscription-webhook--",
        Ok("CloudAssistant:FirstHeartbeat"),
    ),
    (
        "cloudmonitor-system-event--Disk-",
        Ok("Disk:OverduePaymentRelease"),
    ),
    (
        "cloudmonitor-system-event--Instance-Perf",
        Ok("Instance:PerformanceModeChange"),
    ),
    (
        "cloudmonitor-system-event--Instance-VSw",
        Ok("Instance:VSwitchChanged"),
    ),
    (
        "cloudmonitor-system-event--NetworkInterface-",
        Ok("NetworkInterface:PrivateIPAssigned"),
    ),
    (
        "cloudmonitor-system-event--Secret-",
        Ok("Secret:RotateSecret:Failure"),
    ),
    (
        "cms-api-DescribeSystemEventAttribute",
        Ok("Agent_Status_Stopped"),
    ),
    ("eventbridge--aliyuncvc", Ok("MeetingEvent:MemberOperate")),
    ("eventbridge--dashscope", Ok("System:AsyncTaskFinish")),
    ("eventbridge--ebs-Disk-DiskIOHang", Ok("Disk:DiskIOHang")),
    (
        "eventbridge--ebs-Disk-DiskIOPS",
        Ok("Disk:DiskIOPSExceedDiskMaxLimit"),
    ),
    (
        "eventbridge--ebs-Disk-DiskSlow",
        Ok("Disk:DiskSlowIOTriggerred"),
    ),
    (
        "eventbridge--ebs-Disk-InstanceBPS",
        Ok("Disk:InstanceBPSExceedInstanceMaxLimit"),
    ),
    ("eventbridge--imm", Ok("FileMeta:Index")),
    ("eventbridge--mns", Ok("mns:Queue:SendMessage")),
    ("eventbridge--mq", Ok("mq:Topic:SendMessage")),
    (
        "eventbridge--oss-ObjectCreated-PostObject--bb550ac6",
        Ok("ObjectCreated:PostObject"),
    ),
    (
        "eventbridge--oss-ObjectCreated-PostObject--d6f61ac9",
        Err("a CloudEvent without `specversion`"),
    ),
    ("eventbridge--sls-Config", Ok("Config:****")),
    ("eventbridge--sls-connector", Ok("sls:connector")),
    ("eventbridge-stream-array--mq", Ok("mq:Topic:SendMessage")),
    ("events-list--", Err("an OSS event notification list")),
];

/// Events whose time is not to be read; all others are at the time that they say.
const BAD_TIMES: &[&str] = &["eventbridge--dashscope", "eventbridge--sls-Config"];

fn read(body: &[u8], framing: Framing) -> Vec<Result<Draft, Refusal>> {
    intake::items(body, framing, Limits::default())
        .into_iter()
        .map(|item| {
            item.and_then(|item| {
                intake::decode(&item.value, item.duplicate_keys, item.bytes.as_deref())
            })
        })
        .collect()
}

#[test]
fn every_published_event_is_read_or_refused_by_name() {
    let Some(folder) = published("events") else {
        return;
    };
    let mut met = BTreeSet::new();
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let framing = match name.rsplit_once('.') {
            Some((_, "json")) => Framing::Document,
            Some((_, "txt")) => Framing::Form,
            _ => continue,
        };
        files += 1;
        let expected = EXPECTED.iter().find(|(prefix, _)| name.starts_with(prefix));
        let Some((prefix, expected)) = expected else {
            unreachable!("nothing is expected of {name}")
        };
        met.insert(prefix);
        let body = std::fs::read(folder.join(&name)).unwrap();
        let mut drafts = read(&body, framing);
        assert_eq!(drafts.len(), 1, "{name}");
        match (drafts.remove(0), expected) {
            (Err(refusal), Err(expected)) => {
                assert!(refusal.reason.contains(expected), "{name}: {refusal}");
            }
            (Ok(draft), Ok(expected)) => check_event(&name, draft, expected),
            (found, expected) => unreachable!("{name}: {found:?}, not {expected:?}"),
        }
    }
    assert!(files >= 41, "{files}");
    assert_eq!(met.len(), EXPECTED.len(), "{met:?}");
}

fn check_event(file: &str, draft: Draft, expected: &str) {
    let id = herald_model::EventId::from_uuid(uuid::Uuid::nil());
    let event = draft.seal(id, "test", jiff::Timestamp::UNIX_EPOCH).event;
    assert_eq!(event.name, expected, "{file}");
    assert!(!event.product.is_empty(), "{file}");
    assert_eq!(event.product, event.product.to_uppercase(), "{file}");
    let is_bad = BAD_TIMES.iter().any(|prefix| file.starts_with(prefix));
    assert_eq!(event.text.contains(r#""badTime":true"#), is_bad, "{file}");
    assert_eq!(event.occurred_at == event.received_at, is_bad, "{file}");
    assert!(!event.text.contains("userInfo"), "{file}");
    let back = intake::restore(id, event.text.clone());
    assert_eq!(back.as_ref(), Ok(&event), "{file}");
}

#[test]
fn every_documented_event_name_passes() {
    let Some(folder) = published("events") else {
        return;
    };
    let catalog = std::fs::read_to_string(folder.join("event-catalog.jsonl")).unwrap();
    let row = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let name = |row: Value| row["name"].as_str().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = catalog.lines().map(row).map(name).collect();
    assert!(names.len() > 100, "{}", names.len());
    for name in names.iter().filter(|name| !name.is_empty()) {
        let flat = json!({"id": "1", "name": name, "content": {}});
        let cloud = json!({"id": "1", "specversion": "1.0", "source": "acs.ecs", "type": format!("ecs:{name}")});
        for body in [flat, cloud] {
            let drafts = read(body.to_string().as_bytes(), Framing::Document);
            let fields = &drafts[0].as_ref().unwrap().fields;
            let read = fields
                .get("name")
                .and_then(herald_rules::json::Value::as_str);
            assert_eq!(read, Some(name.as_str()));
        }
    }
}

/// Cases of CloudEvents that Herald answers otherwise, and why.
const DISAGREEMENTS: &[(&str, &str)] = &[
    (
        "ce-fmt-invalidTimeGarbage",
        "an unreadable time is kept and flagged: it must not cost an event",
    ),
    ("ce-fmt-invalidTimeOffsetOutOfRange", "as above"),
    (
        "ce-ruby-not-a-cloudevent",
        "the shape is told by its keys: a CloudEvent sent as application/json is one",
    ),
];

#[tokio::test]
async fn every_cloud_event_gets_its_answer() {
    let Some(folder) = published("cloudevents") else {
        return;
    };
    let cases = std::fs::read_to_string(folder.join("cases.jsonl")).unwrap();
    let mut disagreed = BTreeSet::new();
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        // A journal of its own, so that no case is a repeat of another.
        let router = Router::start(Duration::from_secs(60)).await;
        let mut connection = router.connect().await;
        let is_valid = case["valid"].as_bool().unwrap();
        let is_taken = send(&mut connection, &case["request"]).await;
        if is_taken != is_valid {
            disagreed.insert(id.to_owned());
            continue;
        }
        let expected = case["events"].as_array().map_or(0, Vec::len);
        if is_valid {
            let unique: BTreeSet<_> = case["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| {
                    (
                        event["attributes"]["source"].to_string(),
                        event["attributes"]["id"].to_string(),
                    )
                })
                .collect();
            assert_eq!(router.recorded().await, unique.len(), "{id} of {expected}");
            check_attributes(&case, &router, id).await;
        }
    }
    let listed: BTreeSet<_> = DISAGREEMENTS
        .iter()
        .map(|(id, _)| (*id).to_owned())
        .collect();
    assert_eq!(disagreed, listed);
}

/// Whether everything in a request was taken.
async fn send(connection: &mut Connection, request: &Value) -> bool {
    let headers: Vec<(String, String)> =
        serde_json::from_value(request["headers"].clone()).unwrap();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = request["body"].as_str().unwrap_or_default();
    let method = request["method"].as_str().unwrap();
    if method != "POST" {
        connection
            .write(&head(&format!("{method} /v1/events"), &headers, &[]))
            .await;
        // What is not posted brings nothing, whatever the answer says.
        return false;
    }
    let answer = connection
        .ask("POST /v1/events", &headers, body.as_bytes())
        .await;
    answer.status == 200
}

/// The attributes and the data that a case names are in the recorded event.
async fn check_attributes(case: &Value, router: &Router, id: &str) {
    let recorded = router.texts().await;
    for event in case["events"].as_array().unwrap() {
        let attributes = event["attributes"].as_object().unwrap();
        let text = recorded.iter().find(|text| text["id"] == attributes["id"]);
        let text = text.unwrap_or_else(|| unreachable!("{id}: {recorded:?}"));
        for (name, value) in attributes {
            let key = if name == "time" { "eventTime" } else { name };
            assert_eq!(&text[key], value, "{id}: {name}");
        }
        if let Some(data) = event.get("data") {
            assert_eq!(&text["content"], data, "{id}");
        }
        if let Some(data) = event["data_text"].as_str() {
            let content = &text["content"];
            let is_text = content.as_str() == Some(data);
            assert!(
                is_text || serde_json::from_str::<Value>(data).is_ok_and(|data| data == *content),
                "{id}: {content}"
            );
        }
        let packed = [&event["data_base64"], &event["data_b64"]]
            .into_iter()
            .find_map(Value::as_str);
        if let Some(packed) = packed {
            check_packed(id, text, packed);
        }
    }
}

/// Base64 data is kept as it is, or read by its type.
fn check_packed(id: &str, event: &Value, packed: &str) {
    use base64::Engine as _;
    if event["data_base64"] == packed {
        return;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let content = &event["content"];
    let is_text = content.as_str() == Some(&text);
    let is_document = serde_json::from_str::<Value>(&text).is_ok_and(|data| data == *content);
    assert!(is_text || is_document, "{id}: {content}");
}
