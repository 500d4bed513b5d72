//! Who gets in at the built program, by which token, from where; and that a token in an address is
//! nowhere else afterwards.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use support::{Herald, Receiver, answer, client, config, event};

mod support;

const OLD: &str = "tokOldAAAAAAAAAAAAAAAAAAAA";
const NEW: &str = "tokNewBBBBBBBBBBBBBBBBBBBB";
const OTHER: &str = "tokOtherCCCCCCCCCCCCCCCCCC";

fn tokens() -> String {
    let token = |role: &str| {
        format!(
            "[[server.token]]\nname = \"{role}\"\ntoken = \"api-{role}-0123456789\"\nroles = [\"{role}\"]\n"
        )
    };
    ["intake", "read", "operate", "approve"].map(token).concat()
}

fn sources() -> String {
    format!(
        "[source.cm]\nkind = \"http\"\ntoken = [\"{NEW}\", \"{OLD}\"]\n\
         [source.other]\nkind = \"http\"\ntoken = \"{OTHER}\"\n\
         [source.open]\nkind = \"http\"\n"
    )
}

/// A request by a method, to a path, with a header, with a body.
type Asked<'a> = (Method, String, Option<(&'a str, String)>, String);

async fn ask(herald: &Herald, asked: Asked<'_>) -> (u16, Value) {
    let (method, path, header, body) = asked;
    let mut request = client().request(method, format!("{}{path}", herald.url));
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    answer(
        request
            .header("content-type", "application/json")
            .body(body),
    )
    .await
}

