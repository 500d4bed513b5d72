//! One event that comes in several shapes, over several routes, is one event.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::time::Duration;

use base64::Engine as _;
use router::{ACCOUNT, Answer, Connection, Router};
use serde_json::{Value, json};
use ways::{NAME, arn, cloud_event, content, flat, operation, pull, webhook};

mod router;
mod ways;

async fn post(connection: &mut Connection, path: &str, body: &Value) -> Answer {
    connection
        .post(path, "application/json", body.to_string().as_bytes())
        .await
}

#[track_caller]
fn id(answer: &Answer, status: &str) -> String {
    assert_eq!(answer.statuses(), [status], "{answer:?}");
    answer.body["results"][0]["id"].as_str().unwrap().to_owned()
}

/// Every way of saying it, each with an id of its own.
async fn ways(connection: &mut Connection) -> Vec<Answer> {
    let upper = "7C1D2E90-5A44-4B1E-9A33-0F5B6B2C11D4";
    let packed = base64::engine::general_purpose::STANDARD.encode(flat("other-1").to_string());
    let form: String =
        url::form_urlencoded::byte_serialize(webhook("other-2").to_string().as_bytes()).collect();
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "other-3"),
        ("ce-source", "acs:ecs"),
        (
            "ce-type",
            "ecs:NetworkInterface:NetworkInterfaceOperateCompleted",
        ),
        ("ce-aliyunaccountid", ACCOUNT),
        ("ce-aliyunregionid", "cn-hangzhou"),
        ("content-type", "application/json"),
    ];
    let data = content().to_string();
    vec![
        post(connection, "/v1/events", &flat(upper)).await,
        post(
            connection,
            "/v1/events",
            &webhook(&upper.to_ascii_lowercase()),
        )
        .await,
        post(
            connection,
            "/v1/sources/cloud/events",
            &cloud_event("other-4"),
        )
        .await,
        post(connection, "/v1/events", &pull("other-5")).await,
        post(connection, "/v1/operations", &operation()).await,
        connection.post("/v1/events", "", packed.as_bytes()).await,
        connection
            .ask(
                &format!("GET /v1/sources/cloud/events?data={form}"),
                &[],
                b"",
            )
            .await,
        connection
            .ask("POST /v1/events", &binary, data.as_bytes())
            .await,
    ]
}

#[tokio::test]
async fn an_eni_event_is_one_over_every_shape_and_route() {
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    let answers = ways(&mut connection).await;
    let first = id(&answers[0], "accepted");
    for answer in &answers[1..] {
        assert_eq!(id(answer, "duplicate"), first);
    }
    assert_eq!(router.recorded().await, 1);
}

#[tokio::test]
async fn whichever_shape_is_first_the_others_repeat_it() {
    type Make = fn(&str) -> Value;
    let shapes: [Make; 4] = [flat, webhook, cloud_event, pull];
    for first in shapes {
        let router = Router::start(Duration::from_secs(60)).await;
        let mut connection = router.connect().await;
        let is = id(
            &post(&mut connection, "/v1/events", &first("a")).await,
            "accepted",
        );
        for (place, other) in shapes.into_iter().enumerate() {
            let body = other(&format!("b-{place}"));
            let answer = post(&mut connection, "/v1/events", &body).await;
            assert_eq!(id(&answer, "duplicate"), is);
        }
        let answer = post(&mut connection, "/v1/operations", &operation()).await;
        assert_eq!(id(&answer, "duplicate"), is);
    }
}

#[tokio::test]
async fn another_outcome_request_or_account_is_another_event() {
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    id(
        &post(&mut connection, "/v1/events", &flat("a")).await,
        "accepted",
    );
    for (place, (from, to)) in [
        ("success", "failed"),
        ("0F0E0D0C", "AAAAAAAA"),
        (ACCOUNT, "42"),
        ("eni-1", "eni-2"),
    ]
    .into_iter()
    .enumerate()
    {
        let text = cloud_event(&format!("b-{place}"))
            .to_string()
            .replace(from, to);
        let body: Value = serde_json::from_str(&text).unwrap();
        id(
            &post(&mut connection, "/v1/events", &body).await,
            "accepted",
        );
    }
    assert_eq!(router.recorded().await, 5);
}

#[tokio::test]
async fn cloud_events_of_two_sources_with_one_id_are_two() {
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    let event = |source: &str| json!({"specversion": "1.0", "id": "1", "source": source, "type": "t", "data": {"n": 1}});
    id(
        &post(&mut connection, "/v1/events", &event("a")).await,
        "accepted",
    );
    id(
        &post(&mut connection, "/v1/events", &event("b")).await,
        "accepted",
    );
    id(
        &post(&mut connection, "/v1/events", &event("a")).await,
        "duplicate",
    );
}

#[tokio::test]
async fn the_same_in_one_batch_and_at_once_is_one() {
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    let batch = json!([
        flat("a"),
        webhook("b"),
        cloud_event("c"),
        pull("d"),
        flat("a")
    ]);
    let answer = post(&mut connection, "/v1/events", &batch).await;
    assert_eq!(
        answer.statuses(),
        [
            "accepted",
            "duplicate",
            "duplicate",
            "duplicate",
            "duplicate"
        ]
    );

    let router = Router::start(Duration::from_secs(60)).await;
    let asked = (0..8).map(|place| {
        let body = match place % 4 {
            0 => flat("x"),
            1 => webhook("y"),
            2 => cloud_event("z"),
            _ => pull("w"),
        };
        let router = &router;
        async move {
            let mut connection = router.connect().await;
            post(&mut connection, "/v1/events", &body).await
        }
    });
    let answers = futures_util::future::join_all(asked).await;
    let accepted = answers
        .iter()
        .filter(|answer| answer.statuses() == ["accepted"]);
    assert_eq!(accepted.count(), 1);
    assert_eq!(router.recorded().await, 1);
}

#[tokio::test]
async fn a_dry_run_is_never_a_repeat() {
    let router = Router::start(Duration::from_secs(60)).await;
    let mut connection = router.connect().await;
    let dry = json!({"name": NAME, "product": "ECS", "resourceId": arn(), "content": content()});
    for _ in 0..2 {
        id(&post(&mut connection, "/v1/events", &dry).await, "accepted");
    }
}
