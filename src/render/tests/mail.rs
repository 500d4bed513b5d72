//! Mails, and what a robot says, compared with the files in `snapshots/`; those of mails
//! `tests/real/mail_pictures.py` shows in a browser.

use super::*;

const REAL: &str = r#"{"id":"2","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg3p","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-8vb1qo0000000cdeg3p","operation":"AttachNetworkInterface","eniStatus":"Available","result":"failed","requestId":"59701492-1d47-4a8b-9fb4-8a0000000001"}}"#;
const LONG: &str = r#"{"id":"3","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:16:instance/i-bp1","level":"INFO","name":"Instance:StateChange","userId":"16","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"resourceId":"i-bp1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","state":"Running"}}"#;
const SCRIPT: &str = r#"{"id":"4","product":"ECS","resourceId":"acs:ecs:x:y:eni/\"><img src=https://evil.example/p.png>","level":"CRITICAL","name":"</title><script>alert(1)</script>","userId":"16\u202e61","regionId":"<b>cn</b>","content":{"note":"<a href='javascript:alert(1)'>x</a> http://evil.example/ {{ event }} {% raw %}"}}"#;

/// Compares a page with the file of that name; with `HERALD_BLESS` set, writes the file instead.
#[track_caller]
fn check(name: &str, bodies: &[&str], language: Language) -> String {
    let numbered = bodies.iter().zip(1..);
    let items: Vec<Item> = numbered
        .map(|(body, n)| item(body, n, "ops & audit"))
        .collect();
    let rendered = shown(&items, Markup::Mail, language, &Templates::default());
    let chat = shown(&items, Markup::DingTalk, language, &Templates::default());
    let html = rendered.html.unwrap();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/render/snapshots")
        .join(name);
    if std::env::var_os("HERALD_BLESS").is_some() {
        std::fs::write(path.with_extension("html"), &html).unwrap();
        std::fs::write(path.with_extension("txt"), &rendered.text).unwrap();
        std::fs::write(path.with_extension("dingtalk"), &chat.text).unwrap();
    }
    for (extension, found) in [
        ("html", &html),
        ("txt", &rendered.text),
        ("dingtalk", &chat.text),
    ] {
        let expected = std::fs::read_to_string(path.with_extension(extension)).unwrap();
        assert_eq!(
            *found, expected,
            "{name}.{extension}: to accept it, run with HERALD_BLESS=1"
        );
    }
    html
}

#[test]
fn mails_look_as_they_did() {
    check("one-en", &[REAL], Language::En);
    check("one-zh", &[REAL], Language::Zh);
    check("several-en", &[SCRIPT, REAL, LONG], Language::En);
    check("several-zh", &[SCRIPT, REAL, LONG], Language::Zh);
}

#[test]
fn what_an_event_says_stays_text() {
    let html = check("several-en", &[SCRIPT, REAL, LONG], Language::En);
    for live in [
        "<script",
        "<img",
        "<b>",
        "<a href='",
        "href=\"javascript",
        "\u{202e}",
    ] {
        assert!(!html.contains(live), "{live} is alive in {html}");
    }
    let links: Vec<_> = html.match_indices("href=\"").collect();
    assert_eq!(links.len(), 3, "one to the console for each event");
    assert!(html.contains("href=\"http://localhost:8470/events/evt_"));
}

#[test]
fn nothing_is_fetched() {
    let html = check("one-en", &[REAL], Language::En);
    for foreign in ["src=", "url(", "@import", "<link", "<style", "<script"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn a_text_of_ones_own_is_not_hidden_behind_the_built_in_html() {
    let templates =
        |part, text: &str| Templates::compile(BTreeMap::from([(part, text.to_owned())])).unwrap();
    let of = |templates: &Templates| {
        shown(
            &[item(FAILED, 1, "ops")],
            Markup::Mail,
            Language::En,
            templates,
        )
    };
    let own_text = of(&templates(Part::Text, "mine"));
    assert_eq!((own_text.text.as_str(), own_text.html), ("mine", None));
    let own_html = of(&templates(Part::Html, "<p>{{ event.regionId }}</p>"));
    assert_eq!(own_html.html.as_deref(), Some("<p>cn-hangzhou</p>"));
    assert!(own_html.text.starts_with("[WARN] "));
    let broken = of(&templates(Part::Html, "{{ event.nothing.at.all }}"));
    let html = broken.html.unwrap();
    assert!(html.contains("The template failed"), "{html}");
    assert!(html.contains("The ENI was not attached"), "{html}");
    assert!(broken.text.starts_with("(The template failed"));
}
