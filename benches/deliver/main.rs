//! What a sink costs beside a bare loop of the library below it: notifications rendered and
//! delivered a second to a peer on loopback, and processor time for each.
//!
//! `cargo bench --bench deliver`; `-- 2000` sets how many notifications, which is 10,000 otherwise.
//! Three rounds; each measures for every kind the bare loop and the sink, one after the other, so
//! that the ratio means something on any machine. The table that is printed is the one of
//! `docs/figures.md`.
//!
//! The bare loops send the same content and render nothing: `reqwest` posts the sink's bytes, 16 at
//! a time as a callback does and one at a time as a robot does; `lettre` builds the same mail and
//! sends it over one kept connection. Peers are processes of their own, so the processor time is
//! that of the sender alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot run has nothing to say"
)]

mod far;
#[path = "../peers/mod.rs"]
mod peers;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use herald::render::{Setting, Templates, render};
use herald_model::settings::{Environment, Reading, Table};
use herald_model::sink::{Checkpoint, CheckpointError};
use herald_model::{DeliveryId, EventId, Item, Language, MessageId};
use herald_model::{Notification, Progress, Rendered, Sink};
use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::message::MultiPart;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;

use self::peers::Process;

const ROUNDS: usize = 3;
const NOTIFICATIONS: usize = 10_000;

/// A tick of `/proc/self/stat` on Linux.
const TICK: Duration = Duration::from_millis(10);

const EVENT: &str = r#"{"ver":"1.0","id":"2256A988-0B26-4E2B-820A-8A0000000001","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/eni-8vb1qo0000000cdeg2n","level":"INFO","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1690700000000030","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{"eniId":"eni-8vb1qo0000000cdeg2n","operation":"AttachNetworkInterface","eniStatus":"InUse","result":"success","requestId":"59701492-1d47-4a8b-9fb4-000000000001"}}"#;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let kind = words.first().map(String::as_str).unwrap_or_default();
    if ["http", "robot", "smtp"].contains(&kind) {
        return runtime.block_on(far::serve(kind));
    }
    let count = words.iter().find_map(|word| word.parse().ok());
    runtime.block_on(measure(count.unwrap_or(NOTIFICATIONS)));
}

async fn measure(count: usize) {
    let (http, robot, smtp) = (
        Process::beside("http"),
        Process::beside("robot"),
        Process::beside("smtp"),
    );
    let lanes = [
        Lane::new(
            "callback",
            16,
            &format!(
                "url = \"http://{}/\"\nallow_addresses = [\"127.0.0.1\"]\n\
                 secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
                http.address
            ),
            &http,
        ),
        Lane::new(
            "dingtalk",
            1,
            &format!(
                "webhook = \"http://{}/robot/send?access_token=t123\"\nsecret = \"SECx\"",
                robot.address
            ),
            &robot,
        ),
        Lane::new(
            "email",
            1,
            &format!(
                "server = \"{}\"\ntls = \"none\"\nfrom = \"herald@example.com\"\n\
                 to = [\"ops@example.com\"]\nconnections = 1",
                smtp.address
            ),
            &smtp,
        ),
    ];
    let mut taken: Vec<Vec<(Taken, Taken)>> = vec![Vec::new(); lanes.len()];
    for round in 1..=ROUNDS {
        for (lane, taken) in lanes.iter().zip(&mut taken) {
            let bare = lane.bare(count).await;
            let ours = lane.through(count).await;
            eprintln!(
                "round {round}, {}: {:.0}/s, bare {:.0}/s",
                lane.kind,
                ours.rate(),
                bare.rate()
            );
            taken.push((ours, bare));
        }
    }
    println!(
        "| Sink | Deliveries a second | Bare loop | Ratio | Processor time each | Bare loop |"
    );
    println!("|---|---|---|---|---|---|");
    for (lane, taken) in lanes.iter().zip(&taken) {
        let each = |cell: fn(&(Taken, Taken)) -> String| {
            let cells: Vec<String> = taken.iter().map(cell).collect();
            cells.join(", ")
        };
        println!(
            "| {} | {} | {} | {} | {} µs | {} µs |",
            lane.kind,
            each(|(ours, _)| format!("{:.0}", ours.rate())),
            each(|(_, bare)| format!("{:.0}", bare.rate())),
            each(|(ours, bare)| format!("{:.2}", ours.rate() / bare.rate())),
            each(|(ours, _)| format!("{:.0}", ours.processor_us())),
            each(|(_, bare)| format!("{:.0}", bare.processor_us())),
        );
    }
}

/// What a number of deliveries took.
#[derive(Clone, Copy)]
struct Taken {
    count: usize,
    wall: Duration,
    processor: Duration,
}

impl Taken {
    async fn by(count: usize, work: impl Future<Output = ()>) -> Self {
        let (began, before) = (Instant::now(), processor());
        work.await;
        Self {
            count,
            wall: began.elapsed(),
            processor: processor() - before,
        }
    }

    fn rate(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    fn processor_us(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.count as f64
    }
}

/// The processor time of this process so far, in user and kernel mode (proc(5), `stat`).
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, the second field, may hold spaces.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    TICK * ticks
}

/// One kind of sink, and how it is fed.
struct Lane {
    kind: &'static str,
    at_a_time: usize,
    sink: Arc<dyn Sink>,
    notification: Notification,
    peer: std::net::SocketAddr,
}

