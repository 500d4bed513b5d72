//! A mail server that answers as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The reply to a command, which may have several lines; `None` never comes.
type Reply = Box<dyn FnMut(&str) -> Option<&'static str> + Send>;

/// A running server. It ends with the test's runtime.
pub(crate) struct MailServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    reply: Mutex<Reply>,
    /// The recipient of each mail that was taken.
    mailed: Mutex<Vec<String>>,
}

impl MailServer {
    /// Asks `reply` what to say to each command; `""` is the usual reply. The end of a text is the
    /// command `.`.
    pub(crate) async fn start(
        reply: impl FnMut(&str) -> Option<&'static str> + Send + 'static,
    ) -> Self {
        Self::start_with(reply, None).await
    }

    /// The same under TLS from the first byte.
    pub(crate) async fn start_with(
        reply: impl FnMut(&str) -> Option<&'static str> + Send + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            reply: Mutex::new(Box::new(reply)),
            mailed: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&serving), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, &shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, shared }
    }

    /// Answers in another way from now on.
    pub(crate) fn answer_from_now_on(
        &self,
        reply: impl FnMut(&str) -> Option<&'static str> + Send + 'static,
    ) {
        *self.shared.reply.lock().unwrap() = Box::new(reply);
    }

    /// Who was mailed, in order.
    pub(crate) fn mailed(&self) -> Vec<String> {
        self.shared.mailed.lock().unwrap().clone()
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Send, shared: &Shared) {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    let (mut to, mut is_text) = (String::new(), false);
    let mut command = "CONNECT".to_owned();
    loop {
        let said = (shared.reply.lock().unwrap())(&command);
        let reply = match said {
            None => return std::future::pending().await,
            Some("") => match command.as_str() {
                "CONNECT" => "220 here",
                "DATA" => "354 go on",
                "." => "250 queued",
                _ => "250 ok",
            },
            Some(reply) => reply,
        };
        let is_taken = reply.starts_with(['2', '3']);
        match command.as_str() {
            "." if is_taken => shared.mailed.lock().unwrap().push(to.clone()),
            "DATA" => is_text = is_taken,
            _ => {}
        }
        let written = write.write_all(format!("{reply}\r\n").as_bytes()).await;
        if written.is_err() {
            return;
        }
        command = loop {
            match lines.next_line().await {
                Ok(Some(line)) if is_text && line != "." => {}
                Ok(Some(line)) => break line,
                _ => return,
            }
        };
        is_text &= command != ".";
        if let Some(path) = command.strip_prefix("RCPT TO:<") {
            to = path.trim_end_matches('>').to_owned();
        }
    }
}
