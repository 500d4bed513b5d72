//! A journal that comes to `journal.max_size`, as users and machines meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use serde_json::{Value, json};
use support::{Herald, PATIENCE, Receiver, client, config, event};

/// Bytes of an event.
const PADDING: usize = 200_000;

/// Events of one request.
const BATCH: usize = 8;

/// A router whose journal takes 64 MiB and whose only sink is paused.
async fn router(receiver: &Receiver) -> Herald {
    let more = "[journal]\nmax_size = \"64 MiB\"\n";
    let herald = Herald::start(&config(receiver.address, more));
    let paused = herald.command(&["sink", "pause", "runbook", "--why", "gone for a week"]);
    assert!(paused.await.status.success());
    herald
}

/// Sends the next events; the answer's status and whether it says when to come back.
async fn send(herald: &Herald, round: usize, level: &str) -> (u16, bool, Value) {
    let padding = "x".repeat(PADDING);
    let events: Vec<String> = (0..BATCH)
        .map(|n| {
            event(&format!("{round}-{n}"))
                .replace("\"ver\":\"1.0\"", &format!("\"pad\":\"{padding}\""))
                .replace("\"level\":\"WARN\"", &format!("\"level\":\"{level}\""))
        })
        .collect();
    let request = client()
        .post(format!("{}/v1/events", herald.url))
        .header("content-type", "application/x-ndjson")
        .body(events.join("\n"));
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let has_wait = response.headers().contains_key("retry-after");
    (status, has_wait, response.json().await.unwrap())
}

async fn readiness(herald: &Herald) -> (u16, String) {
    let response = client().get(format!("{}/readyz", herald.url)).send().await;
    let response = response.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_then_refused_and_the_rest_goes_on() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = router(&receiver).await;
    let mut was_told = false;
    let mut round = 0;
    let refused = loop {
        let (status, has_wait, body) = send(&herald, round, "WARN").await;
        if status == 503 {
            assert!(has_wait);
            break body;
        }
        assert_eq!(status, 200, "{body}");
        let (status, text) = readiness(&herald).await;
        was_told |= status == 200 && text.contains("intake is refused from");
        round += 1;
        assert!(round < 100, "it was never refused");
    };
    let reason = refused["results"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("`journal.max_size`"), "{reason}");
    assert!(was_told, "readiness said it before");
    herald.says("the journal is nearly full").await;
    assert!(round * BATCH * PADDING > 48 << 20, "{round} rounds");
    let (status, text) = readiness(&herald).await;
    assert_eq!(status, 503, "{text}");
    let (_, state) = herald.get("/v1/status").await;
    assert_eq!(state["size"]["fill"], "full", "{state}");

    // A restart finds it as full; what was accepted is delivered when the sink is back.
    herald.kill().await;
    herald.run();
    assert_eq!(send(&herald, round, "WARN").await.0, 503);
    let resumed = herald.command(&["sink", "resume", "runbook"]).await;
    assert!(resumed.status.success());
    let all = round * BATCH;
    herald
        .until(|totals| totals["pending"] == 0 && totals["planned"] == json!(all))
        .await;
    assert_eq!(receiver.received().len(), all);

    // Finished events have gone, and there is room.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while send(&herald, round, "WARN").await.0 != 200 {
        assert!(tokio::time::Instant::now() < deadline, "{}", herald.log());
    }
    herald
        .until(|totals| totals["planned"] == json!(all + BATCH) && totals["removed"] != 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_gone_does_not_stop_intake() {
    let receiver = Receiver::start(&[200]).await;
    let herald = router(&receiver).await;
    for round in 0..80 {
        let (status, _, body) = send(&herald, round, "INFO").await;
        assert_eq!(status, 200, "round {round}: {body}\n{}", herald.log());
    }
    let (_, status) = herald.get("/v1/status").await;
    assert_eq!(status["conserved"], true);
    let totals = &status["totals"];
    assert_eq!(totals["planned"], json!(80 * BATCH));
    assert!(totals["removed"].as_u64().unwrap() > 200, "{totals}");
    assert!(totals["pending"].as_u64().unwrap() > 200, "{totals}");
    herald.says("suppressed: the journal is near").await;
    let file = std::fs::metadata(herald.path("herald.db")).unwrap().len();
    assert!(file < 72 << 20, "{file} bytes");
}
