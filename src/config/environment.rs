//! Where `${env:…}` and `${file:…}` lead.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use herald_model::Secret;
use herald_model::settings::Environment;

/// The variables of this process and the files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

/// Bytes of a secret's file. Chosen: keys and tokens are far smaller, and a device file without
/// end must not hang the start.
const SECRET_FILE_MAX: u64 = 64 << 10;

impl Environment for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let mut text = String::new();
        let file = File::open(path).map_err(|why| why.to_string())?;
        file.take(SECRET_FILE_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|why| why.to_string())?;
        if text.len() as u64 > SECRET_FILE_MAX {
            return Err(format!(
                "it holds more than {SECRET_FILE_MAX} bytes (SECRET_FILE_MAX)"
            ));
        }
        Ok(text)
    }
}

/// An environment that remembers what it gave away, so that it can be cut from messages: a
/// reference may stand in a key whose mistakes repeat the value.
pub(super) struct Remembering<'e> {
    environment: &'e dyn Environment,
    given: RefCell<Vec<Secret>>,
}

impl<'e> Remembering<'e> {
    pub(super) fn new(environment: &'e dyn Environment) -> Self {
        Self {
            environment,
            given: RefCell::default(),
        }
    }

    /// `text` without anything that was given away.
    pub(super) fn redact(&self, text: &str) -> String {
        let given = self.given.borrow();
        given
            .iter()
            .fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    fn remember(&self, value: &str) {
        self.given
            .borrow_mut()
            .push(Secret::new(value.trim_end_matches(['\r', '\n'])));
    }
}

impl Environment for Remembering<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let value = self.environment.variable(name)?;
        self.remember(&value);
        Some(value)
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let content = self.environment.file(path)?;
        self.remember(&content);
        Ok(content)
    }
}
