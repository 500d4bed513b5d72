//! Every broken file in `tests/config_errors/` gives exactly the messages beside it.
//!
//! A file whose first line is `# check` is read as `herald check` reads it, the others as
//! `herald serve` does. `BLESS=1 cargo test --test config_errors` writes the messages anew; read
//! the difference before keeping it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::fs;
use std::path::Path;

use herald::config::{Reader, Strictness};
use herald_model::settings::Environment;

/// A machine with one secret. It must stand in no message.
struct Fixed;

const SECRET: &str = "hunter2-hunter2-hunter2";

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| SECRET.to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/herald/secret") => Ok(format!("{SECRET}\n")),
            _ => Err("no such file".to_owned()),
        }
    }
}

fn messages(name: &str, text: &str) -> String {
    let strictness = if text.starts_with("# check\n") {
        Strictness::Check
    } else {
        Strictness::Serve
    };
    let reader = Reader {
        environment: &Fixed,
        strictness,
        kinds: herald_sinks::ALL,
    };
    let problems = match reader.parse(text, name, Path::new("/etc/herald")) {
        Ok(loaded) => loaded.warnings,
        Err(refused) => refused.problems,
    };
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

#[test]
fn every_broken_file_gives_exactly_its_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors");
    let bless = std::env::var_os("BLESS").is_some();
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let mut different = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = messages(name, &fs::read_to_string(path).unwrap());
        let beside = path.with_extension("expected");
        if bless {
            fs::write(&beside, &found).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert!(
            !found.contains("hunter2"),
            "{name} repeats a secret:\n{found}"
        );
        if found != expected || found.is_empty() {
            different.push(format!("--- {name}\nexpected:\n{expected}found:\n{found}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(files.len() >= 35, "only {} files", files.len());
}

#[test]
fn no_expectation_is_left_without_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_errors");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("toml").exists(), "{}", path.display());
    }
}
