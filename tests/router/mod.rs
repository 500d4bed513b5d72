//! The router function on a socket, over a journal in memory.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file uses its part, and a test ends where something is not as it must be"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use herald::api::{self, Access, Reach, door};
use herald::in_force::{InForce, Source};
use herald::intake::Limits;
use herald::journal::memory::MemoryJournal;
use herald::journal::{Journal, Look, Rules};
use herald::pipeline::Pipeline;
use herald::plan::Subscriptions;
use herald::telemetry::Metrics;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// An account that has opened ENI events.
pub const ACCOUNT: &str = "1234567890123456";

/// The limit of a body here.
pub const BODY_MAX: u64 = 1 << 20;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bounds of connections that nothing here runs into.
pub const BOUNDS: door::Bounds = door::Bounds {
    header_max: 16_384,
    header_timeout: PATIENCE,
    idle_timeout: PATIENCE,
};

pub struct Router {
    pub address: std::net::SocketAddr,
    pub journal: Arc<MemoryJournal>,
    /// What all bodies may take.
    pub room: api::Room,
    /// Where its connections stand.
    pub places: door::Places,
}

impl Router {
    /// Serves with `body_timeout`, and a source `cloud`.
    pub async fn start(body_timeout: Duration) -> Self {
        Self::bounded(body_timeout, BOUNDS, 64 << 20).await
    }

    /// The same with these bounds of connections, and this many bytes for all bodies.
    pub async fn bounded(body_timeout: Duration, bounds: door::Bounds, bodies_max: u64) -> Self {
        Self::with(body_timeout, bounds, bodies_max, 100).await
    }

    /// With this many places for connections.
    pub async fn crowded(bounds: door::Bounds, connections_max: usize) -> Self {
        Self::with(PATIENCE, bounds, 64 << 20, connections_max).await
    }

    async fn with(
        body_timeout: Duration,
        bounds: door::Bounds,
        bodies_max: u64,
        connections_max: usize,
    ) -> Self {
        let journal = Arc::new(MemoryJournal::new());
        let rules = Rules {
            since: Timestamp::UNIX_EPOCH,
            subscriptions: vec![],
            sinks: vec![],
        };
        let generation = journal.begin(rules).await.unwrap();
        let source = Source {
            name: "cloud".into(),
            accounts: None,
            products: None,
        };
        let in_force = InForce {
            generation: generation.number,
            limits: Limits {
                field_max: 256 << 10,
                ..Limits::default()
            },
            dedup_window: Duration::from_secs(86_400),
            announcing: HashSet::from([ACCOUNT.to_owned()]),
            sources: HashMap::from([("cloud".to_owned(), Arc::new(source))]),
            subscriptions: Subscriptions::new(vec![]),
            sinks: BTreeMap::new(),
        };
        let current = Arc::new(ArcSwap::from_pointee(in_force));
        let access = Access {
            hosts: vec!["localhost".to_owned()],
            body_max: BODY_MAX,
            body_timeout,
            ..Access::default()
        };
        let room = api::Room::new(bodies_max);
        let places = door::Places::new(connections_max);
        let metrics = Arc::new(Metrics::default());
        let state = Arc::new(Reach {
            pipeline: Pipeline::new(
                Arc::clone(&journal) as Arc<dyn Journal>,
                Arc::clone(&current),
                10_000,
            ),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            current,
            access: Arc::new(ArcSwap::from_pointee(access)),
            sessions: Arc::default(),
            room: room.clone(),
            places: places.clone(),
            certificate: None,
            reload: tokio::sync::mpsc::channel(1).0,
            attempts: Arc::default(),
            metrics: Arc::clone(&metrics),
            journal_file: PathBuf::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let never = CancellationToken::new();
        let stopping = door::Stopping {
            leaving: never.clone(),
            stop: never.clone(),
            cut: never,
        };
        let door = door::Door {
            tls: None,
            face: api::Face::new(state),
            bounds,
            places: places.clone(),
            metrics,
            stopping,
        };
        tokio::spawn(door::serve(listener, door));
        Self {
            address,
            journal,
            room,
            places,
        }
    }

    pub async fn connect(&self) -> Connection {
        Connection {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// The canonical forms in the journal.
    pub async fn texts(&self) -> Vec<Value> {
        let events = self.journal.events(Default::default()).await.unwrap();
        let texts = events
            .rows
            .iter()
            .map(|row| serde_json::from_str(&row.text).unwrap());
        texts.collect()
    }

    /// Events in the journal.
    pub async fn recorded(&self) -> usize {
        let events = self.journal.events(Default::default()).await.unwrap();
        events.rows.len()
    }
}

/// One connection, written and read byte by byte.
pub struct Connection {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// An answer to a request that brought something.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The statuses of its items.
    pub fn statuses(&self) -> Vec<&str> {
        let results = self.body["results"].as_array();
        let results = results.unwrap_or_else(|| panic!("no results: {self:?}"));
        results
            .iter()
            .map(|line| line["status"].as_str().unwrap())
            .collect()
    }

    /// What a problem document says.
    #[track_caller]
    pub fn detail(&self) -> &str {
        self.body["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("no problem: {self:?}"))
    }

    /// The reason of its first item.
    #[track_caller]
    pub fn reason(&self) -> &str {
        self.body["results"][0]["reason"]
            .as_str()
            .unwrap_or_else(|| panic!("no reason: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Connection {
    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a request with a body of known length and reads the answer.
    pub async fn ask(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut request = head(line, headers, &[("content-length", &length)]);
        request.extend_from_slice(body);
        self.write(&request).await;
        self.answer().await
    }

    pub async fn post(&mut self, path: &str, media: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST {path}"), &[("content-type", media)], body)
            .await
    }

    /// Reads one answer.
    pub async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.answered())
            .await
            .unwrap()
    }

    async fn answered(&mut self) -> Answer {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more().await;
        };
        let head = String::from_utf8(self.read.drain(..head_end + 4).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Value::Null,
            text: String::new(),
        };
        let length: usize = answer
            .header("content-length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        while self.read.len() < length {
            self.more().await;
        }
        let body: Vec<u8> = self.read.drain(..length).collect();
        answer.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        answer.text = String::from_utf8(body).unwrap();
        answer
    }

    async fn more(&mut self) {
        let mut chunk = [0; 4_096];
        let count = self.stream.read(&mut chunk).await.unwrap();
        let so_far = String::from_utf8_lossy(&self.read);
        assert!(count > 0, "the connection was closed after {so_far:?}");
        self.read.extend_from_slice(&chunk[..count]);
    }

    /// Whether the other side has closed it.
    pub async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = self.stream.read(&mut byte);
        matches!(
            tokio::time::timeout(PATIENCE, read).await,
            Ok(Ok(0) | Err(_))
        )
    }
}

/// The head of a request to this router.
pub fn head(line: &str, headers: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers.iter().chain(more) {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// The folder of published cases beside the project, or why a test is skipped.
pub fn published(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!(
        "SKIPPED: {} is not there; it holds published cases",
        path.display()
    );
    None
}