/// The four places of a token, with an event to bring.
fn ways<'a>(source: &str, token: &str, id: &str) -> Vec<Asked<'a>> {
    let base = format!("/v1/sources/{source}");
    let encoded: String = url::form_urlencoded::byte_serialize(event(id).as_bytes()).collect();
    let post = |path: String, header| (Method::POST, path, header, event(id));
    let events = format!("{base}/events");
    vec![
        post(
            events.clone(),
            Some(("authorization", format!("Bearer {token}"))),
        ),
        post(events.clone(), Some(("x-herald-token", token.to_owned()))),
        post(format!("{events}?token={token}"), None),
        post(format!("{base}/{token}/events"), None),
        (
            Method::GET,
            format!("{events}?token={token}&data={encoded}"),
            None,
            String::new(),
        ),
        (
            Method::GET,
            format!("{base}/{token}/events?data={encoded}"),
            None,
            String::new(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_in_four_places_and_stays_in_none() {
    let receiver = Receiver::start(&[200]).await;
    let more = format!("{}{}", tokens(), sources());
    let folder = tempfile::tempdir().unwrap();
    let mut herald = Herald::start_in(folder, &config(receiver.address, &more), "trace");
    let mut said = String::new();

    for (number, token) in [OLD, NEW].into_iter().enumerate() {
        for (way, asked) in ways("cm", token, &format!("E{number}"))
            .into_iter()
            .enumerate()
        {
            let (status, body) = ask(&herald, asked).await;
            assert_eq!(status, 200, "{token} by way {way}: {body}");
            let expected = if way == 0 { "accepted" } else { "duplicate" };
            assert_eq!(body["results"][0]["status"], expected, "way {way}");
        }
    }
    // Another source's token, one of the API, none, and one that is known nowhere.
    for token in [
        OTHER,
        "api-intake-0123456789",
        "",
        "wrong-wrong-wrong-wrong",
    ] {
        for (way, asked) in ways("cm", token, "never").into_iter().enumerate() {
            let (status, body) = ask(&herald, asked).await;
            let is_refused = status == 401 || token.is_empty() && status == 404;
            assert!(is_refused, "`{token}` by way {way}: {status}, {body}");
            said += &body.to_string();
        }
    }
    // A source's token opens that source alone.
    let bearer = |token: &str| Some(("authorization", format!("Bearer {token}")));
    for path in ["/v1/events", "/v1/sources/open/events", "/v1/operations"] {
        let asked = (Method::POST, path.to_owned(), bearer(NEW), event("never"));
        assert_eq!(ask(&herald, asked).await.0, 401, "{path}");
    }
    // A source without tokens is for those who may use the API, in the same places.
    for asked in ways("open", "api-intake-0123456789", "E0") {
        assert_eq!(ask(&herald, asked).await.0, 200);
    }
    // Addresses that lead nowhere.
    for path in [
        format!("/v1/sources/cm/{NEW}/event"),
        format!("/v1/sources/cm/{NEW}/events/"),
        format!("/v1/sources/cm/{NEW}/{NEW}/events"),
        format!("/v1/sources/no/{NEW}/events"),
        format!("/v1/sources/cm/events?token={NEW}&x={}", "y".repeat(20_000)),
        format!("/events/{OLD}?token={NEW}"),
    ] {
        let path = path.replace(&format!("/events/{OLD}"), "/nowhere");
        let (status, body) = ask(&herald, (Method::POST, path, None, event("never"))).await;
        assert!((400..500).contains(&status), "{status}");
        said += &body.to_string();
    }
    // A body that is refused is kept apart from its token, too.
    let asked = (
        Method::POST,
        format!("/v1/sources/cm/events?token={NEW}"),
        None,
        "{".to_owned(),
    );
    said += &ask(&herald, asked).await.1.to_string();

    let id = {
        let asked = (
            Method::GET,
            "/v1/events".to_owned(),
            bearer("api-read-0123456789"),
            String::new(),
        );
        let (_, events) = ask(&herald, asked).await;
        assert_eq!(events["events"].as_array().unwrap().len(), 2);
        events["events"][0]["id"].as_str().unwrap().to_owned()
    };
    for path in [
        "/v1/events".to_owned(),
        format!("/v1/events/{id}"),
        "/v1/deliveries".to_owned(),
        "/v1/status".to_owned(),
        "/v1/refused".to_owned(),
        "/metrics".to_owned(),
        "/".to_owned(),
        format!("/events/{id}"),
        "/deliveries".to_owned(),
        "/status".to_owned(),
    ] {
        let asked = (
            Method::GET,
            path.clone(),
            bearer("api-read-0123456789"),
            String::new(),
        );
        let (status, body) = ask(&herald, asked).await;
        assert!(status == 200 || path == "/v1/refused", "{path}: {status}");
        said += &body.to_string();
    }
    receiver.until(2).await;
    for received in receiver.received() {
        said += &format!("{received:?}");
    }
    herald.signal("TERM");
    assert_eq!(herald.ended().await, Some(0));

    let log = herald.log();
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "nothing was traced"
    );
    for token in [
        OLD,
        NEW,
        OTHER,
        "api-intake-0123456789",
        "wrong-wrong-wrong-wrong",
    ] {
        assert!(!said.contains(token), "{token} was said");
        if let Some(line) = log.lines().find(|line| line.contains(token)) {
            assert!(!log.contains(token), "{token} was logged: {line}");
        }
        let holders = holding(herald.folder.path(), token);
        assert_eq!(holders, Vec::<String>::new(), "{token} was kept");
    }
}

/// The files of a folder, but for the configuration, that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let kept = files.filter(|file| !file.ends_with("config.toml"));
    let holds = |file: &std::path::PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    kept.filter(holds)
        .map(|file| file.display().to_string())
        .collect()
}

/// Every path that is in the program's own lists of routes, with something in the place of names.
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for file in ["src/api/mod.rs", "src/console/mod.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = std::fs::read_to_string(path).unwrap();
        for part in source.split(".route(").skip(1) {
            let path = part.split('"').nth(1).unwrap();
            let named = path.replace("{name}", "open").replace("{id}", "1");
            routes.insert(named);
        }
    }
    assert!(routes.len() > 20, "{routes:?}");
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_is_open_but_health_and_each_role_opens_its_own() {
    let receiver = Receiver::start(&[200]).await;
    let more = format!("{}{}", tokens(), sources());
    let herald = Herald::start(&config(receiver.address, &more));
    let methods = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ];
    for path in routes().into_iter().chain(["/nowhere".to_owned()]) {
        for method in &methods {
            let asked = (method.clone(), path.clone(), None, String::new());
            let (status, body) = ask(&herald, asked).await;
            let is_reading = matches!(*method, Method::GET | Method::HEAD);
            let is_right = match path.as_str() {
                "/healthz" | "/readyz" => status == 200 || status == 405,
                // Signing in to the console: anybody may see the form.
                "/session" | "/console.css" if is_reading => status == 200,
                "/session/end" if *method == Method::POST => status == 200,
                _ => status == 401,
            };
            assert!(is_right, "{method} {path}: {status}, {body}");
        }
    }
    let may = [
        (Method::POST, "/v1/events", "intake"),
        (Method::POST, "/v1/operations", "intake"),
        (Method::POST, "/v1/sources/open/events", "intake"),
        (Method::GET, "/v1/events", "read"),
        (Method::GET, "/v1/operations", "read"),
        (Method::POST, "/v1/explain", "read"),
        (Method::GET, "/", "read"),
        (Method::GET, "/metrics", "read"),
        (Method::POST, "/v1/reload", "operate"),
        (Method::POST, "/v1/replay", "operate"),
        (Method::POST, "/v1/sinks/runbook/pause", "operate"),
        (Method::POST, "/v1/sinks/runbook/resume", "operate"),
    ];
    for (method, path, wanted) in may {
        for role in ["intake", "read", "operate", "approve"] {
            let token = Some(("authorization", format!("Bearer api-{role}-0123456789")));
            let asked = (method.clone(), path.to_owned(), token, String::new());
            let (status, body) = ask(&herald, asked).await;
            assert_eq!(
                status == 403,
                role != wanted,
                "{role}: {method} {path}: {status}, {body}"
            );
            assert_ne!(status, 401, "{role}: {method} {path}");
        }
    }
    let refused = client()
        .get(format!("{}/v1/events", herald.url))
        .send()
        .await
        .unwrap();
    let challenge = refused.headers().get("www-authenticate").unwrap();
    assert!(challenge.to_str().unwrap().starts_with("Bearer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_behind_a_proxy_counts_only_where_the_proxy_is_trusted() {
    let receiver = Receiver::start(&[200]).await;
    let source = "[source.near]\nkind = \"http\"\nallow_from = [\"203.0.113.0/24\"]\n";
    for (trusted, expected) in [
        ("[\"127.0.0.1\"]", [200, 403, 403]),
        ("[]", [403, 403, 403]),
    ] {
        let text = config(receiver.address, source);
        let text = text.replace("drain =", &format!("trusted_proxies = {trusted}\ndrain ="));
        let herald = Herald::start(&text);
        let forwarded = [Some("203.0.113.7"), Some("203.0.113.7, 198.51.100.1"), None];
        for (forwarded, expected) in forwarded.into_iter().zip(expected) {
            let header = forwarded.map(|list| ("x-forwarded-for", list.to_owned()));
            let path = "/v1/sources/near/events".to_owned();
            let (status, body) = ask(&herald, (Method::POST, path, header, event("1"))).await;
            assert_eq!(status, expected, "{trusted}, {forwarded:?}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_origins_are_judged_with_tokens_too() {
    let receiver = Receiver::start(&[200]).await;
    let text = config(receiver.address, &tokens())
        .replace("drain =", "hosts = [\"herald.example.com\"]\ndrain =");
    let herald = Herald::start(&text);
    let ask = |host: Option<&'static str>, origin: Option<&'static str>| {
        let mut request = client()
            .post(format!("{}/v1/events", herald.url))
            .bearer_auth("api-intake-0123456789")
            .body(event("1"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        async { answer(request).await.0 }
    };
    assert_eq!(ask(None, None).await, 200);
    assert_eq!(ask(Some("herald.example.com"), None).await, 200);
    assert_eq!(ask(Some("HERALD.example.com:8443"), None).await, 200);
    assert_eq!(ask(Some("evil.example.com"), None).await, 403);
    assert_eq!(
        ask(Some("herald.example.com.evil.example"), None).await,
        403
    );
    let own = Some("https://herald.example.com");
    assert_eq!(ask(Some("herald.example.com"), own).await, 200);
    assert_eq!(
        ask(Some("herald.example.com"), Some("https://evil.example")).await,
        403
    );
    assert_eq!(ask(Some("herald.example.com"), Some("null")).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_it_starts_with_tokens_only() {
    let folder = tempfile::tempdir().unwrap();
    let text = config("127.0.0.1:9".parse().unwrap(), "").replace("127.0.0.1:0", "0.0.0.0:0");
    let said = support::refused_to_start(folder.path(), &text);
    assert!(said.contains("callers need tokens"), "{said}");
    // A source's token guards that source only.
    let said = support::refused_to_start(folder.path(), &format!("{text}{}", sources()));
    assert!(said.contains("callers need tokens"), "{said}");
}
