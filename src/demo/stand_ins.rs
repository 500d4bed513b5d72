//! Stand-ins on loopback for a mail server, a DingTalk robot and a callback endpoint. They are
//! strict where the real ones are: the robot checks its signature, the endpoint verifies its.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Something that arrived at a stand-in.
#[derive(Debug, Clone)]
pub(super) enum Arrival {
    /// A mail.
    Mail { to: String, subject: String },
    /// A message in the DingTalk group.
    DingTalk { text: String },
    /// A callback; `verified` says whether its signature was right.
    Callback {
        verified: bool,
        id: String,
        summary: String,
    },
}

/// Secrets that the demo's sinks and stand-ins share. They guard nothing.
pub(super) const DINGTALK_SECRET: &str = "SECdemo";
/// 32 bytes, as Standard Webhooks asks for.
pub(super) const CALLBACK_SECRET: &str = "whsec_aGVyYWxkLWRlbW8taGVyYWxkLWRlbW8taGVyYWxkLTE=";

/// Addresses of the stand-ins.
pub(super) struct StandIns {
    pub(super) smtp: SocketAddr,
    pub(super) http: SocketAddr,
}

/// Starts them on free ports; what arrives is sent to `arrivals`.
pub(super) async fn start(arrivals: mpsc::UnboundedSender<Arrival>) -> std::io::Result<StandIns> {
    let smtp = TcpListener::bind("127.0.0.1:0").await?;
    let http = TcpListener::bind("127.0.0.1:0").await?;
    let stand_ins = StandIns {
        smtp: smtp.local_addr()?,
        http: http.local_addr()?,
    };
    let routes = Router::new()
        .route("/robot/send", post(robot))
        .route("/eni", post(callback))
        .with_state(arrivals.clone());
    tokio::spawn(async move { axum::serve(http, routes).await });
    tokio::spawn(async move {
        while let Ok((stream, _)) = smtp.accept().await {
            tokio::spawn(mail_session(stream, arrivals.clone()));
        }
    });
    Ok(stand_ins)
}

/// One SMTP conversation (RFC 5321): enough of a server to take mail, and nothing is forwarded.
async fn mail_session(
    stream: TcpStream,
    arrivals: mpsc::UnboundedSender<Arrival>,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 demo.invalid ESMTP\r\n").await?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let reply: &[u8] = match verb.as_str() {
            "EHLO" | "HELO" => b"250 demo.invalid\r\n",
            "RCPT" => {
                to = line
                    .split_once('<')
                    .map_or("", |(_, rest)| rest)
                    .trim_end_matches('>')
                    .to_owned();
                b"250 2.1.5 ok\r\n"
            }
            "DATA" => {
                writer.write_all(b"354 end with a dot\r\n").await?;
                let mut header = String::new();
                let mut in_header = true;
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    in_header &= !line.is_empty();
                    if in_header {
                        header.push_str(&line);
                        header.push('\n');
                    }
                }
                let _ = arrivals.send(Arrival::Mail {
                    to: to.clone(),
                    subject: subject(&header),
                });
                b"250 2.0.0 taken\r\n"
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"250 ok\r\n",
        };
        writer.write_all(reply).await?;
    }
    Ok(())
}

/// The subject of a header, unfolded.
fn subject(header: &str) -> String {
    let unfolded = header.replace("\n ", " ").replace("\n\t", " ");
    let line = unfolded
        .lines()
        .find_map(|line| line.strip_prefix("Subject: "));
    line.unwrap_or_default().to_owned()
}

#[derive(serde::Deserialize)]
struct Signed {
    timestamp: String,
    sign: String,
}

/// Answers as the robot does: refusals, too, come with HTTP 200.
async fn robot(
    State(arrivals): State<mpsc::UnboundedSender<Arrival>>,
    signed: Query<Signed>,
    body: Bytes,
) -> &'static str {
    let message = format!("{}\n{DINGTALK_SECRET}", signed.timestamp);
    if mac(DINGTALK_SECRET.as_bytes(), message.as_bytes()) != signed.sign {
        return r#"{"errcode":310000,"errmsg":"sign not match"}"#;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = body["markdown"]["text"]
        .as_str()
        .or_else(|| body["text"]["content"].as_str());
    let Some(text) = text else {
        return r#"{"errcode":40035,"errmsg":"missing parameter"}"#;
    };
    let _ = arrivals.send(Arrival::DingTalk {
        text: text.to_owned(),
    });
    r#"{"errcode":0,"errmsg":"ok"}"#
}

/// Verifies the signature as Standard Webhooks 1.0.0 has it.
async fn callback(
    State(arrivals): State<mpsc::UnboundedSender<Arrival>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    let id = header("webhook-id");
    let signed = [
        id.as_bytes(),
        b".",
        header("webhook-timestamp").as_bytes(),
        b".",
        &body,
    ]
    .concat();
    let key = CALLBACK_SECRET
        .strip_prefix("whsec_")
        .and_then(|key| STANDARD.decode(key).ok());
    let expected = format!("v1,{}", mac(&key.unwrap_or_default(), &signed));
    let verified = header("webhook-signature")
        .split(' ')
        .any(|one| one == expected);
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let content = &document["items"][0]["event"]["content"];
    let word = |key: &str| content[key].as_str().unwrap_or_default().to_owned();
    let summary = format!(
        "{} {}: {}",
        word("operation"),
        word("result"),
        word("eniId")
    );
    let _ = arrivals.send(Arrival::Callback {
        verified,
        id: id.to_owned(),
        summary,
    });
    if verified {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    }
}

fn mac(key: &[u8], message: &[u8]) -> String {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(message);
            STANDARD.encode(mac.finalize().into_bytes())
        },
    )
}
