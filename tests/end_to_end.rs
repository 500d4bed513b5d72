//! The built program, as users and machines meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    ACCOUNT, Herald, PATIENCE, Receiver, client, config, event, herald, refused_to_start,
};

fn operation(kind: &str, error: &str) -> String {
    format!(
        r#"{{"operation":"AttachNetworkInterface","requestId":"r-op","regionId":"cn-hangzhou","userId":"{ACCOUNT}","time":"20190409T121826.922+0800","error":{error},"result":"failed","networkInterface":{{"NetworkInterfaceId":"eni-op","Type":"{kind}","Status":"Available"}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_its_story_and_exits() {
    let output =
        tokio::task::spawn_blocking(|| herald().args(["demo", "--once"]).output().unwrap());
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .unwrap()
        .unwrap();
    let story = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{story}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for words in [
        "subject",
        "DingTalk",
        "signature verified",
        "primary-eni",
        "request-refused",
    ] {
        assert!(story.contains(words), "{words} is not in\n{story}");
    }
    assert_eq!(story.matches("signature verified").count(), 2, "{story}");
    assert!(
        story.contains("planned 6 = delivered 6 + dead 0 + suppressed 0 + pending 0"),
        "{story}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_the_callback_once_also_over_a_restart() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&config(receiver.address, ""));
    let (status, body) = herald.post("/v1/events", event("1")).await;
    assert_eq!(status, 200);
    let id = body["results"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("evt_"));
    let received = receiver.until(1).await;
    let callback: Value = serde_json::from_str(&received[0].body).unwrap();
    assert_eq!(callback["version"], 1);
    assert_eq!(callback["id"], received[0].header("webhook-id"));
    assert_eq!(callback["items"][0]["subscription"], "all");
    assert_eq!(callback["items"][0]["event"]["content"]["eniId"], "eni-1");
    herald.until(|totals| totals["delivered"] == 1).await;

    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(0));
    herald.run();
    let (_, body) = herald.post("/v1/events", event("1")).await;
    assert_eq!(
        body,
        json!({"results":[{"index":0,"status":"duplicate","id":id}]})
    );
    let (_, shown) = herald.get(&format!("/v1/events/{id}")).await;
    assert_eq!(shown["event"]["event"]["intake"]["source"], "api");
    assert_eq!(
        shown["verdicts"],
        json!([{"subscription":"all","verdict":"matched"}])
    );
    assert_eq!(shown["deliveries"][0]["state"], "delivered");
    assert_eq!(
        shown["deliveries"][0]["attempts"][0]["outcome"],
        "delivered"
    );
    assert_eq!(
        herald.get("/v1/events/1").await.1["event"]["id"],
        *id,
        "also by the sender's id"
    );
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_flight_it_is_tried_again_with_the_same_key_and_bytes() {
    let receiver = Receiver::start(&[0, 200]).await;
    let mut herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("1")).await;
    receiver.until(1).await;
    herald.kill().await;
    herald.run();
    let received = receiver.until(2).await;
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
    assert_eq!(received[0].body, received[1].body);
    herald.until(|totals| totals["delivered"] == 1).await;
    let (_, list) = herald.get("/v1/deliveries").await;
    let id = list["deliveries"][0]["id"].as_str().unwrap();
    let (_, delivery) = herald.get(&format!("/v1/deliveries/{id}")).await;
    let outcomes: Vec<_> = delivery["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["unknown", "delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusing_receiver_is_tried_again_and_a_refused_message_is_a_dead_letter() {
    let receiver = Receiver::start(&[503, 429, 200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    receiver.answer_from_now_on(404);
    herald.post("/v1/events", event("2")).await;
    let totals = herald.until(|totals| totals["dead"] == 1).await;
    assert_eq!(totals["planned"], 2);
    let output = herald.command(&["dead"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("404") && shown.contains("runbook"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_keeps_intake_open_until_what_is_in_flight_has_ended() {
    let receiver = Receiver::start(&[0]).await;
    let text = config(receiver.address, "").replace("drain = \"5s\"", "drain = \"2s\"");
    let mut herald = Herald::start(&text);
    herald.post("/v1/events", event("1")).await;
    receiver.until(1).await;
    herald.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let request = client().post(format!("{}/v1/events", herald.url));
    let request = request.header("content-type", "application/json");
    let answer = request.body(event("2")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "intake is open while it drains");
    assert_eq!(
        answer.headers()["connection"],
        "close",
        "come back elsewhere"
    );
    assert_eq!(receiver.received().len(), 1, "and nothing new is claimed");
    assert_eq!(herald.ended().await, Some(0));
    receiver.answer_from_now_on(200);
    herald.run();
    herald.until(|totals| totals["delivered"] == 2).await;
    let ids: Vec<_> = receiver
        .received()
        .iter()
        .map(support::Received::event_id)
        .collect();
    assert_eq!(ids.iter().filter(|id| *id == "1").count(), 2, "{ids:?}");
    assert_eq!(ids.iter().filter(|id| *id == "2").count(), 1, "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let receiver = Receiver::start(&[0]).await;
    let text = config(receiver.address, "").replace("drain = \"5s\"", "drain = \"1h\"");
    let mut herald = Herald::start(&text);
    herald.post("/v1/events", event("1")).await;
    receiver.until(1).await;
    herald.signal("TERM");
    tokio::time::sleep(Duration::from_millis(200)).await;
    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_taken_whole_or_not_at_all() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let narrowed = config(
        receiver.address,
        "[subscription.when]\nlevel = \"CRITICAL\"",
    );
    std::fs::write(herald.path("config.toml"), &narrowed).unwrap();
    herald.signal("HUP");
    let body = json!({"name":"A:B","content":{},"level":"WARN"}).to_string();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (_, verdicts) = herald.post("/v1/explain", body.clone()).await;
        if verdicts["verdicts"][0]["verdict"] == "different" {
            assert_eq!(verdicts["verdicts"][0]["field"], "level");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{verdicts}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(
        herald.path("config.toml"),
        narrowed.replace("runbook\"]", "runbok\"]"),
    )
    .unwrap();
    let (status, problem) = herald.post("/v1/reload", "").await;
    assert_eq!(status, 422, "{problem}");
    let errors = problem["errors"][0].as_str().unwrap();
    assert!(
        errors.contains("config.toml:") && errors.contains("did you mean `runbook`?"),
        "{errors}"
    );
    let (_, verdicts) = herald.post("/v1/explain", body).await;
    assert_eq!(
        verdicts["verdicts"][0]["verdict"], "different",
        "the old one is in force"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_event_is_explained_by_the_rules_of_its_time_and_by_todays() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let (_, answer) = herald.post("/v1/events", event("1")).await;
    let id = answer["results"][0]["id"].as_str().unwrap().to_owned();
    let narrowed = config(
        receiver.address,
        "[subscription.when]\nlevel = \"CRITICAL\"",
    )
    .replace("name = \"all\"", "name = \"critical\"");
    std::fs::write(herald.path("config.toml"), narrowed).unwrap();
    let (status, report) = herald.post("/v1/reload", "").await;
    assert_eq!(status, 200, "{report}");
    let (_, shown) = herald.get(&format!("/v1/events/{id}")).await;
    assert_eq!(
        shown["verdicts"],
        json!([{"subscription":"all","verdict":"matched"}]),
        "{shown}"
    );
    assert_eq!(shown["today"][0]["subscription"], "critical", "{shown}");
    assert_eq!(shown["today"][0]["verdict"], "different", "{shown}");
    assert_eq!(shown["today"][0]["wanted"], "CRITICAL", "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_by_itself() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let renamed = config(receiver.address, "").replace("name = \"all\"", "name = \"everything\"");
    std::fs::write(herald.path("config.toml"), renamed).unwrap();
    let body = json!({"name":"A:B","content":{}}).to_string();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        let (_, verdicts) = herald.post("/v1/explain", body.clone()).await;
        if verdicts["verdicts"][0]["subscription"] == "everything" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was not taken:\n{}", herald.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_by_name_and_the_rest_is_kept() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let cases: [(&str, Vec<u8>, u16, &str); 8] = [
        ("not JSON", b"{\"name\": @}".to_vec(), 400, "at byte 9"),
        (
            "wrong type",
            br#"{"name":5,"content":{}}"#.to_vec(),
            400,
            "`name` must be a string",
        ),
        (
            "missing field",
            br#"{"product":"ECS"}"#.to_vec(),
            400,
            "`name` and `content`",
        ),
        (
            "depth",
            [b"[".repeat(10_000), b"]".repeat(10_000)].concat(),
            400,
            "depth_max",
        ),
        (
            "UTF-8",
            b"{\"name\":\"\xff\",\"content\":{}}".to_vec(),
            400,
            "UTF-8",
        ),
        ("size", vec![b' '; 11 << 20], 413, "`server.body_max`"),
        ("empty", Vec::new(), 400, "ends too early"),
        (
            "threshold alert",
            br#"{"alertName":"a","alertState":"OK"}"#.to_vec(),
            400,
            "threshold alert",
        ),
    ];
    for (what, body, expected, words) in cases {
        let (status, answer) = herald.post("/v1/events", body).await;
        assert_eq!(status, expected, "{what}: {answer}");
        let line = &answer["results"][0];
        assert_eq!(
            (&line["index"], &line["status"]),
            (&json!(0), &json!("refused")),
            "{what}"
        );
        assert!(
            line["reason"].as_str().unwrap().contains(words),
            "{what}: {line}"
        );
    }
    let mixed = format!(
        "[{},{{\"name\":7,\"content\":1}},{}]",
        event("1"),
        event("2")
    );
    let (status, answer) = herald.post("/v1/events", mixed).await;
    assert_eq!(status, 207);
    let statuses: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["status"].clone())
        .collect();
    assert_eq!(statuses, ["accepted", "refused", "accepted"]);
    let (status, answer) = herald.post("/v1/events", "[]").await;
    assert_eq!((status, answer), (200, json!({"results":[]})));
    let request = client().post(format!("{}/v1/events", herald.url)).body("x");
    let (status, answer) = support::answer(request.header("content-type", "text/xml")).await;
    assert_eq!(
        (status, &answer["results"][0]["status"]),
        (415, &json!("refused"))
    );
    herald.until(|totals| totals["delivered"] == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operation_results_trigger_or_say_why_not() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let cases = [
        (operation("Secondary", "null"), "accepted", ""),
        (operation("Secondary", "null"), "duplicate", ""),
        (operation("Primary", "null"), "not-triggered", "primary-eni"),
        (operation("Trunk", "null"), "not-triggered", "not-secondary"),
        (
            operation("Secondary", "\"Quota\""),
            "not-triggered",
            "request-refused",
        ),
        (
            operation("Secondary", "null").replace(ACCOUNT, "1"),
            "not-triggered",
            "feature-disabled",
        ),
    ];
    for (body, status, reason) in cases {
        let (code, answer) = herald.post("/v1/operations", body).await;
        let line = &answer["results"][0];
        assert_eq!(
            (code, line["status"].as_str().unwrap()),
            (200, status),
            "{answer}"
        );
        assert_eq!(line["reason"].as_str().unwrap_or_default(), reason);
    }
    let (_, list) = herald.get("/v1/operations?reason=primary-eni").await;
    assert_eq!(list["operations"].as_array().unwrap().len(), 1);
    assert_eq!(
        list["operations"][0]["operation"]["networkInterface"]["Type"],
        "Primary"
    );
    let output = herald.command(&["events", "--not-triggered"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(shown.lines().count(), 5, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_look_into_it_from_the_shell() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let lines = [event("1"), event("2"), event("3")].join("\n");
    std::fs::write(herald.path("events.ndjson"), lines).unwrap();
    let file = herald.path("events.ndjson");
    let sent = herald.command(&["send", file.to_str().unwrap()]).await;
    let said = String::from_utf8(sent.stdout).unwrap();
    assert!(said.contains("3 sent: 3 accepted, 0 duplicate"), "{said}");
    herald.until(|totals| totals["delivered"] == 3).await;
    let run = async |arguments: &[&str]| {
        let output = herald.command(arguments).await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let events = run(&["events", "--eni", "eni-2"]).await;
    assert_eq!(events.lines().count(), 2, "{events}");
    assert!(events.contains("AttachNetworkInterface failed"), "{events}");
    let deliveries = run(&["deliveries", "--state", "delivered", "--json"]).await;
    let deliveries: Value = serde_json::from_str(&deliveries).unwrap();
    assert_eq!(deliveries["deliveries"].as_array().unwrap().len(), 3);
    let shown = run(&["show", "2"]).await;
    assert!(
        shown.contains("matched") && shown.contains("all -> runbook"),
        "{shown}"
    );
    let status = run(&["status"]).await;
    assert!(status.contains("planned 3 = delivered 3"), "{status}");
    let missing = herald.command(&["show", "nothing"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&missing.stderr),
        "herald: there is no event with this id\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_on_another_site_is_refused() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let post = |name: &'static str, value: &'static str| {
        let request = client()
            .post(format!("{}/v1/events", herald.url))
            .body(event("1"));
        support::answer(request.header(name, value))
    };
    assert_eq!(post("origin", "http://evil.example").await.0, 403);
    assert_eq!(post("host", "evil.example").await.0, 403);
    assert_eq!(herald.get("/v1/status").await.1["totals"]["events"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_starting_is_one_line_that_says_what_to_do() {
    let receiver = Receiver::start(&[200]).await;
    let sound = config(receiver.address, "");
    let folder = tempfile::tempdir().unwrap();
    let taken = sound.replace("127.0.0.1:0", &receiver.address.to_string());
    let cases = [
        (taken, "another `server.listen`"),
        (
            sound.replace("drain", "dain"),
            "unknown key `dain` in `server`; did you mean `drain`?",
        ),
        (
            sound.replace(support::SECRET, "${env:HERALD_TEST_UNSET}"),
            "`HERALD_TEST_UNSET` is not set",
        ),
        (
            format!("{sound}\n[journal]\npath = \"/proc/no/herald.db\""),
            "journal.path",
        ),
        (
            format!("{sound}\n[journal]\nengine = \"postgres\""),
            "engine `postgres` is not in this build",
        ),
    ];
    for (config, words) in cases {
        let said = refused_to_start(folder.path(), &config);
        assert!(said.contains(words), "{words} is not in\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("herald: "), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_journal_is_refused() {
    let receiver = Receiver::start(&[200]).await;
    let text = config(receiver.address, "");
    let herald = Herald::start(&text);
    let said = refused_to_start(herald.folder.path(), &text);
    assert!(said.contains("is in use by another process"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics_answer() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    assert_eq!(herald.get("/healthz").await, (200, json!("ok\n")));
    assert_eq!(herald.get("/readyz").await, (200, json!("ready\n")));
    herald.post("/v1/events", event("1")).await;
    herald.until(|totals| totals["delivered"] == 1).await;
    let (_, metrics) = herald.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for line in [
        r#"herald_items_total{source="api",status="accepted"} 1"#,
        r#"herald_deliveries{state="delivered"} 1"#,
        "herald_deliveries_planned 1",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_event_keeps_nobody_from_looking() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let body = r#"{"id":"h1","name":"A\u001b[2J","content":{"<b>":1e99999}}"#;
    assert_eq!(herald.post("/v1/events", body).await.0, 200);
    herald.until(|totals| totals["delivered"] == 1).await;
    assert!(
        receiver.received()[0].body.contains("1e99999"),
        "the number as it was sent"
    );
    for arguments in [&["events"][..], &["show", "h1"], &["deliveries"]] {
        let output = herald.command(arguments).await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            !output.stdout.contains(&0x1b),
            "no escape reaches the terminal"
        );
    }
}

/// A small file system; unmounted at the end.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None`, with the reason printed, where this user may not mount one.
    fn mount(at: &std::path::Path) -> Option<Self> {
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        if !done {
            println!("SKIPPED: this user may not mount a small file system");
        }
        done.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_503_and_nothing_acknowledged_is_lost() {
    let receiver = Receiver::start(&[0]).await;
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path()) else {
        return;
    };
    let more = format!(
        "[journal]\npath = \"{}/herald.db\"",
        folder.path().display()
    );
    let herald = Herald::start(&config(receiver.address, &more));
    let padding = "x".repeat(20_000);
    let mut accepted = Vec::new();
    let full = loop {
        let id = accepted.len().to_string();
        let body = event(&id).replace("\"ver\":\"1.0\"", &format!("\"pad\":\"{padding}{id}\""));
        let request = client()
            .post(format!("{}/v1/events", herald.url))
            .body(body);
        let response = request.send().await.unwrap();
        if response.status() == 503 {
            break response;
        }
        assert_eq!(response.status(), 200);
        accepted.push(id);
        assert!(accepted.len() < 1_000, "the disk was never full");
    };
    assert!(full.headers().contains_key("retry-after"));
    let answer: Value = full.json().await.unwrap();
    assert_eq!(answer["results"][0]["status"], "refused");
    assert!(
        answer["results"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("full"),
        "{answer}"
    );
    assert!(accepted.len() > 10, "{}", accepted.len());
    for id in &accepted {
        assert_eq!(
            herald.get(&format!("/v1/events/{id}")).await.0,
            200,
            "{id} is lost"
        );
    }
    assert_eq!(
        herald
            .get(&format!("/v1/events/{}", accepted.len()))
            .await
            .0,
        404
    );
    assert_eq!(herald.get("/healthz").await.0, 200);
}
