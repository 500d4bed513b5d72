//! What `/metrics` says of the door: who is there, what bodies take, and who was turned away for what.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::time::Duration;

use herald::api::door;
use router::{BODY_MAX, BOUNDS, Router, head};

mod router;

const EVENT: &str = r#"{"id":"1","name":"n","userId":"1","content":{"a":1}}"#;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// The value of one line of the metrics.
async fn metric(router: &Router, name: &str) -> u64 {
    let mut connection = router.connect().await;
    let answer = connection.ask("GET /metrics", &[], b"").await;
    assert_eq!(answer.status, 200);
    let line = answer.text.lines().find_map(|line| {
        let (found, value) = line.rsplit_once(' ')?;
        (found == name).then(|| value.parse().unwrap())
    });
    line.unwrap_or_else(|| panic!("{name} is not in\n{}", answer.text))
}

/// A reason, the status that goes with it, and a request that is turned away for it.
type Case<'a> = (&'a str, u16, &'a str, &'a [(&'a str, &'a str)]);

async fn turned_away(router: &Router, reason: &str) -> u64 {
    let name = format!("herald_door_turned_away_total{{reason=\"{reason}\"}}");
    metric(router, &name).await
}

/// Waits until a line of the metrics says this.
async fn becomes(router: &Router, name: &str, wanted: u64) {
    let wait = async {
        while metric(router, name).await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(LONG, wait).await;
    assert!(waited.is_ok(), "{name} is not {wanted}");
}

#[tokio::test]
async fn open_connections_and_bodies_on_their_way_are_counted() {
    let router = Router::crowded(BOUNDS, 50).await;
    assert_eq!(metric(&router, "herald_door_connections_max").await, 50);
    assert_eq!(
        metric(&router, "herald_door_bodies_max_bytes").await,
        64 << 20
    );
    becomes(&router, "herald_door_connections", 1).await;

    let idle = [router.connect().await, router.connect().await];
    let mut bringing = router.connect().await;
    bringing
        .write(&head("POST /v1/events", &[], &[("content-length", "52")]))
        .await;
    bringing.write(&EVENT.as_bytes()[..40]).await;
    becomes(&router, "herald_door_bodies_bytes", 40).await;
    becomes(&router, "herald_door_connections", 4).await;

    bringing.write(&EVENT.as_bytes()[40..]).await;
    assert_eq!(bringing.answer().await.statuses(), ["accepted"]);
    drop((idle, bringing));
    becomes(&router, "herald_door_bodies_bytes", 0).await;
    becomes(&router, "herald_door_connections", 1).await;
}

#[tokio::test]
async fn who_is_turned_away_is_counted_by_the_reason() {
    let router = Router::start(LONG).await;
    let long = vec![b' '; usize::try_from(BODY_MAX).unwrap() + 1];
    let json = [("content-type", "application/json")];
    let cases: [Case<'_>; 8] = [
        (
            "origin",
            403,
            "POST /v1/events",
            &[("origin", "http://else.example")],
        ),
        ("origin", 403, "POST /v1/reload", &[("origin", "null")]),
        (
            "origin",
            403,
            "GET /v1/sources/cloud/events?name=n",
            &[("sec-fetch-site", "cross-site")],
        ),
        ("no-source", 404, "POST /v1/sources/nobody/events", &json),
        (
            "media-type",
            415,
            "POST /v1/events",
            &[("content-type", "image/png")],
        ),
        (
            "media-type",
            415,
            "POST /v1/operations",
            &[("content-encoding", "br")],
        ),
        ("body-too-long", 413, "POST /v1/explain", &json),
        (
            "body-unpacked",
            400,
            "POST /v1/events",
            &[("content-encoding", "gzip")],
        ),
    ];
    for (reason, status, line, headers) in cases {
        let before = turned_away(&router, reason).await;
        let mut connection = router.connect().await;
        let body: &[u8] = if status == 413 { &long } else { b"x" };
        let answer = connection.ask(line, headers, body).await;
        assert_eq!(answer.status, status, "{line}");
        assert_eq!(turned_away(&router, reason).await, before + 1, "{line}");
    }

    let raw: [(&str, &[u8]); 3] = [
        (
            "host",
            b"GET /healthz HTTP/1.1\r\nhost: else.example\r\n\r\n",
        ),
        (
            "host",
            b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        ),
        ("not-http", b"HELO mail.example\r\n\r\n"),
    ];
    for (reason, request) in raw {
        let before = turned_away(&router, reason).await;
        let mut connection = router.connect().await;
        connection.write(request).await;
        connection.answer().await;
        assert_eq!(turned_away(&router, reason).await, before + 1, "{reason}");
    }
    // What is asked for and is not there is no refusal, nor is an item that is none.
    let mut connection = router.connect().await;
    assert_eq!(connection.ask("GET /nothing", &[], b"").await.status, 404);
    let item = connection.post("/v1/events", "application/json", b"[1]");
    assert_eq!(item.await.status, 400);
    let mut connection = router.connect().await;
    let answer = connection.ask("GET /metrics", &[], b"").await;
    let counts = answer.text.lines().filter_map(|line| {
        let line = line.strip_prefix("herald_door_turned_away_total")?;
        line.rsplit_once(' ')?.1.parse::<u64>().ok()
    });
    assert_eq!(counts.sum::<u64>(), 11);
}

#[tokio::test]
async fn what_comes_late_or_is_cut_is_counted() {
    let bounds = door::Bounds {
        header_timeout: Duration::from_millis(200),
        ..BOUNDS
    };
    let router = Router::bounded(Duration::from_millis(200), bounds, 60).await;
    let mut late = router.connect().await;
    late.write(b"POST /v1/eve").await;
    assert_eq!(late.answer().await.status, 408);
    let mut late = router.connect().await;
    late.write(&head("POST /v1/events", &[], &[("content-length", "9")]))
        .await;
    assert_eq!(late.answer().await.status, 408);
    let mut long = router.connect().await;
    let field = "x".repeat(20_000);
    assert_eq!(
        long.ask("GET /healthz", &[("x", &field)], b"").await.status,
        431
    );
    let mut much = router.connect().await;
    let body = format!("{EVENT}{}", " ".repeat(20));
    let refused = much.ask("POST /v1/events", &[], body.as_bytes()).await;
    assert_eq!(refused.status, 503);
    let mut gone = router.connect().await;
    gone.write(&head("POST /v1/events", &[], &[("content-length", "9")]))
        .await;
    gone.write(b"[").await;
    drop(gone);
    for reason in [
        "head-late",
        "body-late",
        "head-too-long",
        "no-room",
        "body-cut",
    ] {
        let name = format!("herald_door_turned_away_total{{reason=\"{reason}\"}}");
        becomes(&router, &name, 1).await;
    }
}
