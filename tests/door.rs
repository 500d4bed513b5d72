//! Bodies that are packed, cut, late, too long or of another type, and the webhook's GET.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use router::{BODY_MAX, Router, head};

mod router;

const EVENT: &str = r#"{"id":"1","name":"n","userId":"1","content":{"a":1}}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn router() -> Router {
    Router::start(Duration::from_secs(60)).await
}

#[tokio::test]
async fn gzip_is_inflated_up_to_the_limit() {
    let router = router().await;
    let mut connection = router.connect().await;
    let headers = [("content-encoding", "gzip")];
    let taken = connection
        .ask("POST /v1/events", &headers, &gzip(EVENT.as_bytes()))
        .await;
    assert_eq!(taken.statuses(), ["accepted"]);

    let bomb = gzip(&vec![b' '; 20 << 20]);
    assert!(
        (bomb.len() as u64) < BODY_MAX,
        "it must pass as far as the inflation"
    );
    let refused = connection.ask("POST /v1/events", &headers, &bomb).await;
    assert_eq!(refused.status, 413);
    assert!(
        refused
            .reason()
            .contains("inflates beyond `server.body_max`, 1048576 bytes")
    );

    let mut connection = router.connect().await;
    let broken = connection.ask("POST /v1/events", &headers, b"{}").await;
    assert_eq!(broken.status, 400);
    assert!(broken.reason().contains("not whole gzip"));

    let mut connection = router.connect().await;
    let other = connection
        .ask("POST /v1/events", &[("content-encoding", "br")], b"")
        .await;
    assert_eq!(
        (other.status, other.header("accept-encoding")),
        (415, Some("gzip"))
    );
    assert!(other.reason().contains("must be gzip"));
}

#[tokio::test]
async fn a_body_that_is_too_long_names_the_limit() {
    let router = router().await;
    let long = vec![b' '; usize::try_from(BODY_MAX).unwrap() + 1];
    let mut connection = router.connect().await;
    let refused = connection
        .post("/v1/events", "application/json", &long)
        .await;
    assert_eq!(refused.status, 413);
    assert!(
        refused
            .reason()
            .contains("`server.body_max`, 1048576 bytes")
    );

    let mut connection = router.connect().await;
    let announced = [("content-length", "1000000000000")];
    connection
        .write(&head("POST /v1/operations", &[], &announced))
        .await;
    assert_eq!(
        connection.answer().await.status,
        413,
        "without waiting for it"
    );
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn another_type_is_refused_with_what_is_taken() {
    let router = router().await;
    let mut connection = router.connect().await;
    for media in [
        "text/plain",
        "application/xml",
        "application/cloudevents+avro",
    ] {
        let refused = connection.post("/v1/events", media, EVENT.as_bytes()).await;
        assert_eq!(refused.status, 415, "{media}");
        assert!(refused.reason().contains("application/x-ndjson"));
    }
    let taken = connection
        .ask("POST /v1/events", &[], EVENT.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["accepted"], "no type at all is JSON");
}

#[tokio::test]
async fn chunks_are_put_together() {
    let router = router().await;
    let mut connection = router.connect().await;
    connection
        .write(&head(
            "POST /v1/events",
            &[],
            &[("transfer-encoding", "chunked")],
        ))
        .await;
    for piece in EVENT.as_bytes().chunks(7) {
        connection
            .write(format!("{:x}\r\n", piece.len()).as_bytes())
            .await;
        connection.write(piece).await;
        connection.write(b"\r\n").await;
    }
    connection.write(b"0\r\n\r\n").await;
    assert_eq!(connection.answer().await.statuses(), ["accepted"]);
    let next = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(next.statuses(), ["duplicate"]);
}

#[tokio::test]
async fn a_broken_chunk_is_refused_and_chunks_without_end_are_cut() {
    let router = router().await;
    let mut connection = router.connect().await;
    connection
        .write(&head(
            "POST /v1/events",
            &[],
            &[("transfer-encoding", "chunked")],
        ))
        .await;
    connection.write(b"zz\r\n").await;
    let refused = connection.answer().await;
    assert_eq!(refused.status, 400);
    assert!(refused.reason().contains("before its announced end"));

    let mut connection = router.connect().await;
    connection
        .write(&head(
            "POST /v1/events",
            &[],
            &[("transfer-encoding", "chunked")],
        ))
        .await;
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    // The answer comes while we still write, so that writing may fail at any time.
    let (mut reading, mut writing) = connection.stream.into_split();
    let endless = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut writing, &chunk)
            .await
            .is_ok()
        {}
    });
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 413"));
    endless.await.unwrap();
    assert_eq!(router.recorded().await, 0);
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_leaves_nothing() {
    let router = router().await;
    for half in ["", EVENT, &EVENT[..20]] {
        let mut connection = router.connect().await;
        connection
            .write(&head("POST /v1/events", &[], &[("content-length", "100")]))
            .await;
        connection.write(half.as_bytes()).await;
        tokio::io::AsyncWriteExt::shutdown(&mut connection.stream)
            .await
            .unwrap();
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut connection.stream, &mut answer).await;
        let text = String::from_utf8(answer).unwrap();
        assert!(
            read.is_ok() && (text.is_empty() || text.starts_with("HTTP/1.1 400")),
            "{text}"
        );
    }
    assert_eq!(router.recorded().await, 0);
    let mut connection = router.connect().await;
    let next = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(next.statuses(), ["accepted"]);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let router = Router::start(Duration::from_millis(50)).await;
    let mut connection = router.connect().await;
    connection
        .write(&head("POST /v1/events", &[], &[("content-length", "10")]))
        .await;
    let refused = connection.answer().await;
    assert_eq!(
        (refused.status, refused.header("connection")),
        (408, Some("close"))
    );
    assert!(refused.reason().contains("`server.body_timeout`"));
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_journal_that_takes_nothing_is_a_503_with_results() {
    let router = router().await;
    herald::journal::Journal::close(&*router.journal).await;
    let mut connection = router.connect().await;
    let refused = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.statuses(), ["refused"]);
}

