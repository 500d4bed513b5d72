//! Where `${env:…}` and `${file:…}` lead on a real machine.

use std::path::Path;

use herald_model::settings::Environment;

/// The variables of this process and the files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Environment for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|why| why.to_string())
    }
}
