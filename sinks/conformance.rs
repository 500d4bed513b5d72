//! What every sink owes, whatever its kind. A new kind is tested by being listed in [`ALL`] and by
//! saying in `far` how its far side plays each part.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald_model::{Outcome, SinkKind};
use tokio::time::Instant;

use crate::ALL;
use crate::testing::settings::{SECRETS, read};
use crate::testing::{Memory, deliver, http, notification};

mod far;

use far::{PLANTED, Part, far};

/// One attempt against a far side that plays `part`, within the sink's own limit.
async fn outcome(kind: &SinkKind, part: Part) -> Outcome {
    let far = far(kind, part).await;
    // Short only where nothing is going to be said: a busy machine must not change the outcome.
    let sink = far.sink(
        kind,
        match part {
            Part::Silent | Part::Swallows => "timeout = \"1s\"",
            _ => "",
        },
    );
    let started = Instant::now();
    let outcome = deliver(&*sink, &notification(), &Memory::default())
        .await
        .of(0);
    let took = started.elapsed();
    assert!(
        took <= sink.time_limit(),
        "{} {part:?}: {took:?}",
        kind.name
    );
    let reason = outcome.reason();
    assert!(!reason.is_empty(), "{} {part:?} has no reason", kind.name);
    assert!(reason.len() <= 1_500, "{} {part:?}: {reason}", kind.name);
    assert!(
        !reason.chars().any(char::is_control),
        "{} {part:?}: {reason:?}",
        kind.name
    );
    let planted = PLANTED
        .iter()
        .filter(|secret| far.keys().contains(**secret));
    for secret in planted {
        assert!(!reason.contains(secret), "{} {part:?}: {reason}", kind.name);
    }
    outcome
}

#[test]
fn names_are_unique_and_in_order() {
    let names: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
    let sorted: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(names, sorted.into_iter().collect::<Vec<_>>());
    for kind in ALL {
        assert!(kind.summary.ends_with('.'), "{}", kind.name);
    }
}

#[test]
fn the_example_is_accepted_and_its_sink_can_be_made() {
    for kind in ALL {
        let read = read(kind, kind.example);
        assert_eq!(read.mistakes, [], "{}", kind.name);
        let sink = read.config.unwrap().connect().unwrap();
        let endpoint = sink.endpoint();
        assert!(endpoint.as_str().starts_with(kind.name), "{endpoint}");
        assert!(sink.time_limit() > Duration::ZERO);
    }
}

#[test]
fn the_page_of_a_kind_names_every_key() {
    for kind in ALL {
        let page = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(kind.name)
            .join("README.md");
        let page = std::fs::read_to_string(page).unwrap();
        let read = read(kind, kind.example);
        for key in read.keys.iter().filter(|key| *key != "kind") {
            let is_named = page
                .lines()
                .filter_map(|line| line.split('|').nth(1))
                .any(|cell| cell.contains(&format!("`{key}`")));
            assert!(is_named, "{} says nothing of `{key}`", kind.name);
        }
    }
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    for kind in ALL {
        let read = read(kind, &format!("{}timeuot = \"5s\"\n", kind.example));
        assert_eq!(
            read.mistakes,
            [(
                "timeuot".to_owned(),
                format!(
                    "unknown key `timeuot` in `{}`; did you mean `timeout`?",
                    kind.example
                        .lines()
                        .next()
                        .unwrap()
                        .trim_matches(['[', ']'])
                )
            )],
            "{}",
            kind.name
        );
    }
}

#[test]
fn secrets_are_in_no_debug_output_and_no_endpoint() {
    for kind in ALL {
        let config = read(kind, kind.example).config.unwrap();
        let endpoint = config.connect().unwrap().endpoint();
        let shown = format!("{config:?} {endpoint}");
        for (name, secret) in SECRETS {
            assert!(!shown.contains(secret), "{} shows {name}", kind.name);
        }
        assert!(
            !shown.contains("0123456789abcdef"),
            "{}: {shown}",
            kind.name
        );
    }
}

#[test]
fn a_mistake_repeats_no_secret() {
    // Every example key in turn is given a value that no kind can use.
    for kind in ALL {
        for line in kind.example.lines().filter(|line| line.contains("${env:")) {
            let key = line.split(' ').next().unwrap();
            let wrong = format!("{key} = \"hunter2 is \\u0000 no secret of ours\"");
            let toml = kind.example.replace(line, &wrong);
            for (_, text) in read(kind, &toml).mistakes {
                assert!(!text.contains("hunter2"), "{}: {text}", kind.name);
            }
        }
    }
}

