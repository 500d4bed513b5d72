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
    assert!(said.contains("missing `eni operations -> local`"), "{said}");
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
    let subscription = |name: &str, when: &str| {
        format!(
            "[[subscription]]\nname = \"{name}\"\nto = [\"local\"]\n[subscription.when]\n{when}\n"
        )
    };
    let config = [
        "[sink.local]\nkind = \"callback\"\nurl = \"http://127.0.0.1:9/\"\nallow_addresses = [\"127.0.0.1\"]\n"
            .to_owned(),
        subscription("far", "level = \"INFO\"\nregionId = \"r\"\nname = \"C:D\""),
        subscription("near", "level = \"INFO\"\nname = \"A:B\""),
        subscription("hit", "level = \"WARN\""),
    ]
    .concat();
    let config = pattern(folder.path(), "config.toml", &config);
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
