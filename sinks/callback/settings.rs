//! The keys of a callback.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herald_model::settings::Table;
use herald_model::sink::ConnectError;
use herald_model::{Secret, Sink, SinkConfig};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::reply::{Meaning, Statuses};
use super::sign::Key;
use super::{Callback, Form};
use crate::guard::Guard;
use crate::http::{Client, Settings, Target};
use crate::said::Redactor;

/// Headers that belong to the connection or the signature, not to the configuration.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Keys that may sign at once: the new one and the one being retired.
const KEYS_AT_MOST: usize = 2;

/// Checked settings of a callback.
#[derive(Debug)]
struct Config {
    target: Target,
    method: http::Method,
    form: Form,
    statuses: Statuses,
    headers: Vec<(HeaderName, Secret)>,
    keys: Vec<Key>,
    authorization: Option<Secret>,
    /// Whatever must not be shown besides the keys.
    secrets: Vec<Secret>,
    timeout: Duration,
    connect_timeout: Duration,
    guard: Guard,
    ca: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

/// Reads the keys; see `README.md` beside this file.
pub(super) fn configure(table: &mut Table<'_>) -> Option<Box<dyn SinkConfig>> {
    let seconds = Duration::from_secs;
    let guard = Guard::new(table.networks("allow_addresses").or(Vec::new()));
    let target = target(table, &guard);
    let method = table
        .word(
            "method",
            &[("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")],
        )
        .or("POST")
        .parse()
        .unwrap_or(http::Method::POST);
    let form = table
        .word(
            "format",
            &[
                ("herald", "herald"),
                ("cloudevents", "cloudevents"),
                ("cloudevents-binary", "cloudevents-binary"),
            ],
        )
        .or("herald");
    let form = match form {
        "cloudevents" => Form::Structured,
        "cloudevents-binary" => Form::Binary,
        _ => Form::Herald,
    };
    let statuses = statuses(table);
    let timeout = table
        .duration("timeout", seconds(1)..=seconds(300))
        .or(seconds(10));
    let connect_timeout = table
        .duration("connect_timeout", Duration::from_millis(100)..=seconds(60))
        .or(seconds(5))
        // Time that runs out while connecting has sent nothing; it must be told from time that
        // runs out later.
        .min(timeout);
    let ca = table.file("ca").optional();
    let identity = identity(table);
    let keys = keys(table);
    let (headers, header_mistakes) = headers(table);
    let (authorization, mut secrets) = authorization(table);
    secrets.extend(headers.iter().map(|(_, value)| value.clone()));
    if header_mistakes {
        return None;
    }
    Some(Box::new(Config {
        target: target?,
        method,
        form,
        statuses,
        headers,
        keys: keys?,
        authorization,
        secrets,
        timeout,
        connect_timeout,
        guard,
        ca,
        identity: identity.ok()?,
    }))
}

fn target(table: &Table<'_>, guard: &Guard) -> Option<Target> {
    let url = table.url("url").required("\"https://example.com/hook\"")?;
    let span = table.span_of("url");
    let reading = table.reading();
    if !url.username().is_empty() || url.password().is_some() {
        reading.mistake(
            span,
            format!(
                "`{}`: write user and password as `username` and `password`, not into the URL",
                table.path_of("url")
            ),
        );
        return None;
    }
    if let Err(refused) = guard.judge_url(&url) {
        reading.mistake(span, format!("`{}`: {refused}", table.path_of("url")));
        return None;
    }
    if url.scheme() == "http" && !guard.is_home(&url) {
        reading.warning(
            span,
            format!(
                "`{}` is not encrypted: anyone on the way can read and change what is sent; use https://",
                table.path_of("url")
            ),
        );
    }
    Some(Target::new(url))
}

/// The signing keys; `None` after a mistake.
fn keys(table: &Table<'_>) -> Option<Vec<Key>> {
    let one = table.secret("secret").optional();
    let several = table.texts("secrets").or(Vec::new());
    let given = |key| table.names().any(|name| name == key);
    let mistake = |key: &str, what: &str| {
        table.reading().mistake(
            table.span_of(key),
            format!("`{}`: {what}", table.path_of(key)),
        );
    };
    if given("secret") && given("secrets") {
        mistake("secrets", "write either `secret` or `secrets`");
        return None;
    }
    if several.len() > KEYS_AT_MOST {
        mistake(
            "secrets",
            "at most two keys sign at once: the new one and the one being retired",
        );
        return None;
    }
    let key = if one.is_some() { "secret" } else { "secrets" };
    // A secret that is given but unusable was reported, or its variable is not set: then there is
    // no sink, rather than one that does not sign.
    if given("secret") && one.is_none() || given("secrets") && several.is_empty() {
        return None;
    }
    let written = one.into_iter().chain(several.into_iter().map(Secret::new));
    let mut keys = Vec::new();
    for secret in written {
        match Key::parse(&secret) {
            Ok(parsed) => keys.push(parsed),
            Err(what) => {
                mistake(key, what);
                return None;
            }
        }
    }
    Some(keys)
}

/// The configured headers, and whether one was refused.
fn headers(table: &Table<'_>) -> (Vec<(HeaderName, Secret)>, bool) {
    let Some(entries) = table.table("headers") else {
        return (Vec::new(), false);
    };
    let mut headers = Vec::new();
    let mut mistakes = false;
    for word in entries.names() {
        // Read first, so that a wrong type is reported too.
        let Some(value) = entries.secret(word).optional() else {
            mistakes = true;
            continue;
        };
        let what = match HeaderName::try_from(word) {
            Err(_) => Some("this is no header name"),
            Ok(name) if is_reserved(&name) => Some("this header is Herald's to set; remove it"),
            Ok(name) => match HeaderValue::try_from(value.expose()) {
                Err(_) => Some("a header's value is one line of visible characters"),
                Ok(_) => {
                    headers.push((name, value));
                    None
                }
            },
        };
        if let Some(what) = what {
            mistakes = true;
            entries.reading().mistake(
                entries.span_of(word),
                format!("`{}`: {what}", entries.path_of(word)),
            );
        }
    }
    (headers, mistakes)
}

/// What single statuses mean, where it is not what the table of the kind says.
fn statuses(table: &Table<'_>) -> Statuses {
    let Some(entries) = table.table("statuses") else {
        return Statuses::new();
    };
    let mut statuses = Statuses::new();
    for word in entries.names() {
        let meaning = entries.word(word, &Meaning::WORDS).optional();
        match word.parse::<u16>() {
            Ok(status @ 200..=599) => statuses.extend(meaning.map(|meaning| (status, meaning))),
            _ => entries.reading().mistake(
                entries.span_of(word),
                format!(
                    "`{}`: this is no status; write one from 200 to 599, as in 404 = \"transient\"",
                    entries.path_of(word)
                ),
            ),
        }
    }
    statuses
}

fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
        || ["webhook-", "proxy-"]
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
}

