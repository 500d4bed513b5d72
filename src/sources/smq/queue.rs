//! Requests to one queue: receive, delete, look.

use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Settings;
use super::sign::{Signed, authorization};
use super::xml::{self, Message, Undeleted};
use crate::sources::web;

/// Version of the API ("Common parameters", read November 2026).
const VERSION: &str = "2015-06-06";

/// Longest answer. Sixteen messages of 64 KiB, Base64 and escapes included, take 2 MiB.
const ANSWER_MAX: usize = 8 << 20;

/// One queue.
pub(super) struct Queue<'s> {
    settings: &'s Settings,
    client: reqwest::Client,
    path: String,
}

/// An answer's status with its body as text.
struct Said {
    status: StatusCode,
    text: String,
}

impl<'s> Queue<'s> {
    /// Makes the client; contacts nobody.
    ///
    /// # Errors
    /// The file `ca` cannot be used.
    pub(super) fn new(settings: &'s Settings) -> Result<Self, String> {
        Ok(Self {
            client: web::client(settings.timeout, settings.ca.as_deref())?,
            path: format!("/queues/{}", settings.queue),
            settings,
        })
    }

    /// Waits for messages; none is an answer too.
    ///
    /// # Errors
    /// They could not be had; in words without secrets.
    pub(super) async fn receive(&self, now: Timestamp) -> Result<Vec<Message>, String> {
        let Settings { wait, batch, .. } = self.settings;
        let resource = format!(
            "{}/messages?numOfMessages={batch}&waitseconds={}",
            self.path,
            wait.as_secs()
        );
        let said = self.ask(Method::GET, &resource, None, *wait, now).await?;
        if said.status == StatusCode::OK {
            return xml::messages(&said.text);
        }
        let refusal = xml::refusal(&said.text);
        if said.status == StatusCode::NOT_FOUND && refusal.code == "MessageNotExist" {
            return Ok(Vec::new());
        }
        Err(self.refused("receive", said.status, &refusal))
    }

    /// Deletes messages: those that could not be, each with its reason. One whose handle has expired
    /// comes again.
    ///
    /// # Errors
    /// What became of them is not known; in words without secrets.
    pub(super) async fn delete(
        &self,
        handles: &[&str],
        now: Timestamp,
    ) -> Result<Vec<Undeleted>, String> {
        let resource = format!("{}/messages", self.path);
        let body = xml::receipt_handles(handles);
        let said = self
            .ask(Method::DELETE, &resource, Some(body), Duration::ZERO, now)
            .await?;
        if said.status.is_success() {
            return Ok(Vec::new());
        }
        // Some were deleted and some were not ("BatchDeleteMessage").
        if let Some(undeleted) = xml::undeleted(&said.text) {
            return Ok(undeleted);
        }
        Err(self.refused("delete", said.status, &xml::refusal(&said.text)))
    }

    /// How many messages it holds.
    ///
    /// # Errors
    /// That could not be had; in words without secrets.
    pub(super) async fn held(&self, now: Timestamp) -> Result<u64, String> {
        let said = self
            .ask(Method::GET, &self.path, None, Duration::ZERO, now)
            .await?;
        match xml::held(&said.text) {
            Some(held) if said.status == StatusCode::OK => Ok(held),
            _ => Err(self.refused("look", said.status, &xml::refusal(&said.text))),
        }
    }

    async fn ask(
        &self,
        method: Method,
        resource: &str,
        body: Option<String>,
        patience: Duration,
        now: Timestamp,
    ) -> Result<Said, String> {
        let settings = self.settings;
        let content_type = if body.is_some() { "text/xml" } else { "" };
        let date = now
            .to_zoned(TimeZone::UTC)
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        let signed = Signed {
            method: method.as_str(),
            content_type,
            date: &date,
            headers: &[("x-mns-version", VERSION)],
            resource,
        };
        let mut signature = HeaderValue::from_str(&authorization(
            &settings.access_key_id,
            &settings.access_key_secret,
            signed,
        ))
        .map_err(|_| "`access_key_id` cannot stand in a header".to_owned())?;
        signature.set_sensitive(true);
        let origin = settings.endpoint.as_str().trim_end_matches('/');
        let mut request = self
            .client
            .request(method, format!("{origin}{resource}"))
            .timeout(settings.timeout + patience)
            .header(header::AUTHORIZATION, signature)
            .header(header::DATE, &date)
            .header("x-mns-version", VERSION);
        if let Some(token) = &settings.security_token {
            request = request.header("security-token", token.expose());
        }
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, content_type)
                .body(body);
        }
        let response = request
            .send()
            .await
            .map_err(|why| self.failed(&web::words(&why)))?;
        let status = response.status();
        let body = web::body(response, ANSWER_MAX).await;
        let body = body.map_err(|why| self.failed(&why))?;
        Ok(Said {
            status,
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn failed(&self, why: &str) -> String {
        format!("queue `{}`: {why}", self.settings.queue)
    }

    /// What was refused, with the remedy where there is one ("Error codes", read November 2026).
    fn refused(&self, what: &str, status: StatusCode, refusal: &xml::Refusal) -> String {
        let remedy = match &*refusal.code {
            "QueueNotExist" => "; check `queue` and the region in `endpoint`",
            "InvalidAccessKeyId" | "AccessDenied" | "SignatureDoesNotMatch" => {
                "; check `access_key_id` and `access_key_secret`, and what the key may do"
            }
            "TimeExpired" | "InvalidDateHeader" => "; check this machine's clock",
            _ => "",
        };
        let words = match (&*refusal.code, &*refusal.message) {
            ("", _) => String::new(),
            (code, "") => format!(" {code}"),
            (code, message) => {
                let message: String = message.chars().take(200).collect();
                format!(" {code} ({message})")
            }
        };
        let status = status.as_u16();
        self.failed(&format!("cannot {what}: {status}{words}{remedy}"))
    }
}
