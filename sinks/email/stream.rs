//! The bytes below a conversation: the plain part of one, watched, and one that is encrypted from
//! its first byte.
//!
//! Whoever sits on the way can append SMTP replies to the server's answer to STARTTLS. A reader that
//! buffers ahead would hand them to the conversation inside TLS as if the server had said them there
//! (RFC 3207 section 6: what was learned before must be forgotten). lettre keeps its read buffer
//! across the upgrade, so until TLS begins it is given single bytes: then there is nothing to keep,
//! and what was injected meets the TLS handshake, which fails.
//!
//! lettre also reads a reply anew from its first line whenever another line arrives, up to 100,000
//! bytes: eight thousand short lines keep a core busy for seconds, in which no time-out fires. So
//! lines are counted here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::{AsyncTokioStream, TlsParameters};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// First byte of a TLS handshake record (RFC 8446 section 5.1); no SMTP command begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// The most lines that a reply may have. Chosen: the longest EHLO answers have some twenty.
const LINES_AT_MOST: usize = 200;

/// A stream that is watched until TLS begins.
#[derive(Debug)]
pub(super) struct Plain {
    inner: TcpStream,
    /// TLS is to begin on this stream: nothing may be read ahead.
    before_tls: bool,
    is_plain: bool,
    /// Since something was last written.
    lines: usize,
}

impl Plain {
    /// A conversation that stays plain.
    pub(super) fn new(inner: TcpStream) -> Self {
        Self {
            inner,
            before_tls: false,
            is_plain: true,
            lines: 0,
        }
    }

    /// A conversation in which TLS is to begin.
    pub(super) fn before_tls(inner: TcpStream) -> Self {
        Self {
            before_tls: true,
            ..Self::new(inner)
        }
    }

    fn count(&mut self, read: &[u8]) -> io::Result<()> {
        self.lines += read.iter().filter(|byte| **byte == b'\n').count();
        if self.lines > LINES_AT_MOST {
            return Err(io::Error::other("a reply of more than 200 lines"));
        }
        Ok(())
    }
}

impl AsyncTokioStream for Plain {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_plain {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        if self.before_tls && buf.remaining() > 0 {
            let mut byte = [0];
            let mut one = ReadBuf::new(&mut byte);
            let polled = Pin::new(&mut self.inner).poll_read(cx, &mut one);
            let read = one.filled();
            buf.put_slice(read);
            return polled.map(|result| result.and_then(|()| self.count(read)));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        polled.map(|result| result.and_then(|()| self.count(read)))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.first() == Some(&TLS_HANDSHAKE) {
            self.is_plain = false;
        }
        self.lines = 0;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[allow(
    deprecated,
    reason = "lettre offers no other way to begin TLS on a stream of ours"
)]
type Network = lettre::transport::smtp::client::AsyncNetworkStream;

/// A stream under TLS from its first byte. lettre would dial by itself, without a word on what went
/// wrong and without `TCP_NODELAY`.
#[derive(Debug)]
pub(super) struct Encrypted {
    inner: Compat<Network>,
    peer: SocketAddr,
}

impl Encrypted {
    /// Shakes hands.
    ///
    /// # Errors
    /// The handshake failed.
    pub(super) async fn from(stream: TcpStream, tls: TlsParameters) -> Result<Self, Error> {
        let peer = stream
            .peer_addr()
            .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let mut network = Network::use_existing_tokio1(Box::new(stream));
        network.upgrade_tls(tls).await?;
        Ok(Self {
            inner: network.compat(),
            peer,
        })
    }
}

impl AsyncTokioStream for Encrypted {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
