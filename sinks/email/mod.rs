//! An e-mail to each recipient, by SMTP.
//!
//! - this file: the one attempt over all recipients,
//! - `settings`: the keys,
//! - `message`: the mail, `session`: the conversation with the server, `reply`: what a reply means,
//! - `ledger`: who was mailed already, `round`: what an attempt over all comes to,
//! - `pool`: connections that are kept,
//! - `stream`: what makes STARTTLS safe.

mod ledger;
mod message;
mod pool;
mod reply;
mod round;
mod session;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use herald_model::delivery::{Order, Overflow};
use herald_model::sink::SinkDefaults;
use herald_model::{EndpointId, Markup, Notification, Outcome, Outcomes, Progress, Sink, SinkKind};
use lettre::message::Mailbox;
use tokio::time::Instant;

use self::ledger::Ledger;
use self::message::Letterhead;
use self::pool::Pool;
use self::reply::Verdict;
use self::round::{Next, Round};
use self::session::{Reach, Server, Session};
use crate::said::Redactor;

/// The kind `email`.
pub(crate) const KIND: SinkKind = SinkKind {
    name: "email",
    summary: "Sends an e-mail to each recipient through an SMTP server.",
    example: include_str!("example.toml"),
    defaults: SinkDefaults {
        order: Order::None,
        together: true,
        overflow: Overflow::Wait,
        limit: None,
        concurrency: 4,
    },
    configure: settings::configure,
};

/// What an attempt may take beyond its own time-out: composing the mails and saving checkpoints.
const SLACK: Duration = Duration::from_secs(5);

/// One configured mail server with its recipients.
struct Email {
    server: Server,
    /// As whom it logs in.
    user: Option<String>,
    letterhead: Letterhead,
    to: Vec<Mailbox>,
    redactor: Redactor,
    /// For the whole attempt.
    timeout: Duration,
    pool: Pool,
}

#[async_trait]
impl Sink for Email {
    fn endpoint(&self) -> EndpointId {
        let Server { host, port, .. } = &self.server;
        let server = match &self.user {
            Some(user) => format!("{user}@{host}:{port}"),
            None => format!("{host}:{port}"),
        };
        EndpointId::new(KIND.name, &server)
    }

    fn markup(&self) -> Markup {
        Markup::Mail
    }

    async fn deliver(&self, notification: &Notification, progress: &Progress<'_>) -> Outcomes {
        self.attempt(notification, progress).await.into()
    }

    fn time_limit(&self) -> Duration {
        self.timeout + SLACK
    }
}

impl Email {
    /// Mails everybody who is not settled yet, one envelope each, and remembers who is.
    async fn attempt(&self, notification: &Notification, progress: &Progress<'_>) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let addresses: Vec<String> = self.to.iter().map(|to| to.email.to_string()).collect();
        let everybody = || addresses.iter().map(String::as_str);
        let mut ledger = Ledger::read(progress.saved());
        ledger.reopen_if_over(everybody());
        let mut left: Vec<(&Mailbox, &str)> = self
            .to
            .iter()
            .zip(everybody())
            .filter(|(_, address)| !ledger.is_settled(address))
            .collect();
        // Everybody is first in turn, so that one recipient on whom the server hangs does not keep
        // the others waiting for ever.
        if !left.is_empty() {
            let turn = notification.attempt.saturating_sub(1) as usize % left.len();
            left.rotate_left(turn);
        }

        let mut round = Round::new(ledger);
        let mut session = None;
        let permit = tokio::time::timeout_at(deadline, self.pool.permit()).await;
        let Ok(Some(permit)) = permit else {
            return Outcome::transient("all `connections` to the server are in use");
        };
        for (to, address) in left {
            let verdict = self.mail(notification, to, &mut session, deadline).await;
            let next = round.note(address, verdict.map(|words| self.redactor.clean(words)));
            // Once everybody was accepted the outcome itself says so durably.
            let is_over = || everybody().all(|address| round.ledger.is_accepted(address));
            if next == Next::Save
                && !is_over()
                && let Err(error) = progress.save(round.ledger.written()).await
            {
                return Outcome::unknown(error.to_string());
            }
            // When time is up nobody is skipped: each is found to be left in one step.
            if next == Next::Stop {
                break;
            }
        }
        if let Some(session) = session {
            self.pool.keep(session);
        }
        drop(permit);
        round.outcome(everybody())
    }

    /// Mails one recipient, over `session` if there is one, and leaves there one that is ready for
    /// the next.
    async fn mail(
        &self,
        notification: &Notification,
        to: &Mailbox,
        session: &mut Option<Session>,
        deadline: Instant,
    ) -> Verdict {
        let mail = match self.letterhead.mail(notification, to) {
            Ok(mail) => mail,
            Err(error) => return Verdict::Refused(format!("no mail can be made: {error}")),
        };
        // A kept session may have been closed by the server meanwhile. Then nothing was sent, and
        // a fresh one is opened.
        let kept = session.take().or_else(|| self.pool.take());
        if let Some(kept) = kept {
            let reach = Reach::default();
            let verdict = self
                .within(
                    deadline,
                    &reach,
                    kept.send(self.from(), &to.email, &mail, &reach),
                )
                .await;
            match verdict {
                Ok((Verdict::Later(_), None)) if reach.is_at_the_beginning() => {}
                Ok((verdict, back)) => {
                    *session = back;
                    return verdict;
                }
                Err(verdict) => return verdict,
            }
        }
        let reach = Reach::default();
        let conversation = async {
            let session = match self.server.open(&reach).await {
                Ok(session) => session,
                Err(verdict) => return (verdict, None),
            };
            session.send(self.from(), &to.email, &mail, &reach).await
        };
        match self.within(deadline, &reach, conversation).await {
            Ok((verdict, back)) => {
                *session = back;
                verdict
            }
            Err(verdict) => verdict,
        }
    }

    fn from(&self) -> &lettre::Address {
        &self.letterhead.from.email
    }

    /// Runs a conversation until the deadline. lettre bounds nothing but the TCP connect, and it
    /// panics on an EHLO line of blanks, so both are caught here.
    async fn within<T>(
        &self,
        deadline: Instant,
        reach: &Reach,
        conversation: impl Future<Output = T>,
    ) -> Result<T, Verdict> {
        let mut conversation = pin!(conversation);
        let caught = std::future::poll_fn(|cx| {
            match catch_unwind(AssertUnwindSafe(|| conversation.as_mut().poll(cx))) {
                Ok(polled) => polled.map(Ok),
                Err(_) => std::task::Poll::Ready(Err(())),
            }
        });
        match tokio::time::timeout_at(deadline, caught).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(())) => Err(reach.cut_off("the server's words broke the mail library")),
            Err(_) => Err(reach.cut_off(&format!(
                "no answer within {}",
                herald_model::duration::write(self.timeout)
            ))),
        }
    }
}
