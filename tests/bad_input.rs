//! Input that is wrong, odd or meant to harm: each gets the right status with its place, and the next
//! request on the same connection works.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::time::Duration;

use herald::journal::Look as _;
use router::{Connection, Router, head, published};
use tokio::io::AsyncReadExt as _;

mod router;

const EVENT: &str = r#"{"name":"next","content":{}}"#;

async fn router() -> Router {
    Router::start(Duration::from_secs(60)).await
}

/// The canonical texts in the journal, as they stand there, newest first.
async fn raw(router: &Router) -> Vec<String> {
    let events = router.journal.events(Default::default()).await.unwrap();
    events.rows.iter().map(|row| row.text.to_string()).collect()
}

async fn works(connection: &mut Connection, after: &str) {
    let next = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(next.statuses(), ["accepted"], "after {after}");
}

#[tokio::test]
async fn what_is_no_document_is_refused_with_its_offset() {
    let router = router().await;
    let mut connection = router.connect().await;
    let cases: [(&[u8], &str); 14] = [
        (b"", "the document ends too early at byte 0"),
        (b" \n ", "the document ends too early at byte 3"),
        (
            b"{\"name\":\"n\",\"content\":\"\xff\"}",
            "the bytes are not UTF-8 at byte 23",
        ),
        (
            b"{\"name\":\"\xed\xa0\x80\"}",
            "the bytes are not UTF-8 at byte 9",
        ),
        (
            b"{\"name\":\"n\xc0\x80\"}",
            "the bytes are not UTF-8 at byte 10",
        ),
        (b"\xef\xbb\xbf{}", "a byte order mark"),
        (b"\xff\xfe{\0}\0", "the bytes are not UTF-8 at byte 0"),
        (br#"{"name":"\ud800"}"#, "half of a surrogate pair"),
        (br#"{"name":"\udc00\ud800"}"#, "half of a surrogate pair"),
        (
            br#"{"name":"n"} x"#,
            "more text after the end of the document at byte 13",
        ),
        (br#"{"name":"n","content":01}"#, "at byte 2"),
        (br#"{"name":"n","content":NaN}"#, "at byte 22"),
        (b"{\"name\":\"a\nb\"}", "a control character in a string"),
        (
            br#"{"name":"n","content":{"a":1,}}"#,
            "expected a key in double quotes at byte 29",
        ),
    ];
    for (body, words) in cases {
        let shown = String::from_utf8_lossy(body).into_owned();
        let refused = connection
            .post("/v1/events", "application/json", body)
            .await;
        assert_eq!(refused.status, 400, "{shown}");
        let reason = refused.reason();
        assert!(reason.starts_with("not JSON: "), "{shown}: {reason}");
        assert!(reason.contains(words), "{shown}: {reason}");
        assert!(reason.contains(" at byte "), "{shown}: {reason}");
        works(&mut connection, &shown).await;
    }
    let deep = "[".repeat(500_000);
    let refused = connection
        .post("/v1/events", "application/json", deep.as_bytes())
        .await;
    assert!(refused.reason().contains("`server.depth_max`"));
    works(&mut connection, "half a million brackets").await;
}

#[tokio::test]
async fn what_is_a_document_and_no_event_is_refused_by_name() {
    let router = router().await;
    let mut connection = router.connect().await;
    for body in [
        "null",
        "true",
        "7",
        r#""text""#,
        "{}",
        "[null]",
        "[[]]",
        r#"{"name":null}"#,
    ] {
        let refused = connection
            .post("/v1/events", "application/json", body.as_bytes())
            .await;
        assert_eq!(
            (refused.status, refused.statuses()),
            (400, vec!["refused"]),
            "{body}"
        );
        assert!(!refused.reason().starts_with("not JSON"), "{body}");
        works(&mut connection, body).await;
    }
    // Absent and null mean the same where a field may be absent.
    let sparse = r#"{"name":"sparse","content":null,"id":null,"level":null,"userId":null}"#;
    let taken = connection
        .post("/v1/events", "application/json", sparse.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["accepted"], "{taken:?}");
}

#[tokio::test]
async fn of_a_key_that_comes_twice_the_last_wins_and_it_is_told() {
    let router = router().await;
    let mut connection = router.connect().await;
    let body = r#"{"name":"first","content":{"a":1,"b":2,"a":3},"name":"last"}"#;
    let taken = connection
        .post("/v1/events", "application/json", body.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["accepted"]);
    let text = &raw(&router).await[0];
    assert!(
        text.contains(r#""name":"last""#) && text.contains(r#""content":{"a":3,"b":2}"#),
        "{text}"
    );
    assert!(text.contains(r#""duplicateKeys":true"#), "{text}");
    assert!(!text.contains("first"), "{text}");
}

#[tokio::test]
async fn numbers_stay_exactly_as_they_were_sent() {
    let router = router().await;
    let mut connection = router.connect().await;
    let numbers = "1e400,-1E-400,123456789012345678901234567890.10,-0,-0.0,1.0,1E+2,0.1000";
    let long = "9".repeat(2_000);
    let body = format!(r#"{{"name":"n","content":{{"numbers":[{numbers},{long}]}}}}"#);
    let taken = connection
        .post("/v1/events", "application/json", body.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["accepted"]);
    let text = &raw(&router).await[0];
    assert!(text.contains(&format!("[{numbers},{long}]")), "{text}");
}

#[tokio::test]
async fn a_batch_of_everything_is_answered_item_by_item() {
    let router = router().await;
    let mut connection = router.connect().await;
    let batch = r#"[
        {"id":"1","name":"flat","content":{}},
        {"specversion":"1.0","id":"1","source":"s","type":"t"},
        null, 7, {"specversion":"1.0"},
        {"strategyName":"s","userId":"1","alert":{"source":"SYS_EVENT","eventName":"w","meta":{"sysEventMeta":{"id":"2"}},"eventContentMap":{}}},
        [], {"id":"1","name":"flat","content":{}}
    ]"#;
    let answer = connection
        .post("/v1/events", "application/json", batch.as_bytes())
        .await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        answer.statuses(),
        [
            "accepted",
            "accepted",
            "refused",
            "refused",
            "refused",
            "accepted",
            "refused",
            "duplicate"
        ],
        "{answer:?}"
    );
    let lines = format!("\r\n{EVENT}\r\n\r\n{{\n{EVENT}\n\n");
    let answer = connection
        .post("/v1/events", "application/x-ndjson", lines.as_bytes())
        .await;
    assert_eq!(answer.statuses(), ["accepted", "refused", "accepted"]);
    works(&mut connection, "a batch").await;
}

#[tokio::test]
async fn a_length_that_lies_costs_the_connection_and_nothing_else() {
    let router = router().await;
    // More than was announced is read as the next request.
    let mut connection = router.connect().await;
    let announced = [("content-length", "28")];
    let body = format!("{EVENT}{EVENT}");
    connection
        .write(&[head("POST /v1/events", &[], &announced), body.into_bytes()].concat())
        .await;
    assert_eq!(EVENT.len(), 28);
    assert_eq!(connection.answer().await.statuses(), ["accepted"]);
    assert_eq!(connection.answer().await.status, 400);
    assert!(connection.is_closed().await);

    // Two lengths, or one that is none: somebody before Herald may have believed the other.
    for more in [
        "content-length: 28\r\ncontent-length: 5\r\n",
        "content-length: -1\r\n",
        "content-length: 28, 5\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let mut connection = router.connect().await;
        let request = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\n{more}\r\n{EVENT}");
        connection.write(request.as_bytes()).await;
        assert_eq!(connection.answer().await.status, 400, "{more}");
        assert!(connection.is_closed().await, "{more}");
    }
    assert_eq!(router.recorded().await, 1);
}

#[tokio::test]
async fn who_asks_before_sending_is_told_to_go_on() {
    let router = router().await;
    let mut connection = router.connect().await;
    let headers = [("expect", "100-continue"), ("content-length", "28")];
    connection
        .write(&head("POST /v1/events", &[], &headers))
        .await;
    let mut told = [0; 25];
    connection.stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(EVENT.as_bytes()).await;
    assert_eq!(connection.answer().await.statuses(), ["accepted"]);
    works(&mut connection, "a body that was asked for").await;

    let headers = [
        ("expect", "100-continue"),
        ("content-length", "999999999999"),
    ];
    connection
        .write(&head("POST /v1/events", &[], &headers))
        .await;
    assert_eq!(
        connection.answer().await.status,
        413,
        "without having it sent"
    );
}

#[tokio::test]
async fn an_older_client_is_served() {
    let router = router().await;
    let mut connection = router.connect().await;
    let request = format!(
        "POST /v1/events HTTP/1.0\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{EVENT}",
        EVENT.len()
    );
    connection.write(request.as_bytes()).await;
    assert_eq!(connection.answer().await.statuses(), ["accepted"]);
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn every_published_event_is_taken_or_refused_by_name() {
    let Some(folder) = published("events") else {
        return;
    };
    let router = router().await;
    let mut connection = router.connect().await;
    let mut taken = 0;
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let media = match file.extension().and_then(|ending| ending.to_str()) {
            Some("json") => "application/json",
            Some("txt") => "application/x-www-form-urlencoded",
            _ => continue,
        };
        seen += 1;
        let body = std::fs::read(&file).unwrap();
        let answer = connection.post("/v1/events", media, &body).await;
        match answer.status {
            200 => taken += 1,
            400 => assert!(answer.reason().len() > 20, "{name}: {answer:?}"),
            _ => unreachable!("{name}: {answer:?}"),
        }
        works(&mut connection, &name).await;
    }
    assert!(seen >= 40 && taken >= 20, "{taken} of {seen}");
}
