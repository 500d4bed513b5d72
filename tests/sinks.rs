//! The built program and the far sides of its sinks: what it says of their answers, and what it
//! remembers of half-done work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use jiff::ToSpan;
use serde_json::{Value, json};
use support::mail::MailServer;
use support::{Herald, PATIENCE, Receiver, SECRET, event, herald};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a request is answered with, by its token, or its path where it has none.
type Answers = fn(&str) -> (StatusCode, String);

/// An HTTP server whose clock is 74 s slow. Keeps what was asked for.
struct Far {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Far {
    async fn start(answers: Answers) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let answer = async move |State(asked): State<Arc<Mutex<Vec<String>>>>, uri: Uri| {
            let token = uri.query().and_then(|query| query.split(['=', '&']).nth(1));
            let word = token.unwrap_or_else(|| uri.path().trim_start_matches('/'));
            let (status, body) = answers(word);
            asked.lock().unwrap().push(word.to_owned());
            let date = (herald::clock::now() - 74.seconds()).strftime("%a, %d %b %Y %H:%M:%S GMT");
            (status, [(header::DATE, date.to_string())], body).into_response()
        };
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A configuration of these sinks, each wanted by one subscription.
fn config(sinks: &str, more: &str) -> String {
    let names: Vec<_> = sinks
        .lines()
        .filter_map(|line| line.strip_prefix("[sink.")?.strip_suffix(']'))
        .filter(|name| !name.contains('.'))
        .collect();
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{sinks}\n[[subscription]]\nname = \"all\"\nto = {names:?}\n{more}"
    )
}

fn callback(name: &str, url: &str, more: &str) -> String {
    format!("[sink.{name}]\nkind = \"callback\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{more}\n")
}

fn mail(name: &str, server: &str, more: &str) -> String {
    format!(
        "[sink.{name}]\nkind = \"email\"\nserver = \"{server}\"\nfrom = \"herald@example.com\"\n\
         to = [\"ops@example.com\"]\n{more}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_recipients_it_mails_only_those_who_are_left() {
    let mut recipients = 0;
    let server = MailServer::start(move |command| {
        recipients += usize::from(command.starts_with("RCPT"));
        // The fourth of five waits for its reply when the end comes.
        (recipients < 4).then_some("")
    })
    .await;
    let everybody = ["a", "b", "c", "d", "e"].map(|name| format!("{name}@example.com"));
    let sinks = format!(
        "[sink.mail]\nkind = \"email\"\nserver = \"{}\"\ntls = \"none\"\n\
         from = \"herald@example.com\"\nto = {everybody:?}\n",
        server.address
    );
    let mut herald = Herald::start(&config(&sinks, ""));
    herald.post("/v1/events", event("1")).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while server.mailed().len() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "nobody is mailed");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // What was taken is durable before the next recipient is named, and that one hangs.
    herald.kill().await;
    server.answer_from_now_on(|_| Some(""));
    herald.run();
    herald.until(|totals| totals["delivered"] == 1).await;
    let mut mailed = server.mailed();
    assert_eq!(mailed[..3], everybody[..3], "before the kill");
    mailed.sort();
    assert_eq!(mailed, everybody, "each of the five once");
    let (_, list) = herald.get("/v1/deliveries").await;
    let id = list["deliveries"][0]["id"].as_str().unwrap();
    let (_, delivery) = herald.get(&format!("/v1/deliveries/{id}")).await;
    let attempts = delivery["attempts"].as_array().unwrap().iter();
    let outcomes: Vec<_> = attempts.map(|one| one["outcome"].clone()).collect();
    assert_eq!(outcomes, ["unknown", "delivered"]);
}

/// Answers of robots and receivers to the usual mistakes.
fn mistaken(word: &str) -> (StatusCode, String) {
    let robot = |code: i64, words: &str| {
        let body = json!({ "errcode": code, "errmsg": words });
        (StatusCode::OK, body.to_string())
    };
    match word {
        "keyword" => robot(310_000, "keywords not in content, more: [x]"),
        "sign" => robot(
            310_000,
            "description:机器人发送签名不匹配;solution:x;link:x",
        ),
        "clock" => robot(310_000, "description:机器人发送签名过期;solution:x;link:x"),
        "address-list" => robot(310_000, "ip 1.2.3.4 not in whitelist"),
        "revoked" => robot(300_005, "token is not exist"),
        "too-fast" => robot(130_101, "send too fast, exceed 20 times per minute"),
        "portal" => (StatusCode::OK, "<html>please log in</html>".to_owned()),
        "no-path" => (StatusCode::NOT_FOUND, "nothing here".to_owned()),
        "gone" => (StatusCode::GONE, String::new()),
        "moved" => (StatusCode::FOUND, String::new()),
        "unknown-key" => (StatusCode::UNAUTHORIZED, "bad signature".to_owned()),
        _ => robot(0, "ok"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usual_mistakes_are_explained_by_a_probe() {
    let far = Far::start(mistaken).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let plain = MailServer::start(|_| Some("")).await;
    let strict = MailServer::start(|command| match command.split(' ').next() {
        Some("EHLO") => Some("250-here\r\n250 AUTH PLAIN"),
        Some("AUTH") => Some("535 5.7.8 authentication failed"),
        _ => Some(""),
    })
    .await;
    let covered = MailServer::start_with(|_| Some(""), Some(stranger())).await;

    let robot = |name: &str| {
        format!(
            "[sink.{name}]\nkind = \"dingtalk\"\nwebhook = \"http://{}/robot/send?access_token={name}\"\nsecret = \"SECx\"\n",
            far.address
        )
    };
    let here = "allow_addresses = [\"127.0.0.0/8\", \"::1\"]";
    let at = |word: &str| callback(word, &format!("http://{}/{word}", far.address), here);
    let login =
        "tls = \"none\"\nusername = \"u\"\npassword = \"hunter2\"\nallow_plaintext_auth = true";
    let rows = [
        (
            robot("keyword"),
            "the robot wants one of its keywords in the text; set `keyword`",
        ),
        (robot("sign"), "the signature was refused; check `secret`"),
        (robot("clock"), "this machine's clock is off, 7"),
        (
            robot("address-list"),
            "this machine's address is not on the robot's list",
        ),
        (
            robot("revoked"),
            "DingTalk does not know this token; check `webhook`",
        ),
        (
            robot("too-fast"),
            "(more than 20 messages in a minute); the vendor wants a pause of 600 s",
        ),
        (robot("portal"), "this is no answer of a DingTalk robot"),
        (
            at("no-path"),
            "404 Not Found: nothing here (the receiver knows no such path; check `url`)",
        ),
        (at("gone"), "410 Gone; the receiver wants no more"),
        (
            at("moved"),
            "302 Found; redirects are not followed, so write the final URL",
        ),
        (
            at("unknown-key"),
            "(the receiver wants other credentials; check `secret`, `bearer`, `password`)",
        ),
        (
            callback("closed", &format!("http://{closed}/"), here),
            "refuses connections; check the port, and whether the program there runs",
        ),
        (
            callback("nobody", "http://no-such-host.invalid/", ""),
            "no address is known for no-such-host.invalid (",
        ),
        (
            callback(
                "inside",
                &format!("http://localhost:{}/", far.address.port()),
                "",
            ),
            "(loopback), where no callback goes; if it is meant, add it to `allow_addresses`",
        ),
        (
            mail("no-starttls", &plain.address.to_string(), ""),
            "the server offers no STARTTLS; set tls = \"implicit\" if it encrypts from the start",
        ),
        (
            mail("no-login", &plain.address.to_string(), login),
            "the server offers neither AUTH PLAIN nor LOGIN",
        ),
        (
            mail("password", &strict.address.to_string(), login),
            "535 5.7.8 authentication failed (user or password is wrong",
        ),
        (
            mail(
                "certificate",
                &format!("localhost:{}", covered.address.port()),
                "tls = \"implicit\"",
            ),
            "the server's certificate is signed by an authority that is not trusted here; name its file in `ca`",
        ),
        (
            mail("not-tls", &plain.address.to_string(), "tls = \"implicit\""),
            "the server does not answer in TLS; check the port, and whether it encrypts at all",
        ),
        (
            mail("mail-closed", &closed.to_string(), "tls = \"none\""),
            "refuses connections; check the port, and whether the program there runs",
        ),
        (
            mail("mail-nobody", "no-such-host.invalid:25", "tls = \"none\""),
            "no address is known for no-such-host.invalid (",
        ),
    ];
    let sinks: String = rows.iter().map(|(sink, _)| sink.as_str()).collect();
    let herald = Herald::start(&config(&sinks, ""));
    for (sink, words) in &rows {
        let name = sink.split(['.', ']']).nth(1).unwrap();
        let output = herald.command(&["sink", "test", name]).await;
        let said =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{name}: {said}");
        assert!(!said.contains("hunter2"), "{name}: {said}");
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
    }
    assert!(plain.mailed().is_empty() && covered.mailed().is_empty());
}

/// A certificate for localhost that nobody trusts.
fn stranger() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[test]
fn tricks_with_addresses_are_refused_by_check() {
    let folder = tempfile::tempdir().unwrap();
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1 (loopback)"),
        ("2130706433", "127.0.0.1 (loopback)"),
        ("0x7f000001", "127.0.0.1 (loopback)"),
        ("0x7f.1", "127.0.0.1 (loopback)"),
        ("017700000001", "127.0.0.1 (loopback)"),
        ("[::ffff:127.0.0.1]", "127.0.0.1 (loopback)"),
        ("[::ffff:7f00:1]", "127.0.0.1 (loopback)"),
        ("[::1]", "::1 (loopback)"),
        ("100.100.100.200", "100.100.100.200 (shared address space)"),
        ("0x64646464", "100.100.100.100 (shared address space)"),
        ("169.254.169.254", "169.254.169.254 (link-local)"),
        ("[64:ff9b::a00:1]", "64:ff9b::a00:1 (NAT64)"),
        ("10.1.2.3", "10.1.2.3 (private)"),
        ("0.0.0.0", "0.0.0.0 (this network)"),
    ] {
        let text = config(&callback("runbook", &format!("https://{host}/x"), ""), "");
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let output = herald().args(["check", "-c"]).arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{host} passed");
        let expected = format!("`sink.runbook.url`: {address}, where no callback goes");
        assert!(said.contains(&expected), "{host}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_kilobyte_of_an_answer_is_kept_without_secrets() {
    let far = Far::start(|_| {
        let words = format!("you sent {SECRET} \u{1b}[31m and {}", "more ".repeat(1_000));
        (StatusCode::OK, words)
    })
    .await;
    let here = "allow_addresses = [\"127.0.0.1\"]";
    let sinks = callback("runbook", &format!("http://{}/x", far.address), here);
    let herald = Herald::start(&config(&sinks, ""));
    let (_, answer) = herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    let id = answer["results"][0]["id"].as_str().unwrap();
    let (_, shown) = herald.get(&format!("/v1/events/{id}")).await;
    let reply = shown["deliveries"][0]["attempts"][0]["reply"]
        .as_str()
        .unwrap();
    assert!(
        reply.starts_with("200 OK: you sent *** [31m and more more "),
        "{reply}"
    );
    assert!(
        (1_000..1_100).contains(&reply.len()),
        "{} bytes",
        reply.len()
    );
    let output = herald.command(&["show", id]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("you sent ***"), "{printed}");
    assert!(!printed.contains(SECRET) && !herald.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_robot_takes_over_from_a_punished_one() {
    let far = Far::start(|token| match token {
        "first" => (
            StatusCode::OK,
            r#"{"status":1111,"wait":600,"source":"x5","punish":"deny"}"#.to_owned(),
        ),
        _ => (StatusCode::OK, r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()),
    })
    .await;
    let webhook = |token: &str| {
        format!(
            "[[sink.chat.robots]]\nwebhook = \"http://{}/robot/send?access_token={token}\"\n",
            far.address
        )
    };
    let sinks = format!(
        "[sink.chat]\nkind = \"dingtalk\"\nretry = {{ first = \"50ms\" }}\n{}{}",
        webhook("first"),
        webhook("second")
    );
    let herald = Herald::start(&config(&sinks, ""));
    // One after the other: what is claimed while the first robot is asked goes to the second at once.
    for (id, delivered) in [("1", 1), ("2", 2)] {
        herald.post("/v1/events", event(id)).await;
        herald
            .until(|totals| totals["delivered"] == delivered)
            .await;
    }
    assert_eq!(far.asked(), ["first", "second", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_robot_has_no_permit_for_leaves_as_one_digest_when_it_has() {
    let far = Far::start(|_| (StatusCode::OK, r#"{"errcode":0,"errmsg":"ok"}"#.to_owned())).await;
    let robot = |name: &str, limit: &str| {
        format!(
            "[sink.{name}]\nkind = \"dingtalk\"\nwebhook = \"http://{}/robot/send?access_token={name}\"\n{limit}",
            far.address
        )
    };
    // Longer than what waits for five seconds takes to become a digest.
    let limit = "[sink.chat.limit]\nmessages = 1\nper = \"6s\"\n";
    let herald = Herald::start(&config(&(robot("chat", limit) + &robot("usual", "")), ""));
    for id in ["1", "2", "3", "4"] {
        herald.post("/v1/events", event(id)).await;
    }
    herald.until(|totals| totals["delivered"] == 8).await;
    let asked = far.asked();
    let of = |name: &str| asked.iter().filter(|token| *token == name).count();
    assert_eq!(of("chat"), 2, "one at once, the others together: {asked:?}");
    assert_eq!(of("usual"), 4, "it had permits for all: {asked:?}");
    let (_, found) = herald.get("/v1/deliveries?sink=chat").await;
    let message = |one: &Value| one["attempts"][0]["message"].clone();
    let messages: Vec<_> = found["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(message)
        .collect();
    assert!(
        messages[..3].iter().all(|one| *one == messages[0]),
        "{messages:?}"
    );
    assert_ne!(messages[3], messages[0]);

    let metrics = herald.get("/metrics").await.1.as_str().unwrap().to_owned();
    let limits = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("herald_endpoint_permits_limit{"))
        .filter_map(|line| line.split_once("} "));
    let mut limits: Vec<&str> = limits.map(|(_, limit)| limit).collect();
    limits.sort_unstable();
    assert_eq!(
        limits,
        ["1", "18"],
        "without a limit, that of the vendor's robots"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fails_costs_nothing_and_is_told() {
    let receiver = Receiver::start(&[200]).await;
    let here = "allow_addresses = [\"127.0.0.1\"]";
    let sinks = callback("runbook", &format!("http://{}/x", receiver.address), here);
    // A field that some events have.
    let body = "body = '{\"size\": {{ event.content.size }}}'";
    let herald = Herald::start(&config(&sinks, body));
    let sized = event("1").replace("\"requestId\"", "\"size\":1.50,\"requestId\"");
    herald.post("/v1/events", sized).await;
    let received = receiver.until(1).await;
    assert_eq!(received[0].body, r#"{"size": 1.50}"#);
    assert_eq!(received[0].header("herald-template-failure"), "");
    herald.post("/v1/events", event("2")).await;
    let received = receiver.until(2).await;
    let built_in: Value = serde_json::from_str(&received[1].body).unwrap();
    assert_eq!(built_in["items"][0]["event"]["id"], "2");
    let told = received[1].header("herald-template-failure");
    assert!(told.contains("template%20`body`"), "{told}");
    herald.says("a template failed").await;
    herald.until(|totals| totals["delivered"] == 2).await;
}
