//! What the file says is what the program gets. What a broken file is told, `tests/config_errors`
//! has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use herald_model::Language;
use herald_model::RetrySchedule;
use herald_model::delivery::{Order, Overflow};
use herald_model::event::{Addressee, Owner};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A machine on which every variable is set but `ABSENT`, and no file is there.
struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "ABSENT" => None,
            "CALLBACK_SECRET" => Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
            "WEBHOOK" | "DINGTALK_WEBHOOK" => {
                Some("https://oapi.dingtalk.com/robot/send?access_token=0123".to_owned())
            }
            other => Some(format!("value-of-{other}")),
        }
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

fn parse(text: &str, strictness: Strictness) -> Result<Loaded, Refused> {
    let reader = Reader {
        environment: &Fixed,
        strictness,
        kinds: herald_sinks::ALL,
    };
    reader.parse(text, "herald.toml", Path::new("/etc/herald"))
}

#[track_caller]
fn config(text: &str) -> Config {
    match parse(text, Strictness::Serve) {
        Ok(loaded) => loaded.config,
        Err(refused) => panic!("{refused}"),
    }
}

const HOOK: &str = "[sink.hook]\nkind = 'callback'\nurl = 'https://example.com/'\n";

#[test]
fn an_empty_file_is_the_defaults() {
    let config = config("");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8470");
    assert_eq!(config.server.drain, Duration::from_secs(30));
    assert_eq!(config.server.limits, Limits::default());
    assert!(config.server.tokens.is_empty() && config.server.hosts.is_empty());
    assert_eq!(config.server.time_zone, jiff::tz::TimeZone::UTC);
    assert_eq!(
        config.journal,
        Journal {
            engine: Engine::Embedded(PathBuf::from("/etc/herald/herald.db")),
            keep: 720 * HOUR,
            max_size: 10 << 30,
            dedup_window: 24 * HOUR,
            refused: 1_000,
        }
    );
}

/// The grammar is a contract: this is the example that was published first, and it must stay
/// readable as it is.
#[test]
fn the_published_example_is_read() {
    let loaded = parse(include_str!("published.toml"), Strictness::Check).unwrap();
    assert_eq!(
        loaded.warnings.len(),
        1,
        "only the password's file is not there"
    );
    let config = loaded.config;
    let names: Vec<_> = config
        .sinks
        .iter()
        .map(|sink| (&*sink.name, sink.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("ops-chat", "dingtalk"),
            ("ops-mail", "email"),
            ("runbook", "callback")
        ]
    );
    assert_eq!(
        config.sink("runbook").unwrap().policy.retry,
        RetrySchedule::default()
    );
    assert_eq!(&*config.subscriptions[0].to[1], "ops-chat");
    assert_eq!(config.tests[0].delivers.len(), 2);
}

#[test]
fn the_server_gets_what_is_written() {
    let server = config(
        "[server]\nlisten = '[::]:80'\nhosts = 'Herald.Example.COM'\ndrain = '5s'\n\
         console_url = 'https://h.example/x'\ntime_zone = 'Asia/Shanghai'\n\
         body_max = '1 MiB'\nbatch_max = 2\ndepth_max = 10\nfield_max = '2 KiB'\n\
         header_max = '8 KiB'\nconnections_max = 3\nqueue_max = 4\nbodies_max = '8 MiB'\nheader_timeout = '1s'\n\
         body_timeout = '2s'\nidle_timeout = '3s'\n\
         trusted_proxies = ['10.1.2.3/8', '::1']\n\
         [server.tls]\ncert = 'a.pem'\nkey = '/b.key'\nhandshake_timeout = '4s'\n\
         [[server.token]]\nname = 'ops'\ntoken = '${env:TOKEN}'\nroles = ['read', 'operate', 'read']",
    )
    .server;
    let proxies: Vec<_> = server
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    let tls = server.tls.unwrap();
    assert!(tls.cert.ends_with("a.pem") && tls.key.ends_with("/b.key"));
    assert_eq!(tls.handshake_timeout, Duration::from_secs(4));
    assert_eq!(server.listen.to_string(), "[::]:80");
    assert_eq!(server.hosts, ["herald.example.com"]);
    assert_eq!(server.drain, Duration::from_secs(5));
    assert_eq!(server.console_url.unwrap().as_str(), "https://h.example/x");
    assert_eq!(server.time_zone.iana_name(), Some("Asia/Shanghai"));
    assert_eq!(
        server.limits,
        Limits {
            body_max: 1 << 20,
            batch_max: 2,
            depth_max: 10,
            field_max: 2_048,
            header_max: 8_192,
            connections_max: 3,
            queue_max: 4,
            bodies_max: 8 << 20,
            header_timeout: Duration::from_secs(1),
            body_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(3),
        }
    );
    let [token] = server.tokens.as_slice() else {
        panic!("{:?}", server.tokens);
    };
    assert_eq!(token.token.expose(), "value-of-TOKEN");
    assert_eq!(token.roles, [Role::Read, Role::Operate]);
    assert!(token.may(Role::Read) && !token.may(Role::Approve) && !token.may(Role::Intake));
}

