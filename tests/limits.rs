//! What a connection, a request and all bodies together may cost: each bound cuts, and says its name.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::time::{Duration, Instant};

use herald::api::door;
use router::{BODY_MAX, BOUNDS, Connection, Router, head};
use tokio::io::AsyncReadExt as _;

mod router;

const EVENT: &str = r#"{"id":"1","name":"n","userId":"1","content":{"a":1}}"#;

/// Longer than any pause of these tests.
const LONG: Duration = Duration::from_secs(60);

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What comes until the other side closes.
async fn rest(connection: &mut Connection) -> Vec<u8> {
    let mut said = Vec::new();
    let read = connection.stream.read_to_end(&mut said);
    tokio::time::timeout(LONG, read).await.unwrap().unwrap();
    said
}

async fn bounded(bounds: door::Bounds) -> Router {
    Router::bounded(LONG, bounds, 64 << 20).await
}

#[tokio::test]
async fn a_head_that_is_too_long_names_the_limit() {
    let router = bounded(BOUNDS).await;
    let mut connection = router.connect().await;
    let fits = "x".repeat(15_000);
    let taken = connection
        .ask("POST /v1/events", &[("x-long", &fits)], EVENT.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["accepted"]);

    let many: String = (0..101).map(|field| format!("x-{field}: y\r\n")).collect();
    for more in [format!("x-long: {}\r\n", "x".repeat(17_000)), many] {
        let mut connection = router.connect().await;
        let request = format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
        connection.write(request.as_bytes()).await;
        let refused = connection.answer().await;
        assert_eq!(refused.status, 431);
        assert!(
            refused
                .detail()
                .contains("`server.header_max`, 16384 bytes"),
            "{refused:?}"
        );
        assert!(connection.is_closed().await);
    }
    assert_eq!(router.recorded().await, 1);
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    let router = bounded(BOUNDS).await;
    let mut connection = router.connect().await;
    connection.write(b"EHLO mail.example.com\r\n\r\n").await;
    let refused = connection.answer().await;
    assert_eq!(refused.status, 400);
    assert!(refused.detail().contains("no request of HTTP/1.1"));
}

#[tokio::test]
async fn half_a_head_is_cut_and_told_why() {
    let bounds = door::Bounds {
        header_timeout: milliseconds(300),
        ..BOUNDS
    };
    let router = bounded(bounds).await;
    let mut connection = router.connect().await;
    connection
        .write(b"POST /v1/events HTTP/1.1\r\nhost: lo")
        .await;
    let refused = connection.answer().await;
    assert_eq!(refused.status, 408);
    assert!(refused.detail().contains("`server.header_timeout`"));
    assert!(connection.is_closed().await);

    // A byte now and then does not buy time, also not on a connection that has asked before.
    let mut connection = router.connect().await;
    let taken = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["accepted"]);
    let began = Instant::now();
    let (mut reading, mut writing) = connection.stream.into_split();
    let dripping = tokio::spawn(async move {
        let byte = |at: usize| [head("GET /healthz", &[], &[])[at % 20]];
        for at in 0..2_000 {
            if tokio::io::AsyncWriteExt::write_all(&mut writing, &byte(at))
                .await
                .is_err()
            {
                return;
            }
            tokio::time::sleep(milliseconds(30)).await;
        }
    });
    let mut said = Vec::new();
    let read = reading.read_to_end(&mut said);
    let _ = tokio::time::timeout(LONG, read).await.unwrap();
    assert!(String::from_utf8_lossy(&said).starts_with("HTTP/1.1 408"));
    assert!(
        began.elapsed() < LONG / 2,
        "it went on for {:?}",
        began.elapsed()
    );
    dripping.abort();

    // Who never says anything is no request that could be answered.
    let mut connection = router.connect().await;
    let said = rest(&mut connection).await;
    assert!(said.is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_time_of_its_own() {
    let bounds = door::Bounds {
        header_timeout: milliseconds(100),
        idle_timeout: milliseconds(1_500),
        ..BOUNDS
    };
    let router = bounded(bounds).await;
    let mut connection = router.connect().await;
    for answer in ["accepted", "duplicate"] {
        let taken = connection
            .post("/v1/events", "application/json", EVENT.as_bytes())
            .await;
        assert_eq!(taken.statuses(), [answer]);
        // Longer than a head may take, shorter than a pause may.
        tokio::time::sleep(milliseconds(400)).await;
    }
    let began = Instant::now();
    let said = rest(&mut connection).await;
    assert!(said.is_empty(), "nothing is said to one that is idle");
    assert!(
        began.elapsed() >= milliseconds(800),
        "after {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn who_reads_no_answer_is_cut_and_frees_the_place() {
    let bounds = door::Bounds {
        idle_timeout: milliseconds(300),
        ..BOUNDS
    };
    let router = Router::crowded(bounds, 1).await;
    let mut first = router.connect().await;
    first
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    // Ten megabytes of answers that nobody reads.
    let ask = head("GET /console.css", &[], &[]).repeat(4_000);
    let (_unread, mut writing) = first.stream.into_split();
    let asking = tokio::spawn(async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut writing, &ask).await;
        std::future::pending::<()>().await;
    });
    let mut second = router.connect().await;
    let taken = second
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(taken.statuses(), ["duplicate"]);
    asking.abort();
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let router = Router::crowded(BOUNDS, 2).await;
    let mut first = router.connect().await;
    let mut second = router.connect().await;
    for connection in [&mut first, &mut second] {
        let taken = connection
            .post("/v1/events", "application/json", b"[]")
            .await;
        assert_eq!(taken.status, 200);
    }
    let mut third = router.connect().await;
    let asked = third.post("/v1/events", "application/json", b"[]");
    let mut asked = std::pin::pin!(asked);
    let waits = tokio::time::timeout(milliseconds(200), asked.as_mut()).await;
    assert!(waits.is_err(), "it was served beside two others");
    drop(first);
    assert_eq!(asked.await.status, 200);
}

