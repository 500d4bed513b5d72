//! The JSON Schema of the configuration, for editors that complete and check TOML.
//!
//! It is made from the keys that the reading code asks for, so it cannot fall behind: `config.toml`
//! with every comment taken for a setting is read once (with the examples of kinds that it does not
//! have), and each key is described by the form in which it was asked for. What has a grammar of its own is described here.

use std::collections::BTreeMap;
use std::path::Path;

use herald_model::SinkKind;
use herald_model::settings::{Environment, Form, Key};
use serde_json::{Map, Value, json};

use super::{Reader, Strictness};

/// The file that lists every key.
const EVERYTHING: &str = include_str!("../../config.toml");

/// Tables of which there can be several under one key.
const LISTS: [&str; 4] = ["account", "subscription", "test", "server.token"];

/// Keys that a table must have, whatever else stands in it.
const NEEDED: [(&str, &[&str]); 8] = [
    ("account", &["id"]),
    ("sink.callback", &["url"]),
    ("sink.email", &["server", "from", "to"]),
    (
        "source.cloudevents",
        &["url", "regions", "token", "accounts"],
    ),
    ("source.file", &["path"]),
    (
        "source.smq",
        &["endpoint", "queue", "access_key_id", "access_key_secret"],
    ),
    ("subscription", &["name", "to"]),
    ("test", &["event", "delivers"]),
];

fn needed(path: &str) -> &'static [&'static str] {
    let found = NEEDED.iter().find(|(table, _)| *table == path);
    found.map_or(&[], |(_, keys)| keys)
}

/// A machine without secrets: their keys are asked for all the same.
struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no files here".to_owned())
    }
}

/// The schema (JSON Schema 2020-12) of a configuration with sinks of these kinds.
pub fn schema(kinds: &[SinkKind]) -> Value {
    let reader = Reader {
        environment: &Nothing,
        strictness: Strictness::Check,
        kinds,
    };
    let listed = uncommented(EVERYTHING);
    let whole = format!("{listed}\n{}", examples_beyond(&listed, kinds));
    let read = |text: &str| reader.parse(text, "config.toml", Path::new("."));
    // The example of a kind that is not Herald's may have mistakes; it shall not spoil the rest.
    let (keys, named) = match read(&whole).or_else(|_| read(&listed)) {
        Ok(loaded) => {
            let config = &loaded.config;
            let sinks = config.sinks.iter();
            let sinks = sinks.map(|sink| (format!("sink.{}", sink.name), sink.kind));
            let sources = config.sources.iter();
            let sources = sources.map(|source| (format!("source.{}", source.name), source.kind));
            let named = sinks.chain(sources).collect();
            (loaded.keys, named)
        }
        // The file at the top is tested to be read without a mistake.
        Err(_) => (Vec::new(), BTreeMap::new()),
    };
    let mut root = Node::default();
    for key in &keys {
        root.add(&by_kind(&key.path, &named), key);
    }
    let pattern: Value = serde_json::from_str(herald_rules::SCHEMA).unwrap_or_default();
    let mut schema = root.described("");
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("The configuration of Herald");
    schema["$defs"] = pattern["$defs"].clone();
    schema
}

/// The examples of the kinds that `listed` does not have.
fn examples_beyond(listed: &str, kinds: &[SinkKind]) -> String {
    let is_listed = |kind: &&SinkKind| listed.contains(&format!("kind = \"{}\"", kind.name));
    let others = kinds.iter().filter(|kind| !is_listed(kind));
    others.map(|kind| format!("{}\n", kind.example)).collect()
}

/// The text with every line `# key = value` and `# [table]` taken for a setting.
fn uncommented(text: &str) -> String {
    let uncomment = |line: &str| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split_once(" = ").map_or("", |(key, _)| key);
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_toml = bare.starts_with('[') || !key.is_empty() && key.chars().all(is_key);
        format!("{}\n", if is_toml { bare } else { line })
    };
    text.lines().map(uncomment).collect()
}

/// `sink.ops-mail.to` as the path `sink`, `email`, `to`.
fn by_kind(path: &str, named: &BTreeMap<String, &'static str>) -> Vec<String> {
    let mut parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    let kind = match parts.as_slice() {
        [section, name, ..] => named.get(&format!("{section}.{name}")).copied(),
        _ => None,
    };
    if let (Some(kind), Some(name)) = (kind, parts.get_mut(1)) {
        *name = kind.to_owned();
    }
    parts
}

/// A key with what stands below it.
#[derive(Default)]
struct Node {
    form: Option<Form>,
    default: Option<String>,
    below: BTreeMap<String, Node>,
}

impl Node {
    fn add(&mut self, path: &[String], key: &Key) {
        match path.split_first() {
            None => {
                self.form = Some(key.form.clone());
                self.default.clone_from(&key.default);
            }
            Some((first, rest)) => self.below.entry(first.clone()).or_default().add(rest, key),
        }
    }

    fn described(&self, path: &str) -> Value {
        let mut described = match path {
            "sink" => return named_by_kind(self, path),
            "source" => return named_by_kind(self, path),
            _ => self.form_described(path),
        };
        if let Some(default) = self.default.as_deref().and_then(written_as_json) {
            described["default"] = default;
        }
        let needed = needed(path);
        if !needed.is_empty() {
            described["required"] = json!(needed);
        }
        if path == "subscription" {
            described["not"] = json!({"required": ["when", "pattern"]});
        }
        if LISTS.contains(&path) {
            return json!({"type": "array", "items": described});
        }
        described
    }

