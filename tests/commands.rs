//! The commands that need no router.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn herald(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn pattern(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn match_prints_what_matches_and_says_by_its_exit_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let json = pattern(folder.path(), "p.json", r#"{"n":[{"numeric":[">",1]}]}"#);
    let toml = pattern(folder.path(), "p.toml", "n = [{ numeric = ['>', 1] }]");
    let events = "{\"n\": 1.0}\n{\n  \"n\": 2.50\n}{\"n\":3}";
    for file in [&json, &toml] {
        let found = herald(&["match", "-p", file], events);
        assert_eq!(out(&found), "{\"n\":2.50}\n{\"n\":3}\n");
        assert_eq!(found.status.code(), Some(0));
    }
    assert_eq!(
        herald(&["match", "-p", &json], "{\"n\":0}").status.code(),
        Some(1)
    );
}

#[test]
fn match_names_what_it_cannot_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let json = pattern(folder.path(), "p.json", r#"{"n":[1]}"#);
    let found = herald(&["match", "-p", &json], "{\"n\":1}\n{\"n\":@}\n{\"n\":1}\n");
    assert_eq!(out(&found), "{\"n\":1}\n{\"n\":1}\n");
    assert_eq!(found.status.code(), Some(2));
    assert!(
        err(&found).contains("document at byte 8"),
        "{}",
        err(&found)
    );
    let missing = herald(&["match", "-p", &json, "/nowhere"], "");
    assert_eq!(missing.status.code(), Some(2));
    let broken = pattern(folder.path(), "b.json", "{\n \"n\": []}");
    let refused = herald(&["match", "-p", &broken], "");
    assert_eq!(refused.status.code(), Some(2));
    assert!(err(&refused).contains("b.json:2:"), "{}", err(&refused));
}

#[test]
fn match_skips_a_broken_line_whole_however_long_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let json = pattern(folder.path(), "p.json", r#"{"n":[1]}"#);
    // What follows the mistake would be documents that match, and comes in later pieces.
    let tail = r#"{"n":1}"#.repeat(400_000);
    let events = format!(" \r\n\t{{\"n\":1}}\r\n@{tail}\n\n{{\"n\":1.0}} {{\"n\":1e0}}\n{{\"n\":");
    let found = herald(&["match", "-p", &json], &events);
    assert_eq!(out(&found), "{\"n\":1}\n{\"n\":1.0}\n{\"n\":1e0}\n");
    assert_eq!(found.status.code(), Some(2));
    let said = err(&found);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("(document at byte 13)"), "{said}");
    assert!(lines[1].contains("ends too early"), "{said}");
}

#[test]
fn match_prints_while_the_stream_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let json = pattern(folder.path(), "p.json", r#"{"n":[1]}"#);
    let mut child = Command::new(env!("CARGO_BIN_EXE_herald"))
        .args(["match", "-p", &json])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    for event in ["{\"n\":1}\n", "{\n\"n\": 1}\n"] {
        input.write_all(event.as_bytes()).unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "{\"n\":1}\n");
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn match_says_where_its_pattern_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, place) in [
        (
            "b.json",
            "{\n \"n\": [{\"prefix\": 1}]}",
            ":2:19: /n/0/prefix: ",
        ),
        (
            "b.toml",
            "a = [1]\nn = [{ prefix = 1 }]",
            ":2:17: /n/0/prefix: ",
        ),
        ("c.toml", "a = [1]\nn = ]", ":2:5: not TOML: "),
    ] {
        let path = pattern(folder.path(), name, text);
        let refused = herald(&["match", "-p", &path], "");
        assert_eq!(refused.status.code(), Some(2));
        let wanted = format!("{name}{place}");
        assert!(err(&refused).contains(&wanted), "{}", err(&refused));
    }
}

