//! What a sink costs beside a bare loop of the library below it: deliveries a second to a peer on
//! loopback, in one run on one machine, so that the ratio means something anywhere.
//!
//! `cargo bench -p herald-sinks`; `-- 2000` sets the number of deliveries.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use herald_model::settings::{Environment, Reading, Table};
use herald_model::sink::{Checkpoint, CheckpointError};
use herald_model::{Addressee, DeliveryId, Event, EventId, Item, Level, MessageId};
use herald_model::{Notification, Progress, Rendered, Sink};
use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Deliveries at a time over HTTP: a callback's default `concurrency`.
const AT_A_TIME: usize = 16;

const EVENT: &str = r#"{"ver":"1.0","id":"2256A988-0B26-4E2B-820A-8A0000000001","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n","level":"INFO","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-8vb1qo0000000cdeg2n","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"59701492-1d47-4a8b-9fb4-000000000001"}}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = std::env::args().find_map(|word| word.parse().ok());
    let count: usize = count.unwrap_or(10_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        callback(count).await?;
        dingtalk(count).await?;
        email(count).await
    })
}

async fn callback(count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let peer = http_peer("").await?;
    let sink = sink(&format!(
        "kind = \"callback\"\nurl = \"http://{peer}/\"\nallow_addresses = [\"127.0.0.1\"]\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\""
    ))?;
    let mut notification = notification()?;
    notification.rendered.body = sink.body(notification.message, &notification.items);
    let body = notification.rendered.body.clone().unwrap_or_default();
    let bare = bare_http(count, peer, body).await?;
    let ours = through(count, sink, notification).await;
    report("callback", ours, bare);
    Ok(())
}