#[test]
fn sources_and_accounts_get_what_is_written() {
    let config = config(
        "[[account]]\nid = '1'\n[[account]]\nid = '2'\neni_events = true\n\
         [source.a]\nkind = 'http'\n\
         [source.b]\nkind = 'http'\ntoken = ['0123456789abcdef', '${env:NEW_TOKEN}']\n\
         accounts = ['1']\nproducts = 'ecs'\ntrust = 'act'\nallow_from = '10.1.2.3/8'",
    );
    assert!(!config.account("1").unwrap().eni_events);
    assert!(config.account("2").unwrap().eni_events);
    assert_eq!(config.account("3"), None);
    let open = config.source("a").unwrap();
    assert_eq!((open.trust, open.tokens.len()), (Trust::Notify, 0));
    let closed = config.source("b").unwrap();
    let tokens: Vec<_> = closed
        .tokens
        .iter()
        .map(herald_model::Secret::expose)
        .collect();
    assert_eq!(tokens, ["0123456789abcdef", "value-of-NEW_TOKEN"]);
    assert_eq!(
        (&closed.accounts[..], &closed.products[..]),
        (&["1".to_owned()][..], &["ECS".to_owned()][..])
    );
    assert_eq!(closed.trust, Trust::Act);
    assert_eq!(closed.allow_from[0].to_string(), "10.0.0.0/8");
}

#[test]
fn a_sink_begins_with_the_defaults_of_its_kind() {
    let config = config(&format!(
        "{HOOK}[sink.chat]\nkind = 'dingtalk'\nwebhook = '${{env:WEBHOOK}}'"
    ));
    let hook = &config.sink("hook").unwrap().policy;
    assert_eq!(
        (hook.order, hook.together, hook.overflow, hook.limit),
        (Order::Resource, false, Overflow::Wait, None)
    );
    assert_eq!(
        (hook.lane_patience, hook.max_backlog),
        (10 * MINUTE, 1_000_000)
    );
    assert_eq!(
        (hook.retry.clone(), hook.language),
        (RetrySchedule::default(), Language::En)
    );
    let chat = &config.sink("chat").unwrap().policy;
    assert_eq!(
        (chat.order, chat.together, chat.overflow, chat.concurrency),
        (Order::None, true, Overflow::Digest, 1)
    );
    assert_eq!(
        chat.limit,
        Some(Limit {
            messages: 18,
            per: MINUTE
        })
    );
}

#[test]
fn a_sink_keeps_what_is_written() {
    let config = config(&format!(
        "{HOOK}order = 'none'\ntogether = true\nlane_patience = '1m'\nmax_backlog = 7\n\
         overflow = 'digest'\nconcurrency = 3\nlanguage = 'zh'\ntitle = 't'\nbody = '[1]'\n\
         retry = ['1s', '2s']\nlimit = {{ messages = 5, per = '1h' }}\n\
         [sink.chat]\nkind = 'dingtalk'\nwebhook = '${{env:WEBHOOK}}'\nlimit.messages = 5\n\
         retry = {{ first = '1s', factor = 3, longest = '9s', give_up_after = '1m' }}"
    ));
    let hook = &config.sink("hook").unwrap().policy;
    let listed = vec![Duration::from_secs(1), Duration::from_secs(2)];
    let expected = SinkPolicy {
        order: Order::None,
        together: true,
        lane_patience: MINUTE,
        max_backlog: 7,
        limit: Some(Limit {
            messages: 5,
            per: HOUR,
        }),
        overflow: Overflow::Digest,
        retry: RetrySchedule::listed(listed, herald_model::duration::LONGEST).unwrap(),
        concurrency: 3,
        language: Language::Zh,
        templates: Templates {
            title: Some("t".into()),
            body: Some("[1]".into()),
            ..Templates::default()
        },
    };
    assert_eq!(*hook, expected);
    let chat = &config.sink("chat").unwrap().policy;
    assert_eq!(
        chat.limit,
        Some(Limit {
            messages: 5,
            per: MINUTE
        })
    );
    let seconds = Duration::from_secs;
    let growing = RetrySchedule::growing(seconds(1), 3.0, seconds(9), MINUTE).unwrap();
    assert_eq!(chat.retry, growing);
}

