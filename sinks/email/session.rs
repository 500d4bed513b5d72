//! One conversation with an SMTP server.
//!
//! lettre's connection is driven step by step: its transport answers alike for a refused sender and
//! a refused recipient, aborts all recipients for one, and bounds nothing but the TCP connect. Here
//! every step knows its place, so a reply, a cut or a time-out gets the verdict that belongs there.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;

use super::reply::{Step, Verdict, doing, expect, is_reply, verdict};
use super::stream::{Encrypted, Plain};
use crate::trouble::{self, Unknown};

/// When encryption begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// By STARTTLS, without which nothing is sent (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314 section 3).
    Implicit,
    /// Never.
    None,
}

/// Where to send and as whom.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) encryption: Encryption,
    /// Absent without encryption.
    pub(super) tls: Option<TlsParameters>,
    pub(super) hello: ClientId,
    /// How long to wait for each address of the server.
    pub(super) dial_at_most: Duration,
    pub(super) credentials: Option<Credentials>,
}

/// An open connection, ready for a transaction.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
}

/// How far a conversation got; shared with whoever may have to cut it off.
#[derive(Default)]
pub(super) struct Reach {
    /// Index into [`Step::IN_ORDER`].
    step: AtomicU8,
    /// The final dot may have gone out.
    dot: AtomicBool,
}

impl Reach {
    fn at(&self, step: Step) {
        let index = Step::IN_ORDER.iter().position(|one| *one == step);
        self.step
            .store(index.unwrap_or_default() as u8, Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        Step::IN_ORDER[usize::from(self.step.load(Ordering::Relaxed)) % Step::IN_ORDER.len()]
    }

    fn is_dot_sent(&self) -> bool {
        self.dot.load(Ordering::Relaxed)
    }

    /// Whether the server was told nothing yet but who sends.
    pub(super) fn is_at_the_beginning(&self) -> bool {
        matches!(self.step(), Step::Connect | Step::Sender)
    }

    /// The verdict on a conversation that was cut off here.
    pub(super) fn cut_off(&self, why: &str) -> Verdict {
        let words = format!("{why} while {}", doing(self.step()));
        if self.is_dot_sent() {
            Verdict::Unknown(words)
        } else {
            Verdict::Later(words)
        }
    }
}

impl Server {
    /// Connects, encrypts and logs in.
    ///
    /// # Errors
    /// The verdict for everybody who was to be mailed over this connection.
    pub(super) async fn open(&self, reach: &Reach) -> Result<Session, Verdict> {
        reach.at(Step::Connect);
        let failed = |error| verdict(&error, Step::Connect, false);
        let stream = self.dial().await?;
        let hello = &self.hello;
        let mut connection = match (self.encryption, &self.tls) {
            (Encryption::Implicit, Some(tls)) => {
                let stream = Encrypted::from(stream, tls.clone()).await.map_err(failed)?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello)
                    .await
                    .map_err(failed)?
            }
            (Encryption::StartTls, Some(tls)) => {
                let stream = Box::new(Plain::before_tls(stream));
                let mut connection = AsyncSmtpConnection::connect_with_transport(stream, hello)
                    .await
                    .map_err(failed)?;
                connection
                    .starttls(tls.clone(), hello)
                    .await
                    .map_err(failed)?;
                connection
            }
            _ => AsyncSmtpConnection::connect_with_transport(Box::new(Plain::new(stream)), hello)
                .await
                .map_err(failed)?,
        };
        if let Some(credentials) = &self.credentials {
            reach.at(Step::Auth);
            let response = connection
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await
                .map_err(|error| verdict(&error, Step::Auth, false))?;
            expect(&response, Step::Auth)?;
        }
        Ok(Session { connection })
    }

