//! Published cases that stand outside the repository.

use std::path::PathBuf;

/// The folder `name` of the published cases; `None`, with the reason printed, where it is absent.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if !folder.is_dir() {
        println!(
            "SKIPPED: {} is absent; the published cases are not part of the repository",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// The lines of a file of JSON documents.
pub(crate) fn rows(file: &std::path::Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