    fn form_described(&self, path: &str) -> Value {
        let last = path.rsplit('.').next().unwrap_or_default();
        match (&self.form, last) {
            (Some(Form::Own), "when") => json!({"$ref": "#/$defs/pattern"}),
            (Some(Form::Own), "event") => json!({"type": ["string", "object"]}),
            (Some(Form::Own), "now") => json!({"type": "string"}),
            (_, "retry") => json!({"anyOf": [self.object(path), durations(), duration()]}),
            (None | Some(Form::Own), _) => self.object(path),
            (Some(form), _) => plain(form),
        }
    }

    fn object(&self, path: &str) -> Value {
        let mut properties = Map::new();
        for (name, node) in &self.below {
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            properties.insert(name.clone(), node.described(&below));
        }
        json!({"type": "object", "properties": properties, "additionalProperties": false})
    }
}

/// `[sink.NAME]`: any name, and below it the keys of one kind.
fn named_by_kind(node: &Node, section: &str) -> Value {
    let kinds = node.below.iter().map(|(kind, below)| {
        let mut table = below.object(&format!("{section}.{kind}"));
        table["properties"]["kind"] = json!({"const": kind});
        table["required"] = json!([&["kind"], needed(&format!("{section}.{kind}"))].concat());
        for (key, form) in open_tables(kind) {
            table["properties"][key] = form;
        }
        table
    });
    let kinds: Vec<Value> = kinds.collect();
    json!({"type": "object", "additionalProperties": {"oneOf": kinds}})
}

/// Tables of a kind whose keys are the user's own words.
fn open_tables(kind: &str) -> Vec<(&'static str, Value)> {
    let words = json!({"type": "object", "additionalProperties": {"type": "string"}});
    match kind {
        "callback" => vec![("headers", words.clone()), ("statuses", words)],
        "dingtalk" => {
            let text = json!({"type": "string"});
            let button = json!({
                "type": "object",
                "properties": {"title": text, "url": text},
                "required": ["title", "url"],
                "additionalProperties": false,
            });
            let robot = json!({
                "type": "object",
                "properties": {"webhook": text, "secret": text},
                "required": ["webhook"],
                "additionalProperties": false,
            });
            vec![
                ("buttons", json!({"type": "array", "items": button})),
                (
                    "robots",
                    json!({"type": "array", "items": robot, "minItems": 1}),
                ),
            ]
        }
        _ => Vec::new(),
    }
}

fn plain(form: &Form) -> Value {
    let text = json!({"type": "string"});
    match form {
        Form::Text | Form::Own => text,
        Form::Texts => json!({"anyOf": [text, {"type": "array", "items": text}]}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Number(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
        Form::Fraction => json!({"type": "number"}),
        Form::Duration => duration(),
        Form::Durations => durations(),
        Form::Size => json!({"type": "string", "pattern": "^[0-9]+ ?(B|[KMGT]iB|kB|MB)$"}),
        Form::Word(words) => json!({"enum": words}),
    }
}

fn duration() -> Value {
    json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"})
}

fn durations() -> Value {
    json!({"type": "array", "items": duration()})
}

/// A default, which is written as TOML; a size stands there as its bytes and is left out.
fn written_as_json(default: &str) -> Option<Value> {
    serde_json::from_str(default)
        .ok()
        .filter(|value: &Value| !value.is_u64() || default.len() < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reader must miss each of them too.
    #[test]
    fn what_is_needed_is_missed() {
        let reader = Reader {
            environment: &Nothing,
            strictness: Strictness::Check,
            kinds: herald_sinks::ALL,
        };
        for (table, keys) in NEEDED {
            let text = match table.split_once('.') {
                Some((section, kind)) => format!("[{section}.one]\nkind = \"{kind}\"\n"),
                None => format!("[[{table}]]\n"),
            };
            let refused = reader.parse(&text, "f", Path::new(".")).unwrap_err();
            let said: Vec<_> = refused.problems.iter().map(ToString::to_string).collect();
            for key in keys {
                let missed = [format!("has no `{key}`"), format!(".one.{key}`")];
                let names = |line: &&String| missed.iter().any(|words| line.contains(words));
                assert!(said.iter().any(|line| names(&line)), "{key}: {said:?}");
            }
        }
    }

    #[test]
    fn every_key_of_the_file_is_described() {
        let schema = schema(herald_sinks::ALL);
        let at = |pointer: &str| schema.pointer(pointer).unwrap_or(&Value::Null).clone();
        assert_eq!(at("/properties/server/properties/drain/default"), "30s");
        assert_eq!(at("/properties/server/properties/token/type"), "array");
        assert_eq!(
            at("/properties/subscription/items/properties/when/$ref"),
            "#/$defs/pattern"
        );
        assert_eq!(at("/$defs/pattern/type"), "object");
        let kinds = at("/properties/sink/additionalProperties/oneOf");
        assert_eq!(
            kinds.as_array().map(Vec::len),
            Some(herald_sinks::ALL.len())
        );
        assert_eq!(kinds[0]["properties"]["kind"]["const"], "callback");
        assert_eq!(
            kinds[0]["properties"]["allow_addresses"]["anyOf"][0]["type"],
            "string"
        );
    }

    /// `HERALD_BLESS=1 cargo test` writes it anew.
    #[test]
    fn the_checked_in_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json");
        let mut current = serde_json::to_string_pretty(&schema(herald_sinks::ALL)).unwrap();
        current.push('\n');
        if std::env::var_os("HERALD_BLESS").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == current,
            "docs/config.schema.json is old; run HERALD_BLESS=1 cargo test schema"
        );
    }
}
