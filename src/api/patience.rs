//! How long a connection may say nothing, and what is said to one that is given up.
//!
//! hyper's own timer knows only one time, for a head and for the pause before it; here they differ.
//! The clock stands still while a request is worked on: its body has `server.body_timeout`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::door::Bounds;
use super::problem::Problem;
use crate::telemetry::{Metrics, TurnedAway};
use axum::http::StatusCode;

/// Where the conversation on a connection stands. Shared by the stream and whoever answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<AtomicU32>);

/// What is being waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The rest of a request's head, or the first byte of the first one.
    Head,
    /// Herald itself.
    Answer,
    /// The next request, and that the answer is read.
    Next,
}

impl Turn {
    /// A whole head is there.
    pub(super) fn asked(&self) {
        self.go(Awaited::Answer);
    }

    /// The answer is made.
    pub(super) fn answered(&self) {
        self.go(Awaited::Next);
    }

    fn awaited(&self) -> Awaited {
        match self.number() % 3 {
            0 => Awaited::Head,
            1 => Awaited::Answer,
            _ => Awaited::Next,
        }
    }

    /// Tells one turn from the same a request later.
    fn number(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Everything on a connection happens in one task, one after the other.
    fn go(&self, to: Awaited) {
        let mut number = self.number();
        loop {
            number = number.wrapping_add(1);
            self.0.store(number, Ordering::Relaxed);
            if self.awaited() == to {
                return;
            }
        }
    }
}

/// A stream whose silence ends it.
pub(super) struct Patient<S> {
    stream: S,
    turn: Turn,
    bounds: Bounds,
    alarm: Pin<Box<Sleep>>,
    /// The turn that the alarm is set for.
    set_for: Option<u32>,
    /// Whether anything of the head that is awaited has come.
    has_begun: bool,
    /// What is still to be written in place of hyper's empty refusal.
    instead: Bytes,
    is_over: bool,
    /// Where it is noted that a head was refused.
    metrics: Arc<Metrics>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Patient<S> {
    /// The first head has `header_timeout` from now.
    pub(super) fn new(stream: S, turn: Turn, bounds: Bounds, metrics: Arc<Metrics>) -> Self {
        Self {
            stream,
            set_for: Some(turn.number()),
            turn,
            alarm: Box::pin(tokio::time::sleep(bounds.header_timeout)),
            bounds,
            has_begun: false,
            instead: Bytes::new(),
            is_over: false,
            metrics,
        }
    }

    fn patience(&self) -> Option<Duration> {
        match self.turn.awaited() {
            Awaited::Head => Some(self.bounds.header_timeout),
            Awaited::Answer => None,
            Awaited::Next => Some(self.bounds.idle_timeout),
        }
    }

    /// Ready once nothing has come, or gone, for too long.
    fn out_of_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over {
            return Poll::Ready(());
        }
        let Some(patience) = self.patience() else {
            return Poll::Pending;
        };
        let turn = Some(self.turn.number());
        if self.set_for != turn {
            self.alarm.as_mut().reset(Instant::now() + patience);
            self.set_for = turn;
        }
        ready!(self.alarm.as_mut().poll(cx));
        self.is_over = true;
        Poll::Ready(())
    }

    /// Something was written: whoever reads an answer slowly, but reads, is not silent.
    fn has_gone(&mut self, bytes: usize) {
        if bytes > 0 && self.turn.awaited() == Awaited::Next {
            self.set_for = None;
        }
    }

    /// Tells a sender why its half head is not waited for any longer. What does not fit into the
    /// socket at once is dropped: it is known to be slow.
    fn say_late(&mut self, cx: &mut Context<'_>) {
        let why = "the request's head did not arrive within `server.header_timeout`";
        let said = whole(StatusCode::REQUEST_TIMEOUT, why);
        self.metrics.turned_away(TurnedAway::HeadLate);
        let _ = Pin::new(&mut self.stream).poll_write(cx, &said);
        let _ = Pin::new(&mut self.stream).poll_flush(cx);
    }

    /// What to say in place of `bytes`, with which hyper refuses a head: it names no limit.
    fn better(&self, bytes: &[u8]) -> Option<(Bytes, TurnedAway)> {
        if self.turn.awaited() != Awaited::Head {
            return None;
        }
        let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        let (reason, status, why) = match status {
            b"431" => (
                TurnedAway::HeadTooLong,
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                format!(
                    "the request's head is longer than `server.header_max`, {} bytes, or has more \
                     than {HEADERS_MAX} fields",
                    self.bounds.header_max
                ),
            ),
            b"414" => (
                TurnedAway::HeadTooLong,
                StatusCode::URI_TOO_LONG,
                "the request's target is longer than 65534 bytes".to_owned(),
            ),
            b"400" => (
                TurnedAway::NotHttp,
                StatusCode::BAD_REQUEST,
                "this is no request of HTTP/1.1".to_owned(),
            ),
            _ => return None,
        };
        Some((whole(status, &why), reason))
    }

    /// Writes what stands in place of a refusal.
    fn write_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let stream = Pin::new(&mut self.stream);
            match stream.poll_write(cx, &self.instead) {
                Poll::Ready(written) => self.instead.advance(written?),
                Poll::Pending => return self.out_of_patience(cx).map(|()| Err(silent())),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Fields of a head that hyper reads, by its own default.
const HEADERS_MAX: usize = 100;

/// A problem document as a whole answer, after which the connection closes.
fn whole(status: StatusCode, why: &str) -> Bytes {
    let body = serde_json::to_string(&Problem::new(status, why)).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    answer.into()
}

fn silent() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the other side reads nothing; `server.idle_timeout` is over",
    )
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before {
                    if self.turn.awaited() == Awaited::Next {
                        self.turn.go(Awaited::Head);
                    }
                    self.has_begun = self.turn.awaited() == Awaited::Head;
                }
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.out_of_patience(cx));
                if self.turn.awaited() == Awaited::Head && self.has_begun {
                    self.say_late(cx);
                }
                // An end, as if the sender had gone: hyper closes what is left.
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some((better, reason)) = self.better(bytes) {
            self.metrics.turned_away(reason);
            self.instead = better;
            self.turn.answered();
            return Poll::Ready(Ok(bytes.len()));
        }
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.has_gone(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => self.out_of_patience(cx).map(|()| Err(silent())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(cx))?;
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => self.out_of_patience(cx).map(|()| Err(silent())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(cx))?;
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(shut) => Poll::Ready(shut),
            Poll::Pending => self.out_of_patience(cx).map(|()| Err(silent())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if first.is_some_and(|first| self.better(first).is_some()) {
            let first: &[u8] = first.map_or(&[], |first| first);
            return self.poll_write(cx, first);
        }
        match Pin::new(&mut self.stream).poll_write_vectored(cx, slices) {
            Poll::Ready(written) => {
                self.has_gone(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => self.out_of_patience(cx).map(|()| Err(silent())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
