//! What every kind of source owes, checked for each that [`ALL`] lists.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use herald_model::settings::{Environment, Reading, Table};
use toml::de::DeTable;

use super::{ALL, SourceConfig, SourceKind};

/// A secret that must be printed nowhere.
const SECRET: &str = "hunter2-hunter2-hunter2";

/// A machine on which every secret is set, to the same.
struct Everything;

impl Environment for Everything {
    fn variable(&self, _: &str) -> Option<String> {
        Some(SECRET.to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok(SECRET.to_owned())
    }
}

/// Reads a `[source.NAME]` table by its kind alone: the settings and the mistakes.
fn read(kind: &SourceKind, text: &str) -> (Option<Arc<dyn SourceConfig>>, Vec<String>) {
    let document = DeTable::parse(text).unwrap();
    let reading = Reading::new(&Everything, Path::new("."), false);
    let root = Table::new(&reading, document.get_ref(), document.span(), "");
    let (_, table) = root.named("source").remove(0);
    // What every kind has is the configuration's to read.
    for key in ["kind", "accounts", "products", "trust"] {
        table.raw(key);
    }
    if kind.is_brought {
        table.raw("token");
        table.raw("allow_from");
    }
    let settings = (kind.configure)(&table);
    table.finish();
    let (mistakes, _) = reading.into_parts();
    let texts = mistakes.into_iter().map(|mistake| mistake.text).collect();
    (settings, texts)
}

/// The settings of a correct table of the kind `name`.
#[track_caller]
pub(super) fn settings(name: &str, text: &str) -> Arc<dyn SourceConfig> {
    let kind = ALL.iter().find(|kind| kind.name == name).unwrap();
    let (settings, mistakes) = read(kind, text);
    assert_eq!(mistakes, [""; 0]);
    settings.unwrap()
}

#[track_caller]
fn example(kind: &SourceKind) -> Arc<dyn SourceConfig> {
    let (settings, mistakes) = read(kind, kind.example);
    assert_eq!(mistakes, [""; 0], "{}", kind.name);
    settings.unwrap()
}

#[test]
fn names_are_unique_and_in_order() {
    let names: Vec<_> = ALL.iter().map(|kind| kind.name).collect();
    let unique: HashSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert!(names.is_sorted());
    assert!(ALL.iter().all(|kind| kind.summary.ends_with('.')));
}

#[test]
fn the_example_is_accepted_and_an_unknown_key_is_not() {
    for kind in ALL {
        example(kind);
        let text = kind.example.replace("kind =", "kinf = 1\nkind =");
        let (_, mistakes) = read(kind, &text);
        assert!(
            mistakes.iter().any(|text| text.contains("`kinf`")),
            "{}: {mistakes:?}",
            kind.name
        );
    }
}

#[test]
fn no_secret_is_printed() {
    for kind in ALL {
        let printed = format!("{:?}", example(kind));
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn settings_are_equal_to_themselves_and_to_no_other_kinds() {
    for kind in ALL {
        for other in ALL {
            let same = example(kind).equals(&*example(other));
            assert_eq!(
                same,
                kind.name == other.name,
                "{} {}",
                kind.name,
                other.name
            );
        }
    }
}