#[test]
fn match_names_what_is_no_event_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let json = pattern(folder.path(), "p.json", r#"{"name":["A:B"]}"#);
    let event = r#"{"name":"A:B","content":{}}"#;
    let events = format!("{{\"n\":1}}\n{event}\n[1]\n");
    let found = herald(&["match", "--envelope", "-p", &json], &events);
    assert_eq!(out(&found), format!("{event}\n"));
    assert_eq!(found.status.code(), Some(2));
    let said = err(&found);
    assert!(
        said.contains("no known shape") && said.contains("(document at byte 0)"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[test]
fn match_may_decode_first() {
    let folder = tempfile::tempdir().unwrap();
    let json = pattern(
        folder.path(),
        "p.json",
        r#"{"addressee":{"kind":["user"]},"level":["WARN"]}"#,
    );
    let event = r#"{"name":"A:B","content":{},"level":"warn","userId":"1"}"#;
    assert_eq!(
        herald(&["match", "-p", &json], event).status.code(),
        Some(1)
    );
    let found = herald(&["match", "--envelope", "-p", &json], event);
    assert_eq!(
        out(&found).trim(),
        event,
        "it prints the document as it came"
    );
}

#[test]
fn check_runs_the_files_tests_and_shows_what_differs() {
    let sound = herald(&["check"], "");
    assert!(sound.status.success(), "{}", err(&sound));
    assert!(out(&sound).contains("2 tests passed"), "{}", out(&sound));
    let folder = tempfile::tempdir().unwrap();
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")).unwrap();
    let wrong = format!(
        "{text}\n[[test]]\nevent = {{ name = \"A:B\", content = {{}} }}\n\
         delivers = [\"eni operations -> local\"]\n"
    );
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let wrong = wrong.replace("\"examples/", &format!("\"{examples}/"));
    let path = pattern(folder.path(), "config.toml", &wrong);
    let refused = herald(&["check", "-c", &path], "");
    assert_eq!(refused.status.code(), Some(1));
    let said = err(&refused);
    assert!(
        said.contains(
            "the test misses `eni operations -> local`: different: name is A:B; the rule wants \
             NetworkInterface:NetworkInterfaceOperateCompleted"
        ),
        "{said}"
    );
}

/// A configuration with one sink and subscriptions, each a name and its condition.
fn configuration(subscriptions: &[(&str, &str)], more: &str) -> String {
    let sink = "[sink.local]\nkind = \"callback\"\nurl = \"http://127.0.0.1:9/\"\n\
                allow_addresses = [\"127.0.0.1\"]\n";
    let one = |(name, when): &(&str, &str)| {
        format!(
            "[[subscription]]\nname = \"{name}\"\nto = [\"local\"]\n[subscription.when]\n{when}\n"
        )
    };
    let subscriptions: String = subscriptions.iter().map(one).collect();
    format!("{sink}{subscriptions}{more}")
}

#[test]
fn check_tells_each_difference_of_a_test_on_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(
        &[
            ("wanted", "level = \"WARN\""),
            ("surplus", "level = [\"INFO\", { prefix = \"I\" }]"),
        ],
        "[[test]]\nevent = { name = \"A:B\", content = {}, level = \"INFO\" }\n\
         delivers = [\"wanted -> local\"]\n\
         [[test]]\nevent = { name = \"A:B\", content = {}, level = \"CRITICAL\" }\n\
         delivers = []\n\
         [[test]]\nevent = '[{\"name\":\"A:B\",\"content\":{}},{\"name\":\"A:B\",\"content\":{}}]'\n\
         delivers = []\n",
    );
    let path = pattern(folder.path(), "config.toml", &text);
    let said = err(&herald(&["check", "-c", &path], ""));
    let lines: Vec<_> = said.lines().map(|line| line.replace(&path, "F")).collect();
    assert_eq!(
        lines,
        [
            "herald: F:15:1: the test misses `wanted -> local`: different: level is INFO; the rule \
             wants WARN",
            "herald: F:15:1: the test does not expect `surplus -> local`: matched: level is INFO",
            "herald: F:21:1: the test has 2 events; write one test for each",
        ],
        "{said}"
    );
}

#[test]
fn check_shows_what_patterns_cost() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(
        &[
            ("cheap", "level = \"WARN\""),
            ("dear", "name = [{ wildcard = \"A:*B*C\" }, \"x\"]"),
        ],
        "",
    );
    let path = pattern(folder.path(), "config.toml", &text);
    let said = herald(&["check", "-c", &path], "");
    let shown = out(&said);
    let lines: Vec<_> = shown.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "pattern of `dear`: 4 comparisons an event",
            "pattern of `cheap`: 1 comparison an event",
            "a pattern may cost 10000 (COST_MAX)",
        ],
        "{shown}{}",
        err(&said)
    );
    let many: Vec<String> = (0..13).map(|number| format!("number {number}")).collect();
    let many: Vec<_> = many
        .iter()
        .map(|name| (name.as_str(), "level = \"WARN\""))
        .collect();
    let path = pattern(folder.path(), "many.toml", &configuration(&many, ""));
    let shown = out(&herald(&["check", "-c", &path], ""));
    assert!(
        shown.contains("\n3 more patterns: 1 comparison at most\n"),
        "{shown}"
    );
}