    /// The TCP connection.
    async fn dial(&self) -> Result<TcpStream, Verdict> {
        let place = match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        };
        let dialled = async {
            let address = (self.host.as_str(), self.port);
            let found = tokio::net::lookup_host(address).await;
            let found = found.map_err(|cause| {
                std::io::Error::other(Unknown {
                    name: self.host.clone(),
                    cause,
                })
            })?;
            let stream = dial_any(found, self.dial_at_most).await?;
            // lettre writes a text and its final dot apart; without this the dot waits for the
            // delayed acknowledgement of the text, 40 ms for every mail.
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        dialled.await.map_err(|error: std::io::Error| {
            let words = trouble::connecting(&error, &place).unwrap_or_else(|| error.to_string());
            Verdict::Later(format!("while {}: {words}", doing(Step::Connect)))
        })
    }
}

/// A connection to the first of `addresses` that takes one within `each`. A server whose name has
/// an address that nobody answers at, as often with IPv6, is reached by the others.
async fn dial_any(
    addresses: impl Iterator<Item = SocketAddr>,
    each: Duration,
) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::from(ErrorKind::NotFound);
    for address in addresses {
        match tokio::time::timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

impl Session {
    /// Sends `mail` to `to`. Gives the session back with the verdict if it is ready for another
    /// transaction; one that is cut off or out of step is gone.
    pub(super) async fn send(
        mut self,
        from: &Address,
        to: &Address,
        mail: &[u8],
        reach: &Reach,
    ) -> (Verdict, Option<Self>) {
        match self.transaction(from, to, mail, reach).await {
            Ok(reply) => (Verdict::Accepted(reply), Some(self)),
            Err((verdict, false)) => (verdict, None),
            Err((verdict, true)) => {
                // After a refusal the transaction is still open. The reply must be 250, or the
                // next one would be misread.
                let in_step = self
                    .connection
                    .command(Rset)
                    .await
                    .is_ok_and(|response| response.has_code(250));
                (verdict, in_step.then_some(self))
            }
        }
    }

    /// The transaction; an error comes with whether the conversation is still in step.
    async fn transaction(
        &mut self,
        from: &Address,
        to: &Address,
        mail: &[u8],
        reach: &Reach,
    ) -> Result<String, (Verdict, bool)> {
        self.step(
            Step::Sender,
            Mail::new(Some(from.clone()), Vec::new()),
            reach,
        )
        .await?;
        self.step(Step::Recipient, Rcpt::new(to.clone(), Vec::new()), reach)
            .await?;
        self.step(Step::Data, Data, reach).await?;
        reach.at(Step::Text);
        // lettre asks for the next part exactly once more before it writes the final dot.
        let mut part = Some(mail);
        let parts = std::iter::from_fn(|| {
            let next = part.take();
            reach.dot.store(next.is_none(), Ordering::Relaxed);
            next
        });
        match self.connection.message_iter(parts).await {
            Ok(response) => expect(&response, Step::Text).map_err(|verdict| (verdict, false)),
            Err(error) => Err((
                verdict(&error, Step::Text, reach.is_dot_sent()),
                is_reply(&error),
            )),
        }
    }

    async fn step<C: std::fmt::Display>(
        &mut self,
        step: Step,
        command: C,
        reach: &Reach,
    ) -> Result<(), (Verdict, bool)> {
        reach.at(step);
        match self.connection.command(command).await {
            Ok(response) => match expect(&response, step) {
                Ok(_) => Ok(()),
                Err(verdict) => Err((verdict, false)),
            },
            Err(error) => Err((verdict(&error, step, false), is_reply(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_nobody_answers_at_is_passed() {
        // A queue for one connection, which is taken: the next ones are not answered.
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let deaf = deaf.listen(0).unwrap();
        let deaf_address = deaf.local_addr().unwrap();
        let _taken = TcpStream::connect(deaf_address).await.unwrap();
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live_address = live.local_addr().unwrap();
        let each = Duration::from_millis(200);
        let stream = dial_any([deaf_address, live_address].into_iter(), each)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live_address);
        let none = dial_any([deaf_address].into_iter(), each).await;
        assert_eq!(none.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
