//! What one pass over a file gathers.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Something in the file that must, or should, be put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the file it is about.
    pub span: Range<usize>,
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// What is wrong and what to do, in words that follow a colon. Never holds a secret.
    pub text: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; somebody should look.
    Warning,
}

/// A key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Full path, `sink.ops-mail.timeout`.
    pub path: String,
    /// What holds without it, as TOML; `None` where there is no default.
    pub default: Option<String>,
    /// What may stand there.
    pub form: Form,
}

/// What may stand under a key, for descriptions of the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// A list of strings, or one string.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number, from and to.
    Number(u64, u64),
    /// A number.
    Fraction,
    /// A duration such as `"10s"`.
    Duration,
    /// A list of durations.
    Durations,
    /// A size such as `"64 KiB"`.
    Size,
    /// One of these words.
    Word(Vec<String>),
    /// Something with a grammar of its own: a table, a list of tables, a pattern.
    Own,
}

/// Where `${env:…}` and `${file:…}` lead.
pub trait Environment {
    /// Value of an environment variable; `None` when it is not set.
    fn variable(&self, name: &str) -> Option<String>;

    /// Content of a file.
    ///
    /// # Errors
    /// Why it cannot be read, in words that follow a colon.
    fn file(&self, path: &Path) -> Result<String, String>;
}

/// One pass over a file: what was wrong, and which keys were asked for.
pub struct Reading<'t> {
    environment: &'t dyn Environment,
    /// Folder of the file: relative paths start here.
    base: PathBuf,
    /// An unset variable is a warning, not an error.
    lenient: bool,
    mistakes: RefCell<Vec<Mistake>>,
    keys: RefCell<Vec<Key>>,
}

impl<'t> Reading<'t> {
    /// A pass over a file in folder `base`. With `lenient`, an unset variable is a warning (for
    /// checking a file on a machine that does not hold its secrets).
    pub fn new(environment: &'t dyn Environment, base: &Path, lenient: bool) -> Self {
        Self {
            environment,
            base: base.to_owned(),
            lenient,
            mistakes: RefCell::default(),
            keys: RefCell::default(),
        }
    }

    /// Notes a mistake.
    pub fn mistake(&self, span: Range<usize>, text: impl Into<String>) {
        self.push(span, Severity::Error, text.into());
    }

    /// Notes something that should be looked at.
    pub fn warning(&self, span: Range<usize>, text: impl Into<String>) {
        self.push(span, Severity::Warning, text.into());
    }

    fn push(&self, span: Range<usize>, severity: Severity, text: String) {
        let mistake = Mistake {
            span,
            severity,
            text,
        };
        let mut mistakes = self.mistakes.borrow_mut();
        if !mistakes.contains(&mistake) {
            mistakes.push(mistake);
        }
    }

    pub(super) fn note_key(&self, key: Key) {
        self.keys.borrow_mut().push(key);
    }

    pub(super) fn environment(&self) -> &dyn Environment {
        self.environment
    }

    pub(super) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// `path` as seen from the file.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Whether an error was noted so far.
    pub fn has_errors(&self) -> bool {
        self.mistakes
            .borrow()
            .iter()
            .any(|mistake| mistake.severity == Severity::Error)
    }

    /// Everything noted, in the order of the file.
    pub fn into_parts(self) -> (Vec<Mistake>, Vec<Key>) {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| (mistake.span.start, mistake.severity));
        (mistakes, self.keys.into_inner())
    }
}

/// The candidate that `word` was probably meant to be, as `; did you mean …?`; empty when none is
/// near.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = |candidate: &&str| {
        let distance = strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
        distance <= 1 + candidate.chars().count() / 5
    };
    candidates
        .into_iter()
        .filter(near)
        .min_by_key(|candidate| strsim::damerau_levenshtein(word, candidate))
        .map_or_else(String::new, |candidate| {
            format!("; did you mean `{candidate}`?")
        })
}
