//! `herald send`: it goes on after faults, plans nothing twice, and says what it does not know.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Herald, PATIENCE, Receiver, config, event, herald};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

mod support;

/// What the stand-in for a router does with a request.
#[derive(Clone, Copy)]
enum Act {
    /// Takes every item.
    Take,
    /// Reads all of it, and closes without a word.
    Cut,
    /// Refuses it as a whole with this status and further headers, as Herald does.
    Refuse(u16, &'static str),
    /// The same in another's words.
    Foreign(u16),
    /// Takes bodies of so many lines and answers 413 to longer ones.
    AtMost(usize),
}

/// A stand-in that follows a script, the last act repeated, and keeps the bodies.
struct Far {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Far {
    async fn start(script: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.to_vec()));
        let kept = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Self { address, bodies }
    }

    fn bodies(&self) -> Vec<Vec<String>> {
        self.bodies.lock().unwrap().clone()
    }

    fn start_sending(&self, arguments: &[&str]) -> Child {
        sending(&format!("http://{}", self.address), arguments)
    }

    /// Sends `input` and waits for the end.
    async fn send(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.start_sending(&[arguments, &["-"]].concat());
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        ended(child).await
    }
}

fn sending(url: &str, arguments: &[&str]) -> Child {
    herald()
        .arg("send")
        .args(arguments)
        .env("HERALD_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn ended(child: Child) -> Output {
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
}

async fn converse(
    mut stream: TcpStream,
    script: Arc<Mutex<Vec<Act>>>,
    bodies: Arc<Mutex<Vec<Vec<String>>>>,
) {
    let mut buffer = Vec::new();
    loop {
        let Some(body) = request(&mut stream, &mut buffer).await else {
            return;
        };
        let lines: Vec<String> = body.lines().map(str::to_owned).collect();
        let count = lines.len();
        bodies.lock().unwrap().push(lines);
        let act = {
            let mut script = script.lock().unwrap();
            if script.len() > 1 {
                script.remove(0)
            } else {
                script[0]
            }
        };
        let refusal = || json!({"results": [{"index": 0, "status": "refused", "reason": "no"}]});
        let (status, headers, answer) = match act {
            Act::Cut => return,
            Act::Foreign(status) => (status, "", json!({"sorry": true})),
            Act::Refuse(status, headers) => (status, headers, refusal()),
            Act::AtMost(most) if count > most => (413, "", refusal()),
            Act::Take | Act::AtMost(_) => {
                let line = |index| json!({"index": index, "status": "accepted", "id": "evt_1"});
                let lines: Vec<Value> = (0..count).map(line).collect();
                (200, "", json!({"results": lines}))
            }
        };
        let answer = answer.to_string();
        let length = answer.len();
        let head = format!("HTTP/1.1 {status} Said\r\n{headers}content-length: {length}\r\n\r\n");
        if stream.write_all((head + &answer).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    let mut chunk = [0; 65_536];
    loop {
        let head_end = buffer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = head_end {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1)?;
            let length: usize = length.split("\r\n").next()?.parse().ok()?;
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let body = buffer.split_off(end + 4);
                *buffer = rest;
                return String::from_utf8(body).ok();
            }
        }
        let count = stream.read(&mut chunk).await.ok()?;
        if count == 0 {
            return None;
        }
        buffer.extend_from_slice(&chunk[..count]);
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A dry run of CloudMonitor: nothing tells one from the next.
const WITHOUT_ID: &str = r#"{"name":"Dry","product":"ECS","content":{}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_sends_again_what_is_recognised_and_nothing_else() {
    let far = Far::start(&[Act::Cut, Act::Take]).await;
    let input = format!("{}\n{WITHOUT_ID}\n{}\n", event("a"), event("b"));
    let sent = far.send(&[], &input).await;
    let bodies = far.bodies();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0].len(), 3);
    assert_eq!(bodies[1], [event("a"), event("b")]);
    assert_eq!(sent.status.code(), Some(1), "somebody should look");
    assert!(
        err(&sent).contains("-, item 2: unknown: it may have been taken"),
        "{}",
        err(&sent)
    );
    assert!(err(&sent).contains("trying again in 1 s"));
    let sum = "3 sent: 2 accepted, 0 duplicate, 0 not triggered, 0 refused, 1 unknown\n";
    assert_eq!(out(&sent), sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_surely_not_taken_is_sent_again_whole() {
    let script = [
        Act::Refuse(503, "retry-after: 2\r\n"),
        Act::Refuse(429, ""),
        Act::Take,
    ];
    let far = Far::start(&script).await;
    let began = Instant::now();
    let sent = far
        .send(&[], &format!("[{WITHOUT_ID},{}]", event("a")))
        .await;
    assert!(sent.status.success(), "{}", err(&sent));
    assert_eq!(far.bodies().len(), 3);
    assert!(far.bodies().iter().all(|body| body.len() == 2));
    assert!(
        err(&sent).contains("trying again in 2 s"),
        "Retry-After: {}",
        err(&sent)
    );
    assert!(began.elapsed() >= Duration::from_secs(3));

    // A proxy's 502 may come after Herald has taken it.
    let far = Far::start(&[Act::Foreign(502), Act::Take]).await;
    let sent = far
        .send(&["--json"], &format!("[{WITHOUT_ID},{}]", event("a")))
        .await;
    assert_eq!(sent.status.code(), Some(1));
    assert_eq!(far.bodies()[1], [event("a")]);
    let said = out(&sent);
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["status"], &lines[1]["status"]),
        (&json!("unknown"), &json!("accepted"))
    );
    assert_eq!(lines.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gives_up_after_so_many_tries_and_does_not_try_what_is_no_use() {
    let far = Far::start(&[Act::Refuse(503, "retry-after: 0\r\n")]).await;
    let sent = far.send(&["--tries", "3"], &event("a")).await;
    assert_eq!(sent.status.code(), Some(1));
    assert_eq!(far.bodies().len(), 3);
    assert!(
        err(&sent).contains("gave up after 3 tries: the router answered 503"),
        "{}",
        err(&sent)
    );
    assert!(out(&sent).starts_with("0 sent"));

    for act in [
        Act::Refuse(401, ""),
        Act::Refuse(403, ""),
        Act::Foreign(404),
    ] {
        let far = Far::start(&[act]).await;
        let sent = far.send(&[], &event("a")).await;
        assert_eq!((sent.status.code(), far.bodies().len()), (Some(1), 1));
    }
    let nobody = sending("http://127.0.0.1:1", &["--tries", "1", "-"]);
    let sent = ended_with(nobody, &event("a")).await;
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("nothing listens there"),
        "{}",
        err(&sent)
    );
    let usage = ended(sending("http://127.0.0.1:1", &[])).await;
    assert_eq!(usage.status.code(), Some(2));
}

async fn ended_with(mut child: Child, input: &str) -> Output {
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    ended(child).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_long_is_halved() {
    let far = Far::start(&[Act::AtMost(3)]).await;
    let input: Vec<String> = (0..10).map(|number| event(&number.to_string())).collect();
    let sent = far.send(&[], &input.join("\n")).await;
    assert!(sent.status.success(), "{}", err(&sent));
    assert!(out(&sent).starts_with("10 sent: 10 accepted"));
    let taken = far.bodies().into_iter().filter(|body| body.len() <= 3);
    assert_eq!(
        taken.flatten().collect::<Vec<_>>(),
        input,
        "each once and in order"
    );

    let far = Far::start(&[Act::AtMost(0)]).await;
    let sent = far.send(&[], &event("a")).await;
    assert_eq!(sent.status.code(), Some(1));
    assert!(out(&sent).contains("1 refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_and_the_rest_is_sent() {
    let far = Far::start(&[Act::Take]).await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.ndjson");
    let sound = folder.path().join("sound.json");
    std::fs::write(
        &broken,
        format!("{}\n{{\"a\":}}\n{}", event("a"), event("never")),
    )
    .unwrap();
    std::fs::write(&sound, event("b")).unwrap();
    let missing = folder.path().join("missing.json");
    let files = [&broken, &missing, &sound].map(|file| file.to_str().unwrap());
    let sent = ended(far.start_sending(&files)).await;
    assert_eq!(sent.status.code(), Some(1));
    assert_eq!(far.bodies().concat(), [event("a"), event("b")]);
    let place = event("a").len() + 1 + 5;
    let said = err(&sent);
    assert!(
        said.contains(&format!(
            "broken.ndjson: not JSON: expected a value at byte {place}"
        )),
        "{said}"
    );
    assert!(said.contains("missing.json: No such file"), "{said}");
    assert!(
        out(&sent).contains("accepted evt_1\n2 sent: 2 accepted"),
        "{}",
        out(&sent)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_sent_as_it_comes_and_ctrl_c_ends_it() {
    let far = Far::start(&[Act::Take]).await;
    let mut child = far.start_sending(&["-"]);
    let mut input = child.stdin.take().unwrap();
    for number in 1..=2 {
        writeln!(input, "{}", event(&number.to_string())).unwrap();
        let came = async {
            while far.bodies().concat().len() < number {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, came).await.unwrap();
    }
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let sent = ended(child).await;
    drop(input);
    assert_eq!(sent.status.code(), Some(1));
    assert_eq!(err(&sent), "herald: stopped; the rest was not sent\n");
    assert!(
        out(&sent).starts_with("2 sent: 2 accepted"),
        "{}",
        out(&sent)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_takes_no_more_memory_than_a_short_one() {
    let far = Far::start(&[Act::Take]).await;
    let mut child = far.start_sending(&["-"]);
    let mut input = child.stdin.take().unwrap();
    let id = child.id();
    let writing = tokio::task::spawn_blocking(move || {
        let content = "x".repeat(10_000);
        let one = |number| {
            format!(r#"{{"id":"{number}","name":"n","userId":"1","content":"{content}"}}"#)
        };
        // One array, which no line break parts.
        input.write_all(b"[").unwrap();
        for number in 0..8_000 {
            let comma = if number == 0 { "" } else { "," };
            write!(input, "{comma}{}", one(number)).unwrap();
        }
        input.write_all(b"]").unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        drop(input);
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        peak.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    });
    let peak = writing.await.unwrap();
    let sent = ended(child).await;
    assert!(
        out(&sent).starts_with("8000 sent: 8000 accepted"),
        "{}",
        err(&sent)
    );
    assert!(peak < 60_000, "80 MB were sent, and {peak} KiB were held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_killed_and_restarted_has_every_event_once() {
    let receiver = Receiver::start(&[200]).await;
    let mut herald = Herald::start(&config(receiver.address, ""));
    let address = herald.url.strip_prefix("http://").unwrap().to_owned();
    let text = config(receiver.address, "").replace("127.0.0.1:0", &address);
    std::fs::write(herald.path("config.toml"), text).unwrap();
    let events: Vec<String> = (0..4_000)
        .map(|number| event(&format!("E{number}")))
        .collect();
    let file = herald.path("events.ndjson");
    std::fs::write(&file, events.join("\n")).unwrap();
    let child = sending(&herald.url, &[file.to_str().unwrap()]);
    for some in [300, 1_500] {
        herald
            .until(|totals| totals["events"].as_u64() >= Some(some))
            .await;
        herald.kill().await;
        herald.run();
    }
    let sent = ended(child).await;
    assert!(sent.status.success(), "{}", err(&sent));
    assert!(
        err(&sent).contains("trying again"),
        "it was not interrupted"
    );
    assert!(out(&sent).starts_with("4000 sent: "), "{}", out(&sent));
    let totals = herald.get("/v1/status").await.1["totals"].clone();
    assert_eq!(
        (&totals["events"], &totals["planned"]),
        (&json!(4_000), &json!(4_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_says_how_far_it_is() {
    let far = Far::start(&[Act::Take]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    let events: Vec<String> = (0..2_000)
        .map(|number| event(&number.to_string()))
        .collect();
    std::fs::write(&file, events.join("\n")).unwrap();
    let line = format!(
        "{} send --url http://{} {}",
        env!("CARGO_BIN_EXE_herald"),
        far.address,
        file.display()
    );
    // Debian's `bsdutils`; it runs a command on a terminal of its own.
    let ran = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .output();
    let Ok(ran) = ran else {
        println!("SKIPPED: there is no `script` on this machine");
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(said.contains(" sent, 0 refused"), "{said}");
    assert!(said.contains("2000 sent: 2000 accepted"), "{said}");

    let piped = ended(far.start_sending(&[file.to_str().unwrap()])).await;
    assert_eq!(err(&piped), "", "and nowhere else");
}
