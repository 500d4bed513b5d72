//! Posts signed by OpenSSL, certificates over TLS, and what must not pass.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::HeaderName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::certificates::{Fetcher, download, host};
use super::*;
use crate::sources::web;

const TARGET: &str = "https://herald.example.com/v1/sources/bridge/events";
const PEM: &str = "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509.pem";
const TOKEN: &str = "0123456789abcdefghij";
const BODY: &str = r#"{"specversion":"1.0","id":"1"}"#;

/// Runs OpenSSL; `None`, with a word to whoever reads the output, where there is none.
fn openssl(folder: &Path, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        println!("SKIPPED: there is no openssl on this machine");
        return None;
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    Some(output.stdout)
}

/// A signer with a key and a certificate of OpenSSL's making.
struct Signer {
    folder: TempDir,
    pem: Vec<u8>,
}

impl Signer {
    fn new(bits: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let key = format!("rsa:{bits}");
        let make = [
            "req",
            "-x509",
            "-newkey",
            &key,
            "-nodes",
            "-keyout",
            "key",
            "-out",
            "pem",
            "-days",
            "1",
            "-subj",
            "/CN=EventBridge",
            "-sha256",
        ];
        openssl(folder.path(), &make, b"")?;
        let pem = std::fs::read(folder.path().join("pem")).unwrap();
        Some(Self { folder, pem })
    }

    fn sign(&self, text: &str) -> String {
        let sign = ["dgst", "-sha256", "-sign", "key"];
        STANDARD.encode(openssl(self.folder.path(), &sign, text.as_bytes()).unwrap())
    }

