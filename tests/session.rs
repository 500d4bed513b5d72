//! Signing in to the console of the built program, and what a session may and may not do.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use reqwest::{Client, Method, redirect};
use support::{Herald, PATIENCE, Receiver, config, event};

mod support;

const READS: &str = "api-read-0123456789";
const BRINGS: &str = "api-intake-0123456789";

fn tokens() -> String {
    [("read", READS), ("intake", BRINGS)]
        .map(|(role, token)| {
            format!(
                "[[server.token]]\nname = \"the one that {role}s\"\ntoken = \"{token}\"\n\
                 roles = [\"{role}\"]\n"
            )
        })
        .concat()
}

/// What a browser sees of an answer.
#[derive(Debug)]
struct Seen {
    status: u16,
    location: Option<String>,
    cookie: Option<String>,
    text: String,
}

struct Browser<'a> {
    herald: &'a Herald,
    client: Client,
}

impl<'a> Browser<'a> {
    fn new(herald: &'a Herald) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .tls_certs_only([])
            .redirect(redirect::Policy::none())
            .build()
            .unwrap();
        Self { herald, client }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Seen {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.herald.url))
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let header = |name: &str| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Seen {
            status: answer.status().as_u16(),
            location: header("location"),
            cookie: header("set-cookie"),
            text: answer.text().await.unwrap(),
        }
    }

    async fn get(&self, path: &str, cookie: &str) -> Seen {
        self.ask(Method::GET, path, &[("cookie", cookie)], "").await
    }

    async fn sign_in(&self, token: &str, next: &str) -> Seen {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("next", next)
            .finish();
        let own = [("origin", self.herald.url.as_str())];
        self.ask(Method::POST, "/session", &own, &body).await
    }
}

