//! Sources that fetch, in the built program: killed, reloaded, rotated under load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use support::{Herald, Receiver, config, event};

/// A dry run: it has no identity, so nothing but the bookmark keeps it from coming in twice.
fn nameless(number: u32) -> String {
    format!(
        r#"{{"product":"ECS","level":"INFO","name":"Disk:Test","userId":"1","content":{{"n":{number}}}}}"#
    )
}

fn append(path: &Path, lines: &[String]) {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
}

fn events(totals: &Value) -> u64 {
    totals["events"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_followed_over_kills_and_rotations() {
    let receiver = Receiver::start(&[200]).await;
    let source = "[source.tail]\nkind = \"file\"\npath = \"events.ndjson\"\n";
    let mut herald = Herald::start(&config(receiver.address, source));
    let path = herald.path("events.ndjson");

    let (rounds, lines) = (5_u32, 4_000_u32);
    let (go, asked) = std::sync::mpsc::channel::<u32>();
    let writer = std::thread::spawn({
        let path = path.clone();
        move || {
            for round in asked {
                for number in round * lines..(round + 1) * lines {
                    append(&path, &[nameless(number)]);
                    if number % 1_501 == 1_500 {
                        let to = path.with_file_name(format!("events.ndjson.{number:05}"));
                        fs::rename(&path, to).unwrap();
                    }
                }
            }
        }
    });
    // Killed in the middle of each round, as soon as something of it is there.
    for round in 0..rounds {
        let before = events(&herald.get("/v1/status").await.1["totals"]);
        go.send(round).unwrap();
        herald.until(|totals| events(totals) > before).await;
        herald.kill().await;
        herald.run();
        let all = u64::from((round + 1) * lines);
        herald.until(|totals| events(totals) >= all).await;
    }
    drop(go);
    tokio::task::spawn_blocking(move || writer.join().unwrap())
        .await
        .unwrap();
    let until = rounds * lines;
    // Were a line read twice, it would be soon.
    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(0));
    herald.run();
    append(&path, &[event("last")]);
    let totals = herald
        .until(|totals| events(totals) > u64::from(until))
        .await;
    assert_eq!(events(&totals), u64::from(until) + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_cost_no_good_one_and_a_reload_moves_the_source() {
    let receiver = Receiver::start(&[200]).await;
    let source = |path: &str, more: &str| {
        let source = format!("[source.tail]\nkind = \"file\"\npath = \"{path}\"\n{more}");
        config(receiver.address, &source)
    };
    let mut herald = Herald::start(&source("a.ndjson", "line_max = \"2 KiB\""));
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(3_000));
    let foreign = event("4").replace("1690700000000030", "1690700000000031");
    let lines = [
        event("1"),
        "no json".to_owned(),
        long,
        event("2"),
        "[]".to_owned(),
        event("1"),
    ];
    append(&herald.path("a.ndjson"), &lines);
    herald.until(|totals| events(totals) == 2).await;
    let said = |herald: &Herald, words: &str| {
        let log = herald.log();
        assert!(log.contains(words), "{words}\n{log}");
    };

    append(&herald.path("b.ndjson"), &[event("3"), foreign.clone()]);
    let config = source("b.ndjson", "accounts = [\"1690700000000030\"]");
    fs::write(herald.path("config.toml"), config).unwrap();
    herald.until(|totals| events(totals) == 3).await;
    said(&herald, "longer than `line_max`, 2048 bytes");
    said(&herald, "is refused: not JSON");
    // The one it followed is left alone, and what it may bring is judged as at the door.
    append(&herald.path("a.ndjson"), &[event("5")]);
    append(&herald.path("b.ndjson"), &[event("6")]);
    herald.until(|totals| events(totals) == 4).await;
    said(&herald, "foreign-account");
    assert!(!receiver.received().is_empty());
    let (_, metrics) = herald.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains(r#"herald_items_total{source="tail",status="duplicate"} 1"#),
        "{metrics}"
    );

    let (_, refused) = herald.get("/v1/refused").await;
    let refused = refused.to_string();
    for words in ["not JSON", "line_max", "foreign-account"] {
        assert!(refused.contains(words), "{words}\n{refused}");
    }

    // Gone from the configuration, it is read no more.
    fs::write(
        herald.path("config.toml"),
        support::config(receiver.address, ""),
    )
    .unwrap();
    let ended = async {
        while herald.log().matches("fetching has ended").count() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, ended)
        .await
        .unwrap_or_else(|_| panic!("{}", herald.log()));
    append(&herald.path("b.ndjson"), &[event("7")]);
    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(0));
    herald.run();
    let (_, status) = herald.get("/v1/status").await;
    assert_eq!(events(&status["totals"]), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_of_a_signed_source_lets_nothing_else_in() {
    let receiver = Receiver::start(&[200]).await;
    let sources = r#"
[source.tail]
kind = "file"
path = "events.ndjson"

[source.bridge]
kind = "cloudevents"
url = "https://herald.example.com/v1/sources/bridge/events"
regions = ["cn-hangzhou"]
token = "0123456789abcdefghij"
accounts = ["1690700000000030"]
origins = ["eventbridge.aliyuncs.com"]
"#;
    let mut herald = Herald::start(&config(receiver.address, sources));
    let (status, body) = herald.post("/v1/sources/tail/events", event("1")).await;
    assert_eq!(status, 404, "{body}");
    let url = format!("{}/v1/sources/bridge/events", herald.url);
    let post = |headers: &[(&'static str, &str)]| {
        let mut request = support::client().post(&url).body(event("1"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        support::answer(request)
    };
    let reason = |body: &Value| body["results"][0]["reason"].as_str().unwrap().to_owned();
    let (status, body) = post(&[]).await;
    assert_eq!(status, 401, "{body}");
    // The token where every other source takes it is not enough.
    let (status, body) = post(&[("authorization", "Bearer 0123456789abcdefghij")]).await;
    assert_eq!(status, 401, "{body}");
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let signed = |pem: &str| {
        [
            (
                "x-eventbridge-signature-token",
                "0123456789abcdefghij".to_owned(),
            ),
            ("x-eventbridge-signature-v2", "AAAA".to_owned()),
            ("x-eventbridge-signature-version", "1.0".to_owned()),
            ("x-eventbridge-hash-method", "SHA256".to_owned()),
            ("x-eventbridge-signature-timestamp", now.to_string()),
            ("x-eventbridge-signature-url", pem.to_owned()),
        ]
    };
    let evil = signed("https://evil.example/x509.pem");
    let evil: Vec<_> = evil.iter().map(|(name, value)| (*name, &**value)).collect();
    let (status, body) = post(&evil).await;
    assert_eq!(status, 401, "{body}");
    assert!(reason(&body).contains("`regions`"), "{body}");

    let options = |origin: &str| {
        support::client()
            .request(reqwest::Method::OPTIONS, &url)
            .header("webhook-request-origin", origin)
            .send()
    };
    let agreed = options("eventbridge.aliyuncs.com").await.unwrap();
    assert_eq!(agreed.status(), 200);
    assert_eq!(
        agreed.headers()["webhook-allowed-origin"],
        "eventbridge.aliyuncs.com"
    );
    assert_eq!(options("evil.example").await.unwrap().status(), 403);
    assert_eq!(herald.get("/v1/sources/bridge/events?name=x").await.0, 401);
    let (_, status) = herald.get("/v1/status").await;
    assert_eq!(events(&status["totals"]), 0);
    assert!(!herald.log().contains("0123456789abcdefghij"));
    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(0));
}
