//! A sink from the text of its table.

use std::path::Path;

use herald_model::settings::{Environment, Reading, Table};
use herald_model::{Sink, SinkConfig, SinkKind};
use toml::de::DeTable;

/// What the examples of the kinds name in `${env:…}`.
pub(crate) const SECRETS: [(&str, &str); 4] = [
    ("CALLBACK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    (
        "DINGTALK_WEBHOOK",
        "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef",
    ),
    ("DINGTALK_SECRET", "SEC0123456789abcdef0123456789abcdef"),
    ("SMTP_PASSWORD", "correct horse battery staple"),
];

/// An environment that holds [`SECRETS`].
pub(crate) struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        SECRETS
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

/// What reading a table came to.
pub(crate) struct Read {
    pub(crate) config: Option<Box<dyn SinkConfig>>,
    /// Errors and warnings, each the bytes it is about and its text.
    pub(crate) mistakes: Vec<(String, String)>,
    /// Whether one of them refuses the file.
    pub(crate) is_refused: bool,
    /// The keys that were asked for, below the sink's name.
    pub(crate) keys: Vec<String>,
}

/// Reads the first `[sink.NAME]` table of `toml` as `kind`, as the root package does: the common
/// keys first, then the kind's, then a word on every key that nobody asked for.
pub(crate) fn read(kind: &SinkKind, toml: &str) -> Read {
    let document = DeTable::parse(toml).unwrap();
    let reading = Reading::new(&Fixed, Path::new("/"), false);
    let file = Table::new(&reading, document.get_ref(), document.span(), "");
    let (_, mut table) = file.named("sink").remove(0);
    assert_eq!(table.text("kind").optional().as_deref(), Some(kind.name));
    let config = (kind.configure)(&mut table);
    table.finish();
    let is_refused = reading.has_errors();
    let (mistakes, keys) = reading.into_parts();
    let keys = keys
        .into_iter()
        .filter_map(|key| Some(key.path.splitn(3, '.').nth(2)?.to_owned()))
        .collect();
    let mistakes = mistakes
        .into_iter()
        .map(|mistake| (toml[mistake.span].to_owned(), mistake.text))
        .collect();
    Read {
        config,
        mistakes,
        is_refused,
        keys,
    }
}

/// The sink of a table with these keys.
#[track_caller]
pub(crate) fn sink(kind: &SinkKind, keys: &str) -> Box<dyn Sink> {
    let read = read(kind, &table(kind, keys));
    assert!(!read.is_refused, "{:?}", read.mistakes);
    read.config.unwrap().connect().unwrap()
}

/// The only mistake in a table with these keys.
#[track_caller]
pub(crate) fn mistake(kind: &SinkKind, keys: &str) -> String {
    let mut mistakes = read(kind, &table(kind, keys)).mistakes;
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0).1
}

fn table(kind: &SinkKind, keys: &str) -> String {
    format!("[sink.it]\nkind = \"{}\"\n{keys}", kind.name)
}
