//! The receiver: takes callbacks, answers at once, and notes which event came when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::peers::log::Log;
use crate::peers::{content_length, head_length, number};

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