#[test]
fn explain_names_the_field_that_differs() {
    let said = herald(
        &["explain", "examples/private-ip-assigned.json", "--json"],
        "",
    );
    assert!(said.status.success(), "{}", err(&said));
    assert!(out(&said).contains(r#""field":"name""#), "{}", out(&said));
}

#[test]
fn explain_says_what_held_and_takes_several_events() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(
        &[(
            "bad news",
            "level = [\"WARN\", { prefix = \"W\" }]\ncontent.error = [{ exists = false }]",
        )],
        "",
    );
    let config = pattern(folder.path(), "config.toml", &text);
    let event =
        |id, level| format!(r#"{{"id":"{id}","name":"A:B","content":{{}},"level":"{level}"}}"#);
    let one = pattern(folder.path(), "one.json", &event("e1", "WARN"));
    let said = out(&herald(&["explain", "-c", &config, &one], ""));
    assert!(
        said.ends_with("matched  level is WARN, content.error is missing\n")
            && !said.contains("e1"),
        "{said}"
    );
    let several = format!("{}\n[{},\n7]\n", event("e1", "WARN"), event("e2", "INFO"));
    let several = pattern(folder.path(), "several.json", &several);
    let explained = herald(&["explain", "-c", &config, &several], "");
    let said = out(&explained);
    assert!(
        said.starts_with("event 1 e1\n") && said.contains("\n\nevent 2 e2\n"),
        "{said}"
    );
    assert!(
        said.contains("level is INFO; the rule wants WARN or a text"),
        "{said}"
    );
    assert_eq!(explained.status.code(), Some(1));
    assert!(
        err(&explained).contains("several.json, event 3: an event must be a JSON object"),
        "{}",
        err(&explained)
    );
    let json = out(&herald(&["explain", "-c", &config, &several, "--json"], ""));
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(
        first,
        serde_json::json!({"event": "e1", "verdicts": [{
            "subscription": "bad news",
            "verdict": "matched",
            "held": [
                {"field": "level", "wanted": "WARN", "found": "WARN"},
                {"field": "level", "wanted": "a text that begins with \"W\"", "found": "WARN"},
                {"field": "content.error", "wanted": "no value", "found": "missing"},
            ],
        }]})
    );
    assert_eq!(json.lines().count(), 2, "{json}");
}

#[test]
fn help_prints_the_rule_reference() {
    let said = herald(&["help", "rules"], "");
    assert_eq!(out(&said).trim_end(), herald_rules::REFERENCE.trim_end());
    assert!(out(&herald(&["help", "serve"], "")).contains("SIGHUP"));
    assert_eq!(herald(&["help", "nothing"], "").status.code(), Some(1));
    assert_eq!(herald(&["nothing"], "").status.code(), Some(2));
}

#[test]
fn explain_puts_near_misses_first() {
    let folder = tempfile::tempdir().unwrap();
    let text = configuration(
        &[
            ("far", "level = \"INFO\"\nregionId = \"r\"\nname = \"C:D\""),
            ("near", "level = \"INFO\"\nname = \"A:B\""),
            ("hit", "level = \"WARN\""),
        ],
        "",
    );
    let config = pattern(folder.path(), "config.toml", &text);
    let event = r#"{"name":"A:B","content":{},"level":"WARN","userId":"1"}"#;
    let event = pattern(folder.path(), "event.json", event);
    let said = out(&herald(&["explain", "-c", &config, &event], ""));
    let places: Vec<_> = ["hit", "near", "far"]
        .map(|name| said.find(name).unwrap())
        .into();
    assert!(places.is_sorted(), "{said}");
    assert!(
        said.contains("level is WARN; the rule wants INFO"),
        "{said}"
    );
}
