//! Talking to a running router.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herald_rules::json::{self, Limits};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Failure;

/// Longest time one request may take. Chosen: reading a page of a large journal takes tenths of a
/// second.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for what takes its time: a replay of a million deliveries, a probe of a slow sink.
/// Chosen.
pub(crate) const PATIENT: Duration = Duration::from_secs(600);

/// Where the router is and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Router {
    /// Address of the running router
    #[arg(
        long,
        env = "HERALD_URL",
        default_value = "http://127.0.0.1:8470",
        value_name = "URL"
    )]
    pub(crate) url: String,
    /// Token for routers that want one
    #[arg(
        long,
        env = "HERALD_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    /// Certificates in PEM form to trust besides the system's, for https://
    #[arg(long, env = "HERALD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(crate) struct Client {
    http: reqwest::Client,
    router: Router,
}

impl Client {
    pub(crate) fn new(router: Router) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &router.ca {
            builder = builder.tls_certs_merge(certificates(path)?);
        } else if router.url.starts_with("http://") {
            // A machine without trusted roots can do without them.
            builder = builder.tls_certs_only([]);
        }
        let http = builder
            .build()
            .map_err(|error| Failure::new(format!("cannot set up TLS: {}", root(&error))))?;
        Ok(Self { http, router })
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.router.url.trim_end_matches('/'));
        let request = self.http.request(method, url);
        match &self.router.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let sent = request.send().await;
        sent.map_err(|error| self.unreachable(&self.why_unreachable(&error)))
    }

    /// What an error means for the person who asked.
    pub(crate) fn why_unreachable(&self, error: &reqwest::Error) -> Why {
        let root = root(error);
        let about = |word: &str| root.contains(word);
        let (words, is_final) = if error.is_builder() {
            (format!("this is no address ({root})"), true)
        } else if about("certificate") {
            (format!("{root}; --ca names a certificate to trust"), true)
        } else if about("corrupt message") {
            ("it speaks http://, not https://".to_owned(), true)
        } else if error.is_timeout() {
            ("no answer in time".to_owned(), false)
        } else if error.is_connect() {
            ("nothing listens there".to_owned(), false)
        } else {
            ("no answer".to_owned(), false)
        };
        Why { words, is_final }
    }

    pub(crate) fn unreachable(&self, why: &Why) -> Failure {
        let (url, why) = (&self.router.url, &why.words);
        Failure::new(format!(
            "cannot reach the router at {url}: {why}; is `herald serve` running? (--url sets another address)"
        ))
    }

    /// The JSON answer to a GET, read as `T`.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let response = self
            .send(self.request(Method::GET, path).query(query))
            .await?;
        let response = expect_success(response).await?;
        response
            .json()
            .await
            .map_err(|_| Failure::new("the answer is not that of a Herald of this version"))
    }
}

/// Why there was no answer.
pub(crate) struct Why {
    pub(crate) words: String,
    /// Whether trying again is of no use.
    pub(crate) is_final: bool,
}

/// The innermost cause: what wraps it says where, which is known.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let unusable =
        |why: &dyn std::fmt::Display| Failure::new(format!("--ca: {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&root(&error)))?;
    if found.is_empty() {
        return Err(unusable(&"there is no certificate in PEM form in it"));
    }
    Ok(found)
}

/// The response, or what its problem document says.
pub(crate) async fn expect_success(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem: Value = response.json().await.unwrap_or_default();
    let detail = problem["detail"]
        .as_str()
        .unwrap_or("no reason was given")
        .to_owned();
    let mut lines = vec![match status {
        StatusCode::UNAUTHORIZED => format!("{detail} (--token or HERALD_TOKEN)"),
        _ => detail,
    }];
    for error in problem["errors"].as_array().into_iter().flatten() {
        lines.extend(error.as_str().map(str::to_owned));
    }
    Err(Failure(lines))
}

/// An answer as a tree for showing. A number that no float holds stays the sender's text: one event
/// must not keep all others from being listed.
pub(crate) fn tree(answer: &RawValue) -> Value {
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    json::parse(answer.get().as_bytes(), limits)
        .map_or(Value::Null, |parsed| convert(&parsed.value))
}

fn convert(value: &json::Value) -> Value {
    match value {
        json::Value::Null => Value::Null,
        json::Value::Bool(truth) => Value::Bool(*truth),
        json::Value::Number(number) => serde_json::from_str(number.as_str())
            .map_or_else(|_| Value::from(number.as_str()), Value::Number),
        json::Value::String(text) => Value::from(text.as_str()),
        json::Value::Array(elements) => elements.iter().map(convert).collect(),
        json::Value::Object(object) => {
            let members = object
                .iter()
                .map(|(key, value)| (key.to_owned(), convert(value)));
            Value::Object(members.collect())
        }
    }
}
