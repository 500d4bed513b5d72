//! How the far side of each kind plays its parts.

use std::sync::LazyLock;

use herald_model::{Sink, SinkKind};

use crate::testing::settings::sink;
use crate::testing::{http, smtp};

/// A part that a far side plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Accepts.
    Accepts,
    /// Refuses the message for good, repeating every secret it was sent.
    Refuses,
    /// Takes the connection and never says a word.
    Silent,
    /// Takes the whole message and never answers.
    Swallows,
    /// Takes the whole message and closes.
    Cuts,
    /// Closes at once.
    Closes,
    /// Answers without end.
    Endless,
    /// Refuses, at far greater length than anybody reads.
    Oversized,
    /// Answers with something of another protocol.
    Babbles,
}

/// A running far side and the keys of a sink that leads to it.
pub(super) enum Far {
    Http(http::Server, String),
    Smtp(smtp::Server, String),
}

/// Secrets that the sinks of this suite are configured with.
pub(super) const PLANTED: [&str; 4] = [
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "0123456789abcdef",
    "SEC0123456789abcdef0123456789abcdef",
    "correct horse battery staple",
];

/// How the far side of a kind plays a part.
pub(super) async fn far(kind: &SinkKind, part: Part) -> Far {
    match kind.name {
        "callback" => {
            let server = http_far(part, "thanks").await;
            let keys = format!(
                "url = \"{}/hook?key=0123456789abcdef\"\nsecret = \"whsec_{}\"\n\
                 allow_addresses = [\"127.0.0.1\"]",
                server.url(),
                PLANTED[0]
            );
            Far::Http(server, keys)
        }
        "dingtalk" => {
            let server = http_far(part, r#"{"errcode":0,"errmsg":"ok"}"#).await;
            let keys = format!(
                "webhook = \"{}/robot/send?access_token={}\"\nsecret = \"{}\"",
                server.url(),
                PLANTED[1],
                PLANTED[2]
            );
            Far::Http(server, keys)
        }
        "email" => {
            let server = smtp_far(part).await;
            let keys = format!(
                "server = \"{}\"\ntls = \"none\"\nfrom = \"herald@example.com\"\n\
                 to = [\"ops@example.com\"]\nusername = \"herald\"\npassword = \"{}\"\n\
                 allow_plaintext_auth = true",
                server.address, PLANTED[3]
            );
            Far::Smtp(server, keys)
        }
        other => panic!("say here how the far side of `{other}` behaves"),
    }
}

async fn http_far(part: Part, thanks: &str) -> http::Server {
    use http::Act;
    let act = match part {
        Part::Accepts => Act::ok(thanks),
        Part::Refuses => Act::answer("400 Bad Request", "", &PLANTED.join(" ")),
        Part::Silent | Part::Swallows => Act::SayAndHang(Vec::new()),
        Part::Cuts => Act::SayAndCut(Vec::new()),
        Part::Closes => Act::Refuse,
        Part::Oversized => Act::answer("500 Oops", "", &"and on ".repeat(300_000)),
        Part::Endless => Act::Endless("HTTP/1.1 500 Oops\r\n\r\n", "and on and on and on "),
        Part::Babbles => Act::SayAndCut(b"220 mail.example.com ESMTP\r\n".to_vec()),
    };
    http::Server::start([act]).await
}

/// A reply of one line of two megabytes.
static OVERSIZED: LazyLock<String> = LazyLock::new(|| format!("451 {}", "and on ".repeat(300_000)));

async fn smtp_far(part: Part) -> smtp::Server {
    use smtp::{Act, Script};
    let script = Script::new().auth("PLAIN");
    let script = match part {
        Part::Accepts => script,
        Part::Refuses => script.on(
            "DOT",
            Act::Say(
                "554 5.7.1 correct horse battery staple Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==",
            ),
        ),
        Part::Silent => script.on("CONNECT", Act::Hang),
        Part::Swallows => script.on("DOT", Act::Hang),
        Part::Cuts => script.on("DOT", Act::Cut),
        Part::Closes => script.on("CONNECT", Act::Cut),
        Part::Endless => script.on("DOT", Act::Endless("250-and on")),
        Part::Oversized => script.on("DOT", Act::Say(&OVERSIZED)),
        Part::Babbles => script.on("CONNECT", Act::SayAndCut("HTTP/1.1 400 Bad Request")),
    };
    script.start().await
}

impl Far {
    pub(super) fn keys(&self) -> &str {
        let (Self::Http(_, keys) | Self::Smtp(_, keys)) = self;
        keys
    }

    pub(super) fn sink(&self, kind: &SinkKind, more: &str) -> Box<dyn Sink> {
        sink(kind, &format!("{}\n{more}", self.keys()))
    }

    /// By what the far side tells a repetition: everything it received that bears our key.
    pub(super) fn keys_seen(&self) -> Vec<String> {
        let line = |text: &str| {
            let found = text.lines().find(|line| line.starts_with("Message-ID:"));
            found.map(str::to_owned)
        };
        match self {
            Self::Http(server, _) => server
                .requests()
                .iter()
                .map(|request| {
                    if request.has("webhook-id") {
                        return request.header("webhook-id").to_owned();
                    }
                    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
                    body["msgUuid"].as_str().unwrap().to_owned()
                })
                .collect(),
            Self::Smtp(server, _) => server
                .mails()
                .iter()
                .filter_map(|mail| line(&mail.data))
                .collect(),
        }
    }
}
