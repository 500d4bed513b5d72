//! One event at the built program, ten times in a batch, at once, in every shape, over a restart: it is
//! planned once.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use base64::Engine as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{Herald, Receiver, answer, client, config};
use ways::{ACCOUNT, cloud_event, content, flat, operation, pull, webhook};

mod support;
mod ways;

fn configured(receiver: &Receiver) -> String {
    let sources = "[source.a]\nkind = \"http\"\n[source.b]\nkind = \"http\"\n";
    config(receiver.address, sources).replace(support::ACCOUNT, ACCOUNT)
}

async fn send(request: reqwest::RequestBuilder) -> Vec<Value> {
    let (status, body) = answer(request).await;
    assert_eq!(status, 200, "{body}");
    body["results"].as_array().unwrap().clone()
}

/// Every way of saying it, each under an id of its own, by several routes.
fn requests(url: &str, round: usize) -> Vec<reqwest::RequestBuilder> {
    let client = client();
    let id = |shape: &str| format!("{shape}-{round}");
    let post = |path: &str, media: &str, body: String| {
        let request = client.post(format!("{url}{path}"));
        request.header("content-type", media.to_owned()).body(body)
    };
    let packed = base64::engine::general_purpose::STANDARD.encode(flat(&id("packed")).to_string());
    let form: String =
        url::form_urlencoded::byte_serialize(webhook(&id("form")).to_string().as_bytes()).collect();
    let binary = post("/v1/events", "application/json", content().to_string())
        .header("ce-specversion", "1.0")
        .header("ce-id", id("binary"))
        .header("ce-source", "acs.ecs")
        .header("ce-type", format!("ecs:{}", ways::NAME))
        .header("ce-aliyunaccountid", ACCOUNT)
        .header("ce-aliyunregionid", "cn-hangzhou");
    vec![
        post(
            "/v1/events",
            "application/json",
            flat(&id("flat")).to_string(),
        ),
        post(
            "/v1/sources/a/events",
            "application/json",
            webhook(&id("webhook")).to_string(),
        ),
        post(
            "/v1/sources/b/events",
            "application/cloudevents+json",
            cloud_event(&id("ce")).to_string(),
        ),
        post(
            "/v1/events",
            "application/cloudevents-batch+json",
            json!([cloud_event(&id("batch"))]).to_string(),
        ),
        post(
            "/v1/events",
            "application/json",
            pull(&id("pull")).to_string(),
        ),
        post(
            "/v1/operations",
            "application/json",
            operation().to_string(),
        ),
        post("/v1/events", "", packed),
        client.get(format!("{url}/v1/sources/a/events?data={form}")),
        post(
            "/v1/sources/a/events",
            "application/x-www-form-urlencoded",
            format!("data={form}"),
        ),
        post(
            "/v1/events",
            "application/x-ndjson",
            format!("{}\n", flat(&id("line"))),
        ),
        binary,
    ]
}

fn count(results: &[Value], status: &str) -> usize {
    results
        .iter()
        .filter(|line| line["status"] == status)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_planned_once_however_often_and_however_it_comes() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&configured(&receiver));

    // All at once, from connections of their own, before any of them is known.
    let at_once = (0..10).flat_map(|round| requests(&herald.url, round));
    let results = join_all(at_once.map(send)).await.concat();
    assert_eq!(results.len(), 110);
    assert_eq!(
        (count(&results, "accepted"), count(&results, "duplicate")),
        (1, 109)
    );
    let id = &results[0]["id"];
    assert!(
        results.iter().all(|line| line["id"] == *id),
        "each is told the first one's id"
    );

    // Ten times in a batch, with others between them.
    let batch: Vec<Value> = (0..10)
        .flat_map(|place| {
            let mut other = flat(&format!("other-{place}"));
            other["content"]["requestId"] = json!(format!("other-{place}"));
            [flat("again"), other]
        })
        .collect();
    let (_, body) = herald.post("/v1/events", json!(batch).to_string()).await;
    let results = body["results"].as_array().unwrap();
    assert_eq!(
        (count(results, "accepted"), count(results, "duplicate")),
        (10, 10)
    );

    // What a kill finds in flight comes twice, under the same key; here nothing is.
    herald.until(|totals| totals["delivered"] == 11).await;
    for stop in ["TERM", "KILL"] {
        herald.signal(stop);
        herald.ended().await;
        herald.run();
        let results = join_all(requests(&herald.url, 99).into_iter().map(send))
            .await
            .concat();
        assert_eq!(
            count(&results, "duplicate"),
            11,
            "after {stop}: {results:?}"
        );
        assert!(results.iter().all(|line| line["id"] == *id), "after {stop}");
    }

    let totals = herald.until(|totals| totals["pending"] == 0).await;
    assert_eq!(
        (&totals["events"], &totals["planned"]),
        (&json!(11), &json!(11))
    );
    let ids: Vec<String> = receiver
        .received()
        .iter()
        .map(support::Received::event_id)
        .collect();
    let of_first = ids.iter().filter(|id| !id.starts_with("other-")).count();
    assert_eq!((ids.len(), of_first), (11, 1), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_in_a_batch_that_nobody_knew_are_one() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&configured(&receiver));
    let ten: Vec<Value> = (0..10).map(|_| flat("first")).collect();
    let (_, body) = herald.post("/v1/events", json!(ten).to_string()).await;
    let results = body["results"].as_array().unwrap();
    assert_eq!(results[0]["status"], "accepted");
    assert_eq!(count(results, "duplicate"), 9);
    assert_eq!(
        herald.until(|totals| totals["delivered"] == 1).await["planned"],
        1
    );
}
