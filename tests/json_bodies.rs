//! Published JSON documents, posted through the router: the right status, the place in the refusal,
//! and a connection that serves the next request.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::time::Duration;

use router::{Connection, Router, published};
use serde_json::Value;

mod router;

const EVENT: &str = r#"{"name":"n","content":{}}"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Accept,
    Reject,
    Either,
}

fn cases() -> Option<Vec<(String, Vec<u8>, Expect)>> {
    let folder = published("json")?;
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let case = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let file = line["file"].as_str().unwrap().to_owned();
        let expect = match line["expect"].as_str().unwrap() {
            "accept" => Expect::Accept,
            "reject" => Expect::Reject,
            // "Either", and "accept" where the meaning of the value is left open.
            _ => Expect::Either,
        };
        let bytes = std::fs::read(folder.join(&file)).unwrap();
        (file, bytes, expect)
    };
    Some(manifest.lines().map(case).collect())
}

/// Posts a body and an event after it on the same connection, and gives the first answer's reason.
async fn refused(connection: &mut Connection, body: &[u8], file: &str) -> Option<String> {
    let answer = connection
        .post("/v1/events", "application/json", body)
        .await;
    let reason = match answer.status {
        200 => None,
        400 => Some(answer.reason().to_owned()),
        other => panic_of(file, other),
    };
    let next = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(next.statuses(), ["accepted"], "after {file}");
    reason
}

fn panic_of(file: &str, status: u16) -> ! {
    unreachable!("{file} was answered {status}")
}

/// Whether a refusal says that the bytes are no document, and where.
fn names_an_offset(reason: &str) -> bool {
    reason.starts_with("not JSON: ") && reason.contains(" at byte ")
}

#[tokio::test]
async fn each_as_a_body() {
    let Some(cases) = cases() else { return };
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    let mut refusals = 0;
    for (file, body, expect) in &cases {
        let reason = refused(&mut connection, body, file).await;
        let is_document = !reason.as_deref().is_some_and(names_an_offset);
        match expect {
            Expect::Accept => assert!(is_document, "{file}: {reason:?}"),
            Expect::Reject => assert!(!is_document, "{file}: {reason:?}"),
            Expect::Either => {}
        }
        refusals += usize::from(!is_document);
    }
    assert!(
        cases.len() >= 160 && refusals >= 87,
        "{refusals} of {}",
        cases.len()
    );
}

#[tokio::test]
async fn each_as_the_content_of_an_event() {
    let Some(cases) = cases() else { return };
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    for (file, content, expect) in &cases {
        let before = br#"{"name":"n","content":"#;
        let body = [&before[..], content, b"}"].concat();
        let reason = refused(&mut connection, &body, file).await;
        let is_taken = reason.is_none();
        match expect {
            Expect::Accept => assert!(is_taken, "{file}: {reason:?}"),
            // What closes the envelope early or continues it may be an event all the same.
            Expect::Reject if continues_the_envelope(content) => {}
            Expect::Reject => assert!(!is_taken, "{file}"),
            Expect::Either => {}
        }
    }
}

fn continues_the_envelope(content: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content) else {
        return false;
    };
    let body = format!(r#"{{"name":"n","content":{text}}}"#);
    serde_json::from_str::<Value>(&body).is_ok()
}

#[tokio::test]
async fn a_document_a_line_and_many_in_flight() {
    let Some(cases) = cases() else { return };
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    for (file, line, _) in &cases {
        let body = [line.as_slice(), b"\n", EVENT.as_bytes()].concat();
        let answer = connection
            .post("/v1/events", "application/x-ndjson", &body)
            .await;
        assert!(matches!(answer.status, 200 | 207), "{file}: {answer:?}");
        assert_eq!(answer.statuses().last(), Some(&"accepted"), "{file}");
    }
    // Requests written ahead of the answers are answered in their order.
    let request = |body: &[u8]| {
        let length = body.len().to_string();
        let length = [("content-length", length.as_str())];
        [router::head("POST /v1/events", &[], &length), body.to_vec()].concat()
    };
    let bodies = cases.iter().map(|(_, body, _)| body.as_slice());
    let ahead: Vec<u8> = bodies
        .take(20)
        .flat_map(|body| [request(body), request(EVENT.as_bytes())].concat())
        .collect();
    connection.write(&ahead).await;
    for (file, ..) in cases.iter().take(20) {
        let refused = connection.answer().await;
        assert!(matches!(refused.status, 200 | 400), "{file}");
        assert_eq!(connection.answer().await.statuses(), ["accepted"], "{file}");
    }
}