#[test]
fn one_rule_has_one_text_however_it_is_written() {
    let subscription = |condition: &str| {
        let text = format!("{HOOK}[[subscription]]\nname = 'a'\nto = 'hook'\n{condition}");
        let [subscription] = <[_; 1]>::try_from(config(&text).subscriptions).unwrap();
        subscription
    };
    let toml = subscription("expires = '24h'\nwhen = { level = 'WARN', content.n = [300] }");
    let json = subscription(
        "pattern = '''\n{ \"level\": [\"WARN\"],\n \"content\": { \"n\": [300] } }'''\ntitle = 'x'",
    );
    assert_eq!(toml.text(), json.text());
    assert_eq!(
        &*toml.text(),
        r#"{"name":"a","to":["hook"],"expires":"1d","pattern":{"level":["WARN"],"content":{"n":[300]}}}"#
    );
    assert_eq!(Subscription::from_text(&toml.text()).unwrap(), toml);
    assert_eq!(json.templates.title.as_deref(), Some("x"));
    assert_eq!(subscription("").pattern, None);
    let owned = subscription("owner = 'service:7'").owner;
    assert_eq!(owned, Owner::One(Addressee::Service("7".to_owned())));
}

#[test]
fn tests_hold_what_comes_in_and_what_must_go_out() {
    let config = config(&format!(
        "{HOOK}[[subscription]]\nname = 'a -> b'\nto = 'hook'\n\
         [[test]]\nevent = 'x/one.json'\ndelivers = []\n\
         [[test]]\nevent = {{ id = '1', content.n = 1 }}\ndelivers = 'a -> b -> hook'\nnow = 2026-01-02T03:04:05Z\n\
         [[test]]\nevent = ' [{{\"id\":\"1\"}}]'\ndelivers = []"
    ));
    let [one, two, three] = config.tests.as_slice() else {
        panic!("{:?}", config.tests);
    };
    assert_eq!(
        one.event,
        TestEvent::File(PathBuf::from("/etc/herald/x/one.json"))
    );
    assert_eq!(one.place, Place { line: 7, column: 1 });
    assert_eq!(
        two.event,
        TestEvent::Json(r#"{"content":{"n":1},"id":"1"}"#.to_owned())
    );
    assert_eq!(
        (&*two.delivers[0].subscription, &*two.delivers[0].sink),
        ("a -> b", "hook")
    );
    assert_eq!(two.now.unwrap().to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(three.event, TestEvent::Json(" [{\"id\":\"1\"}]".to_owned()));
}

#[test]
fn a_lenient_check_keeps_a_sink_whose_secret_is_absent() {
    let text =
        format!("{HOOK}secret = '${{env:ABSENT}}'\n[[subscription]]\nname = 'a'\nto = 'hook'");
    let refused = parse(&text, Strictness::Serve).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "herald.toml:4:10: `sink.hook.secret`: environment variable `ABSENT` is not set; set it"
    );
    let loaded = parse(&text, Strictness::Check).unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    let Err(error) = loaded.config.sink("hook").unwrap().connect() else {
        panic!("there is no secret to sign with");
    };
    assert_eq!(error.to_string(), "a secret that it needs is not set");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = Config::load(Path::new("/nowhere/herald.toml"), Strictness::Serve).unwrap_err();
    let text = missing.to_string();
    assert!(
        text.starts_with("/nowhere/herald.toml: cannot read the file: "),
        "{text}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin.toml");
    std::fs::write(&path, b"# caf\xe9").unwrap();
    let text = Config::load(&path, Strictness::Serve)
        .unwrap_err()
        .to_string();
    assert!(
        text.ends_with("byte 5 of the file is not UTF-8; save it as UTF-8"),
        "{text}"
    );
}

#[test]
fn paths_of_a_file_in_the_working_folder_stay_short() {
    let reader = Reader {
        environment: &Fixed,
        strictness: Strictness::Serve,
        kinds: &[],
    };
    let base = Path::new("herald.toml").parent().unwrap();
    let loaded = reader.parse("", "herald.toml", base).unwrap();
    let Engine::Embedded(path) = loaded.config.journal.engine;
    assert_eq!(path, Path::new("herald.db"));
}

#[test]
fn windows_line_ends_are_no_columns() {
    let refused = parse("[server]\r\n\r\nlisen = 1\r\n", Strictness::Serve).unwrap_err();
    let place = refused.problems.last().unwrap().place;
    assert_eq!(place, Some(Place { line: 3, column: 1 }));
}
