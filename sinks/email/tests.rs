//! The mail sink against a scripted server on loopback.

use std::sync::Arc;
use std::time::Duration;

use herald_model::{Notification, Sink};

use super::KIND;
use crate::testing::settings::{mistake, read, sink};
use crate::testing::smtp::{Act, Cover, Script, Server};
use crate::testing::tls::Identity;
use crate::testing::{Memory, at_once, attempt, deliver, notification};

/// A plain sink to `server` for `to`, with more `keys`.
fn to(server: &Server, to: &[&str], keys: &str) -> Box<dyn Sink> {
    sink(
        &KIND,
        &format!(
            "server = \"{}\"\ntls = \"none\"\nfrom = \"Herald <herald@example.com>\"\n\
             to = {to:?}\n{keys}",
            server.address
        ),
    )
}

#[tokio::test]
async fn every_reply_at_every_step_has_its_outcome() {
    use Act::{Cut, Endless, Hang, Say, SayAndCut};
    let rows = [
        // The connection and its greeting.
        ("CONNECT", Say("421 4.3.2 shutting down"), "transient"),
        ("CONNECT", Say("554 5.7.1 go away"), "sink-fault"),
        ("CONNECT", Say("521 no mail here"), "sink-fault"),
        ("CONNECT", Say("SSH-2.0-OpenSSH"), "transient"),
        ("CONNECT", Cut, "transient"),
        ("CONNECT", Hang, "transient"),
        ("CONNECT", Endless("220-and so on"), "transient"),
        ("EHLO", Say("502 5.5.1 no"), "sink-fault"),
        ("EHLO", Say("421 busy"), "transient"),
        ("EHLO", Say("250- \r\n250 x"), "transient"),
        ("EHLO", Cut, "transient"),
        ("EHLO", Hang, "transient"),
        // The sender.
        ("MAIL", Say("451 4.3.0 later"), "transient"),
        (
            "MAIL",
            Say("530 5.7.0 authentication required"),
            "sink-fault",
        ),
        ("MAIL", Say("550 5.7.1 not from here"), "sink-fault"),
        ("MAIL", Say("552 5.3.4 too big"), "permanent"),
        ("MAIL", Say("354 what"), "transient"),
        ("MAIL", SayAndCut("421 4.4.2 bye"), "transient"),
        ("MAIL", Cut, "transient"),
        ("MAIL", Hang, "transient"),
        // The recipient.
        ("RCPT", Say("251 forwarded"), "delivered"),
        ("RCPT", Say("252 cannot verify"), "delivered"),
        ("RCPT", Say("450 4.2.2 mailbox full"), "transient"),
        ("RCPT", Say("451 4.7.1 greylisted"), "transient"),
        ("RCPT", Say("452 4.5.3 too many"), "transient"),
        ("RCPT", Say("552 too many recipients"), "transient"),
        ("RCPT", Say("550 5.1.1 no such mailbox"), "permanent"),
        ("RCPT", Say("552 5.2.2 mailbox full"), "permanent"),
        ("RCPT", Say("556 5.1.10 null MX"), "permanent"),
        (
            "RCPT",
            Say("530 5.7.0 authentication required"),
            "sink-fault",
        ),
        ("RCPT", SayAndCut("421 4.4.2 bye"), "transient"),
        ("RCPT", Cut, "transient"),
        ("RCPT", Hang, "transient"),
        // The text is asked for.
        ("DATA", Say("451 4.4.1 no answer"), "transient"),
        ("DATA", Say("554 no valid recipients"), "permanent"),
        ("DATA", Say("250 what"), "transient"),
        ("DATA", Cut, "transient"),
        ("DATA", Hang, "transient"),
        // After the final dot.
        ("DOT", Say("250 2.0.0 queued"), "delivered"),
        ("DOT", Say("451 4.3.0 later"), "transient"),
        ("DOT", Say("552 5.2.3 too big"), "permanent"),
        ("DOT", Say("554 5.7.1 spam"), "permanent"),
        ("DOT", Say("354 what"), "unknown"),
        ("DOT", Say("nonsense"), "unknown"),
        ("DOT", SayAndCut("421 4.4.2 bye"), "transient"),
        ("DOT", Cut, "unknown"),
        ("DOT", Hang, "unknown"),
        ("DOT", Endless("250-and so on"), "unknown"),
    ];
    at_once(rows.map(|(step, act, word)| async move {
        let server = Script::new().on(step, act.clone()).start().await;
        let sink = to(&server, &["ops@example.com"], act.patience());
        let (found, reason) = attempt(&*sink).await;
        assert_eq!(found, word, "{act:?} at {step}: {reason}");
        // The server's code and words, where it spoke SMTP.
        if let Say(words) | SayAndCut(words) = act
            && words.starts_with(['4', '5'])
        {
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }))
    .await;
}

#[tokio::test]
async fn a_mail_says_what_it_is_in_its_headers() {
    let server = Script::new().start().await;
    let sink = to(&server, &["Ops <ops@example.com>"], "");
    let (word, reason) = attempt(&*sink).await;
    assert_eq!(
        (word, reason.as_str()),
        ("delivered", "250 2.0.0 queued as 4F1")
    );
    let mail = server.mails().remove(0);
    assert_eq!(
        (mail.from.as_str(), mail.to.as_str()),
        ("herald@example.com", "ops@example.com")
    );
    let (head, body) = mail.data.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    for line in [
        "From: Herald <herald@example.com>",
        "To: Ops <ops@example.com>",
        "Subject: WARN: attach of eni-8vb1qo0000000cdeg2n failed",
        "Date: Fri, 02 Jan 2026 03:04:05 +0000",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "List-Id: Herald it <it.herald.example.com>",
        "X-Herald-Message: msg_00000000000000000000000000001234",
        "X-Herald-Event: evt_00000000000000000000000000000007",
        "X-Herald-Level: WARN",
        "X-Herald-Subscription: failed operations",
        "X-Herald-Resource: acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(
            head.lines().any(|found| found == line),
            "{line} not in\n{head}"
        );
    }
    assert!(
        body.starts_with("The ENI was not attached.\r\n\r\nRegion: cn-hangzhou"),
        "{body}"
    );
}

