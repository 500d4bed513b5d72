//! The robot against a server on loopback.

use std::time::Duration;

use herald_model::{Link, Markup, Outcomes, Rendered, Secret, Signal, Sink};
use serde_json::{Value, json};

use super::KIND;
use crate::testing::http::{Act, Request, Server};
use crate::testing::settings::{mistake, read, sink};
use crate::testing::{Memory, attempt, deliver, message, notification};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "SECd4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35";

/// A signing robot at `server` with more `keys`.
fn robot(server: &Server, keys: &str) -> Box<dyn Sink> {
    sink(
        &KIND,
        &format!(
            "webhook = \"{}/robot/send?access_token={TOKEN}\"\nsecret = \"{SECRET}\"\n{keys}",
            server.url()
        ),
    )
}

async fn outcomes(act: Act, attempt: u32) -> Outcomes {
    let patience = act.patience();
    let server = Server::start([act]).await;
    let mut notification = notification();
    notification.attempt = attempt;
    deliver(
        &*robot(&server, patience),
        &notification,
        &Memory::default(),
    )
    .await
}

const PENALTY: Signal = Signal::Penalty(Duration::from_secs(600));

#[tokio::test]
async fn every_answer_has_its_outcome() {
    // Every row of the code table, with the words it comes with.
    for (body, word, signal) in [
        (r#"{"errcode":0,"errmsg":"ok"}"#, "delivered", Signal::None),
        (
            r#"{"errcode":-1,"errmsg":"系统繁忙"}"#,
            "transient",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"keywords not in content, more: [https://ding-doc.dingtalk.com/]"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;link:x"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"sign not match, more: [x]"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;link:x"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"ip 1.2.3.4 not in whitelist"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"description:发送者IP不在白名单中;solution:x;link:x"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":310000,"errmsg":"something new"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":400013,"errmsg":"群已被解散"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":400101,"errmsg":"access_token不存在"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":300001,"errmsg":"token is not exist"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":300005,"errmsg":"token is not exist"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":400102,"errmsg":"bot is stopped"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":400106,"errmsg":"机器人不存在"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":400105,"errmsg":"不支持的消息类型"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":40035,"errmsg":"缺少参数 access_token"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":43002,"errmsg":"需要POST请求"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":43004,"errmsg":"无效的HTTP HEADER Content-Type"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":88,"sub_code":"isv.x","sub_msg":"no","errmsg":"鉴权异常"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":404,"errmsg":"请求的URI地址不存在"}"#,
            "sink-fault",
            Signal::None,
        ),
        (
            r#"{"errcode":410100,"errmsg":"发送速度太快而限流"}"#,
            "transient",
            PENALTY,
        ),
        (
            r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#,
            "transient",
            PENALTY,
        ),
        (
            r#"{"errcode":90030,"errmsg":"quota"}"#,
            "transient",
            PENALTY,
        ),
        (
            r#"{"errcode":430101,"errmsg":"含有不安全的外链"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":430102,"errmsg":"含有不合适的文本"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":430103,"errmsg":"含有不合适的图片"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":430104,"errmsg":"含有不合适的内容"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":460101,"errmsg":"message too long, exceed 20000 bytes"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":101002,"errmsg":"message is too long"}"#,
            "permanent",
            Signal::None,
        ),
        (
            r#"{"errcode":460101,"errmsg":"消息体大小不合法，请控制在20000字节以内"}"#,
            "permanent",
            Signal::None,
        ),
        // The code of an unknown token means an expired session elsewhere; both are over.
        (
            r#"{"errcode":300001,"errmsg":"session 不存在"}"#,
            "sink-fault",
            Signal::None,
        ),
        // Codes nobody listed: by their words, else tried again a few times, never a success.
        (
            r#"{"errcode":999999,"errmsg":"消息被限流"}"#,
            "transient",
            PENALTY,
        ),
        (
            r#"{"errcode":999999,"errmsg":"发送太快"}"#,
            "transient",
            PENALTY,
        ),
        (
            r#"{"errcode":999999,"errmsg":"You send Too Fast"}"#,
            "transient",
            PENALTY,
        ),
        (
            r#"{"errcode":999999,"errmsg":"exceed 20 times per minute"}"#,
            "transient",
            PENALTY,
        ),
        // `exceed` alone is no throttling.
        (
            r#"{"errcode":999999,"errmsg":"exceed 20000 bytes"}"#,
            "transient",
            Signal::None,
        ),
        (
            r#"{"errcode":999998,"errmsg":"what is this"}"#,
            "transient",
            Signal::None,
        ),
        // The gateway's deny body, with a code and without.
        (
            r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}"#,
            "transient",
            Signal::Penalty(Duration::from_secs(5)),
        ),
        (
            r#"{"status":1111,"wait":7,"punish":"deny","errcode":130101}"#,
            "transient",
            Signal::Penalty(Duration::from_secs(7)),
        ),
        (
            r#"{"status":1111,"source":"x5","punish":"deny"}"#,
            "transient",
            PENALTY,
        ),
        (r#"{"punish":"deny","wait":0}"#, "transient", PENALTY),
        (
            r#"{"punish":"deny","wait":99999999}"#,
            "transient",
            Signal::Penalty(Duration::from_secs(3_600)),
        ),
        // No code that can be understood.
        ("", "transient", Signal::None),
        ("ok", "transient", Signal::None),
        (
            "<html>login to the hotel network</html>",
            "transient",
            Signal::None,
        ),
        ("{}", "transient", Signal::None),
        ("[]", "transient", Signal::None),
        (r#"{"errmsg":"ok"}"#, "transient", Signal::None),
        (
            r#"{"errcode":"0","errmsg":"ok"}"#,
            "transient",
            Signal::None,
        ),
        (r#"{"errcode":0.5}"#, "transient", Signal::None),
        (r#"{"errcode":null}"#, "transient", Signal::None),
        (r#"{"errcode":0"#, "transient", Signal::None),
    ] {
        let outcomes = outcomes(Act::ok(body), 1).await;
        let outcome = outcomes.of(0);
        assert_eq!(outcome.as_str(), word, "{body}: {outcome:?}");
        assert_eq!(outcomes.signal, signal, "{body}");
        assert!(outcome.reason().contains(body), "{outcome:?}");
    }
}

#[tokio::test]
async fn later_attempts_lose_patience() {
    let clock = r#"{"errcode":310000,"errmsg":"invalid timestamp, more: [x]"}"#;
    let expired = r#"{"errcode":310000,"errmsg":"description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在timestampms以内;link:x"}"#;
    let unknown = r#"{"errcode":999998,"errmsg":"what is this"}"#;
    for (body, attempt, word) in [
        (clock, 1, "transient"),
        (clock, 2, "sink-fault"),
        (expired, 1, "transient"),
        (expired, 2, "sink-fault"),
        (unknown, 2, "transient"),
        (unknown, 3, "permanent"),
    ] {
        let outcome = outcomes(Act::ok(body), attempt).await.of(0);
        assert_eq!(outcome.as_str(), word, "{body} at {attempt}");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_measured() {
    let body = r#"{"errcode":310000,"errmsg":"invalid timestamp"}"#;
    for (date, words) in [
        ("Fri, 02 Jan 2026 01:00:00 GMT", "s ahead of DingTalk's)"),
        ("Fri, 02 Jan 2026 23:00:00 GMT", "s behind DingTalk's)"),
        ("yesterday", "this machine's clock is off)"),
    ] {
        let act = Act::answer("200 OK", &format!("Date: {date}\r\n"), body);
        let outcome = outcomes(act, 2).await.of(0);
        assert!(outcome.reason().ends_with(words), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_status_other_than_200_is_no_success_whatever_the_body() {
    for (status, body, word) in [
        ("500 Oops", r#"{"errcode":0,"errmsg":"ok"}"#, "transient"),
        ("404 Not Found", "nginx", "sink-fault"),
        ("302 Found", "", "sink-fault"),
        (
            "403 Forbidden",
            r#"{"punish":"deny","wait":3}"#,
            "transient",
        ),
        ("429 Slow", "", "transient"),
        ("201 Created", r#"{"errcode":0}"#, "transient"),
        ("400 Bad", r#"{"errcode":460101,"errmsg":"x"}"#, "permanent"),
    ] {
        let outcome = outcomes(Act::answer(status, "", body), 1).await.of(0);
        assert_eq!(outcome.as_str(), word, "{status} {body}: {outcome:?}");
        assert!(outcome.reason().contains(&status[..3]), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_may_hide_a_success() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    for (act, word) in [
        (Act::SayAndCut(Vec::new()), "unknown"),
        (Act::SayAndHang(Vec::new()), "unknown"),
        (Act::SayAndCut(format!("{head}{{\"err").into()), "unknown"),
        (Act::SayAndHang(format!("{head}{{\"err").into()), "unknown"),
        // The code was understood before the cut.
        (
            Act::SayAndCut(format!("{head}{{\"errcode\":0}}").into()),
            "delivered",
        ),
        (
            Act::Endless(
                "HTTP/1.1 200 OK\r\n\r\n",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ),
            "transient",
        ),
    ] {
        let outcome = outcomes(act.clone(), 1).await.of(0);
        assert_eq!(outcome.as_str(), word, "{act:?}: {outcome:?}");
    }
}

/// The request of one attempt with `keys`, and its body.
async fn sent(keys: &str, rendered: Option<Rendered>) -> (Request, Value) {
    let server = Server::start([Act::ok(r#"{"errcode":0,"errmsg":"ok"}"#)]).await;
    let mut notification = notification();
    if let Some(rendered) = rendered {
        notification.rendered = rendered;
    }
    let outcome = deliver(&*robot(&server, keys), &notification, &Memory::default())
        .await
        .of(0);
    assert_eq!(outcome.as_str(), "delivered");
    let request = server.requests().remove(0);
    assert!(request.body.len() <= 20_000, "{}", request.body.len());
    let body = serde_json::from_str(&request.body).unwrap();
    (request, body)
}

#[tokio::test]
async fn requests_are_signed_and_spelled_as_documented() {
    let (request, body) = sent("", None).await;
    let sign = super::sign::signed(
        &"http://x/".parse().unwrap(),
        &Secret::new(SECRET),
        1_767_323_046_789,
    );
    assert_eq!(
        request.line,
        format!(
            "POST /robot/send?access_token={TOKEN}&{} HTTP/1.1",
            sign.query().unwrap()
        )
    );
    assert_eq!(
        request.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(
        body,
        json!({
            "msgtype": "markdown",
            "markdown": {
                "title": "WARN: attach of eni-8vb1qo0000000cdeg2n failed",
                "text": "The ENI was not attached.\n\nRegion: cn-hangzhou",
            },
            "msgUuid": message().to_string(),
        })
    );
}

#[tokio::test]
async fn mentions_stand_in_the_text_too() {
    let keys = "message = \"text\"\nat_mobiles = [\"15012345678\"]\nat_user_ids = [\"u1\"]";
    let (request, body) = sent(keys, None).await;
    assert_eq!(
        body["text"],
        json!({"content": "The ENI was not attached.\n\nRegion: cn-hangzhou\n\n@15012345678 @u1"})
    );
    assert_eq!(
        body["at"],
        json!({"atMobiles": ["15012345678"], "atUserIds": ["u1"], "isAtAll": false})
    );
    assert!(request.body.contains("@15012345678"), "escaped in the JSON");
    let (_, body) = sent("at_all = true", None).await;
    assert_eq!(body["at"]["isAtAll"], true);
}

#[tokio::test]
async fn the_keyword_is_added_where_it_is_absent() {
    let (_, body) = sent("keyword = \"报警\"\nat_mobiles = [\"1\"]", None).await;
    let text = body["markdown"]["text"].as_str().unwrap();
    assert!(text.ends_with("cn-hangzhou\n\n报警\n\n@1"), "{text}");
    let (_, body) = sent("keyword = \"Region\"", None).await;
    let text = body["markdown"]["text"].as_str().unwrap();
    assert!(text.ends_with("cn-hangzhou"), "{text}");
}

#[tokio::test]
async fn an_action_card_has_buttons() {
    let keys = "message = \"action-card\"\n[[sink.it.buttons]]\ntitle = \"Runbook\"\nurl = \"https://wiki.example.com/eni\"";
    let (_, body) = sent(keys, None).await;
    assert_eq!(body["msgtype"], "actionCard");
    assert_eq!(
        body["actionCard"],
        json!({
            "title": "WARN: attach of eni-8vb1qo0000000cdeg2n failed",
            "text": "The ENI was not attached.\n\nRegion: cn-hangzhou",
            "btnOrientation": "0",
            "btns": [{"title": "Runbook", "actionURL": "https://wiki.example.com/eni"}],
        })
    );
    let linked = |keys: &str| {
        let rendered = Rendered {
            link: Some(Link {
                title: "在控制台查看".to_owned(),
                url: "https://herald.example.com/events/evt_7".to_owned(),
            }),
            ..notification().rendered
        };
        let keys = keys.to_owned();
        async move { sent(&keys, Some(rendered)).await.1 }
    };
    let console =
        json!({"title": "在控制台查看", "actionURL": "https://herald.example.com/events/evt_7"});
    let both = linked(keys).await;
    assert_eq!(both["actionCard"]["btns"][0], console);
    assert_eq!(both["actionCard"]["btns"][1]["title"], "Runbook");
    let alone = linked("message = \"action-card\"").await;
    assert_eq!(alone["actionCard"]["btns"], json!([console]));
}

#[tokio::test]
async fn a_card_without_any_button_goes_as_markdown() {
    let (_, body) = sent("message = \"action-card\"", None).await;
    assert_eq!(body["msgtype"], "markdown");
    assert_eq!(body["markdown"]["text"], notification().rendered.text);
}

#[tokio::test]
async fn long_texts_are_cut_where_an_item_ends() {
    let item = |n: usize| format!("- **eni-{n:04}** \"弹性网卡\"\n  \\_ {}\n", "x".repeat(60));
    let text: String = (0..300).map(item).collect();
    let rendered = Rendered {
        title: "300 events".to_owned(),
        text: text.clone(),
        ..Rendered::default()
    };
    let (request, body) = sent("keyword = \"报警\"\nat_mobiles = [\"1\"]", Some(rendered)).await;
    let sent = body["markdown"]["text"].as_str().unwrap();
    let (kept, note) = sent.split_once("\n\n…").unwrap();
    assert!(
        text.starts_with(kept) && text[kept.len()..].starts_with("\n- "),
        "{kept}"
    );
    assert!(
        note.contains("cut: ") && note.ends_with("\n\n报警\n\n@1"),
        "{note}"
    );
    // Less than one item could still have been added.
    assert!(request.body.len() > 20_000 - 130, "{}", request.body.len());
}

#[tokio::test]
async fn a_text_without_borders_is_cut_between_characters() {
    for text in [
        "弹".repeat(9_000),
        "\"\n".repeat(9_000),
        "\\".repeat(30_000),
    ] {
        let rendered = Rendered {
            title: "x".repeat(500),
            text,
            ..Rendered::default()
        };
        let (request, _) = sent("", Some(rendered)).await;
        assert!(request.body.len() > 19_900 / 2, "{}", request.body.len());
    }
}

#[tokio::test]
async fn the_token_and_the_secret_appear_in_no_reason() {
    let echo = format!("bad access_token={TOKEN}, secret {SECRET}");
    let server = Server::start([Act::answer("404 Not Found", "", &echo)]).await;
    let (_, reason) = attempt(&*robot(&server, "")).await;
    assert!(reason.contains("access_token=***, secret ***"), "{reason}");

    let gone = Server::start([Act::Refuse]).await;
    let robot = robot(&gone, "");
    let (_, reason) = attempt(&*robot).await;
    assert!(
        !reason.contains(TOKEN) && !reason.contains("sign="),
        "{reason}"
    );
    assert!(!robot.endpoint().as_str().contains(&TOKEN[..8]));
}

#[test]
fn two_sinks_on_one_robot_are_one_endpoint() {
    let at = |host: &str, token: &str| {
        sink(
            &KIND,
            &format!("webhook = \"https://{host}/robot/send?access_token={token}\""),
        )
        .endpoint()
    };
    assert_eq!(
        at("oapi.dingtalk.com", TOKEN),
        at("oapi.dingtalk.io", TOKEN)
    );
    assert_ne!(
        at("oapi.dingtalk.com", TOKEN),
        at("oapi.dingtalk.com", "other")
    );
}

#[test]
fn a_copied_sign_is_taken_off_the_address() {
    let read = read(
        &KIND,
        "[sink.it]\nkind = \"dingtalk\"\nwebhook = \"https://oapi.dingtalk.com/robot/send?access_token=t1&timestamp=1&sign=x\"",
    );
    assert_eq!(read.mistakes, []);
    assert!(read.config.is_some());
}

#[test]
fn the_markup_follows_the_message_type() {
    let webhook = "webhook = \"https://oapi.dingtalk.com/robot/send?access_token=t1\"\n";
    let markup = |keys: &str| sink(&KIND, &format!("{webhook}{keys}")).markup();
    assert_eq!(markup(""), Markup::DingTalk);
    assert_eq!(markup("message = \"text\""), Markup::Plain);
}

#[tokio::test]
async fn the_robot_whose_permit_was_taken_is_written_to() {
    let taken = || Act::ok(r#"{"errcode":0,"errmsg":"ok"}"#);
    let server = Server::start([taken(), taken()]).await;
    let url = |token: &str| format!("{}/robot/send?access_token={token}", server.url());
    let keys = format!(
        "robots = [{{ webhook = \"{}\" }}, {{ webhook = \"{}\", secret = \"{SECRET}\" }}]",
        url("t1"),
        url("t2"),
    );
    let robots = sink(&KIND, &keys);
    let endpoints = robots.endpoints();
    assert_eq!(endpoints.len(), 2);
    assert_eq!(endpoints[0], robots.endpoint());
    let mut notification = notification();
    for endpoint in [endpoints.get(1), None] {
        notification.endpoint = endpoint.cloned();
        let outcomes = deliver(&*robots, &notification, &Memory::default()).await;
        assert_eq!(outcomes.of(0).as_str(), "delivered");
    }
    let queries: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.line.split(['?', ' ']).nth(2).unwrap().to_owned())
        .collect();
    assert!(
        queries[0].starts_with("access_token=t2&timestamp="),
        "{queries:?}"
    );
    assert_eq!(queries[1], "access_token=t1");
}

#[test]
fn mistakes_in_the_settings() {
    let webhook = "webhook = \"https://oapi.dingtalk.com/robot/send?access_token=t1\"\n";
    for (keys, expected) in [
        (
            "",
            "`sink.it` has no `webhook`; add one, for example webhook = \"https://oapi.dingtalk.com/robot/send?access_token=…\"",
        ),
        (
            "webhook = \"oapi.dingtalk.com\"",
            "`sink.it.webhook`: this is no http:// or https:// URL; copy the robot's whole address",
        ),
        (
            "webhook = \"https://oapi.dingtalk.com/robot/send\"",
            "`sink.it.webhook`: the address has no `access_token`; copy the robot's whole address",
        ),
        (
            "webhook = \"http://oapi.dingtalk.com/robot/send?access_token=t1\"",
            "`sink.it.webhook` is not encrypted: anyone on the way can read the robot's token; use https://",
        ),
        (
            &format!("{webhook}message = \"markdwon\""),
            "`sink.it.message`: `markdwon` is none of `markdown`, `text`, `action-card`; did you mean `markdown`?",
        ),
        (
            &format!("{webhook}[[sink.it.buttons]]\ntitle = \"x\"\nurl = \"https://x\""),
            "`sink.it.buttons`: only an action card has buttons; set message = \"action-card\"",
        ),
        (
            &format!(
                "{webhook}message = \"action-card\"\nat_all = true\n[[sink.it.buttons]]\ntitle = \"x\"\nurl = \"https://x\""
            ),
            "`sink.it.at_all` calls nobody in an action card; use message = \"markdown\" or \"text\"",
        ),
        (
            "robots = []",
            "`sink.it.robots`: name 1 to 10 robots, each as [[…robots]] with `webhook` and `secret`",
        ),
        (
            "robots = [{ secret = \"SECx\" }]",
            "`sink.it.robots` has no `webhook`; add one, for example webhook = \"https://oapi.dingtalk.com/robot/send?access_token=…\"",
        ),
        (
            &format!(
                "{webhook}robots = [{{ webhook = \"https://oapi.dingtalk.com/robot/send?access_token=t2\" }}]"
            ),
            "`sink.it.robots`: each robot has its own `webhook`; write it in there",
        ),
        (
            "robots = [{ webhook = \"https://oapi.dingtalk.com/robot/send?access_token=t1\" }, { webhook = \"https://oapi.dingtalk.io/robot/send?access_token=t1\" }]",
            "`sink.it.robots`: two of them have one `access_token`",
        ),
    ] {
        assert_eq!(mistake(&KIND, keys), expected);
    }
}
