//! The callback against a server on loopback.

use std::sync::Arc;

use herald_model::{Outcomes, Signal, Sink};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::KIND;
use crate::testing::http::{Act, Server};
use crate::testing::settings::{mistake, read, sink};
use crate::testing::tls::Identity;
use crate::testing::{EVENT, Memory, at_once, attempt, deliver, message, notification};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A callback to `server` with more `keys`.
fn to(server: &Server, keys: &str) -> Box<dyn Sink> {
    sink(
        &KIND,
        &format!(
            "url = \"{}/eni?token=query-token-1\"\nsecret = \"{SECRET}\"\n\
             allow_addresses = [\"127.0.0.1\"]\n{keys}",
            server.url()
        ),
    )
}

async fn outcomes(act: Act) -> Outcomes {
    let server = Server::start([act]).await;
    deliver(&*to(&server, ""), &notification(), &Memory::default()).await
}

#[tokio::test]
async fn every_status_has_its_outcome() {
    for (status, headers, word) in [
        ("200 OK", "", "delivered"),
        ("201 Created", "", "delivered"),
        ("202 Accepted", "", "delivered"),
        ("204 No Content", "", "delivered"),
        ("301 Moved Permanently", "Location: /x\r\n", "sink-fault"),
        (
            "302 Found",
            "Location: http://127.0.0.1:1/\r\n",
            "sink-fault",
        ),
        ("304 Not Modified", "", "sink-fault"),
        ("307 Temporary Redirect", "Location: /x\r\n", "sink-fault"),
        ("400 Bad Request", "", "permanent"),
        ("401 Unauthorized", "", "sink-fault"),
        ("403 Forbidden", "", "sink-fault"),
        ("404 Not Found", "", "permanent"),
        ("405 Method Not Allowed", "", "permanent"),
        ("408 Request Timeout", "", "transient"),
        ("409 Conflict", "", "permanent"),
        ("410 Gone", "", "sink-fault"),
        ("413 Content Too Large", "", "permanent"),
        ("415 Unsupported Media Type", "", "permanent"),
        ("422 Unprocessable Content", "", "permanent"),
        ("425 Too Early", "", "transient"),
        ("429 Too Many Requests", "", "transient"),
        ("500 Internal Server Error", "", "transient"),
        ("501 Not Implemented", "", "transient"),
        ("502 Bad Gateway", "", "transient"),
        ("503 Service Unavailable", "", "transient"),
        ("504 Gateway Timeout", "", "transient"),
        ("599 Whatever", "", "transient"),
        ("600 Beyond", "", "transient"),
    ] {
        let outcomes = outcomes(Act::answer(status, headers, "")).await;
        let outcome = outcomes.of(0);
        assert_eq!(outcome.as_str(), word, "{status}: {outcome:?}");
        assert!(outcome.reason().starts_with(&status[..3]), "{outcome:?}");
        let expected = if status.starts_with("410") {
            Signal::Hold
        } else {
            Signal::None
        };
        assert_eq!(outcomes.signal, expected, "{status}");
    }
}

#[tokio::test]
async fn usual_mistakes_are_told_in_words() {
    let clock = "Date: Fri, 02 Jan 2026 04:04:06 GMT\r\n";
    for (status, headers, words) in [
        (
            "401 Unauthorized",
            "",
            "(the receiver wants other credentials; check `secret`, `bearer`, `password`)",
        ),
        (
            "403 Forbidden",
            "",
            "(the receiver lets nobody in with these credentials or from this address)",
        ),
        (
            "404 Not Found",
            "",
            "(the receiver knows no such path; check `url`)",
        ),
        (
            "405 Method Not Allowed",
            "",
            "(the receiver wants another `method`)",
        ),
        (
            "410 Gone",
            "",
            "; the receiver wants no more, so the sink is held until you resume it",
        ),
        (
            "415 Unsupported Media Type",
            "",
            "(the receiver wants another `format`)",
        ),
        (
            "400 Bad Request",
            clock,
            "(this machine's clock is 3600 s behind the receiver's)",
        ),
        (
            "401 Unauthorized",
            clock,
            "`password`; this machine's clock is 3600 s behind the receiver's)",
        ),
        (
            "400 Bad Request",
            "Date: Fri, 02 Jan 2026 03:04:06 GMT\r\n",
            "400 Bad Request",
        ),
        (
            "302 Found",
            "",
            "; redirects are not followed, so write the final URL",
        ),
    ] {
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n");
        let act = Act::SayAndCut(head.into());
        let outcome = outcomes(act).await.of(0);
        // An attempt takes a moment, in which the clock goes on.
        let reason = outcome.reason().replace("3599 s", "3600 s");
        assert!(reason.ends_with(words), "{status}: {reason}");
    }
}

