//! A callback: an HTTP request with a JSON body, signed by Standard Webhooks.
//!
//! - this file: the settings and the one attempt,
//! - `payload`: the body, `cloudevents`: its other form, `sign`: the signature,
//! - `reply`: what an answer means.

mod cloudevents;
mod payload;
mod reply;
mod settings;
mod sign;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use herald_model::delivery::{Order, Overflow};
use herald_model::sink::SinkDefaults;
use herald_model::{
    EndpointId, Item, Markup, MessageId, Notification, Outcome, Outcomes, Progress, Sink, SinkKind,
};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::http::{Client, Target};
use crate::said::Redactor;

/// The kind `callback`.
pub(crate) const KIND: SinkKind = SinkKind {
    name: "callback",
    summary: "Sends a signed HTTP request to an endpoint of yours.",
    example: include_str!("example.toml"),
    defaults: SinkDefaults {
        order: Order::Resource,
        together: false,
        overflow: Overflow::Wait,
        limit: None,
        concurrency: 16,
    },
    configure: settings::configure,
};

/// What an attempt may take beyond its own time-out: making the request and reading the clock.
const SLACK: Duration = Duration::from_secs(1);

/// What the body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Herald's own.
    Herald,
    /// CloudEvents 1.0, all in the body.
    Structured,
    /// CloudEvents 1.0, attributes in headers.
    Binary,
}

impl Form {
    const ALL: [Self; 3] = [Self::Herald, Self::Structured, Self::Binary];

    /// What the journal keeps in place of a body. One that looks otherwise is another form.
    const fn name(self) -> &'static str {
        match self {
            Self::Herald => "herald-1",
            Self::Structured => "cloudevents-structured-1",
            Self::Binary => "cloudevents-binary-1",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    fn body(self, message: MessageId, items: &[Item]) -> Option<String> {
        match self {
            Self::Herald => payload::body(message, items),
            Self::Structured => cloudevents::structured(items),
            Self::Binary => cloudevents::binary(items),
        }
    }

    /// What tells the receiver of the form.
    fn headers(self, items: &[Item]) -> HeaderMap {
        let media = match (self, items) {
            (Self::Binary, _) => return cloudevents::binary_headers(items),
            (Self::Herald, _) => "application/json",
            (Self::Structured, [_]) => cloudevents::STRUCTURED,
            (Self::Structured, _) => cloudevents::BATCH,
        };
        let media = HeaderValue::from_static(media);
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, media)])
    }
}

/// One configured endpoint.
struct Callback {
    client: Client,
    target: Target,
    method: http::Method,
    form: Form,
    /// Sent as they are; a header of the configuration wins over one of ours.
    headers: HeaderMap,
    /// The newest first; none for an endpoint that checks no signature.
    keys: Vec<sign::Key>,
    statuses: reply::Statuses,
    redactor: Redactor,
    timeout: Duration,
}

#[async_trait]
impl Sink for Callback {
    fn endpoint(&self) -> EndpointId {
        EndpointId::new(KIND.name, &self.target.origin())
    }

    fn markup(&self) -> Markup {
        Markup::Body
    }

    fn body(&self, message: MessageId, items: &[Item]) -> Option<String> {
        self.form.body(message, items)
    }

    fn form(&self) -> Option<&'static str> {
        Some(self.form.name())
    }

    fn body_in(&self, form: &str, message: MessageId, items: &[Item]) -> Option<String> {
        Form::named(form)?.body(message, items)
    }

    async fn deliver(&self, notification: &Notification, _progress: &Progress<'_>) -> Outcomes {
        let started = Instant::now();
        let Some(body) = notification
            .rendered
            .body
            .clone()
            .or_else(|| self.body(notification.message, &notification.items))
        else {
            return Outcome::permanent("the event's text is no JSON, so no body can be made")
                .into();
        };
        let request = match self.request(notification, body) {
            Ok(request) => request,
            Err(error) => {
                let words = crate::trouble::chain(&error.without_url());
                return Outcome::sink_fault(self.redactor.clean(&words)).into();
            }
        };
        match self.client.send(request).await {
            Ok(answer) => {
                let now = later(notification.attempted_at, started.elapsed());
                reply::outcome(&answer, now, &self.statuses, &self.redactor)
            }
            Err(failure) => reply::failure(&failure, &self.redactor).into(),
        }
    }

    fn time_limit(&self) -> Duration {
        self.timeout + SLACK
    }
}

impl Callback {
    /// The same bytes at every attempt, but for timestamp and signature.
    fn request(
        &self,
        notification: &Notification,
        body: String,
    ) -> reqwest::Result<reqwest::Request> {
        let form = self.form_of(notification);
        let id = notification.message.to_string();
        let timestamp = notification.attempted_at.as_second();
        let mut request = self
            .client
            .request(self.method.clone(), self.target.url().clone())
            .headers(form.headers(&notification.items))
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp);
        if !self.keys.is_empty() {
            let signature = sign::sign(&self.keys, &id, timestamp, body.as_bytes());
            request = request.header("webhook-signature", signature);
        }
        // The body has no place for it: its form is the receiver's.
        if let Some(failure) = &notification.rendered.failure {
            let told = cloudevents::header_value(failure);
            request = request.header("herald-template-failure", told);
        }
        request.headers(self.headers.clone()).body(body).build()
    }

    /// The form of the body: an earlier one where an attempt in it may have arrived.
    fn form_of(&self, notification: &Notification) -> Form {
        let kept = notification.rendered.form.as_deref();
        kept.and_then(Form::named).unwrap_or(self.form)
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(time)
}
