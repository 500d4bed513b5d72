//! The sender: posts events at a pace, or as fast as they are answered.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::log::Log;
use super::{Client, event};

/// Which resource events are about.
#[derive(Clone, Copy)]
pub(crate) enum About {
    /// Each about its own.
    Each,
    /// All about one.
    One,
}

/// Where to post, and what is noted of it.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) log: Arc<Log>,
    pub(crate) about: About,
    /// Number of the next event; never used twice in one journal.
    pub(crate) next: Arc<AtomicU64>,
}

/// What was sent.
pub(crate) struct Sent {
    pub(crate) numbers: Range<u64>,
    /// From the first to the last answer.
    pub(crate) took: Duration,
}

impl Sent {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    pub(crate) fn rate(&self) -> f64 {
        (self.numbers.end - self.numbers.start) as f64 / self.took.as_secs_f64()
    }
}

impl Sender {
    /// Posts one event at a time on each of `connections`, each as soon as the last was answered.
    pub(crate) async fn flat_out(&self, connections: u64, length: Duration) -> Sent {
        let first = self.next.load(Ordering::Relaxed);
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let (sender, stop) = (self.clone(), Arc::clone(&stop));
            tasks.push(tokio::spawn(async move {
                let mut client = Client::to(sender.address).await;
                while !stop.load(Ordering::Relaxed) {
                    sender.one(&mut client, Instant::now()).await;
                }
            }));
        }
        tokio::time::sleep(length).await;
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        Sent {
            numbers: first..self.next.load(Ordering::Relaxed),
            took: began.elapsed(),
        }
    }

    /// Posts `rate` events a second over `connections`, each at its own time. One whose time has
    /// passed while the connection was busy is sent at once, and counts from its time: waiting for
    /// the router is the router's.
    pub(crate) async fn paced(&self, connections: u64, rate: f64, length: Duration) -> Sent {
        let first = self.next.load(Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let step = Duration::from_secs_f64(connections as f64 / rate);
        let began = Instant::now();
        let mut tasks = Vec::new();
        for place in 0..connections {
            let sender = self.clone();
            let connections = u32::try_from(connections).unwrap();
            let mut due = began + step * u32::try_from(place).unwrap() / connections;
            tasks.push(tokio::spawn(async move {
                let mut client = Client::to(sender.address).await;
                while due < began + length {
                    let is_early = Instant::now() < due;
                    if is_early {
                        tokio::time::sleep_until(due.into()).await;
                    }
                    // The timer's own lateness is the bench's, not the router's.
                    let since = if is_early { Instant::now() } else { due };
                    sender.one(&mut client, since).await;
                    due += step;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        Sent {
            numbers: first..self.next.load(Ordering::Relaxed),
            took: began.elapsed(),
        }
    }

    /// Posts `count` events in bodies of `batch`, four at a time.
    pub(crate) async fn in_batches(&self, count: u64, batch: u64) -> Sent {
        let first = self.next.load(Ordering::Relaxed);
        let last = first + count;
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let sender = self.clone();
            tasks.push(tokio::spawn(async move {
                let mut client = Client::to(sender.address).await;
                loop {
                    let from = sender.next.fetch_add(batch, Ordering::Relaxed);
                    if from >= last {
                        break;
                    }
                    let body: Vec<String> = (from..(from + batch).min(last))
                        .map(|number| sender.event(number))
                        .collect();
                    let kind = "application/x-ndjson";
                    loop {
                        match client.post(sender.path, kind, &body.join("\n")).await {
                            (200, _) => break,
                            // It takes no more at the moment.
                            (503, _) => tokio::time::sleep(Duration::from_millis(20)).await,
                            (status, answer) => {
                                panic!("{status}: {}", String::from_utf8_lossy(answer))
                            }
                        }
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        self.next.store(last, Ordering::Relaxed);
        Sent {
            numbers: first..last,
            took: began.elapsed(),
        }
    }

    fn event(&self, number: u64) -> String {
        match self.about {
            About::Each => event(number, number),
            About::One => event(number, 1),
        }
    }

    async fn one(&self, client: &mut Client, since: Instant) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let event = self.event(number);
        self.log.sends(number, since);
        loop {
            let (status, answer) = client.post(self.path, "application/json", &event).await;
            match status {
                200 | 204 => break,
                // It takes no more at the moment; the event is late from here on.
                503 => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => panic!("{status}: {}", String::from_utf8_lossy(answer)),
            }
        }
        self.log.answers(number);
    }
}
