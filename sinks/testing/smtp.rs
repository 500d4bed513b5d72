//! A scripted SMTP server. It plays a plain, polite server; rules change what it does at a step.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does at a step instead of what it should.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Says this line (or lines).
    Say(&'static str),
    /// Says this and closes.
    SayAndCut(&'static str),
    /// Closes.
    Cut,
    /// Stays silent for ever.
    Hang,
    /// Says this for ever.
    Endless(&'static str),
}

impl Act {
    /// A short time-out for whoever meets a silent server. Elsewhere the usual one, so that a busy
    /// machine does not change the outcome.
    pub(crate) fn patience(&self) -> &'static str {
        match self {
            Self::Hang => "timeout = \"1s\"",
            _ => "",
        }
    }
}

/// When a rule applies: the command begins so. `CONNECT` is the greeting, `DOT` the end of a text.
#[derive(Debug, Clone)]
struct Rule {
    at: &'static str,
    act: Act,
    /// How often it still applies.
    left: usize,
}

/// How the server encrypts.
#[derive(Clone)]
pub(crate) enum Cover {
    None,
    StartTls(TlsAcceptor),
    Implicit(TlsAcceptor),
}

/// The server before it runs.
#[derive(Clone)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    tls: Cover,
    /// Mechanisms offered, as in `PLAIN LOGIN`.
    auth: Option<&'static str>,
}

/// A mail that the server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) data: String,
    pub(crate) is_encrypted: bool,
    /// Which connection it came by, from 1.
    pub(crate) connection: usize,
}

/// What a server saw.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    commands: Vec<String>,
    mails: Vec<Mail>,
}

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            rules: Vec::new(),
            tls: Cover::None,
            auth: None,
        }
    }

    /// At every such step.
    pub(crate) fn on(self, at: &'static str, act: Act) -> Self {
        self.times(usize::MAX, at, act)
    }

    /// At the first such step.
    pub(crate) fn once(self, at: &'static str, act: Act) -> Self {
        self.times(1, at, act)
    }

    fn times(mut self, left: usize, at: &'static str, act: Act) -> Self {
        self.rules.push(Rule { at, act, left });
        self
    }

    pub(crate) fn tls(mut self, tls: Cover) -> Self {
        self.tls = tls;
        self
    }

    pub(crate) fn auth(mut self, mechanisms: &'static str) -> Self {
        self.auth = Some(mechanisms);
        self
    }

    pub(crate) async fn start(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = Arc::clone(&server.seen);
        // Rules are used up over all connections.
        let rules = Arc::new(Mutex::new(self.rules.clone()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = {
                    let mut seen = seen.lock().unwrap();
                    seen.connections += 1;
                    seen.connections
                };
                let peer = Peer {
                    script: self.clone(),
                    rules: rules.clone(),
                    seen: seen.clone(),
                    connection,
                    is_encrypted: false,
                };
                tokio::spawn(peer.serve(stream));
            }
        });
        server
    }
}

impl Server {
    /// Every mail taken so far.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.seen.lock().unwrap().mails.clone()
    }

    /// Every command so far, of all connections.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

/// One connection.
struct Peer {
    script: Script,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Seen>>,
    connection: usize,
    is_encrypted: bool,
}

/// The connection is over.
struct Over;

/// The client asked for TLS and was told to go ahead.
struct Upgrade;

