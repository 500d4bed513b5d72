//! The keys of an e-mail sink.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_model::settings::Table;
use herald_model::sink::ConnectError;
use herald_model::{Secret, Sink, SinkConfig};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::Email;
use super::message::Letterhead;
use super::pool::Pool;
use super::session::{Encryption, Server};
use crate::said::{Redactor, one_line};

/// The longest wait for one address of a server. Chosen: three lost packets and their repetitions.
const DIAL_AT_MOST: Duration = Duration::from_secs(10);

/// Checked settings of an e-mail sink.
#[derive(Debug)]
struct Config {
    host: String,
    port: u16,
    encryption: Encryption,
    login: Option<(String, Secret)>,
    letterhead: Letterhead,
    to: Vec<Mailbox>,
    ca: Option<PathBuf>,
    timeout: Duration,
    hello_name: Option<String>,
    connections: usize,
}

/// Reads the keys; see `README.md` beside this file.
pub(super) fn configure(table: &mut Table<'_>) -> Option<Box<dyn SinkConfig>> {
    let seconds = Duration::from_secs;
    let server = server(table);
    let encryption = table
        .word(
            "tls",
            &[
                ("starttls", "starttls"),
                ("implicit", "implicit"),
                ("none", "none"),
            ],
        )
        .or("starttls");
    let encryption = match encryption {
        "implicit" => Encryption::Implicit,
        "none" => Encryption::None,
        _ => Encryption::StartTls,
    };
    let login = login(table, encryption);
    let from = table
        .text("from")
        .required("\"Herald <herald@example.com>\"");
    let from = from.and_then(|text| mailbox(table, "from", &text));
    let to = recipients(table);
    let ca = table.file("ca").optional();
    let timeout = table
        .duration("timeout", seconds(1)..=seconds(900))
        .or(seconds(60));
    let hello_name = table.text("hello_name").optional();
    if let Some(name) = &hello_name
        && !is_host_name(name)
    {
        mistake(table, "hello_name", "this is no host name");
    }
    let connections = table.number("connections", 1..=100).or(4);
    let (host, port) = server?;
    // `sink.ops-mail`: the name that people gave it.
    let list = table
        .path()
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    Some(Box::new(Config {
        host,
        port,
        encryption,
        login: login?,
        letterhead: Letterhead { from: from?, list },
        to: to?,
        ca,
        timeout,
        hello_name,
        connections: usize::try_from(connections).unwrap_or(1),
    }))
}

fn mistake(table: &Table<'_>, key: &str, what: &str) {
    table.reading().mistake(
        table.span_of(key),
        format!("`{}`: {what}", table.path_of(key)),
    );
}

/// Host and port; an IPv6 address stands in brackets.
fn server(table: &Table<'_>) -> Option<(String, u16)> {
    let text = table.text("server").required("\"smtp.example.com:587\"")?;
    let parsed = text.rsplit_once(':').and_then(|(host, port)| {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None if is_host_name(host) => host.to_owned(),
            None => return None,
        };
        let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
        Some((host, port))
    });
    if parsed.is_none() {
        mistake(
            table,
            "server",
            "write host and port, as in \"smtp.example.com:587\"",
        );
    }
    parsed
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// User and password; the outer `None` after a mistake or without a secret that was named.
#[allow(clippy::option_option, reason = "the two mean different things")]
fn login(table: &Table<'_>, encryption: Encryption) -> Option<Option<(String, Secret)>> {
    let username = table.text("username").optional();
    let password_given = table.names().any(|name| name == "password");
    let password = table.secret("password").optional();
    let allowed = table.flag("allow_plaintext_auth").or(false);
    match (username, password) {
        (None, None) if !password_given => Some(None),
        (Some(username), Some(password)) => {
            if encryption == Encryption::None && !allowed {
                mistake(
                    table,
                    "password",
                    "without TLS the password crosses the network readable; set tls = \"starttls\" \
                     or \"implicit\", or, if that is meant, allow_plaintext_auth = true",
                );
                return None;
            }
            Some(Some((username, password)))
        }
        (Some(_), None) if !password_given => {
            mistake(table, "username", "there is no `password`; add one");
            None
        }
        (None, Some(_)) => {
            mistake(table, "password", "there is no `username`; add one");
            None
        }
        _ => None,
    }
}

fn recipients(table: &Table<'_>) -> Option<Vec<Mailbox>> {
    let written = table.texts("to").required("[\"ops@example.com\"]")?;
    if written.is_empty() {
        mistake(table, "to", "name at least one recipient");
        return None;
    }
    let mut recipients: Vec<Mailbox> = Vec::new();
    for text in &written {
        let one = mailbox(table, "to", text)?;
        let is_same = |other: &Mailbox| {
            other
                .email
                .to_string()
                .eq_ignore_ascii_case(one.email.as_ref())
        };
        if recipients.iter().any(is_same) {
            mistake(table, "to", &format!("{} stands there twice", one.email));
            return None;
        }
        recipients.push(one);
    }
    Some(recipients)
}

/// `ops@example.com` or `Ops <ops@example.com>`.
fn mailbox(table: &Table<'_>, key: &str, text: &str) -> Option<Mailbox> {
    let parsed = text
        .parse::<Mailbox>()
        .ok()
        // An address beyond ASCII needs a server with SMTPUTF8 and every relay after it.
        .filter(|mailbox| mailbox.email.to_string().is_ascii());
    let Some(mailbox) = parsed else {
        let what = format!(
            "`{}` is no address; write \"ops@example.com\" or \"Ops <ops@example.com>\", \
             in ASCII (a domain in its xn-- form)",
            one_line(text, 80)
        );
        mistake(table, key, &what);
        return None;
    };
    // A line break in a name makes the library panic.
    let name = mailbox.name.map(|name| one_line(&name, 120));
    Some(Mailbox::new(name, mailbox.email))
}

impl SinkConfig for Config {
    fn connect(&self) -> Result<Box<dyn Sink>, ConnectError> {
        let tls = match self.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Implicit => Some(self.tls()?),
        };
        let hello = match &self.hello_name {
            Some(name) => ClientId::Domain(name.clone()),
            None => ClientId::default(),
        };
        let secrets = self.login.iter().flat_map(|(username, password)| {
            // A server may repeat the command it did not like.
            let encoded = [
                format!("\0{username}\0{}", password.expose()),
                password.expose().to_owned(),
            ]
            .map(|text| Secret::new(STANDARD.encode(text)));
            [password.clone()].into_iter().chain(encoded)
        });
        let user = self.login.as_ref().map(|(username, _)| username.clone());
        Ok(Box::new(Email {
            redactor: Redactor::new(secrets),
            server: Server {
                host: self.host.clone(),
                port: self.port,
                encryption: self.encryption,
                tls,
                hello,
                dial_at_most: DIAL_AT_MOST.min(self.timeout / 3),
                credentials: self.login.as_ref().map(|(username, password)| {
                    Credentials::new(username.clone(), password.expose().to_owned())
                }),
            },
            user,
            letterhead: self.letterhead.clone(),
            to: self.to.clone(),
            timeout: self.timeout,
            pool: Pool::new(self.connections),
        }))
    }
}

impl Config {
    fn tls(&self) -> Result<TlsParameters, ConnectError> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = TlsParameters::builder(self.host.clone());
        if let Some(path) = &self.ca {
            let unusable = |why: &dyn std::fmt::Display| {
                ConnectError(format!("cannot read {}: {why}", path.display()))
            };
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| unusable(&error))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder
            .build()
            .map_err(|error| ConnectError(format!("cannot set up TLS: {error}")))
    }
}