impl Lane {
    fn new(kind: &'static str, at_a_time: usize, keys: &str, peer: &Process) -> Self {
        let sink = sink(kind, keys);
        let mut notification = notification();
        notification.rendered = rendered(&*sink, &notification);
        Self {
            kind,
            at_a_time,
            sink: Arc::from(sink),
            notification,
            peer: peer.address,
        }
    }

    /// Renders and delivers `count` notifications.
    async fn through(&self, count: usize) -> Taken {
        let work = self.at_once(count, || {
            let (sink, mut notification) = (Arc::clone(&self.sink), self.notification.clone());
            async move |left: Arc<AtomicUsize>| {
                while let Some(number) = take(&left) {
                    let delivery = notification.items[0].delivery;
                    notification.message = MessageId::derive(delivery, number as u64);
                    notification.rendered = rendered(&*sink, &notification);
                    let progress = Progress::new(None, &Nowhere);
                    let outcome = sink.deliver(&notification, &progress).await.of(0);
                    assert_eq!(outcome.as_str(), "delivered", "{outcome:?}");
                }
            }
        });
        Taken::by(count, work).await
    }

    /// The same number of deliveries by the library alone.
    async fn bare(&self, count: usize) -> Taken {
        match self.kind {
            "email" => Taken::by(count, self.bare_mails(count)).await,
            _ => {
                let work = self.bare_requests(count);
                Taken::by(count, work).await
            }
        }
    }

    async fn bare_requests(&self, count: usize) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let rendered = &self.notification.rendered;
        let body = rendered.body.clone().unwrap_or_else(|| {
            let markdown = serde_json::json!({ "title": rendered.title, "text": rendered.text });
            let uuid = self.notification.message.to_string();
            serde_json::json!({ "msgtype": "markdown", "markdown": markdown, "msgUuid": uuid })
                .to_string()
        });
        self.at_once(count, || {
            let (client, body) = (client.clone(), body.clone());
            let url = format!("http://{}/", self.peer);
            async move |left: Arc<AtomicUsize>| {
                while take(&left).is_some() {
                    let request = client
                        .post(&url)
                        .header("content-type", "application/json")
                        .body(body.clone());
                    let answer = request.send().await.unwrap();
                    answer.bytes().await.unwrap();
                }
            }
        })
        .await;
    }

    async fn bare_mails(&self, count: usize) {
        let Rendered {
            title, text, html, ..
        } = &self.notification.rendered;
        let envelope = Envelope::new(
            Some("herald@example.com".parse().unwrap()),
            vec!["ops@example.com".parse().unwrap()],
        )
        .unwrap();
        let stream = TcpStream::connect(self.peer).await.unwrap();
        // As the sink does: lettre writes a text and its final dot apart.
        stream.set_nodelay(true).unwrap();
        let hello = ClientId::default();
        let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
            .await
            .unwrap();
        for _ in 0..count {
            let html = html.clone().unwrap_or_default();
            let mail = lettre::Message::builder()
                .from("herald@example.com".parse().unwrap())
                .to("ops@example.com".parse().unwrap())
                .subject(title.clone())
                .multipart(MultiPart::alternative_plain_html(text.clone(), html))
                .unwrap();
            connection.send(&envelope, &mail.formatted()).await.unwrap();
        }
    }

    /// Runs as many workers as this kind has at a time, until nothing of `count` is left.
    async fn at_once<W, F>(&self, count: usize, worker: impl Fn() -> W)
    where
        W: FnOnce(Arc<AtomicUsize>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let left = Arc::new(AtomicUsize::new(count));
        let workers = (0..self.at_a_time).map(|_| tokio::spawn(worker()(Arc::clone(&left))));
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    }
}

fn take(left: &AtomicUsize) -> Option<usize> {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    })
    .ok()
}

fn rendered(sink: &dyn Sink, notification: &Notification) -> Rendered {
    let setting = Setting {
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
        console_url: Some("https://herald.example.com".to_owned()),
    };
    let Notification { message, items, .. } = notification;
    render(sink, *message, items, &Templates::default(), &setting)
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

/// A sink of `kind` with these keys.
fn sink(kind: &str, keys: &str) -> Box<dyn Sink> {
    let document = toml::de::DeTable::parse(keys).unwrap();
    let environment = Nowhere;
    let reading = Reading::new(&environment, Path::new("/"), false);
    let mut table = Table::new(&reading, document.get_ref(), document.span(), "sink.bench");
    let kind = herald_sinks::ALL.iter().find(|known| known.name == kind);
    let config = (kind.unwrap().configure)(&mut table).unwrap();
    config.connect().unwrap()
}

fn notification() -> Notification {
    let id = EventId::from_uuid(uuid::Uuid::from_u128(7));
    let delivery = DeliveryId::derive(id, "s", "k");
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let value = herald::intake::items(
        EVENT.as_bytes(),
        herald::intake::Framing::Document,
        herald::intake::Limits::default(),
    )
    .remove(0)
    .unwrap();
    let draft = herald::intake::decode(&value.value, false, None).unwrap();
    Notification {
        message: MessageId::derive(delivery, 1),
        composed_at: now,
        attempted_at: now,
        attempt: 1,
        endpoint: None,
        items: vec![Item {
            delivery,
            subscription: "finished operations".into(),
            event: Arc::new(draft.seal(id, "cloudmonitor", now).event),
        }],
        rendered: Rendered::default(),
    }
}
