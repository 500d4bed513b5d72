//! The way of a message, against a queue on a real socket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sources::bench::Bench;

/// What the queue does next; when nothing is left, it is empty.
type Script = Mutex<VecDeque<(StatusCode, String)>>;

#[derive(Default)]
struct Far {
    receipts: Script,
    deletions: Script,
    asked: Mutex<Vec<(Method, String, HeaderMap, String)>>,
}

async fn answer(
    State(far): State<Arc<Far>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let resource = uri.to_string();
    let script = match (method.as_str(), resource.contains("numOfMessages")) {
        ("DELETE", _) => Some(&far.deletions),
        ("GET", true) => Some(&far.receipts),
        _ => None,
    };
    let said = script.map(|script| script.lock().unwrap().pop_front());
    let body = String::from_utf8(body.to_vec()).unwrap();
    far.asked
        .lock()
        .unwrap()
        .push((method.clone(), resource, headers, body));
    match (said, method.as_str()) {
        (Some(Some(said)), _) => said.into_response(),
        (Some(None), "DELETE") => StatusCode::NO_CONTENT.into_response(),
        (Some(None), _) => {
            let text = "<Error><Code>MessageNotExist</Code></Error>";
            (StatusCode::NOT_FOUND, text).into_response()
        }
        (None, _) => "<Queue><ActiveMessages>7</ActiveMessages></Queue>".into_response(),
    }
}

fn message(handle: &str, body: &str, visible_for: i64) -> String {
    let now = clock::now().as_millisecond();
    let body = quick_xml::escape::escape(body);
    format!(
        "<Message><MessageId>m-{handle}</MessageId><ReceiptHandle>{handle}</ReceiptHandle>\
         <MessageBody>{body}</MessageBody><EnqueueTime>{}</EnqueueTime>\
         <NextVisibleTime>{}</NextVisibleTime><DequeueCount>1</DequeueCount></Message>",
        now - 5_000,
        now + visible_for
    )
}

fn event(id: &str) -> String {
    format!(r#"{{"id":"{id}","product":"ECS","name":"Disk:X","userId":"1","content":{{}}}}"#)
}

struct Running {
    far: Arc<Far>,
    bench: Bench,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(
        receipts: Vec<(StatusCode, String)>,
        deletions: Vec<(StatusCode, String)>,
    ) -> Self {
        let far = Arc::new(Far::default());
        far.receipts.lock().unwrap().extend(receipts);
        far.deletions.lock().unwrap().extend(deletions);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&far));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let settings = Settings {
            endpoint: format!("http://{address}").parse().unwrap(),
            queue: "eni-events".to_owned(),
            access_key_id: "key".to_owned(),
            access_key_secret: Secret::new("s3cret"),
            security_token: Some(Secret::new("sts")),
            wait: Duration::from_secs(1),
            batch: 16,
            timeout: Duration::from_secs(5),
            ca: None,
        };
        let bench = Bench::new("queue").await;
        let stop = CancellationToken::new();
        let fetch = Box::new(Receiver(settings));
        let ended = tokio::spawn(fetch.run(bench.intake.clone(), stop.clone()));
        Self {
            far,
            bench,
            stop,
            ended,
        }
    }

    /// What was asked so far.
    fn asked(&self, method: &Method) -> Vec<(String, HeaderMap, String)> {
        let asked = self.far.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(of, ..)| of == method)
            .map(|(_, resource, headers, body)| (resource.clone(), headers.clone(), body.clone()))
            .collect()
    }

    async fn until(&self, done: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !done(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        waited.unwrap_or_else(|_| panic!("{:?}", self.far.asked.lock().unwrap()));
    }

    async fn end(self) -> Bench {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.ended).await;
        ended.expect("it does not stop").unwrap();
        self.bench
    }
}

fn messages(all: &[String]) -> (StatusCode, String) {
    (
        StatusCode::OK,
        format!("<Messages>{}</Messages>", all.concat()),
    )
}

