//! HTTPS at the built program: who is let in, how a certificate is changed, what a command needs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use support::{Herald, PATIENCE, Receiver, config, event, refused_to_start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

mod support;

/// A certificate for `localhost` that vouches for itself.
struct Identity {
    der: CertificateDer<'static>,
    pem: String,
    key: String,
}

impl Identity {
    fn new() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self {
            der: made.cert.der().clone(),
            pem: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// One that is good until the day begins.
    fn until(day: jiff::civil::Date) -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        let [month, date] = [day.month(), day.day()].map(i8::unsigned_abs);
        params.not_after = rcgen::date_time_ymd(day.year().into(), month, date);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        Self {
            der: made.der().clone(),
            pem: made.pem(),
            key: key.serialize_pem(),
        }
    }

    fn put(&self, folder: &Path) {
        std::fs::write(folder.join("server.pem"), &self.pem).unwrap();
        std::fs::write(folder.join("server.key"), &self.key).unwrap();
    }
}

const TLS: &str = "\n[server.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n\
                   handshake_timeout = \"500ms\"\n";

fn with_tls(receiver: &Receiver) -> String {
    config(receiver.address, "").replace("drain = \"5s\"\n", &format!("drain = \"5s\"\n{TLS}"))
}

fn start(identity: &Identity, receiver: &Receiver) -> Herald {
    let folder = tempfile::tempdir().unwrap();
    identity.put(folder.path());
    Herald::start_in(folder, &with_tls(receiver), "debug")
}

fn address(herald: &Herald) -> &str {
    herald.url.strip_prefix("https://").unwrap()
}

