//! One batch on its way: posted, waited for, posted again.
//!
//! A batch is posted until it is answered. What a router has taken it answers `duplicate` when it
//! comes again, so that a broken connection costs nothing; but what has no identity it would take
//! twice, so that is not sent again once it may have arrived.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::items::Item;
use crate::cli::Failure;
use crate::cli::client::Client;

/// The pause before the second try; it doubles up to [`PAUSE_MAX`]. Chosen.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause of our own. Chosen: a router that restarts is found again soon.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The longest `Retry-After` that is honoured. Chosen: beyond it somebody should look.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// The answer to one item.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Line {
    /// `accepted`, `duplicate`, `not-triggered`, `refused`; of our own, `unknown`.
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl Line {
    /// For an item that may have been taken and must not be sent again.
    fn unknown(why: &str) -> Self {
        Self {
            status: "unknown".to_owned(),
            id: None,
            reason: Some(format!(
                "it may have been taken ({why}), and without an id it would be taken twice, so it \
                 was not sent again; look with `herald events`"
            )),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Results {
    results: Vec<Line>,
}

/// Where batches go, and how often.
pub(super) struct Post {
    pub(super) client: Client,
    pub(super) path: &'static str,
    pub(super) tries: u32,
    /// Ends a pause.
    pub(super) stop: CancellationToken,
}

/// Why a batch was not answered.
#[derive(Debug)]
pub(super) enum Ended {
    /// Somebody pressed Ctrl-C.
    Stopped,
    /// It would be no use to go on.
    Failed(Failure),
}

/// What came of one try.
enum Came {
    Lines(Vec<Line>),
    /// Too long for the router as a whole.
    TooLong(Line),
    Again {
        why: String,
        /// Whether it is sure that nothing was taken.
        is_untouched: bool,
        after: Option<Duration>,
    },
    Failed(Failure),
}

impl Post {
    /// Sends a batch until each of its items is answered, and puts their lines in the items' places
    /// of `answered`, those of a batch that ends early too. `tell` hears why it takes longer.
    pub(super) async fn batch(
        &self,
        items: &[Item],
        answered: &mut Vec<Option<Line>>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Ended> {
        answered.resize(items.len(), None);
        let mut size = items.len();
        let mut tried = 0;
        let mut pause = PAUSE;
        loop {
            let open: Vec<usize> = (0..items.len())
                .filter(|place| answered[*place].is_none())
                .take(size)
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            match self.once(items, &open).await {
                Came::Lines(lines) => {
                    for (place, line) in open.into_iter().zip(lines) {
                        answered[place] = Some(line);
                    }
                    tried = 0;
                    pause = PAUSE;
                }
                Came::TooLong(line) if open.len() == 1 => answered[open[0]] = Some(line),
                Came::TooLong(_) => size = open.len().div_ceil(2),
                Came::Failed(failure) => return Err(Ended::Failed(failure)),
                Came::Again {
                    why,
                    is_untouched,
                    after,
                } => {
                    if !is_untouched {
                        for place in open.into_iter().filter(|at| !items[*at].has_identity) {
                            answered[place] = Some(Line::unknown(&why));
                        }
                    }
                    tried += 1;
                    if tried >= self.tries {
                        return Err(Ended::Failed(Failure(vec![
                            format!("gave up after {tried} tries: {why}"),
                            "send the rest again later: what was taken is answered `duplicate`"
                                .to_owned(),
                        ])));
                    }
                    let wait = after.unwrap_or(pause).min(RETRY_AFTER_MAX);
                    tell(&format!("{why}; trying again in {} s", wait.as_secs()));
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stop.cancelled() => return Err(Ended::Stopped),
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn once(&self, items: &[Item], open: &[usize]) -> Came {
        let texts: Vec<&str> = open.iter().map(|at| items[*at].text.as_str()).collect();
        let request = self
            .client
            .request(Method::POST, self.path)
            .header("content-type", "application/x-ndjson")
            .body(texts.join("\n"));
        match request.send().await {
            Ok(response) => came(response, open.len()).await,
            Err(error) => {
                let why = self.client.why_unreachable(&error);
                if why.is_final {
                    return Came::Failed(self.client.unreachable(&why));
                }
                Came::Again {
                    is_untouched: error.is_connect(),
                    why: why.words,
                    after: None,
                }
            }
        }
    }
}

async fn came(response: Response, wanted: usize) -> Came {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
    let after = after.map(Duration::from_secs);
    let is_over = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(_) => {
            return Came::Again {
                why: "the connection broke during the answer".to_owned(),
                is_untouched: false,
                after,
            };
        }
    };
    let Ok(Results { mut results }) = serde_json::from_slice(&body) else {
        let why = format!("the router answered {status}, and not as a Herald does");
        return match is_over {
            // A proxy on the way says this, and may have passed the request on.
            true => Came::Again {
                why,
                is_untouched: false,
                after,
            },
            false => Came::Failed(Failure::new(why)),
        };
    };
    let is_answer = matches!(
        status,
        StatusCode::OK | StatusCode::MULTI_STATUS | StatusCode::BAD_REQUEST
    );
    if is_answer && results.len() == wanted {
        return Came::Lines(results);
    }
    let line = match results.len() {
        1 => results.remove(0),
        _ => {
            let why = format!("the router answered {status} with another number of items");
            return Came::Failed(Failure::new(why));
        }
    };
    let why = format!(
        "the router answered {status}: {}",
        line.reason.as_deref().unwrap_or_default()
    );
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Came::TooLong(line),
        // A Herald that answers so has taken nothing.
        _ if is_over || status == StatusCode::REQUEST_TIMEOUT => Came::Again {
            why,
            is_untouched: true,
            after,
        },
        StatusCode::UNAUTHORIZED => {
            Came::Failed(Failure::new(format!("{why} (--token or HERALD_TOKEN)")))
        }
        _ => Came::Failed(Failure::new(why)),
    }
}