    /// Headers of a post of `body` to `target`, signed at `at`.
    fn headers(&self, target: &str, body: &str, at: Timestamp) -> HeaderMap {
        let at = at.as_millisecond();
        let text = format!(
            "{target}\nx-eventbridge-signature-timestamp: {at}\n\
             x-eventbridge-hash-method: SHA256\nx-eventbridge-signature-version: 1.0\n\
             x-eventbridge-signature-url: {PEM}\nx-eventbridge-signature-token: {TOKEN}\n{body}"
        );
        headers(&[
            ("x-eventbridge-signature-timestamp", &at.to_string()),
            ("x-eventbridge-hash-method", "SHA256"),
            ("x-eventbridge-signature-version", "1.0"),
            ("x-eventbridge-signature-url", PEM),
            ("x-eventbridge-signature-token", TOKEN),
            ("x-eventbridge-signature-v2", &self.sign(&text)),
        ])
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    headers
}

/// A set of answers that counts how often it is asked.
struct Shelf {
    pem: Result<Vec<u8>, String>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Fetcher for Shelf {
    async fn fetch(&self, _: &Url) -> Result<Vec<u8>, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.pem.clone()
    }
}

fn proof(pem: Result<Vec<u8>, String>) -> (Signed, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let shelf = Shelf {
        pem,
        asked: Arc::clone(&asked),
    };
    let regions = vec!["cn-hangzhou".to_owned()];
    let proof = Signed {
        certificates: Certificates::new(&regions, Box::new(shelf)),
        settings: Settings {
            url: TARGET.to_owned(),
            regions,
            window: Duration::from_secs(60),
            origins: vec!["eventbridge.aliyuncs.com".to_owned()],
        },
    };
    (proof, asked)
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// The status that a post is answered with, 200 where it passes.
async fn status(proof: &Signed, headers: &HeaderMap, body: &str, now: Timestamp) -> u16 {
    let tokens = [Secret::new("another-token-of-it"), Secret::new(TOKEN)];
    let judged = proof.judge(headers, &tokens, now);
    let body = Bytes::copy_from_slice(body.as_bytes());
    let verified = match judged {
        Ok(()) => proof.verify(headers, &body, now).await,
        Err(doubt) => Err(doubt),
    };
    verified.map_or_else(|doubt| doubt.status.as_u16(), |()| 200)
}

#[tokio::test]
async fn what_openssl_signed_passes_and_what_was_changed_does_not() {
    for bits in [2048, 1024] {
        let Some(signer) = Signer::new(bits) else {
            return;
        };
        let (proof, asked) = proof(Ok(signer.pem.clone()));
        let good = signer.headers(TARGET, BODY, now());
        assert_eq!(status(&proof, &good, BODY, now()).await, 200, "{bits}");
        assert_eq!(status(&proof, &good, "{}", now()).await, 401);
        let elsewhere = signer.headers("https://other.example.com/", BODY, now());
        assert_eq!(status(&proof, &elsewhere, BODY, now()).await, 401);
        // As the vendor's code for Java signs.
        let ended = signer.headers(TARGET, &format!("{BODY}\n"), now());
        assert_eq!(status(&proof, &ended, BODY, now()).await, 200);
        let stranger = Signer::new(2048).unwrap().headers(TARGET, BODY, now());
        assert_eq!(status(&proof, &stranger, BODY, now()).await, 401);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "the certificate is kept");
        for (name, value) in [
            (
                "x-eventbridge-signature-timestamp",
                (now().as_millisecond() + 1).to_string(),
            ),
            ("x-eventbridge-signature-url", PEM.replace("x509", "x510")),
            (
                "x-eventbridge-signature-token",
                "another-token-of-it".to_owned(),
            ),
            ("x-eventbridge-signature-v2", "AAAA".to_owned()),
        ] {
            let mut changed = good.clone();
            changed.insert(HeaderName::from_static(name), value.parse().unwrap());
            assert_eq!(status(&proof, &changed, BODY, now()).await, 401, "{name}");
        }
    }
}

#[tokio::test]
async fn an_old_or_future_signature_is_refused() {
    let Some(signer) = Signer::new(2048) else {
        return;
    };
    let (proof, _) = proof(Ok(signer.pem.clone()));
    let signed = signer.headers(TARGET, BODY, now());
    for (seconds, expected) in [(60, 200), (-60, 200), (61, 401), (-61, 401), (86_400, 401)] {
        let then = now() + jiff::SignedDuration::from_secs(seconds);
        assert_eq!(
            status(&proof, &signed, BODY, then).await,
            expected,
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn every_header_must_be_there_once_and_right() {
    let Some(signer) = Signer::new(2048) else {
        return;
    };
    let (proof, asked) = proof(Ok(signer.pem.clone()));
    let good = signer.headers(TARGET, BODY, now());
    for name in good.keys() {
        let mut less = good.clone();
        less.remove(name);
        assert_eq!(
            status(&proof, &less, BODY, now()).await,
            401,
            "without {name}"
        );
        let mut twice = good.clone();
        twice.append(name, good[name].clone());
        assert_eq!(
            status(&proof, &twice, BODY, now()).await,
            401,
            "{name} twice"
        );
        let mut wrong = good.clone();
        wrong.insert(name, "wrong".parse().unwrap());
        assert_eq!(
            status(&proof, &wrong, BODY, now()).await,
            401,
            "{name} wrong"
        );
    }
    // A wrong signature alone gets as far as the certificate.
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_certificate_comes_from_the_regions_own_host_alone() {
    let (proof, _) = proof(Err(String::new()));
    let is_good = |url: &str| proof.certificates.address(url).is_some();
    assert!(is_good(PEM));
    assert!(
        is_good(&PEM.replace("cn-hangzhou", "CN-Hangzhou")),
        "names have no case"
    );
    for bad in [
        &PEM.replace("https", "http"),
        &PEM.replace("hangzhou", "shanghai"),
        &PEM.replace(".com/", ".com./"),
        &PEM.replace(".com/", ".com:8443/"),
        &PEM.replace(".com/", ".com.evil.example/"),
        &PEM.replace(".com/", ".com@evil.example/"),
        &PEM.replace("://", "://user@"),
        &PEM.replace("://", "://evil-"),
        &PEM.replace("://", "://x."),
        "https://evil.example/cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509.pem",
        "https://oss-accelerate.aliyuncs.com/x509.pem",
        &format!("{PEM}?x"),
        &format!("{PEM}#x"),
        &format!("{PEM}{}", "x".repeat(600)),
        "",
    ] {
        assert!(!is_good(bad), "{bad}");
    }
}

#[tokio::test]
async fn a_certificate_is_fetched_once_for_all_and_a_failure_is_remembered() {
    let Some(signer) = Signer::new(2048) else {
        return;
    };
    let (good, asked) = proof(Ok(signer.pem.clone()));
    let url = good.certificates.address(PEM).unwrap();
    let all = (0..50).map(|_| good.certificates.get(&url, now()));
    for found in futures_util::future::join_all(all).await {
        assert!(found.is_ok());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let tomorrow = now() + jiff::SignedDuration::from_hours(24);
    assert!(good.certificates.get(&url, tomorrow).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 2, "after a day anew");
    for number in 0..100 {
        let url = PEM.replace("x509", &number.to_string());
        let url = good.certificates.address(&url).unwrap();
        good.certificates.get(&url, tomorrow).await.unwrap();
    }
    assert!(good.certificates.kept().await <= 16);

    let (bad, asked) = proof(Err("cannot connect".to_owned()));
    let signed = signer.headers(TARGET, BODY, now());
    assert_eq!(status(&bad, &signed, BODY, now()).await, 503);
    assert_eq!(status(&bad, &signed, BODY, now()).await, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let later = now() + jiff::SignedDuration::from_secs(6);
    assert_eq!(status(&bad, &signed, BODY, later).await, 503);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

/// A TLS server for the name of a region's host that answers everything with `answer`; and a client
/// that finds it under that name and trusts its maker.
async fn far(answer: String) -> (reqwest::Client, Url) {
    let name = host("cn-hangzhou");
    let key = rcgen::generate_simple_self_signed(vec![name.clone()]).unwrap();
    let certificate = key.cert.der().clone();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], secret.unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let root = reqwest::Certificate::from_der(&certificate).unwrap();
    let client = web::builder(Duration::from_secs(5), None)
        .unwrap()
        .resolve(&name, address)
        .tls_certs_only([root])
        .build()
        .unwrap();
    let url = PEM.replace(".com/", &format!(".com:{}/", address.port()));
    (client, url.parse().unwrap())
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_certificate_comes_over_tls_and_from_nowhere_else() {
    let (client, url) = far(ok("pem")).await;
    assert_eq!(download(&client, &url).await.unwrap(), b"pem");
    let stranger = web::builder(Duration::from_secs(5), None)
        .unwrap()
        .resolve(
            url.host_str().unwrap(),
            ([127, 0, 0, 1], url.port().unwrap()).into(),
        )
        .build()
        .unwrap();
    let why = download(&stranger, &url).await.unwrap_err();
    assert!(why.contains("certificate"), "{why}");
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (client, url) = far(moved.to_owned()).await;
    assert_eq!(
        download(&client, &url).await,
        Err("answered 302".to_owned())
    );
    let (client, url) = far(ok(&"x".repeat(70_000))).await;
    let why = download(&client, &url).await.unwrap_err();
    assert!(why.contains("longer than 65536"), "{why}");
}

#[test]
fn consent_is_given_to_those_who_are_listed() {
    let (proof, _) = proof(Err(String::new()));
    let ask = |pairs: &[(&'static str, &str)]| proof.consent(&headers(pairs));
    let agreed = ask(&[
        ("webhook-request-origin", "EventBridge.aliyuncs.com"),
        ("webhook-request-rate", "120"),
        ("webhook-request-callback", "https://example.com/callback"),
    ])
    .unwrap();
    assert_eq!(agreed["webhook-allowed-origin"], "EventBridge.aliyuncs.com");
    assert_eq!(agreed["webhook-allowed-rate"], "*");
    assert_eq!(agreed["allow"], "POST");
    let without = ask(&[("webhook-request-origin", "eventbridge.aliyuncs.com")]).unwrap();
    assert!(!without.contains_key("webhook-allowed-rate"));
    let status = |pairs: &[(&'static str, &str)]| ask(pairs).unwrap_err().status.as_u16();
    assert_eq!(status(&[]), 400);
    assert_eq!(status(&[("webhook-request-origin", "evil.example")]), 403);
    assert_eq!(status(&[("webhook-request-origin", "*")]), 400);
    let twice = ("webhook-request-origin", "eventbridge.aliyuncs.com");
    assert_eq!(status(&[twice, twice]), 400);
}