/// The mails of one attempt at `notification`.
async fn mailed(notification: &Notification) -> String {
    let server = Script::new().start().await;
    let sink = to(&server, &["ops@example.com"], "");
    let outcome = deliver(&*sink, notification, &Memory::default())
        .await
        .of(0);
    assert_eq!(outcome.as_str(), "delivered", "{outcome:?}");
    server.mails().remove(0).data
}

#[tokio::test]
async fn every_attempt_sends_the_same_bytes() {
    let mut notification = notification();
    notification.rendered.html = Some("<p>The ENI was not attached.</p>".to_owned());
    let first = mailed(&notification).await;
    notification.attempt = 7;
    notification.attempted_at = "2026-01-09T00:00:00Z".parse().unwrap();
    assert_eq!(mailed(&notification).await, first);
    let plain = first.find("Content-Type: text/plain").unwrap();
    let html = first.find("Content-Type: text/html").unwrap();
    assert!(
        first.contains("Content-Type: multipart/alternative;") && plain < html,
        "{first}"
    );
}

/// Compares a mail with the file of that name; with `HERALD_BLESS` set, writes the file instead.
#[track_caller]
fn check_snapshot(name: &str, mail: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("email/snapshots")
        .join(name);
    if std::env::var_os("HERALD_BLESS").is_some() {
        std::fs::write(&path, mail).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        mail, expected,
        "{name}: to accept it, run with HERALD_BLESS=1"
    );
}

#[tokio::test]
async fn mails_look_as_they_did() {
    let mut notification = notification();
    check_snapshot("plain.eml", &mailed(&notification).await);
    notification.rendered = herald_model::Rendered {
        title: "【警告】弹性网卡 eni-8vb1qo0000000cdeg2n 挂载失败（cn-hangzhou）".to_owned(),
        text: "弹性网卡没有挂载：它仍是 Available。\n\n地域：cn-hangzhou".to_owned(),
        html: Some("<table><tr><td>地域</td><td>cn-hangzhou</td></tr></table>".to_owned()),
        body: None,
        form: None,
        link: None,
        failure: None,
    };
    check_snapshot("alternative-zh.eml", &mailed(&notification).await);
}

