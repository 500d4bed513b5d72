//! The built-in texts word by word, and templates that fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_model::sink::Progress;
use herald_model::{
    DeliveryId, EndpointId, EventId, Item, Language, Markup, MessageId, Notification, Outcomes,
    Sink,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::intake::{self, Framing, Limits};

mod mail;

struct Way(Markup);

#[async_trait::async_trait]
impl Sink for Way {
    fn endpoint(&self) -> EndpointId {
        EndpointId::new("test", "way")
    }

    fn markup(&self) -> Markup {
        self.0
    }

    async fn deliver(&self, _: &Notification, _: &Progress<'_>) -> Outcomes {
        unreachable!("nothing is sent here")
    }

    fn time_limit(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

const FAILED: &str = r#"{"id":"1","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:16:eni/eni-1","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"16","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-1","operation":"AttachNetworkInterface","eniStatus":"Available","result":"failed","requestId":"r-1"}}"#;
const HOSTILE: &str = r#"{"id":"2","product":"ECS","level":"CRITICAL","name":"Instance:Sy*stem\r\nBcc: x@example.com","content":{"note":"[click](http://evil)"}}"#;

fn item(body: &str, number: u128, subscription: &str) -> Item {
    let received = intake::items(body.as_bytes(), Framing::Document, Limits::default())
        .remove(0)
        .unwrap();
    let id = EventId::from_uuid(Uuid::from_u128(number));
    let event = intake::decode(&received.value, false, None)
        .unwrap()
        .seal(id, "t", Timestamp::UNIX_EPOCH)
        .event;
    Item {
        delivery: DeliveryId::derive(id, subscription, "way"),
        subscription: subscription.into(),
        event: Arc::new(event),
    }
}

fn setting(language: Language) -> Setting {
    Setting {
        language,
        time_zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        console_url: Some("http://localhost:8470".to_owned()),
    }
}

fn shown(items: &[Item], markup: Markup, language: Language, templates: &Templates) -> Rendered {
    let message = MessageId::derive(items[0].delivery, 1);
    render(&Way(markup), message, items, templates, &setting(language))
}

#[test]
fn a_failed_attach_reads_in_plain_english() {
    let rendered = shown(
        &[item(FAILED, 1, "ops")],
        Markup::Plain,
        Language::En,
        &Templates::default(),
    );
    assert_eq!(
        rendered.title,
        "[WARN] AttachNetworkInterface failed: eni-1 (cn-hangzhou)"
    );
    assert_eq!(
        rendered.text,
        "[WARN] AttachNetworkInterface failed
The ENI was not attached: it is Available again.

ENI           eni-1
Status        Available
Region        cn-hangzhou
Account       16
Time          2019-04-09 12:18:26 +08:00
Request       r-1
Subscription  ops
Event         evt_00000000000000000000000000000001

Open in the console
http://localhost:8470/events/evt_00000000000000000000000000000001
"
    );
}

#[test]
fn and_in_chinese() {
    let rendered = shown(
        &[item(FAILED, 1, "ops")],
        Markup::Plain,
        Language::Zh,
        &Templates::default(),
    );
    assert_eq!(
        rendered.title,
        "[WARN] 绑定弹性网卡失败：eni-1（cn-hangzhou）"
    );
    assert!(
        rendered
            .text
            .contains("网卡未能绑定，已回到 Available（可用）状态。")
    );
    assert!(rendered.text.contains("弹性网卡  eni-1\n"));
    assert!(rendered.text.contains("操作      AttachNetworkInterface\n"));
}

#[test]
fn several_subscriptions_of_one_event_are_told_once() {
    let items = [item(FAILED, 1, "ops"), item(FAILED, 1, "audit")];
    let rendered = shown(&items, Markup::Plain, Language::En, &Templates::default());
    assert_eq!(rendered.text.matches("eni-1\n").count(), 1);
    assert!(rendered.text.contains("Subscription  ops, audit\n"));
}

#[test]
fn several_events_read_as_a_list_with_a_summary() {
    let items = [item(HOSTILE, 2, "ops"), item(FAILED, 1, "ops")];
    let rendered = shown(&items, Markup::Plain, Language::En, &Templates::default());
    assert_eq!(rendered.title, "2 events: 1 CRITICAL, 1 WARN");
    assert!(
        rendered
            .text
            .starts_with("2 events: 1 CRITICAL, 1 WARN\n\nCRITICAL ECS Instance:Sy*stem")
    );
    let (overview, each) = rendered.text.split_once("\n\n[CRITICAL] ").unwrap();
    assert!(
        overview.ends_with("\nWARN AttachNetworkInterface failed: eni-1 (cn-hangzhou)"),
        "{overview}"
    );
    assert!(
        each.contains("\n[WARN] AttachNetworkInterface failed\n"),
        "{each}"
    );
}

#[test]
fn hostile_content_stays_text() {
    let items = [item(HOSTILE, 2, "ops")];
    let plain = shown(&items, Markup::Plain, Language::En, &Templates::default());
    assert!(!plain.title.contains(['\r', '\n']));
    assert!(plain.text.lines().all(|line| !line.starts_with("Bcc:")));
    let markdown = shown(
        &items,
        Markup::DingTalk,
        Language::En,
        &Templates::default(),
    );
    assert!(
        !markdown.text.contains("[click](http://evil)"),
        "{}",
        markdown.text
    );
}

#[test]
fn a_chat_gets_a_link_to_the_console() {
    let of = |items: &[Item]| {
        let rendered = shown(items, Markup::DingTalk, Language::Zh, &Templates::default());
        rendered.link.unwrap()
    };
    let one = of(&[item(FAILED, 1, "ops")]);
    assert_eq!(one.title, "在控制台查看");
    assert_eq!(
        one.url,
        "http://localhost:8470/events/evt_00000000000000000000000000000001"
    );
    let several = of(&[item(FAILED, 1, "ops"), item(HOSTILE, 2, "ops")]);
    assert_eq!(several.url, "http://localhost:8470/");
}

#[test]
fn a_template_says_its_part_and_numbers_keep_their_text() {
    let body = FAILED.replace(
        r#""requestId":"r-1""#,
        r#""requestId":"r-1","n":1.10000000000000000001"#,
    );
    let sources = BTreeMap::from([
        (
            Part::Title,
            "{{ event.content.operation }}\nfor {{ subscription.name }}".to_owned(),
        ),
        (Part::Text, "n is {{ event.content.n }}".to_owned()),
    ]);
    let templates = Templates::compile(sources).unwrap();
    let rendered = shown(
        &[item(&body, 1, "ops")],
        Markup::Plain,
        Language::En,
        &templates,
    );
    assert_eq!(
        rendered.title, "AttachNetworkInterface for ops",
        "{}",
        rendered.text
    );
    assert_eq!(rendered.text, "n is 1.10000000000000000001");
}

#[test]
fn a_template_that_fails_falls_back_with_its_error() {
    for (source, expected) in [
        ("{{ event.content.nothing }}", "template `text`, line 1"),
        (
            "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}",
            "template `text`",
        ),
    ] {
        let templates =
            Templates::compile(BTreeMap::from([(Part::Text, source.to_owned())])).unwrap();
        let rendered = shown(
            &[item(FAILED, 1, "ops")],
            Markup::Plain,
            Language::En,
            &templates,
        );
        assert!(rendered.text.contains(expected), "{}", rendered.text);
        assert!(
            rendered.text.contains("The ENI was not attached"),
            "{}",
            rendered.text
        );
    }
}

#[test]
fn a_template_that_does_not_compile_is_named_with_its_line() {
    let sources = BTreeMap::from([(Part::Body, "{\n{% if %}".to_owned())]);
    let errors = Templates::compile(sources).unwrap_err();
    assert_eq!(errors[0].0, Part::Body);
    assert_eq!(errors[0].1.line, 2);
}

/// The body that a template makes of an event with this content.
fn body_of(template: &str, content: &str) -> Rendered {
    let event = FAILED.replace(r#""requestId":"r-1""#, content);
    let templates =
        Templates::compile(BTreeMap::from([(Part::Body, template.to_owned())])).unwrap();
    let items = [item(&event, 1, "ops \"&\" audit")];
    shown(&items, Markup::Body, Language::En, &templates)
}

#[test]
fn values_in_a_body_are_serialised() {
    let hostile = r#""requestId":"\",\"admin\":true,\"x\":\"</script>\u0000 中","n":1.10000000000000000001,"big":12345678901234567890,"list":[1e2,-0,{"b":null,"a":true}]"#;
    for (template, expected) in [
        (
            r#"{"request": {{ event.content.requestId }}}"#,
            r#"{"request": "\",\"admin\":true,\"x\":\"</script>\u0000 中"}"#,
        ),
        ("{{ event.content.n }}", "1.10000000000000000001"),
        ("{{ event.content.big }}", "12345678901234567890"),
        (
            "{{ event.content.list }}",
            r#"[1e2,-0,{"a":true,"b":null}]"#,
        ),
        (
            "{{ event.content.list | tojson }}",
            r#"[1e2,-0,{"a":true,"b":null}]"#,
        ),
        (
            r#"{{ "ENI " ~ event.content.eniId ~ " in " ~ event.regionId }}"#,
            r#""ENI eni-1 in cn-hangzhou""#,
        ),
        ("{{ subscription.name }}", r#""ops \"&\" audit""#),
        (
            "[{% for one in events %}{{ one.content.n }}{% if not loop.last %},{% endif %}{% endfor %}]",
            "[1.10000000000000000001]",
        ),
        ("[{{ none }}, {{ true }}, {{ 1.5 }}]", "[null, true, 1.5]"),
    ] {
        let rendered = body_of(template, hostile);
        assert_eq!(rendered.failure, None, "{template}");
        assert_eq!(rendered.body.as_deref(), Some(expected), "{template}");
        assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
    }
    let whole = body_of("{{ event.content }}", hostile).body.unwrap();
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["eniId"], "eni-1");
}

#[test]
fn a_body_that_is_no_json_is_not_sent() {
    for template in [
        r#"{"eni": "{{ event.content.eniId }}"}"#,
        "eni={{ event.content.eniId }}",
        "{{ event.content.nothing }}",
    ] {
        let rendered = body_of(template, r#""requestId":"r-1""#);
        // The kind's own body, which this one has not.
        assert_eq!(rendered.body, None);
        let failure = rendered.failure.unwrap();
        assert!(failure.contains("The template failed"), "{failure}");
    }
    let why = try_out(Part::Body, r#"{"eni": "{{ event.content.eniId }}"}"#).unwrap_err();
    assert_eq!(
        why.what,
        "what it makes is no JSON (expected `,` or `}` at line 1 column 11); values are written as \
         JSON, quotes and all, so `{{ … }}` stands without quotes around it"
    );
    assert!(try_out(Part::Body, r#"{"eni": {{ event.content.nothing }}}"#).is_ok());
}

#[test]
fn the_example_on_the_page_of_callbacks_makes_json() {
    let page = include_str!("../../sinks/callback/README.md");
    let (_, rest) = page.split_once("body = '''\n").unwrap();
    let (template, _) = rest.split_once("'''").unwrap();
    let tried = try_out(Part::Body, template).unwrap();
    assert_eq!(tried.fails, None);
    let body = body_of(template, r#""requestId":"r-1""#).body.unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["summary"], "AttachNetworkInterface of eni-1: failed");
}
