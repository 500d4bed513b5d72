//! Verdicts and plans of a few subscriptions.

use herald_model::event::Level;
use herald_rules::json::{Limits, parse};
use uuid::Uuid;

use super::*;

fn event(resource: Option<&str>) -> Event {
    Event {
        id: EventId::from_uuid(Uuid::from_u128(9)),
        text: "{}".into(),
        sender_id: None,
        product: "ECS".to_owned(),
        name: String::new(),
        level: Level::Warn,
        user_id: String::new(),
        region_id: String::new(),
        resource_id: resource.map(str::to_owned),
        occurred_at: Timestamp::UNIX_EPOCH,
        received_at: Timestamp::UNIX_EPOCH,
        source: String::new(),
        addressee: Addressee::User("1".to_owned()),
        eni: None,
    }
}

fn subscription(pattern: Option<&str>, owner: Owner) -> Subscription {
    let target = |number, name: &str, order| Target {
        sink: SinkNo(number),
        name: name.into(),
        order,
    };
    Subscription {
        number: SubscriptionNo(3),
        name: "ops".into(),
        pattern: pattern.map(|text| Pattern::from_json(text).unwrap()),
        form: Form::Canonical,
        owner,
        to: vec![
            target(1, "mail", Order::None),
            target(2, "runbook", Order::Resource),
        ],
        expires: Duration::from_secs(60),
    }
}

fn value(text: &str) -> Value {
    parse(text.as_bytes(), Limits::default()).unwrap().value
}

#[test]
fn a_delivery_for_each_sink_of_each_matching_subscription() {
    let subscription = subscription(None, Owner::Users);
    let event = event(Some("acs:ecs:r:u:eni/e"));
    let planned = plan(&event, &[&subscription], Timestamp::UNIX_EPOCH);
    assert_eq!(planned.len(), 2);
    assert_eq!(
        planned[0].lane, None,
        "a sink without order gives each delivery its own lane"
    );
    assert!(planned[1].lane.is_some());
    assert_eq!(planned[1].expires_at.as_second(), 60);
    assert_eq!(
        planned,
        plan(&event, &[&subscription], Timestamp::UNIX_EPOCH)
    );
}

