//! What a missing value means.

use std::ops::Range;
use std::time::Duration;

use super::reading::{Form, Key, Reading};
use crate::duration;

/// The value of a key, before it is said what its absence means.
#[must_use]
pub struct Found<'t, T> {
    pub(super) reading: &'t Reading<'t>,
    pub(super) path: String,
    /// Of the table, for saying where a key is missing.
    pub(super) table_span: Range<usize>,
    pub(super) form: Form,
    pub(super) state: State<T>,
}

pub(super) enum State<T> {
    Given(T),
    Missing,
    /// A mistake was reported, or a variable is not set in a lenient pass.
    Unusable,
}

impl<T> Found<'_, T> {
    /// The value; `None` where the key is absent or unusable.
    pub fn optional(self) -> Option<T> {
        self.reading.note_key(Key {
            path: self.path,
            default: None,
            form: self.form,
        });
        match self.state {
            State::Given(value) => Some(value),
            State::Missing | State::Unusable => None,
        }
    }

    /// The value; an absent key is a mistake, with `example` as the remedy.
    pub fn required(self, example: &str) -> Option<T> {
        if matches!(self.state, State::Missing) {
            let (table, key) = self
                .path
                .rsplit_once('.')
                .unwrap_or(("the file", &self.path));
            self.reading.mistake(
                self.table_span.clone(),
                format!("`{table}` has no `{key}`; add one, for example {key} = {example}"),
            );
        }
        self.optional()
    }
}

impl<T: Written> Found<'_, T> {
    /// The value; `default` where the key is absent or unusable.
    pub fn or(self, default: T) -> T {
        self.reading.note_key(Key {
            path: self.path,
            default: Some(default.written()),
            form: self.form,
        });
        match self.state {
            State::Given(value) => value,
            State::Missing | State::Unusable => default,
        }
    }
}

/// How a default reads in TOML.
pub trait Written {
    /// As TOML.
    fn written(&self) -> String;
}

impl Written for bool {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for u64 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for f64 {
    fn written(&self) -> String {
        format!("{self:?}")
    }
}

impl Written for String {
    fn written(&self) -> String {
        format!("{self:?}")
    }
}

impl Written for &str {
    fn written(&self) -> String {
        format!("{self:?}")
    }
}

impl Written for Duration {
    fn written(&self) -> String {
        format!("{:?}", duration::write(*self))
    }
}

impl<T: Written> Written for Vec<T> {
    fn written(&self) -> String {
        let items: Vec<_> = self.iter().map(Written::written).collect();
        format!("[{}]", items.join(", "))
    }
}

impl Written for ipnet::IpNet {
    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}