async fn dingtalk(count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let peer = http_peer(r#"{"errcode":0,"errmsg":"ok"}"#).await?;
    let sink = sink(&format!(
        "kind = \"dingtalk\"\nwebhook = \"http://{peer}/robot/send?access_token=t123\"\nsecret = \"SECx\""
    ))?;
    let notification = notification()?;
    let body = format!("{{\"text\":{:?}}}", notification.rendered.text);
    let bare = bare_http(count, peer, body).await?;
    let ours = through(count, sink, notification).await;
    report("dingtalk", ours, bare);
    Ok(())
}

async fn email(count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let peer = smtp_peer().await?;
    let sink = sink(&format!(
        "kind = \"email\"\nserver = \"{peer}\"\ntls = \"none\"\nfrom = \"herald@example.com\"\n\
         to = [\"ops@example.com\"]\nconnections = 1"
    ))?;
    let notification = notification()?;
    let envelope = Envelope::new(
        Some("herald@example.com".parse()?),
        vec!["ops@example.com".parse()?],
    )?;
    let started = Instant::now();
    let hello = ClientId::default();
    let stream = TcpStream::connect(peer).await?;
    // As the sink does: lettre writes a text and its final dot apart.
    stream.set_nodelay(true)?;
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?;
    for _ in 0..count {
        let mail = lettre::Message::builder()
            .from("herald@example.com".parse()?)
            .to("ops@example.com".parse()?)
            .subject(notification.rendered.title.clone())
            .body(notification.rendered.text.clone())?;
        connection.send(&envelope, &mail.formatted()).await?;
    }
    let bare = started.elapsed();
    let started = Instant::now();
    let nowhere = Nowhere;
    for _ in 0..count {
        let outcomes = sink
            .deliver(&notification, &Progress::new(None, &nowhere))
            .await;
        assert_eq!(outcomes.of(0).as_str(), "delivered");
    }
    report("email", (count, started.elapsed()), (count, bare));
    Ok(())
}

fn report(kind: &str, ours: (usize, Duration), bare: (usize, Duration)) {
    let rate = |(count, took): (usize, Duration)| count as f64 / took.as_secs_f64();
    let (ours, bare) = (rate(ours), rate(bare));
    let ratio = ours / bare;
    println!("{kind}: {ours:.0}/s, bare loop {bare:.0}/s, ratio {ratio:.2}");
}

/// `count` deliveries through `sink`, [`AT_A_TIME`] at a time.
async fn through(
    count: usize,
    sink: Box<dyn Sink>,
    notification: Notification,
) -> (usize, Duration) {
    let (sink, notification) = (Arc::<dyn Sink>::from(sink), Arc::new(notification));
    let left = Arc::new(AtomicUsize::new(count));
    let started = Instant::now();
    let workers = (0..AT_A_TIME).map(|_| {
        let (sink, notification, left) = (sink.clone(), notification.clone(), left.clone());
        tokio::spawn(async move {
            let nowhere = Nowhere;
            while take(&left) {
                let progress = Progress::new(None, &nowhere);
                let outcome = sink.deliver(&notification, &progress).await.of(0);
                assert_eq!(outcome.as_str(), "delivered", "{outcome:?}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        let _ = worker.await;
    }
    (count, started.elapsed())
}

/// The same number of requests by the HTTP client alone.
async fn bare_http(
    count: usize,
    peer: SocketAddr,
    body: String,
) -> Result<(usize, Duration), Box<dyn std::error::Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let left = Arc::new(AtomicUsize::new(count));
    let started = Instant::now();
    let workers = (0..AT_A_TIME).map(|_| {
        let (client, body, left) = (client.clone(), body.clone(), left.clone());
        tokio::spawn(async move {
            while take(&left) {
                let request = client.post(format!("http://{peer}/")).body(body.clone());
                let read = match request.send().await {
                    Ok(answer) => answer.bytes().await.map(|_| ()),
                    Err(error) => Err(error),
                };
                assert!(read.is_ok(), "{read:?}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await?;
    }
    Ok((count, started.elapsed()))
}

fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

/// Answers every request with 200 and `body`.
async fn http_peer(body: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_http(stream, answer.clone()));
        }
    });
    Ok(address)
}

async fn serve_http(mut stream: TcpStream, answer: String) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let end = head + 4 + length.and_then(|text| text.parse().ok()).unwrap_or(0);
        while bytes.len() < end {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        bytes.drain(..end);
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Takes every mail.
async fn smtp_peer() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_smtp(stream));
        }
    });
    Ok(address)
}

async fn serve_smtp(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 peer\r\n").await?;
    let mut line = String::new();
    let mut in_text = false;
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match (in_text, line.as_str()) {
            (true, ".\r\n") => {
                in_text = false;
                "250 queued\r\n"
            }
            (true, _) => continue,
            (false, "DATA\r\n") => {
                in_text = true;
                "354 go on\r\n"
            }
            (false, _) => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Checkpoints that are not kept.
struct Nowhere;

#[async_trait::async_trait]
impl Checkpoint for Nowhere {
    async fn save(&self, _: Vec<u8>) -> Result<(), CheckpointError> {
        Ok(())
    }
}

impl Environment for Nowhere {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

/// The sink of a table with these keys.
fn sink(keys: &str) -> Result<Box<dyn Sink>, Box<dyn std::error::Error>> {
    let document = toml::de::DeTable::parse(keys)?;
    let environment = Nowhere;
    let reading = Reading::new(&environment, Path::new("/"), false);
    let mut table = Table::new(&reading, document.get_ref(), document.span(), "sink.bench");
    let name = table.text("kind").optional();
    let kind = herald_sinks::ALL
        .iter()
        .find(|kind| Some(kind.name) == name.as_deref())
        .ok_or("no such kind")?;
    let config = (kind.configure)(&mut table).ok_or("mistakes in the keys")?;
    Ok(config.connect()?)
}

fn notification() -> Result<Notification, Box<dyn std::error::Error>> {
    let id = EventId::from_uuid(uuid::Uuid::from_u128(7));
    let delivery = DeliveryId::derive(id, "s", "k");
    let now = "2026-01-02T03:04:05Z".parse()?;
    Ok(Notification {
        message: MessageId::derive(delivery, 1),
        composed_at: now,
        attempted_at: now,
        attempt: 1,
        endpoint: None,
        items: vec![Item {
            delivery,
            subscription: "s".into(),
            event: Arc::new(Event {
                id,
                text: EVENT.into(),
                sender_id: None,
                product: "ECS".to_owned(),
                name: "NetworkInterface:NetworkInterfaceOperateCompleted".to_owned(),
                level: Level::Info,
                user_id: "1690700000000030".to_owned(),
                region_id: "cn-hangzhou".to_owned(),
                resource_id: Some("acs:ecs:cn-hangzhou:1690700000000030:eni/eni-1".to_owned()),
                occurred_at: now,
                received_at: now,
                source: "cloudmonitor".to_owned(),
                addressee: Addressee::User("1690700000000030".to_owned()),
                eni: None,
            }),
        }],
        rendered: Rendered {
            title: "INFO: AttachNetworkInterface of eni-8vb1qo0000000cdeg2n succeeded".to_owned(),
            text: "The ENI is attached.\n\nRegion: cn-hangzhou\n".repeat(10),
            html: None,
            body: None,
            form: None,
            link: None,
            failure: None,
        },
    })
}
