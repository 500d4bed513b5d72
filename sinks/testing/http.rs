//! A scripted HTTP server: what it does with each request is the next act of its script; the last
//! act goes on for ever.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Reads the request and writes these bytes.
    Say(Vec<u8>),
    /// Reads the request, writes these bytes and closes.
    SayAndCut(Vec<u8>),
    /// Reads the request, writes these bytes and stays silent.
    SayAndHang(Vec<u8>),
    /// Reads the request, writes the first bytes once and the others for ever.
    Endless(&'static str, &'static str),
    /// Closes before reading anything.
    Refuse,
}

impl Act {
    /// An answer with a status line, headers (each with its line end) and a body.
    pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Say(
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
                .into_bytes(),
        )
    }

    /// A short time-out for whoever meets a silent server. Elsewhere the usual one, so that a busy
    /// machine does not change the outcome.
    pub(crate) fn patience(&self) -> &'static str {
        match self {
            Self::SayAndHang(_) => "timeout = \"1s\"",
            _ => "",
        }
    }

    /// `200 OK` with a body.
    pub(crate) fn ok(body: &str) -> Self {
        Self::answer("200 OK", "", body)
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method, target and version.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// The only value of a header.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().unwrap_or_else(|| panic!("no {name}"));
        assert!(values.next().is_none(), "{name} twice");
        &value.1
    }

    /// Whether a header is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(key, _)| key == name)
    }
}

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(script: impl Into<Vec<Act>>) -> Self {
        Self::start_with(script, None).await
    }

    pub(crate) async fn start_with(script: impl Into<Vec<Act>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, script, tls)
    }

    /// Two servers on one port: at 127.0.0.2 and at 127.0.0.1. Both say the same and close.
    pub(crate) async fn pair(words: &str) -> (Self, Self) {
        let Act::Say(answer) = Act::ok(words) else {
            unreachable!("an answer is said");
        };
        loop {
            let one = TcpListener::bind("127.0.0.2:0").await.unwrap();
            let port = one.local_addr().unwrap().port();
            // Somebody else may have it there.
            if let Ok(other) = TcpListener::bind(("127.0.0.1", port)).await {
                let start =
                    |listener| Self::start_on(listener, [Act::SayAndCut(answer.clone())], None);
                return (start(one), start(other));
            }
        }
    }

    fn start_on(
        listener: TcpListener,
        script: impl Into<Vec<Act>>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let script = Arc::new(script.into());
        let requests = Arc::clone(&server.requests);
        let connections = Arc::clone(&server.connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (script, requests, tls) = (script.clone(), requests.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &script, &requests).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &script, &requests).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// Everything asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve<S>(mut stream: S, script: &[Act], requests: &Mutex<Vec<Request>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let next = requests.lock().unwrap().len();
        if matches!(act(script, next), Act::Refuse) {
            return;
        }
        let Some(request) = read(&mut stream).await else {
            return;
        };
        let index = {
            let mut requests = requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        let written = match act(script, index) {
            Act::Say(bytes) => stream.write_all(&bytes).await,
            Act::SayAndCut(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::SayAndHang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return std::future::pending().await;
            }
            Act::Endless(first, then) => {
                let mut written = stream.write_all(first.as_bytes()).await;
                while written.is_ok() {
                    written = stream.write_all(then.as_bytes()).await;
                }
                written
            }
            Act::Refuse => return,
        };
        if written.is_err() {
            return;
        }
    }
}

fn act(script: &[Act], index: usize) -> Act {
    script[index.min(script.len() - 1)].clone()
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request {
        line,
        headers,
        body: String::from_utf8(bytes[end..end + length].to_vec()).unwrap(),
    })
}