/// A handshake that trusts these certificates, or why there is none.
async fn connect(
    herald: &Herald,
    trusted: &[&Identity],
    alpn: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for identity in trusted {
        roots.add(identity.der.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address(herald)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn post(stream: &mut TlsStream<TcpStream>, id: &str) -> String {
    let body = event(id);
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let count = stream.read(&mut answer).await.unwrap();
    String::from_utf8(answer[..count].to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_without_a_cut() {
    let receiver = Receiver::start(&[200]).await;
    let (first, second) = (Identity::new(), Identity::new());
    let herald = start(&first, &receiver);
    let mut open = connect(&herald, &[&first], &[b"http/1.1"]).await.unwrap();
    assert_eq!(open.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(post(&mut open, "1").await.contains("accepted"));
    assert!(connect(&herald, &[&second], &[]).await.is_err());
    assert!(
        connect(&herald, &[&first], &[b"h2"]).await.is_err(),
        "HTTP/1.1 only"
    );

    second.put(herald.folder.path());
    let changed = async {
        while connect(&herald, &[&second], &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
    assert!(connect(&herald, &[&first], &[]).await.is_err());
    assert!(
        post(&mut open, "2").await.contains("accepted"),
        "the old connection goes on"
    );

    // A key that does not fit is refused, and the old certificate stays.
    std::fs::write(herald.path("server.key"), &first.key).unwrap();
    let ca = herald.path("ca.pem");
    std::fs::write(&ca, &second.pem).unwrap();
    let ca = ca.display().to_string();
    let reload = herald.command(&["reload", "--ca", &ca]).await;
    assert_eq!(reload.status.code(), Some(1));
    let said = String::from_utf8(reload.stderr).unwrap();
    assert!(
        said.contains("`server.tls.key`") && said.contains("not the key of"),
        "{said}"
    );
    assert!(connect(&herald, &[&second], &[]).await.is_ok());

    // `herald reload` takes it without waiting for the file to be noticed.
    first.put(herald.folder.path());
    let reload = herald.command(&["reload", "--ca", &ca]).await;
    assert!(reload.status.success());
    assert!(connect(&herald, &[&first], &[]).await.is_ok());
    assert!(post(&mut open, "3").await.contains("accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_speak_https() {
    let receiver = Receiver::start(&[200]).await;
    let identity = Identity::new();
    let herald = start(&identity, &receiver);
    let ca = herald.path("server.pem").display().to_string();
    let file = herald.path("event.json");
    std::fs::write(&file, event("1")).unwrap();
    let file = file.display().to_string();

    let sent = herald.command(&["send", "--ca", &ca, &file]).await;
    let said = String::from_utf8_lossy(&sent.stdout).into_owned();
    assert!(
        sent.status.success() && said.contains("1 accepted"),
        "{sent:?}"
    );
    let status = herald.command(&["status", "--ca", &ca, "--json"]).await;
    assert!(status.status.success(), "{status:?}");

    let untrusted = herald.command(&["send", &file]).await;
    let said = String::from_utf8_lossy(&untrusted.stderr).into_owned();
    assert_eq!(untrusted.status.code(), Some(1));
    assert!(
        said.contains("certificate") && said.contains("--ca"),
        "{said}"
    );
    let none = herald.command(&["status", "--ca", &file]).await;
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(said.contains("no certificate in PEM form"), "{said}");
    let url = herald.url.replace("https", "http");
    let plain = herald.command(&["status", "--url", &url]).await;
    assert_eq!(plain.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_come_is_given_up() {
    let receiver = Receiver::start(&[200]).await;
    let identity = Identity::new();
    let herald = start(&identity, &receiver);
    let mut silent = TcpStream::connect(address(&herald)).await.unwrap();
    let mut half = TcpStream::connect(address(&herald)).await.unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    for stream in [&mut silent, &mut half] {
        let mut said = Vec::new();
        let closed = tokio::time::timeout(PATIENCE / 2, stream.read_to_end(&mut said)).await;
        assert!(closed.is_ok(), "it is still open");
        assert!(said.is_empty());
    }
    herald.says("server.tls.handshake_timeout").await;

    let mut plain = TcpStream::connect(address(&herald)).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    plain.read_to_string(&mut said).await.unwrap();
    assert!(
        said.starts_with("HTTP/1.1 400") && said.ends_with("https:// only\r\n"),
        "{said}"
    );
    let length = said.split("\r\n\r\n").nth(1).unwrap().len();
    assert!(
        said.contains(&format!("content-length: {length}\r\n")),
        "{said}"
    );
}

/// The first message of a client that knows nothing newer than TLS 1.`minor - 1` (RFC 5246, section
/// 7.4.1.2).
fn hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    // No session, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression; the groups X25519 and
    // P-256, uncompressed points, and ECDSA with SHA-256: nothing but the version is to be refused.
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    hello.extend([0, 24, 0, 10, 0, 6, 0, 4, 0, 29, 0, 23, 0, 11, 0, 2, 1, 0]);
    hello.extend([0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut message = vec![1, 0, 0, length];
    message.extend(hello);
    let length = u8::try_from(message.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length];
    record.extend(message);
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_tls_1_2_is_refused() {
    let receiver = Receiver::start(&[200]).await;
    let identity = Identity::new();
    let herald = start(&identity, &receiver);
    let ask = |minor| {
        let address = address(&herald).to_owned();
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&hello(minor)).await.unwrap();
            let mut said = [0; 7];
            stream.read_exact(&mut said).await.unwrap();
            said
        }
    };
    let handshake = ask(3).await;
    assert_eq!(handshake[0], 22, "TLS 1.2 goes on: {handshake:?}");
    // An alert, fatal, protocol_version (RFC 8446, section 6).
    assert_eq!(ask(2).await, [21, 3, 3, 0, 2, 2, 70]);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_cannot_be_used_keep_it_from_starting() {
    let receiver = Receiver::start(&[200]).await;
    let (identity, other) = (Identity::new(), Identity::new());
    let folder = tempfile::tempdir().unwrap();
    let text = with_tls(&receiver);
    let refused = |words: &str| {
        let said = refused_to_start(folder.path(), &text);
        assert!(said.contains(words), "{words} is not in\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    refused("`server.tls.cert`: ");
    std::fs::write(folder.path().join("server.pem"), "nothing").unwrap();
    refused("no certificate in PEM form");
    std::fs::write(folder.path().join("server.pem"), &identity.pem).unwrap();
    std::fs::write(folder.path().join("server.key"), "nothing").unwrap();
    refused("no private key in PEM form");
    std::fs::write(folder.path().join("server.key"), &other.key).unwrap();
    refused("it is not the key of the certificate in `server.tls.cert`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_about_to_expire_is_spoken_of() {
    let receiver = Receiver::start(&[200]).await;
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::until(jiff::civil::date(2020, 1, 2));
    identity.put(folder.path());
    let herald = Herald::start_in(folder, &with_tls(&receiver), "info");
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A client that trusts whatever it is shown: the certificate has expired.
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .build()
        .unwrap();
    let ask = async |path: &str| {
        let answer = client.get(format!("{}{path}", herald.url)).send().await;
        answer.unwrap().text().await.unwrap()
    };
    let said = "the certificate of `server.tls.cert` has expired on 2020-01-02T00:00:00Z";
    let ready = ask("/readyz").await;
    assert!(
        ready.starts_with("ready; ") && ready.contains(said),
        "{ready}"
    );
    let name = "herald_door_certificate_expires_seconds{key=\"server.tls.cert\"} ";
    let left = |metrics: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse().unwrap()
    };
    assert!(left(&ask("/metrics").await) < 0.0);
    herald.says(said).await;

    // Whoever renews it is told whether that was enough, and nothing is said of a good one.
    let soon = herald::clock::now() + jiff::SignedDuration::from_hours(14 * 24);
    let soon = soon.to_zoned(jiff::tz::TimeZone::UTC).date();
    Identity::until(soon).put(herald.folder.path());
    let reload = async || {
        let answer = client.post(format!("{}/v1/reload", herald.url)).send();
        answer.await.unwrap().text().await.unwrap()
    };
    let report = reload().await;
    assert!(report.contains("in 13 days; renew it"), "{report}");
    assert!(ask("/readyz").await.contains("in 13 days"));
    Identity::new().put(herald.folder.path());
    assert!(!reload().await.contains("renew"));
    assert_eq!(ask("/readyz").await, "ready\n");
    assert!(left(&ask("/metrics").await) > 86_400.0 * 365.0);
}