#[tokio::test]
async fn far_sides_of_every_kind_have_the_same_outcomes() {
    let mut attempts = Vec::new();
    for kind in ALL {
        for (part, words) in [
            (Part::Accepts, &["delivered"] as &[_]),
            (Part::Refuses, &["permanent", "sink-fault"]),
            (Part::Silent, &["transient", "unknown"]),
            (Part::Swallows, &["unknown"]),
            (Part::Cuts, &["unknown"]),
            (Part::Closes, &["transient", "unknown"]),
            (Part::Endless, &["transient", "unknown"]),
            (Part::Oversized, &["transient", "unknown"]),
            (Part::Babbles, &["transient", "unknown"]),
        ] {
            attempts.push(tokio::spawn(async move {
                let outcome = outcome(kind, part).await;
                let word = outcome.as_str();
                assert!(words.contains(&word), "{} {part:?}: {outcome:?}", kind.name);
            }));
        }
    }
    for attempt in attempts {
        attempt.await.unwrap();
    }
}

#[tokio::test]
async fn every_attempt_bears_the_same_key() {
    for kind in ALL {
        let far = far(kind, Part::Accepts).await;
        let sink = far.sink(kind, "");
        let mut notification = notification();
        for attempt in 1..=3 {
            notification.attempt = attempt;
            notification.attempted_at = notification
                .attempted_at
                .checked_add(Duration::from_secs(60))
                .unwrap();
            let outcome = deliver(&*sink, &notification, &Memory::default())
                .await
                .of(0);
            assert_eq!(outcome.as_str(), "delivered", "{}", kind.name);
        }
        let seen = far.keys_seen();
        assert_eq!(seen.len(), 3, "{}", kind.name);
        assert!(seen.iter().all(|key| *key == seen[0]), "{seen:?}");
    }
}

#[tokio::test]
async fn a_form_makes_the_same_body_again() {
    for kind in ALL {
        let far = far(kind, Part::Accepts).await;
        let sink = far.sink(kind, "");
        let notification = notification();
        let (message, items) = (notification.message, &notification.items);
        if let Some(form) = sink.form() {
            let body = sink.body(message, items);
            assert!(body.is_some(), "{}", kind.name);
            assert_eq!(sink.body_in(form, message, items), body, "{}", kind.name);
        }
        assert_eq!(
            sink.body_in("no form", message, items),
            None,
            "{}",
            kind.name
        );
    }
}

#[tokio::test]
async fn an_attempt_that_was_dropped_disturbs_no_later_one() {
    for kind in ALL {
        let far = far(kind, Part::Accepts).await;
        let sink = far.sink(kind, "");
        let notification = notification();
        let memory = Memory::default();
        // Polled once, so that it is under way, and dropped.
        let started = deliver(&*sink, &notification, &memory);
        let _ = tokio::time::timeout(Duration::ZERO, started).await;
        let outcome = deliver(&*sink, &notification, &memory).await.of(0);
        assert_eq!(outcome.as_str(), "delivered", "{}: {outcome:?}", kind.name);
    }
}

#[tokio::test]
async fn sinks_that_share_an_endpoint_say_so() {
    for kind in ALL {
        let far = far(kind, Part::Accepts).await;
        assert_eq!(far.sink(kind, "").endpoint(), far.sink(kind, "").endpoint());
    }
}

/// What is logged while the tests of this process run.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_even_at_trace() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .init();
    for kind in ALL {
        outcome(kind, Part::Accepts).await;
        outcome(kind, Part::Refuses).await;
    }
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    // The libraries do log at this level, or the test would prove nothing.
    assert!(
        logged.contains("hyper_util") && logged.contains("127.0.0.1"),
        "{logged}"
    );
    for secret in PLANTED {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    let login = "AGhlcmFsZABjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl";
    assert!(!logged.contains(login), "the login in base64");
}

#[tokio::test]
async fn a_sink_keeps_out_of_the_environments_proxy() {
    // What a proxy variable would do is proved by the client having none: a request that went to
    // the proxy would not reach the far side. The variables are set for the whole process before
    // any client is made, so a child process does it.
    if std::env::var_os("HERALD_TEST_PROXIED").is_some() {
        for kind in ALL {
            assert_eq!(outcome(kind, Part::Accepts).await.as_str(), "delivered");
        }
        return;
    }
    let proxy = http::Server::start([http::Act::ok("from the proxy")]).await;
    let mut child = tokio::task::spawn_blocking({
        let url = proxy.url();
        move || {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "conformance::a_sink_keeps_out_of_the_environments_proxy",
                ])
                .env("HERALD_TEST_PROXIED", "1")
                .envs(
                    [
                        "http_proxy",
                        "HTTP_PROXY",
                        "https_proxy",
                        "ALL_PROXY",
                        "all_proxy",
                    ]
                    .map(|name| (name, url.clone())),
                )
                .output()
                .unwrap()
        }
    });
    let output = (&mut child).await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(proxy.connections(), 0);
}
