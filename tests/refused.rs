//! Refused bodies, as users and machines meet them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use serde_json::{Value, json};
use support::{ACCOUNT, Herald, Receiver, client, config, event};

async fn send(herald: &Herald, path: &str, media: &str, body: &str) -> u16 {
    let request = client()
        .post(format!("{}{path}", herald.url))
        .header("content-type", media)
        .body(body.to_owned());
    request.send().await.unwrap().status().as_u16()
}

async fn list(herald: &Herald, query: &str) -> Vec<Value> {
    let (status, page) = herald.get(&format!("/v1/refused{query}")).await;
    assert_eq!(status, 200, "{page}");
    page["refused"].as_array().unwrap().clone()
}

/// The body of the newest one.
async fn newest(herald: &Herald) -> Value {
    let id = list(herald, "?limit=1").await[0]["id"].clone();
    herald.get(&format!("/v1/refused/{id}")).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_kept_with_what_it_takes_to_read_it_again() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&config(receiver.address, "[journal]\nrefused = 4\n"));
    const JSON: &str = "application/json";
    assert_eq!(
        send(&herald, "/v1/events", JSON, "{\"no\": JSON").await,
        400
    );
    let one = newest(&herald).await;
    assert_eq!(
        (&one["body"], &one["bytes"]),
        (&json!("{\"no\": JSON"), &json!(11))
    );
    assert_eq!(
        (&one["source"], &one["bringing"]),
        (&json!("api"), &json!("events"))
    );
    assert!(
        one["reason"].as_str().unwrap().contains("not JSON"),
        "{one}"
    );

    // Of a batch the item only, and personal data never.
    let batch = format!(
        "{}\n{{\"no\": 1, \"userInfo\": {{\"mail\": \"somebody@example.com\"}}}}\n{{half",
        event("1")
    );
    assert_eq!(
        send(&herald, "/v1/events", "application/x-ndjson", &batch).await,
        207
    );
    let rows = list(&herald, "?limit=2").await;
    assert_eq!(newest(&herald).await["body"], "{half");
    let (_, second) = herald.get(&format!("/v1/refused/{}", rows[1]["id"])).await;
    assert_eq!(second["body"], r#"{"no":1}"#);

    // What was never read leaves a note.
    assert_eq!(
        send(&herald, "/v1/events", "text/plain", "hello").await,
        415
    );
    let note = newest(&herald).await;
    assert_eq!(
        (&note["kept"], &note["body"]),
        (&json!(false), &Value::Null)
    );
    assert!(note["reason"].as_str().unwrap().contains("Content-Type"));
    let long = "x".repeat(5 << 20);
    assert_eq!(send(&herald, "/v1/operations", JSON, &long).await, 413);
    assert_eq!(newest(&herald).await["bringing"], "operations");

    // No more than were asked for, also over a restart.
    assert_eq!(list(&herald, "").await.len(), 4);
    herald.kill().await;
    herald.run();
    assert_eq!(list(&herald, "?source=api").await.len(), 4);
    assert_eq!(list(&herald, "?source=other").await.len(), 0);
    assert_eq!(list(&herald, "?until=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(herald.get("/v1/refused?sauce=api").await.0, 400);
    assert_eq!(herald.get("/v1/refused/99999").await.0, 404);

    let output = herald.command(&["refused", "--limit", "2"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && shown.contains("(not kept)"),
        "{shown}"
    );
    assert!(shown.contains("more: --cursor "), "{shown}");
    let id = rows[0]["id"].to_string();
    let output = herald.command(&["refused", "--id", &id]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("{half") && shown.contains("not JSON"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_sent_through_again_once_it_is_taken() {
    let receiver = Receiver::start(&[200]).await;
    let source = |accounts: &str| {
        config(
            receiver.address,
            &format!("[source.cm]\nkind = \"http\"\naccounts = [{accounts}]\n"),
        )
    };
    let herald = Herald::start(&source("\"42\""));
    let form = format!(
        "id=f&name=x&alert=1&userId={ACCOUNT}&token=s3cret-of-a-sender&content={{}}&product=ECS"
    );
    let path = "/v1/sources/cm/events";
    assert_eq!(
        send(&herald, path, "application/json", &event("1")).await,
        400
    );
    let media = "application/x-www-form-urlencoded";
    assert_eq!(send(&herald, path, media, &form).await, 400);
    let binary = client()
        .post(format!("{}{path}", herald.url))
        .header("ce-specversion", "1.0")
        .header("ce-id", "b1")
        .header("ce-source", "acs.ecs")
        .header("ce-type", "ecs:Instance:StateChange")
        .header("ce-aliyunaccountid", ACCOUNT)
        .header("content-type", "application/json")
        .body("{\"a\":1}");
    assert_eq!(binary.send().await.unwrap().status(), 400);
    let rows = list(&herald, "?source=cm").await;
    assert_eq!(rows.len(), 3);
    for row in &rows {
        let (_, one) = herald.get(&format!("/v1/refused/{}", row["id"])).await;
        assert!(
            one["reason"].as_str().unwrap().contains("foreign-account"),
            "{one}"
        );
        assert!(!one.to_string().contains("s3cret"), "{one}");
    }
    let again = herald.command(&["refused", "--again", "--dry-run"]).await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(said, "0 would be taken, 3 refused again, 0 not kept\n");

    std::fs::write(
        herald.path("config.toml"),
        source(&format!("\"42\", \"{ACCOUNT}\"")),
    )
    .unwrap();
    assert!(herald.command(&["reload"]).await.status.success());
    let again = herald.command(&["refused", "--again", "--dry-run"]).await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(said, "3 would be taken, 0 refused again, 0 not kept\n");
    assert_eq!(
        list(&herald, "").await.len(),
        3,
        "a dry run changes nothing"
    );

    let first = rows[2]["id"].to_string();
    let again = herald
        .command(&["refused", "--again", "--id", &first])
        .await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(said, "1 taken, 0 refused again, 0 not kept\n");
    assert_eq!(receiver.until(1).await[0].event_id(), "1");
    let why = "the account was missing";
    let again = herald
        .command(&["refused", "--again", "--source", "cm", "--why", why])
        .await;
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(said, "2 taken, 0 refused again, 0 not kept\n");
    herald.until(|totals| totals["delivered"] == 3).await;
    assert!(list(&herald, "").await.is_empty());
    let output = herald.command(&["status"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("send-again") && shown.contains(why),
        "{shown}"
    );
}