#[test]
fn an_event_without_a_resource_has_a_lane_of_its_own() {
    let planned = plan(
        &event(None),
        &[&subscription(None, Owner::Users)],
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(planned[1].lane, None);
}

#[test]
fn a_lane_hash_never_changes() {
    assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(
        fnv1a(b"foobar"),
        0x8594_4171_f739_67e8,
        "the vector of the FNV page"
    );
}

#[test]
fn verdicts_agree_with_wants_and_name_the_difference() {
    let to_user = Addressee::User("1".to_owned());
    let to_service = Addressee::Service("9".to_owned());
    let warn = value(r#"{"level":"WARN"}"#);
    let info = value(r#"{"level":"INFO"}"#);
    let subscription = subscription(Some(r#"{"level":["WARN"]}"#), Owner::Users);
    for (value, addressee) in [(&warn, &to_user), (&warn, &to_service), (&info, &to_user)] {
        let verdict = subscription.judge(value, addressee);
        let wants = subscription.wants(value, addressee);
        assert_eq!(matches!(verdict, Verdict::Matched(_)), wants);
    }
    assert!(matches!(
        subscription.judge(&warn, &to_service),
        Verdict::NotForYou { .. }
    ));
    match subscription.judge(&info, &to_user) {
        Verdict::Different { nearest, failed } => {
            assert_eq!((nearest.field.as_str(), failed), ("level", 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_index_finds_who_wants_the_event_in_the_files_order() {
    let texts = [
        None,
        Some(r#"{"level":["WARN"]}"#),
        Some(r#"{"level":["INFO"]}"#),
        None,
    ];
    let mut all: Vec<_> = texts
        .into_iter()
        .map(|text| subscription(text, Owner::Users))
        .collect();
    all[3].owner = Owner::One(Addressee::Service("9".to_owned()));
    for (place, subscription) in all.iter_mut().enumerate() {
        subscription.name = place.to_string().into();
    }
    let subscriptions = Subscriptions::new(all);
    let mut scratch = Scratch::default();
    for (level, expected) in [("WARN", "01"), ("INFO", "02"), ("CRITICAL", "0")] {
        let text = format!(r#"{{"level":"{level}"}}"#);
        let mut event = event(None);
        event.text = text.as_str().into();
        let found = subscriptions.matching(&event, &mut scratch);
        let names: String = found
            .iter()
            .map(|subscription| &*subscription.name)
            .collect();
        assert_eq!(names, expected);
        let wanted = subscriptions
            .all()
            .iter()
            .filter(|one| one.wants(&value(&text), &event.addressee));
        assert_eq!(wanted.count(), found.len());
    }
}

/// A subscription whose pattern tests the CloudEvents form.
fn of_cloud_events(pattern: &str) -> Subscription {
    Subscription {
        form: Form::CloudEvents,
        ..subscription(Some(pattern), Owner::Users)
    }
}

/// What CloudMonitor pushes, in Herald's form.
const FLAT: &str = r#"{"ver":"1.0","id":"7c1d","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:169:eni/eni-1","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"169","regionId":"cn-hangzhou","eventTime":"20190409T121826.922+0800","content":{"eniId":"eni-1","result":"failed","n":12345678901234567890.10},"intake":{"source":"cloudmonitor","format":"flat","receivedAt":"2026-01-02T03:04:05.678Z"}}"#;

/// What EventBridge sends, in Herald's form: its own attributes were kept.
const BRIDGED: &str = r#"{"ver":"1.0","id":"7c1d","product":"ECS","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"169","regionId":"cn-hangzhou","eventTime":"2020-08-17T16:04:46.149Asia/Shanghai","content":{"eniId":"eni-1","result":"failed"},"specversion":"1.0","source":"acs:ecs","type":"ecs:NetworkInterface:NetworkInterfaceOperateCompleted","aliyunaccountid":"169","aliyuneventbusname":"default"}"#;

#[test]
fn an_event_has_a_cloud_events_form_however_it_came() {
    assert_eq!(
        cloud_event(&value(FLAT)).to_string(),
        r#"{"specversion":"1.0","source":"acs.ecs","type":"ecs:NetworkInterface:NetworkInterfaceOperateCompleted","datacontenttype":"application/json","subject":"acs:ecs:cn-hangzhou:169:eni/eni-1","aliyunaccountid":"169","aliyunregionid":"cn-hangzhou","id":"7c1d","time":"2019-04-09T04:18:26.922Z","data":{"eniId":"eni-1","result":"failed","n":12345678901234567890.10}}"#
    );
    assert_eq!(
        cloud_event(&value(BRIDGED)).to_string(),
        r#"{"specversion":"1.0","source":"acs:ecs","type":"ecs:NetworkInterface:NetworkInterfaceOperateCompleted","aliyunaccountid":"169","aliyuneventbusname":"default","id":"7c1d","time":"2020-08-17T16:04:46.149Asia/Shanghai","data":{"eniId":"eni-1","result":"failed"}}"#,
        "attributes stay as they came"
    );
}

#[test]
fn a_type_has_no_status_at_its_end() {
    for (name, expected) in [
        (
            "Instance:SystemMaintenance.Reboot:Executing",
            "ecs:Instance:SystemMaintenance.Reboot",
        ),
        ("Instance:Failed", "ecs:Instance:Failed"),
        (
            "Service:Connection:Zone:Accept",
            "ecs:Service:Connection:Zone:Accept",
        ),
    ] {
        let event = value(&format!(r#"{{"product":"ECS","name":"{name}"}}"#));
        let form = cloud_event(&event);
        assert_eq!(form.get("type").and_then(Value::as_str), Some(expected));
    }
    let nobody = cloud_event(&value(r#"{"name":"N"}"#));
    assert_eq!(
        nobody.to_string(),
        r#"{"specversion":"1.0","source":"herald","type":"N","datacontenttype":"application/json"}"#
    );
    assert_eq!(cloud_event(&value("[1]")).get("data"), None);
}

#[test]
fn patterns_of_eventbridge_are_found_by_the_index_too() {
    let pattern = r#"{"source":["acs.ecs","acs:ecs"],"type":[{"prefix":"ecs:NetworkInterface:"}],"data":{"result":["failed"]}}"#;
    let all = vec![
        of_cloud_events(pattern),
        subscription(Some(r#"{"source":["acs.ecs"]}"#), Owner::Users),
        of_cloud_events(r#"{"data":{"result":["success"]}}"#),
        of_cloud_events(r#"{"content":{"result":["failed"]}}"#),
        subscription(Some(r#"{"content":{"result":["failed"]}}"#), Owner::Users),
    ];
    let subscriptions = Subscriptions::new(all);
    let mut scratch = Scratch::default();
    for text in [FLAT, BRIDGED] {
        let mut event = event(None);
        event.text = text.into();
        let found = subscriptions.matching(&event, &mut scratch);
        let wanting = |one: &&Subscription| one.wants(&value(text), &event.addressee);
        let wanted: Vec<_> = subscriptions.all().iter().filter(wanting).collect();
        let patterns = |some: &[&Subscription]| {
            let text = |one: &&Subscription| one.pattern.as_ref().unwrap().to_json();
            some.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(patterns(&found), patterns(&wanted));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].form, Form::CloudEvents);
    }
    let nearest = match of_cloud_events(r#"{"data":{"result":["success"]}}"#)
        .judge(&value(FLAT), &Addressee::User("1".to_owned()))
    {
        Verdict::Different { nearest, .. } => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(nearest.field.as_str(), "data.result");
}
