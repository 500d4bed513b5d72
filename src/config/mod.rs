//! The configuration: one TOML file, checked whole, then plain data that the program relies on.
//!
//! - [`Reader`] reads a file and gives a [`Config`] or every mistake in it, each with its place,
//! - `server` (with `limits`, `tls`, `token`), `journal`, `source`, `sink` (with `retry`, `templates`),
//!   `subscription` (with `condition`, `fields`, `canonical`), `test` (with `json`): one section
//!   each, what it means and how it is read,
//! - `reading`: what the sections share; `problem`: mistakes and their places; `environment`: where
//!   references to secrets lead.
//!
//! Reading opens the file and what its `${file:…}` name, nothing else: sinks are checked here and
//! made elsewhere.

mod canonical;
mod condition;
mod environment;
mod fields;
mod journal;
mod json;
mod limits;
mod problem;
mod reading;
mod retry;
mod schema;
mod server;
mod shadow;
mod sink;
mod source;
mod subscription;
mod templates;
mod test;
mod tls;
mod token;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use herald_model::SinkKind;
use herald_model::settings::{Environment, Key, Reading, Severity, Table};
use toml::de::DeTable;

use environment::Remembering;
use reading::is_empty;

pub use canonical::StoredTextError;
pub use environment::Machine;
pub use journal::{Engine, Journal};
pub use limits::Limits;
pub use problem::{Place, Problem, Refused};
pub use schema::schema;
pub use server::Server;
pub use sink::{Limit, Sink, SinkPolicy};
pub use source::{Account, Source, Trust};
pub use subscription::Subscription;
pub use templates::Templates;
pub use test::{Route, Test, TestEvent};
pub use tls::Tls;
pub use token::{Role, Token};

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

/// Bytes of a configuration. Chosen: ten thousand subscriptions take about 3 MiB.
const CONFIG_MAX: u64 = 16 << 20;

impl Reader<'_> {
    /// Reads the file at `path`. Messages name it by that path.
    ///
    /// # Errors
    /// The file cannot be read, or it holds mistakes: all of them.
    pub fn load(&self, path: &Path) -> Result<Loaded, Refused> {
        let name = path.display().to_string();
        let base = path.parent().unwrap_or(Path::new(""));
        match content(path) {
            Ok(text) => self.parse(&text, &name, base),
            Err(text) => Err(Refused {
                problems: vec![Problem {
                    file: name,
                    place: None,
                    severity: Severity::Error,
                    text,
                }],
            }),
        }
    }

    /// Reads `text`, the content of the file that messages call `file` and whose paths are relative
    /// to `base`. Opens nothing itself.
    ///
    /// # Errors
    /// All mistakes of the text. Where it is no TOML, those alone: what a broken line meant to say
    /// is anyone's guess.
    pub fn parse(&self, text: &str, file: &str, base: &Path) -> Result<Loaded, Refused> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problems = problem::placed(file, text, problem::syntax(text, &errors));
            return Err(Refused { problems });
        }
        let environment = Remembering::new(self.environment);
        let lenient = self.strictness == Strictness::Check;
        let reading = Reading::new(&environment, base, lenient);
        let nothing = DeTable::new();
        let config = read(
            &reading::File {
                text,
                kinds: self.kinds,
                nothing: &nothing,
            },
            Table::new(&reading, document.get_ref(), document.span(), ""),
        );
        let refused = reading.has_errors();
        let (mut mistakes, keys) = reading.into_parts();
        for mistake in &mut mistakes {
            mistake.text = environment.redact(&mistake.text);
        }
        let problems = problem::placed(file, text, mistakes);
        if refused {
            return Err(Refused { problems });
        }
        Ok(Loaded {
            config,
            warnings: problems,
            keys,
        })
    }
}

/// The content of the file, or why there is none, in words that follow a colon.
fn content(path: &Path) -> Result<String, String> {
    let unreadable = |why: std::io::Error| format!("cannot read the file: {why}");
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(CONFIG_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > CONFIG_MAX {
        return Err(format!(
            "the file is larger than {CONFIG_MAX} bytes (CONFIG_MAX)"
        ));
    }
    String::from_utf8(bytes).map_err(|why| {
        let offset = why.utf8_error().valid_up_to();
        format!("byte {offset} of the file is not UTF-8; save it as UTF-8")
    })
}

/// Reads every section, the later ones also where an earlier one has mistakes.
fn read<'t>(file: &reading::File<'t>, root: Table<'t>) -> Config {
    let server = server::read(file, &root);
    let journal = journal::read(file, &root);
    let accounts = source::read_accounts(&root);
    let sources = source::read_sources(&root);
    let sinks = sink::read_all(file, &root);
    let subscriptions = subscription::read_all(file, &root, &sinks);
    let tests = test::read_all(file, &root, &subscriptions);
    for (key, written) in [
        ("sink", "[sink.NAME]"),
        ("subscription", "[[subscription]]"),
    ] {
        if is_empty(&root, key) {
            let text = format!("there is no {written}, so events are kept but nobody is told");
            root.reading().warning(0..0, text);
        }
    }
    root.finish();
    Config {
        server,
        journal,
        accounts,
        sources,
        sinks: sinks.read,
        subscriptions: subscriptions.read,
        tests,
    }
}

impl Config {
    /// Reads the file at `path` on this machine, with the kinds of sinks of this build.
    ///
    /// # Errors
    /// See [`Reader::load`].
    pub fn load(path: &Path, strictness: Strictness) -> Result<Loaded, Refused> {
        let reader = Reader {
            environment: &Machine,
            strictness,
            kinds: herald_sinks::ALL,
        };
        reader.load(path)
    }

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
        self.subscriptions
            .iter()
            .map(|subscription| (Arc::clone(&subscription.name), subscription.text()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