#[tokio::test]
async fn a_source_takes_a_query_and_a_form() {
    let router = router().await;
    let mut connection = router.connect().await;
    let encoded: String = url::form_urlencoded::byte_serialize(EVENT.as_bytes()).collect();
    let whole = format!("GET /v1/sources/cloud/events?data={encoded}");
    assert_eq!(
        connection.ask(&whole, &[], b"").await.statuses(),
        ["accepted"]
    );
    let fields = "id=1&name=n&userId=1&content=%7B%22a%22%3A1%7D";
    let query = format!("GET /v1/sources/cloud/events?{fields}&token=x");
    assert_eq!(
        connection.ask(&query, &[], b"").await.statuses(),
        ["duplicate"]
    );
    for path in ["/v1/sources/cloud/events", "/v1/events"] {
        let form = connection.post(path, "application/x-www-form-urlencoded", fields.as_bytes());
        assert_eq!(form.await.statuses(), ["duplicate"]);
    }
    let empty = connection
        .ask("GET /v1/sources/cloud/events", &[], b"")
        .await;
    assert_eq!(empty.status, 400);
    assert!(empty.reason().contains("has no fields"));
    let unknown = connection
        .ask("GET /v1/sources/other/events?x=1", &[], b"")
        .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_page_in_a_browser_cannot_bring_an_event_by_get() {
    let router = router().await;
    let mut connection = router.connect().await;
    let get = "GET /v1/sources/cloud/events?name=n&content=c";
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "null"),
    ] {
        let refused = connection.ask(get, &[(name, value)], b"").await;
        assert_eq!((refused.status, refused.statuses()), (403, vec!["refused"]));
    }
    let mut connection = router.connect().await;
    connection
        .write(&head(&get.replace("GET", "HEAD"), &[], &[]))
        .await;
    let mut answer = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut connection.stream, &mut answer)
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 405");
    assert_eq!(router.recorded().await, 0);
}

#[tokio::test]
async fn batches_are_answered_item_by_item() {
    let router = router().await;
    let mut connection = router.connect().await;
    let mixed = format!(r#"[{EVENT},7,{EVENT},{{"specversion":"1.0"}}]"#);
    let answer = connection
        .post("/v1/events", "application/json", mixed.as_bytes())
        .await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        answer.statuses(),
        ["accepted", "refused", "duplicate", "refused"]
    );
    let empty = connection
        .post("/v1/events", "application/json", b"[]")
        .await;
    assert_eq!((empty.status, empty.statuses()), (200, vec![]));
}

#[tokio::test]
async fn a_bomb_in_many_parts_is_cut_and_a_pack_in_a_pack_is_no_document() {
    let router = router().await;
    let headers = [("content-encoding", "gzip")];
    // Each member is within the bound; together they are not (RFC 1952, section 2.2).
    let member = gzip(&vec![b' '; 64 << 10]);
    let bomb = member.repeat(1_000);
    assert!((bomb.len() as u64) < BODY_MAX);
    let mut connection = router.connect().await;
    let refused = connection.ask("POST /v1/events", &headers, &bomb).await;
    assert_eq!(refused.status, 413);
    assert!(
        refused
            .reason()
            .contains("inflates beyond `server.body_max`")
    );
    assert_eq!(router.room.taken(), 0);

    let mut connection = router.connect().await;
    let twice = gzip(&gzip(EVENT.as_bytes()));
    let refused = connection.ask("POST /v1/events", &headers, &twice).await;
    assert_eq!(refused.status, 400);
    assert!(refused.reason().contains("not JSON"), "{refused:?}");
    let once = gzip(EVENT.as_bytes());
    let next = connection.ask("POST /v1/events", &headers, &once);
    assert_eq!(
        next.await.statuses(),
        ["accepted"],
        "on the same connection"
    );
}