impl Peer {
    async fn serve(mut self, stream: tokio::net::TcpStream) {
        match self.script.tls.clone() {
            Cover::Implicit(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.is_encrypted = true;
                    let _ = self.talk(BufReader::new(stream), true).await;
                }
            }
            Cover::StartTls(acceptor) => {
                let mut plain = BufReader::new(stream);
                if let Ok(Upgrade) = self.talk(&mut plain, true).await
                    && let Ok(stream) = acceptor.accept(plain.into_inner()).await
                {
                    self.is_encrypted = true;
                    let _ = self.talk(BufReader::new(stream), false).await;
                }
            }
            Cover::None => {
                let _ = self.talk(BufReader::new(stream), true).await;
            }
        }
    }

    async fn talk<S>(&mut self, mut stream: S, greets: bool) -> Result<Upgrade, Over>
    where
        S: AsyncBufReadExt + AsyncRead + AsyncWrite + Unpin,
    {
        if greets {
            self.act(&mut stream, "CONNECT", "220 test ESMTP").await?;
        }
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = line(&mut stream).await?;
            self.seen.lock().unwrap().commands.push(line.clone());
            let word = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_uppercase();
            match word.as_str() {
                "EHLO" => {
                    let hello = self.hello();
                    self.act(&mut stream, &line, &hello).await?;
                }
                "STARTTLS" => {
                    self.act(&mut stream, &line, "220 go ahead").await?;
                    return Ok(Upgrade);
                }
                "AUTH" if line.contains("LOGIN") => {
                    for challenge in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                        say(&mut stream, challenge).await?;
                        let answer = self::line(&mut stream).await?;
                        self.seen.lock().unwrap().commands.push(answer);
                    }
                    self.act(&mut stream, &line, "235 welcome").await?;
                }
                "AUTH" => {
                    self.act(&mut stream, &line, "235 2.7.0 welcome").await?;
                }
                "MAIL" => {
                    from = address(&line);
                    self.act(&mut stream, &line, "250 2.1.0 ok").await?;
                }
                "RCPT" => {
                    to = address(&line);
                    self.act(&mut stream, &line, "250 2.1.5 ok").await?;
                }
                "DATA" => {
                    if !self
                        .act(&mut stream, &line, "354 go on")
                        .await?
                        .starts_with("354")
                    {
                        continue;
                    }
                    let data = text(&mut stream).await?;
                    let said = self
                        .act(&mut stream, "DOT", "250 2.0.0 queued as 4F1")
                        .await?;
                    if said.starts_with('2') {
                        self.seen.lock().unwrap().mails.push(Mail {
                            from: from.clone(),
                            to: to.clone(),
                            data,
                            is_encrypted: self.is_encrypted,
                            connection: self.connection,
                        });
                    }
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return Err(Over);
                }
                _ => {
                    self.act(&mut stream, &line, "250 ok").await?;
                }
            }
        }
    }

    /// Does what the first rule for this step says, else says `usual`. Gives what was said.
    async fn act(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        step: &str,
        usual: &str,
    ) -> Result<String, Over> {
        let act = {
            let mut rules = self.rules.lock().unwrap();
            let rule = rules
                .iter_mut()
                .find(|rule| rule.left > 0 && step.starts_with(rule.at));
            rule.map(|rule| {
                rule.left -= 1;
                rule.act.clone()
            })
        };
        match act {
            None => {
                say(stream, usual).await?;
                Ok(usual.to_owned())
            }
            Some(Act::Say(line)) => {
                say(stream, line).await?;
                Ok(line.to_owned())
            }
            Some(Act::SayAndCut(line)) => {
                say(stream, line).await?;
                let _ = stream.shutdown().await;
                Err(Over)
            }
            Some(Act::Cut) => Err(Over),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Endless(line)) => loop {
                say(stream, line).await?;
            },
        }
    }

    fn hello(&self) -> String {
        let mut lines = vec!["test".to_owned(), "8BITMIME".to_owned()];
        if matches!(self.script.tls, Cover::StartTls(_)) && !self.is_encrypted {
            lines.push("STARTTLS".to_owned());
        }
        lines.extend(self.script.auth.map(|auth| format!("AUTH {auth}")));
        let last = lines.len() - 1;
        let lines: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        lines.join("\r\n")
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), line: &str) -> Result<(), Over> {
    stream
        .write_all(format!("{line}\r\n").as_bytes())
        .await
        .map_err(|_| Over)?;
    stream.flush().await.map_err(|_| Over)
}

async fn line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String, Over> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Ok(line.trim_end().to_owned()),
        _ => Err(Over),
    }
}

/// The text up to its final dot, with the dots of transparency taken off.
async fn text(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Result<String, Over> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line).await, Ok(1..)) {
            return Err(Over);
        }
        if line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn address(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
