//! What the benches over HTTP share, each a part of it: the built router as a process of its own, and the smallest
//! client and receiver that speak HTTP/1.1, so that what is measured is the router.

#![allow(dead_code, reason = "each bench uses a part")]

pub(crate) mod entry;
pub(crate) mod log;
pub(crate) mod pace;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A process under test; stopped when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the call to the line that names the address.
    pub(crate) started_in: Duration,
}

impl Process {
    /// The built router on the configuration at `config`.
    pub(crate) fn herald(config: &Path) -> Self {
        let started = Instant::now();
        let program = std::env::var("HERALD_BENCH_PROGRAM");
        let mut child = Command::new(program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_herald")))
            .args(["serve", "-c"])
            .arg(config)
            .env("HERALD_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended").unwrap();
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().unwrap();
            }
        };
        let started_in = started.elapsed();
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            started_in,
        }
    }

    /// This program again, with `flag`: it prints its address as its first line.
    pub(crate) fn beside(flag: &str) -> Self {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(flag)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            address: line.trim().parse().unwrap(),
            started_in: started.elapsed(),
        }
    }

    /// Kills it at once.
    pub(crate) fn kill(&self) {
        assert!(self.signal("-KILL"));
    }

    fn signal(&self, name: &str) -> bool {
        let pid = self.child.id().to_string();
        let signalled = Command::new("kill").args([name, &pid]).status();
        signalled.is_ok_and(|status| status.success())
    }

    /// How long it has kept a processor busy, within hundredths of a second.
    pub(crate) fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Fields 14 and 15 (`proc_pid_stat(5)`), in ticks of a hundredth; the second is in parentheses.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Bytes that it caused to be written to the disk.
    pub(crate) fn written_bytes(&self) -> f64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap();
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:"));
        line.unwrap().trim().parse().unwrap()
    }

    /// Resident memory.
    pub(crate) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }
}

impl Drop for Process {
    /// It stops as its users stop it, since a build that counts how often its code runs writes the
    /// counts when it ends.
    fn drop(&mut self) {
        if !self.signal("-TERM") {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// One kept connection.
pub(crate) struct Client {
    stream: TcpStream,
    held: Vec<u8>,
}

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            held: Vec::with_capacity(64 << 10),
        }
    }

    /// Posts a body and reads the whole answer; its status and body.
    pub(crate) async fn post(&mut self, path: &str, kind: &str, body: &str) -> (u16, &[u8]) {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.ask(&request).await
    }

    /// Asks for a page; its status and body.
    pub(crate) async fn get(&mut self, path: &str) -> (u16, &[u8]) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await
    }

    async fn ask(&mut self, request: &str) -> (u16, &[u8]) {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        self.held.clear();
        let (head, length) = loop {
            let read = self.stream.read_buf(&mut self.held).await.unwrap();
            assert!(read > 0, "the connection was closed");
            if let Some(head) = head_length(&self.held) {
                break (head, content_length(&self.held[..head]));
            }
        };
        while self.held.len() < head + length {
            let read = self.stream.read_buf(&mut self.held).await.unwrap();
            assert!(read > 0, "the connection was closed");
        }
        let status = std::str::from_utf8(&self.held[9..12]).unwrap();
        (status.parse().unwrap(), &self.held[head..head + length])
    }
}

/// Length of the head of a message, blank line included, once it is there.
pub(crate) fn head_length(held: &[u8]) -> Option<usize> {
    Some(held.windows(4).position(|window| window == b"\r\n\r\n")? + 4)
}

/// What `content-length` says; 0 without it.
pub(crate) fn content_length(head: &[u8]) -> usize {
    let text = std::str::from_utf8(head).unwrap();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().unwrap())
}

/// The event with this number about the resource with that one, of the size that one has.
pub(crate) fn event(number: u64, resource: u64) -> String {
    format!(
        r#"{{"ver":"1.0","id":"7C1D2E90-5A44-4B1E-9A33-{number:012}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb{resource:017}","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{{"eniId":"eni-8vb{resource:017}","operation":"AttachNetworkInterface","eniStatus":"Available","result":"failed","requestId":"59701492-0000-4000-8000-{number:012}"}}}}"#
    )
}

/// The number of an event in whatever body brings it.
pub(crate) fn number(body: &[u8]) -> Option<u64> {
    const BEFORE: &[u8] = b"7C1D2E90-5A44-4B1E-9A33-";
    let at = body
        .windows(BEFORE.len())
        .position(|window| window == BEFORE)?
        + BEFORE.len();
    std::str::from_utf8(body.get(at..at + 12)?)
        .ok()?
        .parse()
        .ok()
}

/// A runtime with so many workers.
pub(crate) fn runtime(workers: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}