#[tokio::test]
async fn a_template_that_failed_is_told_in_a_header() {
    let server = Server::start([Act::ok("")]).await;
    let mut notification = notification();
    notification.rendered.failure = Some("（模板 \"body\"）\r\nX: y".to_owned());
    for format in ["herald", "cloudevents-binary"] {
        let sink = to(&server, &format!("format = {format:?}"));
        let outcome = deliver(&*sink, &notification, &Memory::default()).await;
        assert_eq!(outcome.of(0).as_str(), "delivered");
    }
    for request in server.requests() {
        assert_eq!(
            request.header("herald-template-failure"),
            "%EF%BC%88%E6%A8%A1%E6%9D%BF%20%22body%22%EF%BC%89%0D%0AX:%20y"
        );
        assert!(!request.has("x"));
    }
}

#[tokio::test]
async fn the_configuration_may_say_what_a_status_means() {
    for (status, meaning) in [
        ("404 Not Found", "transient"),
        ("409 Conflict", "delivered"),
        ("422 Unprocessable Content", "sink-fault"),
        ("503 Service Unavailable", "permanent"),
        ("410 Gone", "permanent"),
    ] {
        let server = Server::start([Act::answer(status, "", "")]).await;
        let keys = format!("[sink.it.statuses]\n{} = \"{meaning}\"", &status[..3]);
        let outcomes = deliver(&*to(&server, &keys), &notification(), &Memory::default()).await;
        assert_eq!(outcomes.of(0).as_str(), meaning, "{status}");
        assert_eq!(outcomes.signal, Signal::None);
    }
}