#[tokio::test]
async fn one_resource_makes_one_thread() {
    let header = |mail: &str, name: &str| {
        let unfolded = mail.replace("\r\n ", " ");
        let line = unfolded.lines().find(|line| line.starts_with(name));
        line.map(|line| line[name.len()..].trim().to_owned())
    };
    let mut notification = notification();
    let first = mailed(&notification).await;
    notification.message = herald_model::MessageId::derive(notification.items[0].delivery, 2);
    let second = mailed(&notification).await;
    assert_ne!(
        header(&first, "Message-ID:"),
        header(&second, "Message-ID:")
    );
    for name in ["References:", "In-Reply-To:"] {
        assert!(header(&first, name).is_some());
        assert_eq!(header(&first, name), header(&second, name));
    }
}

#[tokio::test]
async fn nothing_in_an_event_can_add_a_header_or_end_the_text() {
    let mut notification = notification();
    notification.items[0].subscription = "a\r\nBcc: evil@example.com".into();
    notification.rendered.title = format!(
        "弹性网卡 \r\nBcc: evil@example.com\u{0}{}",
        "x".repeat(2_000)
    );
    notification.rendered.text =
        "bare\rCR\n.\n.\r\nMAIL FROM:<evil@example.com>\u{0}".to_owned() + &"长".repeat(2_000);
    let mail = mailed(&notification).await;
    assert!(!mail.contains("\nBcc:"), "{mail}");
    notification.rendered.text = "bare\rCR\n.\n.\r\nMAIL FROM:<evil@example.com>".to_owned();
    let mail = mail + &mailed(&notification).await;
    assert!(
        mail.contains("\r\nbare\r\nCR\r\n.\r\n.\r\nMAIL FROM"),
        "{mail}"
    );
    for line in mail.split("\r\n") {
        assert!(
            line.len() <= 998 && !line.contains(['\r', '\n', '\0']),
            "{line:?}"
        );
        // RFC 2047 section 2.
        assert!(!line.contains("=?") || line.len() <= 76, "{line}");
    }
}

#[tokio::test]
async fn who_accepted_is_not_mailed_again() {
    let everybody = ["a@example.com", "b@example.com", "c@example.com"];
    let server = Script::new()
        .once("RCPT TO:<b@", Act::Say("451 4.7.1 greylisted"))
        .start()
        .await;
    let sink = to(&server, &everybody, "");
    let memory = Memory::default();
    let mut notification = notification();
    let first = deliver(&*sink, &notification, &memory).await.of(0);
    assert_eq!(first.as_str(), "transient");
    assert_eq!(first.reason(), "b@example.com: 451 4.7.1 greylisted");
    assert_eq!(memory.count(), 2);
    notification.attempt = 2;
    let second = deliver(&*sink, &notification, &memory).await.of(0);
    assert_eq!(second.as_str(), "delivered");
    let mailed: Vec<_> = server.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(mailed, ["a@example.com", "c@example.com", "b@example.com"]);
}

#[tokio::test]
async fn refused_recipients_are_named_once_the_others_are_done_and_replayed_alone() {
    let server = Script::new()
        .once("RCPT TO:<a@", Act::Say("550 5.1.1 no such mailbox"))
        .once("RCPT TO:<b@", Act::Say("451 4.7.1 greylisted"))
        .start()
        .await;
    let sink = to(
        &server,
        &["a@example.com", "b@example.com", "c@example.com"],
        "",
    );
    let memory = Memory::default();
    let mut notification = notification();
    let mut next = async |attempt| {
        notification.attempt = attempt;
        deliver(&*sink, &notification, &memory).await.of(0)
    };
    assert_eq!(next(1).await.as_str(), "transient");
    let second = next(2).await;
    assert_eq!(second.as_str(), "permanent");
    assert_eq!(second.reason(), "a@example.com: 550 5.1.1 no such mailbox");
    // A person asked again.
    assert_eq!(next(3).await.as_str(), "delivered");
    let mailed: Vec<_> = server.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(mailed, ["c@example.com", "b@example.com", "a@example.com"]);
}