/// The pair of a cookie that a browser sends back.
fn pair(seen: &Seen) -> String {
    let cookie = seen.cookie.as_deref().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shown_once_opens_the_pages_until_one_signs_out() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, &tokens()));
    let browser = Browser::new(&herald);

    for path in [
        "/",
        "/deliveries?state=dead",
        "/operations",
        "/status",
        "/events/evt_1",
    ] {
        let asked = browser.get(path, "").await;
        assert_eq!(asked.status, 401, "{path}");
        assert!(asked.text.contains("<h1>Sign in</h1>"), "{path}");
        let next = format!("name=\"next\" value=\"{path}\"");
        assert!(asked.text.contains(&next), "{path}: {}", asked.text);
    }
    assert_eq!(browser.get("/console.css", "").await.status, 200);

    for (token, status, words) in [
        ("nonsense", 401, "this token is not known"),
        ("", 401, "this token is not known"),
        (BRINGS, 403, "this token does not have the role `read`"),
    ] {
        let refused = browser.sign_in(token, "/status").await;
        assert_eq!((refused.status, &refused.cookie), (status, &None));
        assert!(refused.text.contains("role=\"alert\"") && refused.text.contains(words));
        assert!(token.is_empty() || !refused.text.contains(token));
        assert!(
            refused.text.contains("value=\"/status\""),
            "it goes on where it was"
        );
    }

    let begun = browser
        .sign_in(&format!(" {READS}\n"), "/deliveries?state=dead")
        .await;
    assert_eq!(begun.status, 303);
    assert_eq!(begun.location.as_deref(), Some("/deliveries?state=dead"));
    let cookie = begun.cookie.clone().unwrap();
    assert!(
        cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(READS));
    let cookie = pair(&begun);
    for path in ["/", "/deliveries?state=dead", "/operations", "/status"] {
        assert_eq!(browser.get(path, &cookie).await.status, 200, "{path}");
    }
    let session = browser.get("/session", &cookie).await;
    assert!(
        session.text.contains("<strong>the one that reads</strong>"),
        "{}",
        session.text
    );

    let own = [("cookie", cookie.as_str()), ("origin", &herald.url)];
    let ended = browser.ask(Method::POST, "/session/end", &own, "").await;
    assert_eq!(
        (ended.status, ended.location.as_deref()),
        (303, Some("/session"))
    );
    assert!(
        ended
            .cookie
            .unwrap()
            .contains("herald-session=; Path=/; Max-Age=0;")
    );
    let over = browser.get("/", &cookie).await;
    assert_eq!(over.status, 401);
    assert!(over.text.contains("The session is over"), "{}", over.text);

    let log = herald.log();
    assert!(log.contains("signed in to the console") && log.contains("nobody was signed in"));
    for secret in [READS, BRINGS, "nonsense", cookie.split_once('=').unwrap().1] {
        assert!(!log.contains(secret), "{secret} is in\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_pages_and_no_more() {
    let receiver = Receiver::start(&[200]).await;
    let all = "[[server.token]]\nname = \"all\"\ntoken = \"api-all-01234567890\"\n\
               roles = [\"intake\", \"read\", \"operate\"]\n";
    let herald = Herald::start(&config(receiver.address, all));
    let browser = Browser::new(&herald);
    let cookie = pair(&browser.sign_in("api-all-01234567890", "/").await);
    for (method, path, body) in [
        (Method::GET, "/v1/events", String::new()),
        (Method::GET, "/metrics", String::new()),
        (Method::POST, "/v1/events", event("1")),
        (Method::POST, "/v1/reload", String::new()),
        (Method::POST, "/v1/sinks/runbook/pause", String::new()),
        (Method::POST, "/v1/cancel", "{}".to_owned()),
        (Method::POST, "/", String::new()),
    ] {
        let own = [("cookie", cookie.as_str()), ("origin", &herald.url)];
        let refused = browser.ask(method, path, &own, &body).await;
        assert_eq!(refused.status, 401, "{path}: {refused:?}");
    }

    // Without the token there is no session, whatever the browser still keeps.
    let file = herald.path("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("api-all-01234567890", "api-new-01234567890"),
    )
    .unwrap();
    let bearer = [("authorization", "Bearer api-all-01234567890")];
    browser.ask(Method::POST, "/v1/reload", &bearer, "").await;
    let changed = async {
        while browser.get("/", &cookie).await.status != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_neither_signs_in_nor_out_nor_sends_on() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, &tokens()));
    let browser = Browser::new(&herald);
    let begun = browser.sign_in(READS, "//evil.example/").await;
    assert_eq!((begun.status, begun.location.as_deref()), (303, Some("/")));
    let cookie = pair(&begun);
    for origin in ["https://evil.example", "null"] {
        let headers = [("origin", origin), ("cookie", cookie.as_str())];
        let form = format!("token={READS}");
        let begin = browser.ask(Method::POST, "/session", &headers, &form).await;
        assert_eq!((begin.status, begin.cookie), (403, None));
        let end = browser
            .ask(Method::POST, "/session/end", &headers, "")
            .await;
        assert_eq!(end.status, 403);
    }
    assert_eq!(browser.get("/", &cookie).await.status, 200, "it goes on");

    // A link in a mail comes without the cookie: the page asks for itself once more, from here.
    let link = [("sec-fetch-site", "cross-site")];
    let path = "/events/evt_1?a=%22%3E%3Cscript%3E";
    let again = browser.ask(Method::GET, path, &link, "").await;
    assert_eq!(again.status, 200);
    let refresh = format!("http-equiv=\"refresh\" content=\"0; url={path}\"");
    assert!(again.text.contains(&refresh), "{}", again.text);
    let here = [("sec-fetch-site", "same-origin")];
    assert_eq!(browser.ask(Method::GET, path, &here, "").await.status, 401);

    // A browser that speaks https:// to a proxy keeps the cookie for https:// alone.
    let host = herald.url.strip_prefix("http://").unwrap();
    let headers = [("origin", &*format!("https://{host}"))];
    let form = format!("token={READS}");
    let secure = browser.ask(Method::POST, "/session", &headers, &form).await;
    let cookie = secure.cookie.clone().unwrap();
    assert!(cookie.starts_with("__Host-herald-session=") && cookie.ends_with("; Secure"));
    assert_eq!(browser.get("/", &pair(&secure)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_needs_a_token_nobody_signs_in() {
    let receiver = Receiver::start(&[200]).await;
    let herald = Herald::start(&config(receiver.address, ""));
    let browser = Browser::new(&herald);
    assert_eq!(browser.get("/", "").await.status, 200);
    let page = browser.get("/session", "").await;
    assert!(page.text.contains("Nobody signs in here"), "{}", page.text);
}
