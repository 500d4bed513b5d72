//! What people do to a running router: replay, cancel, pause, resume, test a sink, back up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::mail::MailServer;
use support::{Herald, Receiver, answer, client, config, event};

#[track_caller]
fn said(output: &Output) -> String {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

async fn command(herald: &Herald, arguments: &[&str]) -> String {
    said(&herald.command(arguments).await)
}

/// A request with these events.
fn batch(ids: impl IntoIterator<Item = usize>) -> String {
    let events: Vec<String> = ids.into_iter().map(|n| event(&n.to_string())).collect();
    format!("[{}]", events.join(","))
}

async fn deliveries(herald: &Herald, query: &str) -> Vec<Value> {
    let (status, body) = herald.get(&format!("/v1/deliveries?{query}")).await;
    assert_eq!(status, 200, "{body}");
    body["deliveries"].as_array().unwrap().clone()
}

async fn sink(herald: &Herald, name: &str) -> Value {
    let sinks = herald.get("/v1/sinks").await.1["sinks"].clone();
    let found = sinks
        .as_array()
        .unwrap()
        .iter()
        .find(|sink| sink["name"] == name);
    found.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_replayed_and_its_attempts_stay() {
    let receiver = Receiver::start(&[404]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["dead"] == 1).await;
    receiver.answer_from_now_on(200);
    let id = deliveries(&herald, "").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let counted = command(&herald, &["replay", &id, "--dry-run"]).await;
    assert_eq!(counted, "1 delivery would be due again\n");
    assert_eq!(receiver.received().len(), 1);
    let done = command(&herald, &["replay", &id, "--why", "the endpoint is back"]).await;
    assert_eq!(done, "1 delivery is due again\n");
    let received = receiver.until(2).await;
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id"),
        "what never arrived keeps its key"
    );
    herald
        .until(|totals| totals["delivered"] == 1 && totals["dead"] == 0)
        .await;
    let (_, shown) = herald.get(&format!("/v1/deliveries/{id}")).await;
    assert_eq!(shown["attemptCount"], 2);
    let outcomes: Vec<_> = shown["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["permanent", "delivered"]);

    let (status, _) = herald
        .post(&format!("/v1/deliveries/{id}/replay"), "")
        .await;
    assert_eq!(status, 200, "what was delivered, too");
    let received = receiver.until(3).await;
    assert_ne!(
        received[1].header("webhook-id"),
        received[2].header("webhook-id")
    );

    let status = command(&herald, &["status"]).await;
    assert!(
        status.contains("the endpoint is back") && status.contains("loopback"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_replayed_in_steps() {
    const EVENTS: usize = 1_203;
    let receiver = Receiver::start(&[404]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    for ids in (0..EVENTS).collect::<Vec<_>>().chunks(400) {
        let (status, _) = herald.post("/v1/events", batch(ids.iter().copied())).await;
        assert_eq!(status, 200);
    }
    herald.until(|totals| totals["dead"] == EVENTS).await;
    receiver.answer_from_now_on(200);
    let ask = |body: Value| herald.post("/v1/replay", body.to_string());
    let dry = json!({"sink":"runbook","state":"dead","dryRun":true});
    assert_eq!(ask(dry).await, (200, json!({"count":EVENTS})));
    assert_eq!(herald.until(|_| true).await["dead"], EVENTS);
    let one = ask(json!({"eni":"eni-7"})).await;
    assert_eq!(one, (200, json!({"count":1})));
    herald.until(|totals| totals["delivered"] == 1).await;
    let all = command(&herald, &["replay", "--state", "dead"]).await;
    assert_eq!(all, format!("{} deliveries are due again\n", EVENTS - 1));
    let totals = herald.until(|totals| totals["delivered"] == EVENTS).await;
    assert_eq!(
        (totals["dead"].clone(), totals["pending"].clone()),
        (json!(0), json!(0))
    );
    assert_eq!(herald.get("/v1/status").await.1["conserved"], true);
    let hands = herald.get("/v1/status").await.1["hands"].clone();
    assert_eq!(
        hands.as_array().unwrap().len(),
        2,
        "a request is one deed: {hands}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_says_too_little_or_the_wrong_thing_is_refused() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    for (path, body, words) in [
        ("/v1/replay", "", "name at least one"),
        ("/v1/cancel", r#"{"dryRun":true}"#, "name at least one"),
        (
            "/v1/replay",
            r#"{"sinks":"runbook"}"#,
            "unknown field `sinks`",
        ),
        ("/v1/replay", r#"{"state":"pending"}"#, "not over"),
        ("/v1/cancel", r#"{"state":"dead"}"#, "cannot be cancelled"),
        ("/v1/replay", r#"{"state":"gone"}"#, "must be pending"),
    ] {
        let (status, problem) = herald.post(path, body).await;
        assert_eq!(status, 400, "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let id = deliveries(&herald, "").await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (head, last) = id.split_at(id.len() - 1);
    let nobodys = format!("{head}{}", if last == "0" { "1" } else { "0" });
    let path = format!("/v1/deliveries/{nobodys}/replay");
    assert_eq!(herald.post(&path, "").await.0, 404);
    assert_eq!(herald.post("/v1/sinks/nobody/pause", "").await.0, 404);
    assert_eq!(
        herald.post("/v1/sinks/api/pause", "").await.0,
        404,
        "that is a source"
    );
    assert_eq!(herald.post("/v1/sinks/nobody/test", "").await.0, 404);
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(herald.get("/v1/status").await.1["hands"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_cancelled_and_what_is_in_flight_is_not() {
    let receiver = Receiver::start(&[0]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("1")).await;
    receiver.until(1).await;
    herald.post("/v1/sinks/runbook/pause", "").await;
    herald.post("/v1/events", batch(2..5)).await;
    let counted = command(&herald, &["cancel", "--sink", "runbook", "--dry-run"]).await;
    assert_eq!(
        counted,
        "3 deliveries would be suppressed\n1 delivery in flight: left alone\n"
    );
    let (_, done) = herald
        .post(
            "/v1/cancel",
            json!({"sink":"runbook","why":"a drill"}).to_string(),
        )
        .await;
    assert_eq!(done, json!({"count":3,"inFlight":1}));
    herald
        .until(|totals| totals["suppressed"] == 3 && totals["pending"] == 1)
        .await;
    let suppressed = deliveries(&herald, "state=suppressed").await;
    assert_eq!(suppressed[0]["reason"], "cancelled by loopback: a drill");
    let open = deliveries(&herald, "state=pending").await;
    assert_eq!(open[0]["phase"], "in-flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_sink_holds_over_a_restart_until_it_is_let_go() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&config(receiver.address, ""));
    let paused = command(
        &herald,
        &["sink", "pause", "runbook", "--why", "maintenance"],
    )
    .await;
    assert!(
        paused.starts_with("runbook is held; 0 pending; since "),
        "{paused}"
    );
    assert!(paused.ends_with("by loopback: maintenance\n"), "{paused}");
    herald.post("/v1/events", event("1")).await;
    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(0));
    herald.run();
    assert_eq!(deliveries(&herald, "").await[0]["phase"], "held");
    let shown = sink(&herald, "runbook").await;
    assert_eq!(
        (&shown["state"], &shown["pending"]),
        (&json!("held"), &json!(1))
    );
    assert_eq!(shown["paused"]["why"], "maintenance");
    assert!(command(&herald, &["status"]).await.contains("held"));
    assert!(receiver.received().is_empty());
    let again = command(&herald, &["sink", "resume", "runbook"]).await;
    assert!(again.starts_with("runbook is ready"), "{again}");
    receiver.until(1).await;
    herald.until(|totals| totals["delivered"] == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_goes_on_for_what_is_held_by_a_pause_or_a_missing_sink() {
    let receiver = Receiver::start(&[200]).await;
    let brief = |to: &str| {
        config(receiver.address, "")
            .replace("name = \"all\"\n", "name = \"all\"\nexpires = \"2s\"\n")
            .replace("[sink.runbook]", &format!("[sink.{to}]"))
            .replace("[sink.runbook.retry]", &format!("[sink.{to}.retry]"))
            .replace("to = [\"runbook\"]", &format!("to = [\"{to}\"]"))
    };
    let herald = Herald::start(&brief("runbook"));
    herald.post("/v1/sinks/runbook/pause", "").await;
    herald.post("/v1/events", event("1")).await;
    std::fs::write(herald.path("config.toml"), brief("other")).unwrap();
    assert_eq!(herald.post("/v1/reload", "").await.0, 200);
    herald.post("/v1/sinks/runbook/resume", "").await;
    let gone = sink(&herald, "runbook").await;
    assert_eq!(
        (&gone["state"], &gone["pending"]),
        (&json!("held"), &json!(1))
    );
    assert_eq!(deliveries(&herald, "").await[0]["phase"], "held");
    herald.until(|totals| totals["suppressed"] == 1).await;
    assert_eq!(deliveries(&herald, "").await[0]["reason"], "expired");
    assert!(receiver.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_left_is_held_at_once_whatever_it_waited_for() {
    let receiver = Receiver::start(&[200]).await;
    let sink_named = |name: &str| {
        let limit = format!("[sink.{name}.limit]\nmessages = 1\nper = \"1h\"\n");
        config(receiver.address, &limit).replace("runbook", name)
    };
    let herald = Herald::start(&sink_named("runbook"));
    herald.post("/v1/events", batch(1..4)).await;
    receiver.until(1).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    let limited = deliveries(&herald, "state=pending").await;
    assert_eq!(limited[0]["phase"], "limited");
    assert_eq!(sink(&herald, "runbook").await["state"], "limited");

    std::fs::write(herald.path("config.toml"), sink_named("other")).unwrap();
    assert_eq!(herald.post("/v1/reload", "").await.0, 200);
    let gone = sink(&herald, "runbook").await;
    assert_eq!(
        (&gone["state"], &gone["pending"], &gone["until"]),
        (&json!("held"), &json!(2), &Value::Null)
    );
    assert_eq!(gone["reason"], "it is not in the configuration");
    for held in deliveries(&herald, "state=pending").await {
        assert_eq!(held["phase"], "held", "{held}");
        assert_eq!(held["nextAttempt"], Value::Null, "{held}");
        let reason = held["reason"].as_str().unwrap();
        assert!(reason.contains("not in the configuration"), "{reason}");
    }
    let status = command(&herald, &["status"]).await;
    assert!(
        status.contains("it is not in the configuration"),
        "{status}"
    );
    let metrics = herald.get("/metrics").await.1.as_str().unwrap().to_owned();
    let state = |word: &str| {
        let line = format!("herald_sink_state{{sink=\"runbook\",state=\"{word}\"}} ");
        let found = metrics.lines().find_map(|one| one.strip_prefix(&line));
        found.unwrap_or("absent").to_owned()
    };
    assert_eq!(
        (state("held").as_str(), state("limited").as_str()),
        ("1", "0")
    );

    std::fs::write(herald.path("config.toml"), sink_named("runbook")).unwrap();
    assert_eq!(herald.post("/v1/reload", "").await.0, 200);
    let back = herald.get("/v1/sinks").await.1["sinks"][0].clone();
    assert_eq!(
        (&back["name"], &back["reason"]),
        (&json!("runbook"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_sink_that_left_goes_when_it_is_back() {
    let receiver = Receiver::start(&[503]).await;
    let sink_named = |name: &str| config(receiver.address, "").replace("runbook", name);
    let herald = Herald::start(&sink_named("runbook"));
    let take = async |name: &str| {
        std::fs::write(herald.path("config.toml"), sink_named(name)).unwrap();
        assert_eq!(herald.post("/v1/reload", "").await.0, 200);
    };
    herald.post("/v1/events", event("1")).await;
    receiver.until(2).await;
    take("other").await;
    // What was being claimed when the sink left is still tried: it has stopped when ten waits of its
    // schedule bring nothing.
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    loop {
        let tried = receiver.received().len();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let is_held = deliveries(&herald, "").await[0]["phase"] == "held";
        if is_held && receiver.received().len() == tried {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "its attempts never end"
        );
    }
    let tried = receiver.received().len();
    receiver.answer_from_now_on(200);
    // An event that comes now is for the other, and what is held does not go along.
    herald.post("/v1/events", event("2")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    assert_eq!(receiver.received().len(), tried + 1);
    take("runbook").await;
    herald.until(|totals| totals["delivered"] == 2).await;
    let received = receiver.received();
    assert_eq!(
        received[0].header("webhook-id"),
        received.last().unwrap().header("webhook-id"),
        "it goes on where it stopped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_is_the_name_of_the_token() {
    let receiver = Receiver::start(&[200]).await;
    let tokens = r#"
[[server.token]]
name = "night shift"
token = "0123456789abcdef0123456789abcdef"
roles = ["operate", "read"]
[[server.token]]
name = "dashboard"
token = "fedcba9876543210fedcba9876543210"
roles = ["read"]
"#;
    let herald = Herald::start(&config(receiver.address, tokens));
    let pause = |token: &str| {
        let request = client().post(format!("{}/v1/sinks/runbook/pause", herald.url));
        answer(request.bearer_auth(token.to_owned()))
    };
    assert_eq!(pause("fedcba9876543210fedcba9876543210").await.0, 403);
    let (status, view) = pause("0123456789abcdef0123456789abcdef").await;
    assert_eq!(status, 200);
    assert_eq!(view["paused"]["who"], "night shift");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_goes_out_and_its_answer_is_explained() {
    let receiver = Receiver::start(&[200, 401, 503]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let output = herald.command(&["sink", "test", "runbook"]).await;
    let words = said(&output);
    assert!(words.starts_with("sink `runbook` works"), "{words}");
    let received = receiver.until(1).await;
    let body: Value = serde_json::from_str(&received[0].body).unwrap();
    assert_eq!(body["items"][0]["event"]["name"], "Herald:SinkTest");
    assert_eq!(body["items"][0]["event"]["content"]["test"], true);
    for (outcome, words) in [("sink-fault", "is not set up"), ("transient", "may later")] {
        let (status, probed) = herald.post("/v1/sinks/runbook/test", "").await;
        assert_eq!(
            (status, &probed["outcome"]),
            (200, &json!(outcome)),
            "{probed}"
        );
        let explanation = probed["explanation"].as_str().unwrap();
        assert!(explanation.contains(words), "{explanation}");
    }
    let output = herald.command(&["sink", "test", "runbook"]).await;
    assert_eq!(output.status.code(), Some(1), "it did not arrive");
    let totals = herald.until(|_| true).await;
    assert_eq!(totals["planned"], 0, "a probe is no delivery");
    assert!(deliveries(&herald, "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_whole_and_started_on() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("dead")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let stop = Arc::new(tokio::sync::Notify::new());
    let load = {
        let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        let url = format!("{}/v1/events", herald.url);
        tokio::spawn(async move {
            let client = client();
            for n in 0.. {
                let post = client.post(&url).body(event(&n.to_string()));
                let response = post.header("content-type", "application/json").send();
                tokio::select! {
                    () = stop.notified() => return,
                    answered = response => assert!(answered.unwrap().status().is_success()),
                }
                acknowledged.lock().unwrap().insert(n.to_string());
            }
        })
    };
    while acknowledged.lock().unwrap().len() < 50 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = acknowledged.lock().unwrap().clone();
    let copy = herald.path("copy.db");
    let printed = command(&herald, &["backup", copy.to_str().unwrap(), "--json"]).await;
    let told: Value = serde_json::from_str(&printed).unwrap();
    let refused = herald.command(&["backup", copy.to_str().unwrap()]).await;
    assert!(!refused.status.success(), "it is there already");
    stop.notify_one();
    load.await.unwrap();
    let after = acknowledged.lock().unwrap().len();
    assert!(after >= before.len());
    assert!(!herald.path("copy.db.part").exists());

    herald.signal("TERM");
    herald.ended().await;
    for suffix in ["", ".index", ".lock", "-wal", "-shm"] {
        let _ = std::fs::remove_file(herald.path(&format!("herald.db{suffix}")));
    }
    std::fs::rename(&copy, herald.path("herald.db")).unwrap();
    herald.run();
    let totals = herald.until(|totals| totals["pending"] == 0).await;
    assert_eq!(totals["events"], told["totals"]["events"]);
    assert!(totals["events"].as_u64().unwrap() > before.len() as u64);
    for id in &before {
        let (status, _) = herald.get(&format!("/v1/events/{id}")).await;
        assert_eq!(status, 200, "{id} was acknowledged before the backup");
    }
    assert_eq!(herald.get("/v1/status").await.1["conserved"], true);
    let (_, body) = herald.post("/v1/events", event("new")).await;
    assert_eq!(body["results"][0]["status"], "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_needs_no_router_but_a_journal() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    herald.signal("TERM");
    herald.ended().await;
    let file = herald.path("copy.db");
    let backup = |config: std::path::PathBuf| {
        let mut command = support::herald();
        command.arg("backup").arg(&file).arg("-c").arg(config);
        command.output().unwrap()
    };
    let printed = said(&backup(herald.path("config.toml")));
    assert!(
        printed.contains("1 events, 1 deliveries of which 0 are pending"),
        "{printed}"
    );
    std::fs::remove_file(&file).unwrap();
    std::fs::write(herald.path("herald.db"), b"something else").unwrap();
    let refused = backup(herald.path("config.toml"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        !file.exists() && !herald.path("copy.db.part").exists(),
        "nothing is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_mail_goes_to_the_refused_only() {
    let server = MailServer::start(|command| match command {
        "RCPT TO:<b@example.com>" => Some("550 5.1.1 no such user"),
        _ => Some(""),
    })
    .await;
    let address = server.address;
    let config = format!(
        r#"
[server]
listen = "127.0.0.1:0"
[sink.mail]
kind = "email"
server = "{address}"
tls = "none"
from = "herald@example.com"
to = ["a@example.com", "b@example.com", "c@example.com"]
[[subscription]]
name = "all"
to = ["mail"]
"#
    );
    let herald = Herald::start(&config);
    herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["dead"] == 1).await;
    assert_eq!(server.mailed(), ["a@example.com", "c@example.com"]);
    server.answer_from_now_on(|_| Some(""));
    let done = command(&herald, &["replay", "--state", "dead", "--sink", "mail"]).await;
    assert_eq!(done, "1 delivery is due again\n");
    herald.until(|totals| totals["delivered"] == 1).await;
    assert_eq!(
        server.mailed(),
        ["a@example.com", "c@example.com", "b@example.com"]
    );
    let shown = deliveries(&herald, "").await;
    assert_eq!(shown[0]["attemptCount"], 2);
}