#[tokio::test]
async fn a_cut_for_one_recipient_does_not_cost_the_others() {
    let server = Script::new().once("DOT", Act::Cut).start().await;
    let sink = to(&server, &["a@example.com", "b@example.com"], "");
    let memory = Memory::default();
    let outcome = deliver(&*sink, &notification(), &memory).await.of(0);
    assert_eq!(outcome.as_str(), "unknown");
    assert!(
        outcome.reason().starts_with("a@example.com: "),
        "{outcome:?}"
    );
    assert_eq!(server.mails()[0].to, "b@example.com");
    assert!(
        String::from_utf8(memory.last().unwrap())
            .unwrap()
            .contains("b@example.com")
    );
}

#[tokio::test]
async fn a_recipient_on_whom_the_server_hangs_does_not_starve_the_others() {
    let server = Script::new().on("RCPT TO:<a@", Act::Hang).start().await;
    let sink = to(
        &server,
        &["a@example.com", "b@example.com"],
        "timeout = \"2s\"",
    );
    let memory = Memory::default();
    let mut notification = notification();
    for attempt in 1..=2 {
        notification.attempt = attempt;
        let outcome = deliver(&*sink, &notification, &memory).await.of(0);
        assert_eq!(outcome.as_str(), "transient", "{outcome:?}");
    }
    assert_eq!(server.mails()[0].to, "b@example.com");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_saved_stops_the_attempt() {
    let server = Script::new().start().await;
    let sink = to(&server, &["a@example.com", "b@example.com"], "");
    let memory = Memory::full();
    let outcome = deliver(&*sink, &notification(), &memory).await.of(0);
    assert_eq!(outcome.as_str(), "unknown");
    assert_eq!(server.mails().len(), 1);
}

/// What a pool of borrowed connections gets wrong: the first send is cut off while its answer is
/// on the way, and the second takes that answer for its own.
#[tokio::test]
async fn a_send_that_was_cut_off_leaves_no_connection_behind() {
    let server = Script::new()
        .once("DOT", Act::Hang)
        .on("DOT", Act::Say("554 5.7.1 refused"))
        .start()
        .await;
    let sink = to(&server, &["ops@example.com"], "connections = 1");
    let memory = Memory::default();
    let notification = notification();
    let cut = deliver(&*sink, &notification, &memory);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), cut)
            .await
            .is_err()
    );
    let (word, reason) = attempt(&*sink).await;
    assert_eq!(
        (word, reason.as_str()),
        ("permanent", "ops@example.com: 554 5.7.1 refused")
    );
    assert_eq!(server.connections(), 2);
}

