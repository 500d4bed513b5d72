//! Running the built program, and a receiver that does what a test says.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test file uses its part, and a test ends where something is not as it must be"
)]

pub(crate) mod mail;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Longer than anything here takes; a test that runs into it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An account that has opened ENI events in the configurations made here.
pub(crate) const ACCOUNT: &str = "1690700000000030";

/// 32 bytes.
pub(crate) const SECRET: &str = "whsec_aGVyYWxkLXRlc3QtaGVyYWxkLXRlc3QtaGVyYWxkLTE=";

/// The program, with a folder of its own.
pub(crate) struct Herald {
    pub folder: TempDir,
    child: Option<Child>,
    pub url: String,
    log: Arc<Mutex<String>>,
    log_level: &'static str,
}

pub(crate) fn herald() -> Command {
    Command::new(env!("CARGO_BIN_EXE_herald"))
}

/// An ENI notification with this id.
pub(crate) fn event(id: &str) -> String {
    format!(
        r#"{{"ver":"1.0","id":"{id}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:{ACCOUNT}:eni/eni-{id}","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"{ACCOUNT}","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{{"eniId":"eni-{id}","operation":"AttachNetworkInterface","eniStatus":"Available","result":"failed","requestId":"r-{id}"}}}}"#
    )
}

/// A configuration with one callback to `receiver` and one subscription to everything.
pub(crate) fn config(receiver: SocketAddr, more: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
drain = "5s"

[[account]]
id = "{ACCOUNT}"
eni_events = true

[sink.runbook]
kind = "callback"
url = "http://{receiver}/eni"
secret = "{SECRET}"
timeout = "30s"
allow_addresses = ["127.0.0.0/8"]
[sink.runbook.retry]
first = "50ms"
factor = 1.0
longest = "50ms"
give_up_after = "1h"

[[subscription]]
name = "all"
to = ["runbook"]

{more}
"#
    )
}

impl Herald {
    /// Starts `herald serve` with `config` and waits until it listens.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, "info")
    }

    /// The same in a folder that holds other files already, with `HERALD_LOG`.
    pub(crate) fn start_in(folder: TempDir, config: &str, log_level: &'static str) -> Self {
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let mut herald = Self {
            folder,
            child: None,
            url: String::new(),
            log: Arc::default(),
            log_level,
        };
        herald.run();
        herald
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it (again) in its folder.
    pub(crate) fn run(&mut self) {
        let mut child = herald()
            .args(["serve", "-c"])
            .arg(self.path("config.toml"))
            .env("HERALD_LOG", self.log_level)
            .env_remove("RUST_BACKTRACE")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (listening, heard) = std::sync::mpsc::channel();
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("listening on ") {
                    let _ = listening.send(strip_colours(url));
                }
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        self.child = Some(child);
        self.url = heard
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("it does not listen:\n{}", self.log()));
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log says it: a line may come a moment after what it tells of.
    pub(crate) async fn says(&self, words: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            let is_late = tokio::time::Instant::now() >= deadline;
            assert!(!is_late, "it does not say `{words}`:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status();
        assert!(done.unwrap().success());
    }

    /// Waits for the end and gives the exit code; `None` for an end by a signal.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let waiting = tokio::task::spawn_blocking(move || child.wait().unwrap());
        let status = tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("it does not end")
            .unwrap();
        status.code()
    }

    pub(crate) async fn kill(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = client().post(format!("{}{path}", self.url)).body(body);
        answer(request.header("content-type", "application/json")).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(client().get(format!("{}{path}", self.url))).await
    }

    /// Runs a command that looks into this router.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = herald();
        command.args(arguments).env("HERALD_URL", &self.url);
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// Waits until the totals are as wanted.
    pub(crate) async fn until(&self, done: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            last = self.get("/v1/status").await.1["totals"].clone();
            if done(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not come to that: {last}\n{}", self.log());
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        // Nothing here is asked by https://, and reading the system's roots takes its time.
        .tls_certs_only([])
        .build()
        .unwrap()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

fn strip_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('\u{1b}') {
        out.push_str(head);
        rest = tail.split_once('m').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.trim().to_owned()
}

/// What came to the receiver.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The `id` of the first event in a callback.
    pub(crate) fn event_id(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["items"][0]["event"]["id"].as_str().unwrap().to_owned()
    }
}

/// An HTTP receiver on loopback.
pub(crate) struct Receiver {
    pub address: SocketAddr,
    state: Arc<ReceiverState>,
}

struct ReceiverState {
    received: Mutex<Vec<Received>>,
    /// Status of the next answers; the last is repeated. 0 never answers.
    script: Mutex<Vec<u16>>,
    arrived: Notify,
}

impl Receiver {
    pub(crate) async fn start(script: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(ReceiverState {
            received: Mutex::default(),
            script: Mutex::new(script.to_vec()),
            arrived: Notify::new(),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&serving)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn answer_from_now_on(&self, status: u16) {
        *self.state.script.lock().unwrap() = vec![status];
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Waits until so many requests came.
    pub(crate) async fn until(&self, count: usize) -> Vec<Received> {
        let waiting = async {
            loop {
                let arrived = self.state.arrived.notified();
                let received = self.received();
                if received.len() >= count {
                    return received;
                }
                let _ = tokio::time::timeout(Duration::from_millis(100), arrived).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{} of {count} came", self.received().len()))
    }
}

async fn converse(mut stream: tokio::net::TcpStream, state: Arc<ReceiverState>) {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_until_blank(&mut stream, &mut buffer).await else {
            return;
        };
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let length = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.parse().unwrap());
        while buffer.len() < length {
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        }
        let body: Vec<u8> = buffer.drain(..length).collect();
        let body = String::from_utf8(body).unwrap();
        let status = {
            let mut script = state.script.lock().unwrap();
            if script.len() > 1 {
                script.remove(0)
            } else {
                script[0]
            }
        };
        state
            .received
            .lock()
            .unwrap()
            .push(Received { headers, body });
        state.arrived.notify_waiters();
        if status == 0 {
            std::future::pending::<()>().await;
        }
        let answer = format!("HTTP/1.1 {status} said\r\ncontent-length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_until_blank(
    stream: &mut tokio::net::TcpStream,
    buffer: &mut Vec<u8>,
) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            return String::from_utf8(head).ok();
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

/// Runs `herald serve` with a configuration that it must not start with; gives what it printed.
pub(crate) fn refused_to_start(folder: &Path, config: &str) -> String {
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let mut child = herald()
        .args(["serve", "-c"])
        .arg(folder.join("config.toml"))
        .env("HERALD_LOG", "error")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{stderr}");
    stderr
}
