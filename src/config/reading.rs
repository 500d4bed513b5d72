//! What the sections share when they are read.

use std::ops::Range;

use herald_model::SinkKind;
use herald_model::settings::{Reading, Table, Written};
use toml::de::{DeTable, DeValue};

/// The file that is being read.
pub(super) struct File<'t> {
    /// Its text, in which spans are counted.
    pub(super) text: &'t str,
    /// The kinds of sinks that may be configured.
    pub(super) kinds: &'t [SinkKind],
    /// Stands in for a section that the file does not have.
    pub(super) nothing: &'t DeTable<'t>,
}

impl<'t> File<'t> {
    /// The table under `key`, or an empty one, so that defaults hold and are listed.
    pub(super) fn section(&self, table: &Table<'t>, key: &str) -> Table<'t> {
        table.note(key, None);
        let path = table.path_of(key);
        let (entries, span) = match table.raw(key) {
            None => (self.nothing, table.span()),
            Some(value) => match value.get_ref() {
                DeValue::Table(entries) => (entries, value.span()),
                _ => {
                    let text = format!("`{path}`: must be a table; write [{path}]");
                    table.reading().mistake(value.span(), text);
                    (self.nothing, value.span())
                }
            },
        };
        Table::new(table.reading(), entries, span, path)
    }
}

/// Whether a table stands under `key`.
pub(super) fn has_table(table: &Table<'_>, key: &str) -> bool {
    let value = table.raw(key).map(toml::Spanned::get_ref);
    matches!(value, Some(DeValue::Table(_)))
}

/// A name in `[key.NAME]`.
pub(super) struct Named<'t> {
    pub(super) name: &'t str,
    pub(super) span: Range<usize>,
    /// `None` where something else than a table was reported.
    pub(super) table: Option<Table<'t>>,
}

/// What stands under `key` as `[key.NAME]` writes it; `None` when `key` itself is no table.
pub(super) fn named<'t>(root: &Table<'t>, key: &str) -> Option<Vec<Named<'t>>> {
    root.note(key, None);
    let Some(value) = root.raw(key) else {
        return Some(Vec::new());
    };
    let reading = root.reading();
    let DeValue::Table(entries) = value.get_ref() else {
        let text = format!("`{key}`: each {key} is a table with a name; write [{key}.NAME]");
        reading.mistake(value.span(), text);
        return None;
    };
    let one = |(name, value): (&'t toml::Spanned<_>, &'t toml::Spanned<DeValue<'t>>)| {
        let word: &str = AsRef::<str>::as_ref(name.get_ref());
        let path = format!("{key}.{word}");
        let table = match value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(reading, entries, value.span(), path)),
            _ => {
                let text =
                    format!("`{path}`: each {key} is a table with a name; write [{key}.NAME]");
                reading.mistake(name.span(), text);
                None
            }
        };
        Named {
            name: word,
            span: name.span(),
            table,
        }
    };
    Some(entries.iter().map(one).collect())
}

/// Longest name of a source, a sink or a token, in characters. Chosen: they stand in routes,
/// metrics and columns.
pub(super) const NAME_MAX: usize = 64;

/// Checks a name that stands in routes and commands: letters, digits, `-` and `_`.
pub(super) fn check_name(reading: &Reading<'_>, span: Range<usize>, what: &str, name: &str) {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        reading.mistake(
            span,
            format!("a {what}'s name is made of letters, digits, `-` and `_`; rename it"),
        );
    } else if name.len() > NAME_MAX {
        reading.mistake(
            span,
            format!("a {what}'s name has at most {NAME_MAX} characters; shorten it"),
        );
    }
}

/// The texts read from the list under `key`, each with its place.
pub(super) fn with_places(
    table: &Table<'_>,
    key: &str,
    texts: Vec<String>,
) -> Vec<(String, Range<usize>)> {
    let items = match table.raw(key).map(toml::Spanned::get_ref) {
        // Where one was refused, the others have moved up.
        Some(DeValue::Array(items)) if items.len() == texts.len() => {
            items.iter().map(toml::Spanned::span).collect()
        }
        _ => vec![table.span_of(key); texts.len()],
    };
    texts.into_iter().zip(items).collect()
}

/// How many items were written under `key`; a value that is no list is one.
pub(super) fn items_of(table: &Table<'_>, key: &str) -> usize {
    match table.raw(key).map(toml::Spanned::get_ref) {
        None => 0,
        Some(DeValue::Array(items)) => items.len(),
        Some(_) => 1,
    }
}

/// Whether `key` holds a list without items.
pub(super) fn is_empty_list(table: &Table<'_>, key: &str) -> bool {
    table.names().any(|name| name == key) && items_of(table, key) == 0
}

/// Whether nothing stands under `key`: no key, an empty list, an empty table.
pub(super) fn is_empty(table: &Table<'_>, key: &str) -> bool {
    match table.raw(key).map(toml::Spanned::get_ref) {
        Some(DeValue::Table(entries)) => entries.is_empty(),
        _ => items_of(table, key) == 0,
    }
}

/// Names as they stand in a message.
pub(super) fn names_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// One of a few words, or `default`.
pub(super) fn word_or<T: Copy + PartialEq>(
    table: &Table<'_>,
    key: &str,
    choices: &[(&'static str, T)],
    default: T,
) -> T {
    let word = |&(written, means)| (written, Word { written, means });
    let words: Vec<_> = choices.iter().map(word).collect();
    let written = choices
        .iter()
        .find(|(_, means)| *means == default)
        .map_or("", |(written, _)| written);
    let default = Word {
        written,
        means: default,
    };
    table.word(key, &words).or(default).means
}

/// A word and what it means, so that a default can be listed as it is written.
#[derive(Clone, Copy)]
struct Word<T> {
    written: &'static str,
    means: T,
}

impl<T> Written for Word<T> {
    fn written(&self) -> String {
        self.written.written()
    }
}

/// A number that fits the machine; the ranges asked for do.
pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