/// All thousand at once, each with its own recipient's answer: none takes another's.
#[tokio::test]
async fn a_burst_of_a_thousand_reuses_connections_without_cross_talk() {
    let server = Script::new()
        .on("RCPT TO:<gone@", Act::Say("550 5.1.1 no such mailbox"))
        .start()
        .await;
    let people = |who| to(&server, &[who], "connections = 3");
    let sinks =
        ["here@example.com", "gone@example.com"].map(|who| Arc::<dyn Sink>::from(people(who)));
    at_once((0..1_000).map(|number| {
        let (index, expected) = match number % 5 {
            0 => (1, "permanent"),
            _ => (0, "delivered"),
        };
        let sink = Arc::clone(&sinks[index]);
        async move {
            let (word, reason) = attempt(&*sink).await;
            assert_eq!(word, expected, "{reason}");
        }
    }))
    .await;
    let mails = server.mails();
    assert_eq!(mails.len(), 800);
    assert!(mails.iter().all(|mail| mail.to == "here@example.com"));
    assert_eq!(server.connections(), 6, "three for each of the two sinks");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    for act in [
        Act::Cut,
        Act::SayAndCut("421 4.4.2 idle"),
        Act::Say("221 2.0.0 idle"),
    ] {
        // The first mail is taken; the next finds the connection closed.
        let server = Script::new()
            .once("MAIL", Act::Say("250 ok"))
            .once("MAIL", act.clone())
            .start()
            .await;
        let sink = to(&server, &["ops@example.com"], "");
        for _ in 0..2 {
            let (word, reason) = attempt(&*sink).await;
            assert_eq!(word, "delivered", "{act:?}: {reason}");
        }
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let server = Script::new()
        .once("RCPT", Act::Say("550 5.1.1 no such mailbox"))
        .start()
        .await;
    let sink = to(&server, &["a@example.com", "b@example.com"], "");
    assert_eq!(attempt(&*sink).await.0, "permanent");
    assert_eq!(server.mails()[0].to, "b@example.com");
    assert_eq!(server.connections(), 1);
    assert!(server.commands().contains(&"RSET".to_owned()));
}

/// Keys for a server with a certificate.
fn tls_keys(tls: &str, ca: &str) -> String {
    format!("tls = \"{tls}\"\nca = {ca:?}")
}

/// A sink to `server` by its name, so that certificates are checked against it.
fn by_name(server: &Server, keys: &str) -> Box<dyn Sink> {
    sink(
        &KIND,
        &format!(
            "server = \"localhost:{}\"\nfrom = \"herald@example.com\"\nto = [\"ops@example.com\"]\n{keys}",
            server.address.port()
        ),
    )
}

#[tokio::test]
async fn both_kinds_of_tls_encrypt_and_check_the_certificate() {
    let (here, elsewhere) = (Identity::new(), Identity::new());
    for word in ["starttls", "implicit"] {
        let tls = match word {
            "starttls" => Cover::StartTls(here.acceptor()),
            _ => Cover::Implicit(here.acceptor()),
        };
        let server = Script::new().tls(tls).start().await;
        let trusted = by_name(&server, &tls_keys(word, &here.ca()));
        assert_eq!(attempt(&*trusted).await.0, "delivered", "{word}");
        assert!(server.mails()[0].is_encrypted);
        let stranger = by_name(&server, &tls_keys(word, &elsewhere.ca()));
        let (outcome, reason) = attempt(&*stranger).await;
        assert_eq!(outcome, "sink-fault", "{word}: {reason}");
        assert_eq!(
            reason,
            "ops@example.com: while connecting: the server's certificate is signed by an authority that \
             is not trusted here; name its file in `ca`"
        );
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_enough() {
    let other = Identity::of(&["mail.example.com"]);
    let cover = Cover::Implicit(other.acceptor());
    let server = Script::new().tls(cover).start().await;
    let (outcome, reason) = attempt(&*by_name(&server, &tls_keys("implicit", &other.ca()))).await;
    assert_eq!(outcome, "sink-fault", "{reason}");
    assert!(
        reason.contains("the server's certificate is for another name;"),
        "{reason}"
    );
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let here = Identity::new();
    let server = Script::new().start().await;
    let (word, reason) = attempt(&*by_name(&server, &tls_keys("starttls", &here.ca()))).await;
    assert_eq!(word, "sink-fault", "{reason}");
    assert!(reason.contains("offers no STARTTLS"), "{reason}");
    assert!(
        !server
            .commands()
            .iter()
            .any(|line| line.starts_with("MAIL"))
    );

    let server = Script::new()
        .tls(Cover::StartTls(here.acceptor()))
        .on("STARTTLS", Act::Say("454 4.7.0 TLS not available"))
        .start()
        .await;
    let (word, _) = attempt(&*by_name(&server, &tls_keys("starttls", &here.ca()))).await;
    assert_eq!(word, "transient");
}

/// RFC 3207 section 6: what is said before TLS must not count inside it.
#[tokio::test]
async fn replies_injected_before_tls_are_not_believed() {
    let here = Identity::new();
    let server = Script::new()
        .tls(Cover::StartTls(here.acceptor()))
        .on(
            "STARTTLS",
            Act::Say("220 go ahead\r\n250-injected\r\n250 AUTH PLAIN"),
        )
        .start()
        .await;
    let keys = tls_keys("starttls", &here.ca());
    let (word, reason) = attempt(&*by_name(&server, &keys)).await;
    assert_ne!(word, "delivered", "{reason}");
    assert!(server.mails().is_empty());
    // The handshake met the injected bytes, so nothing was said inside TLS.
    assert_eq!(server.commands().len(), 2, "{:?}", server.commands());
}

#[tokio::test]
async fn both_ways_to_log_in() {
    for (mechanisms, expected) in [
        ("PLAIN", vec!["AUTH PLAIN AGhlcmFsZABodW50ZXIy"]),
        ("LOGIN PLAIN", vec!["AUTH PLAIN AGhlcmFsZABodW50ZXIy"]),
        ("LOGIN", vec!["AUTH LOGIN", "aGVyYWxk", "aHVudGVyMg=="]),
    ] {
        let server = Script::new().auth(mechanisms).start().await;
        let keys = "username = \"herald\"\npassword = \"hunter2\"\nallow_plaintext_auth = true";
        assert_eq!(
            attempt(&*to(&server, &["ops@example.com"], keys)).await.0,
            "delivered"
        );
        let commands = server.commands();
        assert_eq!(commands[1..=expected.len()], expected, "{mechanisms}");
    }
}

#[tokio::test]
async fn a_refused_login_is_the_sinks_fault_and_shows_no_password() {
    for (mechanisms, act, word) in [
        (
            "PLAIN",
            Act::Say("535 5.7.8 bad: AGhlcmFsZABodW50ZXIy hunter2 aHVudGVyMg=="),
            "sink-fault",
        ),
        ("LOGIN", Act::Say("535 5.7.8 bad hunter2"), "sink-fault"),
        ("PLAIN", Act::Say("534 5.7.9 too weak"), "sink-fault"),
        ("PLAIN", Act::Say("454 4.7.0 later"), "transient"),
        ("PLAIN", Act::Cut, "transient"),
        ("PLAIN", Act::Hang, "transient"),
        ("XOAUTH2", Act::Say("250 never asked"), "sink-fault"),
    ] {
        let server = Script::new()
            .auth(mechanisms)
            .on("AUTH", act.clone())
            .start()
            .await;
        let keys = format!(
            "{}\nusername = \"herald\"\npassword = \"hunter2\"\nallow_plaintext_auth = true",
            act.patience()
        );
        let (found, reason) = attempt(&*to(&server, &["ops@example.com"], &keys)).await;
        assert_eq!(found, word, "{act:?}: {reason}");
        assert!(
            !reason.contains("hunter2")
                && !reason.contains("AGhlcmFs")
                && !reason.contains("aHVudGVyMg"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_told_in_words() {
    // A port that was free a moment ago.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    // RFC 6761 section 6.4: `.invalid` never resolves.
    for tls in ["none", "starttls", "implicit"] {
        for (server, words) in [
            (
                closed.to_string(),
                format!("ops@example.com: while connecting: {closed} refuses connections; "),
            ),
            (
                "no-such-host.invalid:25".to_owned(),
                "ops@example.com: while connecting: no address is known for no-such-host.invalid ("
                    .to_owned(),
            ),
        ] {
            let keys = format!(
                "server = \"{server}\"\ntls = \"{tls}\"\nfrom = \"a@example.com\"\nto = [\"ops@example.com\"]"
            );
            let (word, reason) = attempt(&*sink(&KIND, &keys)).await;
            assert_eq!(word, "transient", "{reason}");
            assert!(reason.starts_with(&words), "{reason}");
        }
    }
}

#[test]
fn the_endpoint_is_server_and_user() {
    let keys =
        "server = \"[::1]:25\"\ntls = \"none\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"";
    assert_eq!(sink(&KIND, keys).endpoint().as_str(), "email:::1:25");
}

#[test]
fn a_password_needs_tls() {
    let keys = "server = \"x:25\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\nusername = \"u\"\npassword = \"hunter2\"\n";
    assert_eq!(
        mistake(&KIND, &format!("{keys}tls = \"none\"")),
        "`sink.it.password`: without TLS the password crosses the network readable; set tls = \
         \"starttls\" or \"implicit\", or, if that is meant, allow_plaintext_auth = true"
    );
    let allowed =
        format!("[sink.it]\nkind = \"email\"\n{keys}tls = \"none\"\nallow_plaintext_auth = true");
    assert_eq!(read(&KIND, &allowed).mistakes, []);
}

#[test]
fn mistakes_in_the_settings() {
    let server = "server = \"x:25\"\n";
    let people = "from = \"a@example.com\"\nto = [\"b@example.com\"]\n";
    let address = "is no address; write \"ops@example.com\" or \"Ops <ops@example.com>\", in ASCII (a domain in its xn-- form)";
    for (keys, expected) in [
        (
            people.to_owned(),
            "`sink.it` has no `server`; add one, for example server = \"smtp.example.com:587\""
                .to_owned(),
        ),
        (
            format!("{people}server = \"smtp.example.com\""),
            "`sink.it.server`: write host and port, as in \"smtp.example.com:587\"".to_owned(),
        ),
        (
            format!("{people}server = \"smtp://x:25\""),
            "`sink.it.server`: write host and port, as in \"smtp.example.com:587\"".to_owned(),
        ),
        (
            format!("{people}{server}tls = \"ssl\""),
            "`sink.it.tls`: `ssl` is none of `starttls`, `implicit`, `none`".to_owned(),
        ),
        (
            format!("{people}{server}username = \"u\""),
            "`sink.it.username`: there is no `password`; add one".to_owned(),
        ),
        (
            format!("{people}{server}password = \"u\""),
            "`sink.it.password`: there is no `username`; add one".to_owned(),
        ),
        (
            format!("{people}{server}hello_name = \"a b\""),
            "`sink.it.hello_name`: this is no host name".to_owned(),
        ),
        (
            format!("{people}{server}connections = 0"),
            "`sink.it.connections`: must be a whole number from 1 to 100".to_owned(),
        ),
        (
            format!("{server}from = \"a@example.com\"\nto = []"),
            "`sink.it.to`: name at least one recipient".to_owned(),
        ),
        (
            format!("{server}from = \"a@example.com\"\nto = [\"b@x.y\", \"B@x.y\"]"),
            "`sink.it.to`: B@x.y stands there twice".to_owned(),
        ),
        (
            format!("{server}from = \"a@example.com\"\nto = [\"nobody\"]"),
            format!("`sink.it.to`: `nobody` {address}"),
        ),
        (
            format!("{server}from = \"a@弹性.example\"\nto = [\"b@x.y\"]"),
            format!("`sink.it.from`: `a@弹性.example` {address}"),
        ),
        (
            format!("{server}from = \"a@x.y\\r\\nRCPT TO:<evil@x.y>\"\nto = [\"b@x.y\"]"),
            format!("`sink.it.from`: `a@x.y RCPT TO:<evil@x.y>` {address}"),
        ),
    ] {
        assert_eq!(mistake(&KIND, &keys), expected);
    }
}

#[tokio::test]
async fn a_line_break_in_a_name_does_no_harm() {
    let server = Script::new().start().await;
    let keys = format!(
        "server = \"{}\"\ntls = \"none\"\nfrom = \"\\\"He\\nrald\\\" <herald@example.com>\"\nto = [\"ops@example.com\"]",
        server.address
    );
    // Refused or made harmless: either way nothing panics and nothing is injected.
    let read = read(&KIND, &format!("[sink.it]\nkind = \"email\"\n{keys}"));
    if let Some(config) = read.config {
        assert_eq!(attempt(&*config.connect().unwrap()).await.0, "delivered");
    }
}
