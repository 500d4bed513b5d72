//! The receiver: takes callbacks, answers at once, and notes which event came when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::peers::{content_length, head_length, number};

/// What was sent when and came when, by the event's number.
pub(crate) struct Log {
    began: Instant,
    /// Microseconds since `began`, plus one; 0 for not yet.
    sent: Vec<AtomicU64>,
    came: Vec<AtomicU64>,
    arrivals: AtomicU64,
    repeats: AtomicU64,
    first_after: AtomicU64,
    /// Further deliveries wait unanswered.
    pub(crate) is_silent: AtomicBool,
}

impl Log {
    pub(crate) fn new(events: usize) -> Arc<Self> {
        let column = || (0..events).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            began: Instant::now(),
            sent: column(),
            came: column(),
            arrivals: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            first_after: AtomicU64::new(0),
            is_silent: AtomicBool::new(false),
        })
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.began).as_micros()).unwrap() + 1
    }

    pub(crate) fn sends(&self, number: u64, at: Instant) {
        if let Some(cell) = self.sent.get(usize::try_from(number).unwrap()) {
            cell.store(self.micros(at), Ordering::Relaxed);
        }
    }

    fn takes(&self, number: u64) {
        let now = self.micros(Instant::now());
        let _ = self
            .first_after
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        let cell = self.came.get(usize::try_from(number).unwrap());
        let first = cell.is_none_or(|cell| cell.swap(now, Ordering::Relaxed) == 0);
        let count = if first { &self.arrivals } else { &self.repeats };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Different events that came.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Deliveries of events that had come before.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Starts to wait for the next arrival, whatever it is.
    pub(crate) fn forget_first(&self) {
        self.first_after.store(0, Ordering::Relaxed);
    }

    /// When the first arrival since then was.
    pub(crate) fn first(&self) -> Option<Instant> {
        let micros = self.first_after.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began + Duration::from_micros(micros))
    }

    /// Microseconds from send to arrival of the events with these numbers, sorted.
    pub(crate) fn latencies(&self, numbers: std::ops::Range<u64>) -> Vec<u64> {
        let range = usize::try_from(numbers.start).unwrap()..usize::try_from(numbers.end).unwrap();
        let cells = self.sent[range.clone()].iter().zip(&self.came[range]);
        let mut latencies: Vec<u64> = cells
            .filter_map(|(sent, came)| {
                let (sent, came) = (sent.load(Ordering::Relaxed), came.load(Ordering::Relaxed));
                (sent > 0 && came > 0).then(|| came.saturating_sub(sent))
            })
            .collect();
        latencies.sort_unstable();
        latencies
    }
}

/// Listens, and takes what comes for as long as the runtime lives.
pub(crate) async fn listen(log: Arc<Log>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&log)));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, log: Arc<Log>) {
    let _ = stream.set_nodelay(true);
    let mut held = Vec::with_capacity(16 << 10);
    loop {
        let (head, length) = loop {
            if let Some(head) = head_length(&held) {
                break (head, content_length(&held[..head]));
            }
            if !matches!(stream.read_buf(&mut held).await, Ok(1..)) {
                return;
            }
        };
        while held.len() < head + length {
            if !matches!(stream.read_buf(&mut held).await, Ok(1..)) {
                return;
            }
        }
        if log.is_silent.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        if let Some(number) = number(&held[head..head + length]) {
            log.takes(number);
        }
        held.drain(..head + length);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