#[tokio::test]
async fn cloudevents_in_both_modes() {
    let server = Server::start([Act::ok("")]).await;
    let mut digest = notification();
    digest.items.push(digest.items[0].clone());
    for (format, notification) in [
        ("cloudevents", notification()),
        ("cloudevents-binary", notification()),
        ("cloudevents-binary", digest),
    ] {
        let sink = to(&server, &format!("format = {format:?}"));
        deliver(&*sink, &notification, &Memory::default()).await;
    }
    let [structured, binary, batch] = server.requests().try_into().unwrap();
    let content_type = "application/cloudevents+json; charset=utf-8";
    assert_eq!(structured.header("content-type"), content_type);
    assert!(structured.body.starts_with(r#"{"specversion":"1.0","#));
    assert_eq!(binary.header("content-type"), "application/json");
    assert_eq!(binary.header("ce-source"), "acs.ecs");
    assert!(binary.body.starts_with(r#"{"eniId":"#), "{}", binary.body);
    let content_type = "application/cloudevents-batch+json; charset=utf-8";
    assert_eq!(batch.header("content-type"), content_type);
    assert!(batch.body.starts_with(r#"[{"specversion"#) && !batch.has("ce-id"));
    // Standard Webhooks and CloudEvents combine.
    for request in [structured, binary, batch] {
        assert!(request.has("webhook-id") && request.has("webhook-signature"));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([Act::ok("")]).await;
    let location = format!("Location: {}/\r\n", elsewhere.url());
    let outcome = outcomes(Act::answer("307 Temporary Redirect", &location, "")).await;
    assert!(
        outcome
            .of(0)
            .reason()
            .contains("redirects are not followed")
    );
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn retry_after_is_counted_from_the_answer() {
    let outcome = outcomes(Act::answer(
        "503 Service Unavailable",
        "Retry-After: 120\r\n",
        "",
    ))
    .await
    .of(0);
    let herald_model::Outcome::Transient { not_before, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let earliest: Timestamp = "2026-01-02T03:06:06.789Z".parse().unwrap();
    let late = not_before.unwrap().duration_since(earliest);
    assert!(!late.is_negative() && late.as_secs() < 60, "{not_before:?}");
}

#[tokio::test]
async fn the_status_line_decides_whatever_becomes_of_the_body() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for act in [
        Act::SayAndCut(format!("{head}half").into()),
        Act::SayAndHang(format!("{head}half").into()),
        Act::SayAndCut(format!("{chunked}zz\r\nno chunk").into()),
        Act::Endless(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "10\r\n0123456789abcdef\r\n",
        ),
    ] {
        let server = Server::start([act.clone()]).await;
        let (word, reason) = attempt(&*to(&server, act.patience())).await;
        assert_eq!(word, "delivered", "{act:?}: {reason}");
        assert!(reason.len() < 1_100, "{} bytes kept", reason.len());
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_waited_for() {
    let act = Act::Endless(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "10\r\n0123456789abcdef\r\n",
    );
    let server = Server::start([act]).await;
    let started = std::time::Instant::now();
    assert_eq!(
        attempt(&*to(&server, "timeout = \"60s\"")).await.0,
        "delivered"
    );
    assert!(started.elapsed().as_secs() < 30, "waited for the end");
}

#[tokio::test]
async fn what_went_out_may_have_arrived() {
    let acts = [
        Act::SayAndCut(Vec::new()),
        Act::SayAndCut(b"HTTP/1.1 20".to_vec()),
        Act::SayAndCut(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        Act::SayAndCut(b"220 smtp.example.com ESMTP\r\n".to_vec()),
        Act::SayAndHang(Vec::new()),
        Act::SayAndHang(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Act::Endless("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n"),
    ];
    at_once(acts.map(|act| async move {
        let server = Server::start([act.clone()]).await;
        let (word, reason) = attempt(&*to(&server, act.patience())).await;
        assert_eq!(word, "unknown", "{act:?}: {reason}");
    }))
    .await;
}

#[tokio::test]
async fn what_never_left_is_transient() {
    // A port that was free a moment ago.
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let refused = format!("url = \"http://{closed}/\"\nallow_addresses = [\"127.0.0.1\"]");
    // RFC 6761 section 6.4: `.invalid` never resolves.
    let unknown = "url = \"http://no-such-host.invalid/\"";
    let words =
        format!("{closed} refuses connections; check the port, and whether the program there runs");
    for (keys, words) in [
        (refused.as_str(), words.as_str()),
        (unknown, "no address is known for no-such-host.invalid ("),
    ] {
        let (word, reason) = attempt(&*sink(&KIND, keys)).await;
        assert_eq!(word, "transient", "{keys}: {reason}");
        assert!(reason.starts_with(words), "{reason}");
        assert!(!reason.contains("http://"), "{reason}");
    }
}

#[tokio::test]
async fn every_attempt_has_the_same_id_and_body_and_a_fresh_signature() {
    let server = Server::start([Act::answer("503 Busy", "", ""), Act::ok("thanks")]).await;
    let sink = to(&server, "");
    let mut notification = notification();
    notification.rendered.body = sink.body(notification.message, &notification.items);
    let memory = Memory::default();
    let first = deliver(&*sink, &notification, &memory).await.of(0);
    assert_eq!(first.as_str(), "transient");
    notification.attempt = 2;
    notification.attempted_at = "2026-01-02T03:14:06Z".parse().unwrap();
    let second = deliver(&*sink, &notification, &memory).await.of(0);
    assert_eq!(second.reason(), "200 OK: thanks");

    let [one, two] = server.requests().try_into().unwrap();
    assert_eq!(one.line, "POST /eni?token=query-token-1 HTTP/1.1");
    assert_eq!(one.header("content-type"), "application/json");
    assert_eq!(one.header("webhook-id"), message().to_string());
    assert_eq!(two.header("webhook-id"), message().to_string());
    assert_eq!(one.body, two.body);
    assert!(
        one.body.contains(&format!("\"event\":{EVENT}}}]")),
        "{}",
        one.body
    );
    assert_eq!(one.header("webhook-timestamp"), "1767323046");
    assert_eq!(two.header("webhook-timestamp"), "1767323646");
    for request in [&one, &two] {
        let key = super::sign::Key::parse(&herald_model::Secret::new(SECRET)).unwrap();
        let expected = super::sign::sign(
            &[key],
            request.header("webhook-id"),
            request.header("webhook-timestamp").parse().unwrap(),
            request.body.as_bytes(),
        );
        assert_eq!(request.header("webhook-signature"), expected);
    }
    assert_ne!(
        one.header("webhook-signature"),
        two.header("webhook-signature")
    );
}

#[tokio::test]
async fn a_stored_body_is_sent_as_it_is() {
    let server = Server::start([Act::ok("")]).await;
    let mut notification = notification();
    notification.rendered.body = Some("{ \"mine\": 1.0 }\n".to_owned());
    deliver(&*to(&server, ""), &notification, &Memory::default()).await;
    assert_eq!(server.requests()[0].body, "{ \"mine\": 1.0 }\n");
}

#[tokio::test]
async fn the_answer_is_kept_short_clean_and_without_secrets() {
    let echo = format!(
        "you sent {SECRET} and token=query-token-1 and hunter2-header\r\n\u{1b}[31m{}",
        "x".repeat(3_000)
    );
    let server = Server::start([Act::answer("400 Bad Request", "", &echo)]).await;
    let sink = to(&server, "[sink.it.headers]\nX-Token = \"hunter2-header\"");
    let (word, reason) = attempt(&*sink).await;
    assert_eq!(word, "permanent");
    assert!(
        reason.starts_with("400 Bad Request: you sent *** and token=*** and *** [31mxxx"),
        "{reason}"
    );
    assert!(reason.len() < 1_100 && reason.ends_with('…'), "{reason}");
    assert_eq!(server.requests()[0].header("x-token"), "hunter2-header");
}

#[tokio::test]
async fn credentials_go_into_the_authorization_header() {
    for (keys, expected) in [
        ("bearer = \"tok-1234\"", "Bearer tok-1234"),
        (
            "username = \"Aladdin\"\npassword = \"open sesame\"",
            // RFC 7617 section 2.
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
    ] {
        let server = Server::start([Act::answer("500 Oops", "", expected)]).await;
        let (_, reason) = attempt(&*to(&server, keys)).await;
        assert_eq!(server.requests()[0].header("authorization"), expected);
        let token = expected.split(' ').nth(1).unwrap();
        assert!(!reason.contains(token), "{reason}");
    }
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_with_two_both_sign() {
    let server = Server::start([Act::ok("")]).await;
    let at = format!(
        "url = \"{}\"\nallow_addresses = [\"127.0.0.0/8\"]\nmethod = \"PUT\"\n",
        server.url()
    );
    attempt(&*sink(&KIND, &at)).await;
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    attempt(&*sink(
        &KIND,
        &format!("{at}secrets = [\"{other}\", \"{SECRET}\"]"),
    ))
    .await;
    let [plain, signed] = server.requests().try_into().unwrap();
    assert!(plain.line.starts_with("PUT / "), "{}", plain.line);
    assert!(plain.has("webhook-id") && !plain.has("webhook-signature"));
    assert_eq!(signed.header("webhook-signature").matches("v1,").count(), 2);
}

#[tokio::test]
async fn the_guard_refuses_names_that_resolve_to_this_machine() {
    let server = Server::start([Act::ok("")]).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let (word, reason) = attempt(&*sink(&KIND, &format!("url = \"{url}\""))).await;
    assert_eq!(word, "sink-fault", "{reason}");
    assert!(
        reason.contains("localhost resolves to ") && reason.contains("(loopback)"),
        "{reason}"
    );
    assert_eq!(server.connections(), 0);
    let allowed = format!("url = \"{url}\"\nallow_addresses = [\"127.0.0.0/8\", \"::1\"]");
    assert_eq!(attempt(&*sink(&KIND, &allowed)).await.0, "delivered");
}

#[tokio::test]
async fn a_thousand_deliveries_use_few_connections() {
    let server = Server::start([Act::ok("")]).await;
    let sink = Arc::<dyn Sink>::from(to(&server, ""));
    // As many at a time as a callback's default `concurrency`.
    let permits = Arc::new(Semaphore::new(KIND.defaults.concurrency as usize));
    at_once((0..1_000).map(|_| {
        let (sink, permits) = (Arc::clone(&sink), Arc::clone(&permits));
        async move {
            let _permit = permits.acquire().await.unwrap();
            assert_eq!(attempt(&*sink).await.0, "delivered");
        }
    }))
    .await;
    assert_eq!(server.requests().len(), 1_000);
    assert!(server.connections() <= 16, "{}", server.connections());
}

#[tokio::test]
async fn tls_needs_a_trusted_certificate_and_may_show_one() {
    let (here, client) = (Identity::new(), Identity::new());
    let server = Server::start_with([Act::ok("")], Some(here.acceptor_for(Some(&client)))).await;
    let url = format!(
        "url = \"https://localhost:{}/\"\nallow_addresses = [\"127.0.0.0/8\", \"::1\"]\n",
        server.address.port()
    );
    let (word, reason) = attempt(&*sink(&KIND, &url)).await;
    assert_eq!(word, "sink-fault", "{reason}");
    assert_eq!(
        reason,
        "the server's certificate is signed by an authority that is not trusted here; name its file \
         in `ca`"
    );
    let trusted = format!("{url}ca = {:?}\n", here.ca());
    let (word, reason) = attempt(&*sink(&KIND, &trusted)).await;
    assert_eq!(word, "sink-fault", "{reason}");
    assert_eq!(
        reason,
        "the server wants a client certificate that it trusts; a callback shows one by \
         `client_cert` and `client_key`"
    );
    assert!(server.requests().is_empty());
    let shown = format!(
        "{trusted}client_cert = {:?}\nclient_key = {:?}",
        client.ca(),
        client.key_file.path()
    );
    let (word, reason) = attempt(&*sink(&KIND, &shown)).await;
    assert_eq!(word, "delivered", "{reason}");
}

#[test]
fn mistakes_in_the_settings() {
    let url = "url = \"https://example.com/x\"\n";
    for (keys, expected) in [
        (
            "",
            "`sink.it` has no `url`; add one, for example url = \"https://example.com/hook\"",
        ),
        (
            "url = \"https://u:p@example.com/\"",
            "`sink.it.url`: write user and password as `username` and `password`, not into the URL",
        ),
        (
            "url = \"http://2130706433/\"",
            "`sink.it.url`: 127.0.0.1 (loopback), where no callback goes; if it is meant, add it to `allow_addresses`",
        ),
        (
            "url = \"https://100.100.100.200/latest/meta-data\"",
            "`sink.it.url`: 100.100.100.200 (shared address space), where no callback goes; if it is meant, add it to `allow_addresses`",
        ),
        (
            "url = \"http://example.com/\"",
            "`sink.it.url` is not encrypted: anyone on the way can read and change what is sent; use https://",
        ),
        (
            &format!("{url}secret = \"whsec_c2hvcnQ=\""),
            "`sink.it.secret`: the secret must decode to 24 to 64 bytes; make one by `echo whsec_$(head -c 32 /dev/urandom | base64)`",
        ),
        (
            &format!("{url}secret = \"{SECRET}\"\nsecrets = [\"{SECRET}\"]"),
            "`sink.it.secrets`: write either `secret` or `secrets`",
        ),
        (
            &format!("{url}bearer = \"x\"\nusername = \"y\""),
            "`sink.it.bearer`: write either `bearer` or `username` and `password`",
        ),
        (
            &format!("{url}password = \"y\""),
            "`sink.it.password`: there is no `username`; add one",
        ),
        (
            &format!("{url}client_cert = \"y\""),
            "`sink.it.client_cert` needs `client_key`; add it",
        ),
        (
            &format!("{url}headers.Host = \"y\""),
            "`sink.it.headers.Host`: this header is Herald's to set; remove it",
        ),
        (
            &format!("{url}headers.Webhook-Id = \"y\""),
            "`sink.it.headers.Webhook-Id`: this header is Herald's to set; remove it",
        ),
        (
            &format!("{url}headers.X = \"a\\nb\""),
            "`sink.it.headers.X`: a header's value is one line of visible characters",
        ),
        (
            &format!("{url}statuses.999 = \"transient\""),
            "`sink.it.statuses.999`: this is no status; write one from 200 to 599, as in 404 = \"transient\"",
        ),
        (
            &format!("{url}statuses.404 = \"maybe\""),
            "`sink.it.statuses.404`: `maybe` is none of `delivered`, `transient`, `permanent`, `sink-fault`",
        ),
        (
            &format!("{url}method = \"GET\""),
            "`sink.it.method`: `GET` is none of `POST`, `PUT`, `PATCH`",
        ),
    ] {
        assert_eq!(mistake(&KIND, keys), expected);
    }
}

#[test]
fn plain_http_is_fine_at_home() {
    for url in ["http://localhost:1/", "http://10.1.2.3/"] {
        let keys = format!(
            "[sink.it]\nkind = \"callback\"\nurl = \"{url}\"\nallow_addresses = [\"10.0.0.0/8\"]"
        );
        assert_eq!(read(&KIND, &keys).mistakes, []);
    }
}

#[test]
fn the_endpoint_is_the_origin() {
    let sink = sink(
        &KIND,
        "url = \"https://example.com/tenant/secret-path?t=1\"",
    );
    assert_eq!(sink.endpoint().as_str(), "callback:https://example.com");
}
