//! A DingTalk group robot, or several that speak to the same people.
//!
//! - this file: the one attempt,
//! - `settings`: the keys,
//! - `payload`: the body, `sign`: the robot's sign setting,
//! - `reply`: what an answer means,
//! - [`escape()`]: hostile text in DingTalk's Markdown, for whoever renders it.

mod escape;
mod payload;
mod reply;
mod settings;
mod sign;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use herald_model::delivery::{Order, Overflow};
use herald_model::sink::SinkDefaults;
use herald_model::{
    EndpointId, Markup, MessageId, Notification, Outcome, Outcomes, Progress, Rendered, Secret,
    Sink, SinkKind,
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

pub use self::escape::escape;
use crate::http::{Client, Failure, Target};
use crate::said::Redactor;

/// The kind `dingtalk`.
pub(crate) const KIND: SinkKind = SinkKind {
    name: "dingtalk",
    summary: "Posts to a DingTalk group robot.",
    example: include_str!("example.toml"),
    defaults: SinkDefaults {
        order: Order::None,
        together: true,
        overflow: Overflow::Digest,
        // A robot takes 20 a minute and then nothing for ten; two are left for whoever else holds
        // its URL.
        limit: Some((18, Duration::from_secs(60))),
        concurrency: 1,
    },
    configure: settings::configure,
};

/// What an attempt may take beyond its own time-out: making the request and reading the clock.
const SLACK: Duration = Duration::from_secs(1);

/// The configured robots of one sink; any of them will do.
struct DingTalk {
    client: Client,
    first: Robot,
    others: Vec<Robot>,
    additions: payload::Additions,
    redactor: Redactor,
    timeout: Duration,
}

/// One robot.
#[derive(Debug, Clone)]
struct Robot {
    webhook: Target,
    /// In the webhook's query; who has it is the robot.
    token: Secret,
    /// Of the robot's `sign` setting; not every robot has one.
    secret: Option<Secret>,
    endpoint: EndpointId,
}

impl DingTalk {
    /// The robot whose permit was taken; the first, where it has left the configuration since.
    fn robot(&self, endpoint: Option<&EndpointId>) -> &Robot {
        let taken = |robot: &&Robot| Some(&robot.endpoint) == endpoint;
        self.others.iter().find(taken).unwrap_or(&self.first)
    }
}

#[async_trait]
impl Sink for DingTalk {
    fn endpoint(&self) -> EndpointId {
        self.first.endpoint.clone()
    }

    fn endpoints(&self) -> Vec<EndpointId> {
        let all = std::iter::once(&self.first).chain(&self.others);
        all.map(|robot| robot.endpoint.clone()).collect()
    }

    fn markup(&self) -> Markup {
        match self.additions.form {
            payload::Form::Text => Markup::Plain,
            payload::Form::Markdown | payload::Form::ActionCard => Markup::DingTalk,
        }
    }

    fn fits(&self, message: MessageId, rendered: &Rendered) -> bool {
        payload::fits(rendered, &self.additions, message)
    }

    async fn deliver(&self, notification: &Notification, _progress: &Progress<'_>) -> Outcomes {
        let started = Instant::now();
        let body = payload::body(
            &notification.rendered,
            &self.additions,
            notification.message,
        );
        let robot = self.robot(notification.endpoint.as_ref());
        let url = match &robot.secret {
            Some(secret) => sign::signed(
                robot.webhook.url(),
                secret,
                notification.attempted_at.as_millisecond(),
            ),
            None => robot.webhook.url().clone(),
        };
        let request = self
            .client
            .request(http::Method::POST, url)
            .header(
                http::header::CONTENT_TYPE,
                "application/json; charset=utf-8",
            )
            .body(body)
            .build();
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                let words = crate::trouble::chain(&error.without_url());
                return Outcome::sink_fault(self.redactor.clean(&words)).into();
            }
        };
        match self.client.send(request).await {
            Ok(answer) => {
                let now = notification.attempted_at;
                let now = now.checked_add(started.elapsed()).unwrap_or(now);
                reply::outcome(&answer, notification.attempt, now, &self.redactor)
            }
            Err(failure) => {
                let words = self.redactor.clean(&failure.to_string());
                match failure {
                    Failure::Refused(_) | Failure::Tls(_) => Outcome::sink_fault(words),
                    Failure::NotSent(_) => Outcome::transient(words),
                    Failure::Lost(_) => Outcome::unknown(words),
                }
                .into()
            }
        }
    }

    fn time_limit(&self) -> Duration {
        self.timeout + SLACK
    }
}

/// Names the robot without its token: two sinks with one token are one endpoint.
fn endpoint(token: &Secret) -> EndpointId {
    let digest = Sha256::digest(token.expose().as_bytes());
    let hex = digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    EndpointId::new(KIND.name, &hex)
}
