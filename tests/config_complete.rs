//! `config.toml` at the top runs as it is, lists every key with its default, and no other.
//!
//! A commented line `# key = value` or `# [table]` counts: the tests read the file once as it is
//! and once with all of them uncommented.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::path::Path;

use herald::config::{Config, Loaded, Reader, Strictness, TestEvent};
use herald_model::duration;
use herald_model::settings::Environment;
use toml::de::{DeTable, DeValue};

/// A machine on which every secret is set.
struct Everything;

impl Environment for Everything {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "DINGTALK_WEBHOOK" => "https://oapi.dingtalk.com/robot/send?access_token=0123456789",
            "DINGTALK_SECOND" => "https://oapi.dingtalk.com/robot/send?access_token=9876543210",
            "CALLBACK_SECRET" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "CALLBACK_SECRET_NEW" => "whsec_aLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2L",
            "HERALD_TOKEN" | "HERALD_CLOUDMONITOR_TOKEN" | "HERALD_BRIDGE_TOKEN" => {
                "0123456789abcdefghij"
            }
            "SMQ_KEY_ID" | "SMQ_KEY_SECRET" | "SMQ_TOKEN" => "LTAI5tExample",
            "CALLBACK_TOKEN" | "DINGTALK_SECRET" => "SEC0123456789",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok("correct horse battery staple\n".to_owned())
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn uncommented() -> String {
    let text = std::fs::read_to_string(top().join("config.toml")).unwrap();
    let uncomment = |line: &str| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split_once(" = ").map_or("", |(key, _)| key);
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_toml = bare.starts_with('[') || !key.is_empty() && key.chars().all(is_key);
        let line = if is_toml { bare } else { line };
        format!("{line}\n")
    };
    text.lines().map(uncomment).collect()
}

fn parse(text: &str) -> Loaded {
    let reader = Reader {
        environment: &Everything,
        strictness: Strictness::Serve,
        kinds: herald_sinks::ALL,
    };
    match reader.parse(text, "config.toml", top()) {
        Ok(loaded) => loaded,
        Err(refused) => panic!("{refused}"),
    }
}

/// A value as it is written, and what follows it on its line.
type Written = (String, String);

/// Every key of the file with what is written there, by kind.
fn keys_in(text: &str) -> BTreeMap<String, Vec<Written>> {
    fn walk(text: &str, table: &DeTable<'_>, above: &str, found: &mut Vec<(String, Written)>) {
        for (key, value) in table {
            let path = format!("{above}{}", key.get_ref());
            let comment = text[value.span().end..].lines().next().unwrap_or_default();
            let written = (text[value.span()].to_owned(), comment.to_owned());
            found.push((path.clone(), written));
            let below = format!("{path}.");
            match value.get_ref() {
                DeValue::Table(table) => walk(text, table, &below, found),
                DeValue::Array(items) => {
                    let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                    tables.for_each(|table| walk(text, table, &below, found));
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(
        text,
        DeTable::parse(text).unwrap().get_ref(),
        "",
        &mut found,
    );
    let kinds = kinds_in(text);
    let mut keys: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    for (path, written) in found {
        keys.entry(by_kind(&path, &kinds))
            .or_default()
            .push(written);
    }
    keys
}

/// `sink.ops-mail` and `email`, for every source and sink of the file.
fn kinds_in(text: &str) -> BTreeMap<String, String> {
    let mut kinds = BTreeMap::new();
    let document = DeTable::parse(text).unwrap();
    for section in ["source", "sink"] {
        for (name, table) in document.get_ref()[section].get_ref().as_table().unwrap() {
            let kind = table.get_ref().get("kind").unwrap().get_ref().as_str();
            kinds.insert(
                format!("{section}.{}", name.get_ref()),
                kind.unwrap().to_owned(),
            );
        }
    }
    kinds
}

/// `sink.ops-mail.timeout` to `sink.email.timeout`: defaults differ by kind, and every kind's keys
/// must be shown once.
fn by_kind(path: &str, kinds: &BTreeMap<String, String>) -> String {
    let mut parts: Vec<&str> = path.split('.').collect();
    let table = parts.get(..2).map(|parts| parts.join("."));
    if let Some(kind) = table.and_then(|table| kinds.get(&table)) {
        parts[1] = kind;
    }
    parts.join(".")
}

/// Whether a default and what is written mean the same.
fn same(default: &str, written: &str) -> bool {
    let duration = |text: &str| duration::parse(text.trim_matches('"')).ok();
    let size = |text: &str| {
        let (number, unit) = text.trim_matches('"').split_once(' ')?;
        let factor = match unit {
            "KiB" => 1_u64 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        Some((number.parse::<u64>().ok()? * factor).to_string())
    };
    default == written
        || duration(default).is_some() && duration(default) == duration(written)
        || size(written).is_some_and(|size| size == default)
}

#[test]
fn it_runs_as_it_is() {
    let loaded = Config::load(&top().join("config.toml"), Strictness::Serve).unwrap();
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert!(config.server.listen.ip().is_loopback());
    assert!(!config.sinks.is_empty() && !config.subscriptions.is_empty());
    for test in &config.tests {
        let TestEvent::File(path) = &test.event else {
            continue;
        };
        assert!(path.exists(), "{}", path.display());
    }
}

#[test]
fn uncommented_it_parses_without_a_warning() {
    let loaded = parse(&uncommented());
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, Vec::<String>::new());
    for kind in herald_sinks::ALL {
        let is_shown = loaded
            .config
            .sinks
            .iter()
            .any(|sink| sink.kind == kind.name);
        assert!(is_shown, "no sink of kind `{}`", kind.name);
    }
}

/// The other way round, that no key stands there which the code does not know, is what parsing
/// itself proves: an unknown key is a mistake.
#[test]
fn every_key_stands_in_it_with_its_default() {
    let text = uncommented();
    let written = keys_in(&text);
    let asked_for = parse(&text).keys;
    let kinds = kinds_in(&text);
    let mut missing = Vec::new();
    for key in asked_for {
        let path = by_kind(&key.path, &kinds);
        let values = written.get(&path).map_or(&[][..], Vec::as_slice);
        let is_there = match &key.default {
            None => !values.is_empty(),
            Some(default) => values.iter().any(|(value, comment)| {
                same(default, value) || comment.contains(&format!("default {default}"))
            }),
        };
        if !is_there {
            missing.push(format!(
                "{path} = {}",
                key.default.as_deref().unwrap_or("…")
            ));
        }
    }
    missing.sort();
    missing.dedup();
    assert!(
        missing.is_empty(),
        "config.toml lacks, or has with another default:\n{}",
        missing.join("\n")
    );
}

/// Reading never panics and never hangs, whatever is left of a file.
#[test]
fn what_is_left_of_it_is_read_or_refused() {
    let text = uncommented();
    let reader = Reader {
        environment: &Everything,
        strictness: Strictness::Check,
        kinds: herald_sinks::ALL,
    };
    let read = |text: &str| match reader.parse(text, "config.toml", top()) {
        Ok(_) => true,
        Err(refused) => {
            assert!(!refused.problems.is_empty());
            false
        }
    };
    let lines: Vec<_> = text.lines().collect();
    for without in 0..lines.len() {
        read(
            &[&lines[..without], &lines[without + 1..]]
                .concat()
                .join("\n"),
        );
    }
    let cut = (0..text.len())
        .step_by(97)
        .filter(|at| text.is_char_boundary(*at));
    let refused = cut.filter(|at| !read(&text[..*at])).count();
    assert!(refused > 0, "a file that ends inside a value is no file");
}
