//! The configuration: one TOML file, checked whole, then plain data that the program relies on.
//!
//! - [`Reader`] reads a file and gives a [`Config`] or every mistake in it, each with its place,
//! - `server`, `journal`, `source`, `sink`, `subscription`, `test`: one file per section, with what
//!   the section means and how it is read,
//! - `problem`: mistakes and their places; `environment`: where references to secrets lead.
//!
//! Reading opens nothing but what `${file:…}` names: sinks are checked here and made elsewhere.

mod environment;
mod journal;
mod problem;
mod server;
mod sink;
mod source;
mod subscription;
mod templates;
mod test;

use std::path::Path;
use std::sync::Arc;

use herald_model::SinkKind;
use herald_model::settings::{Environment, Key};

pub use environment::Machine;
pub use journal::{Engine, Journal};
pub use problem::{Place, Problem, Refused};
pub use server::{Limits, Role, Server, Token};
pub use sink::{Language, Limit, Sink, SinkPolicy};
pub use source::{Account, Source, SourceKind, Trust};
pub use subscription::{Form, Subscription};
pub use templates::Templates;
pub use test::{Route, Test, TestEvent};

/// A configuration that was checked whole. Names are unique per kind of thing, and every name that
/// is referred to exists.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[journal]`.
    pub journal: Journal,
    /// `[[account]]`, in the file's order.
    pub accounts: Vec<Account>,
    /// `[source.NAME]`, by name.
    pub sources: Vec<Source>,
    /// `[sink.NAME]`, by name.
    pub sinks: Vec<Sink>,
    /// `[[subscription]]`, in the file's order.
    pub subscriptions: Vec<Subscription>,
    /// `[[test]]`, in the file's order.
    pub tests: Vec<Test>,
}

/// How much must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// To run: a variable or secret file that is missing is a mistake.
    Serve,
    /// To check a file where its secrets are not: they are warnings.
    Check,
}

/// What reads a configuration.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Where `${env:…}` and `${file:…}` lead.
    pub environment: &'a dyn Environment,
    /// How much must be there.
    pub strictness: Strictness,
    /// The kinds of sinks that may be configured.
    pub kinds: &'a [SinkKind],
}

/// A file that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What should be looked at, in the order of the file.
    pub warnings: Vec<Problem>,
    /// Every key that was asked for, with its default: what a complete list of keys must hold.
    pub keys: Vec<Key>,
}

impl Reader<'_> {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or it holds mistakes: all of them.
    pub fn load(&self, path: &Path) -> Result<Loaded, Refused> {
        let _ = path;
        Err(Refused {
            problems: Vec::new(),
        })
    }

    /// Reads `text`, the content of the file that the user calls `file` and whose paths are
    /// relative to `base`. Opens nothing itself.
    ///
    /// # Errors
    /// All mistakes of the text.
    pub fn parse(&self, text: &str, file: &str, base: &Path) -> Result<Loaded, Refused> {
        let _ = (text, file, base, problem::placed, problem::syntax);
        Err(Refused {
            problems: Vec::new(),
        })
    }
}

impl Config {
    /// The account `id`, if it is listed.
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// The source `name`.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The sink `name`.
    pub fn sink(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| *sink.name == *name)
    }

    /// Name and canonical text of each subscription, as the journal keeps them.
    pub fn subscription_texts(&self) -> Vec<(Arc<str>, Arc<str>)> {
        Vec::new()
    }
}