/// The value of `Authorization`, and the secrets that went into it.
fn authorization(table: &Table<'_>) -> (Option<Secret>, Vec<Secret>) {
    let bearer = table.secret("bearer").optional();
    let username = table.text("username").optional();
    let password = table.secret("password").optional();
    let mistake = |key: &str, what: &str| {
        table.reading().mistake(
            table.span_of(key),
            format!("`{}`: {what}", table.path_of(key)),
        );
    };
    match (bearer, username, password) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            mistake(
                "bearer",
                "write either `bearer` or `username` and `password`",
            );
            (None, Vec::new())
        }
        (Some(token), None, None) => {
            let value = Secret::new(format!("Bearer {}", token.expose()));
            if HeaderValue::try_from(value.expose()).is_err() {
                mistake("bearer", "a token is one line of visible characters");
                return (None, Vec::new());
            }
            (Some(value), vec![token])
        }
        (None, Some(username), password) => {
            let password = password.unwrap_or_else(|| Secret::new(""));
            let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
            let value = Secret::new(format!("Basic {pair}"));
            (Some(value), vec![password, Secret::new(pair)])
        }
        (None, None, Some(_)) => {
            mistake("password", "there is no `username`; add one");
            (None, Vec::new())
        }
        (None, None, None) => (None, Vec::new()),
    }
}

/// The client certificate; `Err` after a mistake.
fn identity(table: &Table<'_>) -> Result<Option<(PathBuf, PathBuf)>, ()> {
    match (
        table.file("client_cert").optional(),
        table.file("client_key").optional(),
    ) {
        (Some(chain), Some(key)) => Ok(Some((chain, key))),
        (None, None) => Ok(None),
        (chain, _) => {
            let (there, absent) = match chain {
                Some(_) => ("client_cert", "client_key"),
                None => ("client_key", "client_cert"),
            };
            table.reading().mistake(
                table.span_of(there),
                format!("`{}` needs `{absent}`; add it", table.path_of(there)),
            );
            Err(())
        }
    }
}

impl SinkConfig for Config {
    fn connect(&self) -> Result<Box<dyn Sink>, ConnectError> {
        let client = Client::new(&Settings {
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            guard: self.guard.clone(),
            is_encrypted: self.target.is_encrypted(),
            ca: self.ca.clone(),
            identity: self.identity.clone(),
        })?;
        let mut headers = HeaderMap::new();
        let given = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value));
        let authorization = self
            .authorization
            .iter()
            .map(|value| (AUTHORIZATION, value));
        for (name, value) in given.chain(authorization) {
            // Checked when the settings were read.
            let Ok(mut value) = HeaderValue::try_from(value.expose()) else {
                continue;
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let secrets = self
            .keys
            .iter()
            .flat_map(Key::written)
            .chain(self.target.secrets());
        Ok(Box::new(Callback {
            client,
            target: self.target.clone(),
            method: self.method.clone(),
            form: self.form,
            statuses: self.statuses.clone(),
            headers,
            keys: self.keys.clone(),
            redactor: Redactor::new(secrets.chain(self.secrets.iter().cloned())),
            timeout: self.timeout,
        }))
    }
}