#[tokio::test]
async fn what_is_durable_is_deleted_and_what_is_refused_too() {
    let packed = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, event("2"));
    let batch = messages(&[
        message("a", &event("1"), 30_000),
        message("b", &packed, 30_000),
        message("c", "poison", 30_000),
        message("d", &event("1"), 30_000),
    ]);
    let running = Running::start(vec![batch], vec![]).await;
    running
        .until(|it| !it.asked(&Method::DELETE).is_empty())
        .await;
    let (resource, headers, body) = running.asked(&Method::DELETE).remove(0);
    assert_eq!(resource, "/queues/eni-events/messages");
    assert_eq!(body.matches("<ReceiptHandle>").count(), 4, "{body}");
    assert_eq!(headers["security-token"], "sts");
    let signed = sign::Signed {
        method: "DELETE",
        content_type: "text/xml",
        date: headers["date"].to_str().unwrap(),
        headers: &[("x-mns-version", "2015-06-06")],
        resource: "/queues/eni-events/messages",
    };
    let expected = sign::authorization("key", &Secret::new("s3cret"), signed);
    assert_eq!(headers["authorization"], expected.as_str());
    let metrics = running.bench.metrics().await;
    assert!(
        metrics.contains(r#"source_backlog_messages{source="queue"} 7"#),
        "{metrics}"
    );
    let bench = running.end().await;
    assert_eq!(bench.events().await, 2);
    let metrics = bench.metrics().await;
    assert!(
        metrics.contains(r#"items_total{source="queue",status="refused"} 1"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"items_total{source="queue",status="duplicate"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_expired_receipt_is_not_used_and_a_void_one_is_no_failure() {
    let receipts = vec![
        messages(&[
            message("old", &event("1"), 100),
            message("good", &event("2"), 30_000),
        ]),
        messages(&[message("again", &event("1"), 30_000)]),
    ];
    let void = "<Errors><Error><ErrorCode>ReceiptHandleError</ErrorCode>\
         <ReceiptHandle>good</ReceiptHandle></Error></Errors>";
    let deletions = vec![(StatusCode::NOT_FOUND, void.to_owned())];
    let running = Running::start(receipts, deletions).await;
    running
        .until(|it| it.asked(&Method::DELETE).len() >= 2)
        .await;
    let asked = running.asked(&Method::DELETE);
    assert!(
        !asked[0].2.contains("old") && asked[0].2.contains("good"),
        "{asked:?}"
    );
    assert!(asked[1].2.contains("again"));
    assert_eq!(asked.len(), 2, "the void one was not tried again");
    assert_eq!(running.end().await.events().await, 2);
}

#[tokio::test]
async fn failures_are_tried_again_with_pauses() {
    let broken = (
        StatusCode::INTERNAL_SERVER_ERROR,
        "<Error><Code>InternalError</Code></Error>",
    );
    let broken = (broken.0, broken.1.to_owned());
    let receipts = vec![
        broken.clone(),
        messages(&[message("a", &event("1"), 30_000)]),
    ];
    let running = Running::start(receipts, vec![broken.clone(), broken]).await;
    running
        .until(|it| it.asked(&Method::DELETE).len() >= 3)
        .await;
    assert_eq!(running.end().await.events().await, 1);
}

#[tokio::test]
async fn nothing_is_deleted_that_the_journal_did_not_take() {
    let receipts = vec![messages(&[message("a", &event("1"), 1_500)])];
    let far = Running::start(vec![], vec![]).await;
    far.bench.close_journal().await;
    far.far.receipts.lock().unwrap().extend(receipts);
    let is_over = |it: &Running| {
        it.far.receipts.lock().unwrap().is_empty()
            && it
                .asked(&Method::GET)
                .iter()
                .filter(|(resource, ..)| resource.contains("num"))
                .count()
                > 3
    };
    far.until(is_over).await;
    assert!(far.asked(&Method::DELETE).is_empty());
    far.end().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_silent_queue() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = format!(
        "[source.q]\nkind = 'smq'\nendpoint = 'http://{address}'\nqueue = 'q'\n\
         access_key_id = 'k'\naccess_key_secret = 's'"
    );
    let settings = crate::sources::conformance::settings("smq", &text);
    let bench = Bench::new("q").await;
    let stop = CancellationToken::new();
    let Way::Fetched(fetch) = settings.way() else {
        panic!()
    };
    let ended = tokio::spawn(fetch.run(bench.intake.clone(), stop.clone()));
    // It is asked, and never answers.
    let _asked = listener.accept().await.unwrap();
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
    ended.expect("it does not stop").unwrap();
}