#[tokio::test]
async fn all_bodies_together_have_a_bound() {
    let router = Router::bounded(LONG, BOUNDS, BODY_MAX + BODY_MAX / 2).await;
    let padded = |id: u32| {
        let event = EVENT.replace("\"1\"", &format!("\"{id}\""));
        let space = " ".repeat(usize::try_from(BODY_MAX).unwrap() - event.len());
        format!("{event}{space}").into_bytes()
    };
    let length = BODY_MAX.to_string();
    let announce = head("POST /v1/events", &[], &[("content-length", &length)]);
    let mut slow = router.connect().await;
    let body = padded(1);
    let (most, rest) = body.split_at(body.len() - 10);
    slow.write(&announce).await;
    slow.write(most).await;
    // Announcing costs nothing: the room goes to who brings bytes.
    let mut announcing = router.connect().await;
    announcing.write(&announce).await;

    let read = async {
        while router.room.taken() < most.len() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, read).await.unwrap();
    // The same sender has its share, and another finds no room.
    let mut connection = router.connect().await;
    let refused = connection
        .post("/v1/events", "application/json", &padded(2))
        .await;
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .reason()
            .contains("1048576 of the 1572864 bytes of `server.bodies_max`")
    );
    assert!(refused.header("retry-after").is_some());
    let mut connection = router.connect().await;
    let refused = connection
        .post("/v1/sources/cloud/events", "application/json", &padded(2))
        .await;
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .reason()
            .contains("`server.bodies_max`, 1572864 bytes")
    );
    assert!(refused.header("retry-after").is_some());
    let mut small = router.connect().await;
    let taken = small.post("/v1/events", "application/json", b"[]").await;
    assert_eq!(taken.status, 200, "there is room for it");
    slow.write(rest).await;
    assert_eq!(slow.answer().await.statuses(), ["accepted"]);
    let mut next = router.connect().await;
    let taken = next
        .post("/v1/events", "application/json", &padded(1))
        .await;
    assert_eq!(taken.statuses(), ["duplicate"]);
    assert_eq!(router.room.taken(), 0, "all of it was given back");
}

#[tokio::test]
async fn one_sender_leaves_room_for_another() {
    let router = Router::bounded(LONG, BOUNDS, 4 * BODY_MAX).await;
    let padded = |id: u32| {
        let event = EVENT.replace("\"1\"", &format!("\"{id}\""));
        let space = " ".repeat(usize::try_from(BODY_MAX).unwrap() - event.len());
        format!("{event}{space}").into_bytes()
    };
    let length = BODY_MAX.to_string();
    let announce = head("POST /v1/events", &[], &[("content-length", &length)]);
    let mut slow = Vec::new();
    for id in 1..=8 {
        let mut connection = router.connect().await;
        connection.write(&announce).await;
        // What is refused meanwhile is read to its end all the same.
        connection.write(&padded(id)[10..]).await;
        slow.push(connection);
    }
    let half = usize::try_from(2 * BODY_MAX).unwrap();
    let filled = async {
        while router.room.taken() + 100 < half {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, filled).await.unwrap();
    for id in 11..=14 {
        let mut other = router.connect().await;
        let taken = other
            .post("/v1/sources/cloud/events", "application/json", &padded(id))
            .await;
        assert_eq!(
            taken.statuses(),
            ["accepted"],
            "beside a sender that takes all it can"
        );
    }
    assert!(router.room.taken() <= half, "{}", router.room.taken());
}

#[tokio::test]
async fn bodies_of_other_routes_have_the_same_bounds() {
    let router = Router::start(milliseconds(200)).await;
    for route in ["POST /v1/explain", "POST /v1/replay", "POST /v1/cancel"] {
        let mut connection = router.connect().await;
        connection
            .write(&head(route, &[], &[("content-length", "10")]))
            .await;
        let late = connection.answer().await;
        assert_eq!(late.status, 408, "{route}");
        assert!(late.detail().contains("`server.body_timeout`"), "{route}");
        let mut connection = router.connect().await;
        let long = vec![b' '; usize::try_from(BODY_MAX).unwrap() + 1];
        let refused = connection.ask(route, &[], &long).await;
        assert_eq!(refused.status, 413, "{route}");
        assert!(refused.detail().contains("`server.body_max`"), "{route}");
    }
}

#[tokio::test]
async fn bounds_of_documents_are_told_by_name() {
    let router = bounded(BOUNDS).await;
    let mut connection = router.connect().await;
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let many = format!("[{}1]", "1,".repeat(1_000));
    let long = format!(r#"{{"name":"n","content":"{}"}}"#, "x".repeat(300_000));
    for (body, name) in [
        (deep, "`server.depth_max`"),
        (many, "`server.batch_max`"),
        (long, "`server.field_max`"),
    ] {
        let refused = connection
            .post("/v1/events", "application/json", body.as_bytes())
            .await;
        assert_eq!(refused.status, 400, "{name}");
        assert!(refused.reason().contains(name), "{name}: {refused:?}");
    }
    let next = connection
        .post("/v1/events", "application/json", EVENT.as_bytes())
        .await;
    assert_eq!(next.statuses(), ["accepted"]);
}
