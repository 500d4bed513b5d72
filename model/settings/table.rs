//! A table of the file, handing out values by key and type; `nested` hands out tables within it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;

use super::found::{Found, State};
use super::reading::{Form, Key, Reading, did_you_mean};
use super::text::{Unresolved, resolve};
use crate::duration;
use crate::secret::Secret;

mod nested;
mod size;

use size::{parse_size, size_text};

/// One table. Ask for every key it may hold, then call [`finish`](Self::finish).
pub struct Table<'t> {
    reading: &'t Reading<'t>,
    entries: &'t DeTable<'t>,
    span: Range<usize>,
    path: String,
    asked: RefCell<Vec<String>>,
}

impl<'t> Table<'t> {
    /// The table `entries` at `path` (empty for the whole file).
    pub fn new(
        reading: &'t Reading<'t>,
        entries: &'t DeTable<'t>,
        span: Range<usize>,
        path: impl Into<String>,
    ) -> Self {
        Self {
            reading,
            entries,
            span,
            path: path.into(),
            asked: RefCell::default(),
        }
    }

    /// Where mistakes go.
    pub fn reading(&self) -> &'t Reading<'t> {
        self.reading
    }

    /// Bytes of the table's header or braces.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Full path of this table.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Full path of a key of this table.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Bytes of the value of `key`, or of the table where it is absent.
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.entries
            .get(key)
            .map_or_else(|| self.span(), Spanned::span)
    }

    /// The value of `key` as it stands; counts as asked for.
    pub fn raw(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().push(key.to_owned());
        self.entries.get(key)
    }

    /// Text, with references resolved. Empty text is refused.
    pub fn text(&self, key: &str) -> Found<'t, String> {
        self.read(key, Form::Text, |value| {
            self.string(value).and_then(not_empty)
        })
    }

    /// Text that must not be seen.
    pub fn secret(&self, key: &str) -> Found<'t, Secret> {
        self.read(key, Form::Text, |value| {
            self.string(value)
                .and_then(not_empty)
                .map(|text| text.map(Secret::new))
        })
    }

    /// A list of texts; a single text stands for a list of one.
    pub fn texts(&self, key: &str) -> Found<'t, Vec<String>> {
        self.list(key, "a list of strings", Form::Texts, Ok)
    }

    /// A list of networks; a bare address is a network of one. Host bits are masked, since
    /// vendors print such ranges.
    pub fn networks(&self, key: &str) -> Found<'t, Vec<IpNet>> {
        self.list(key, "a list of networks", Form::Texts, |text| {
            let net = text.parse::<IpNet>().ok();
            net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
                .map(|net| net.trunc())
                .ok_or_else(|| format!("`{text}` is no network; write one as in \"10.20.0.0/16\""))
        })
    }

    /// An address of the web.
    pub fn url(&self, key: &str) -> Found<'t, Url> {
        self.read(key, Form::Text, |value| {
            let Some(text) = self.string(value)? else {
                return Ok(None);
            };
            match Url::parse(&text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                    Ok(Some(url))
                }
                // The text may hold a token, so it is not repeated.
                _ => Err("this is no http:// or https:// URL".to_owned()),
            }
        })
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Found<'t, bool> {
        self.read(key, Form::Flag, |value| match value {
            DeValue::Boolean(flag) => Ok(Some(*flag)),
            other => Err(unlike("true or false", other)),
        })
    }

    /// A whole number in `range`.
    pub fn number(&self, key: &str, range: RangeInclusive<u64>) -> Found<'t, u64> {
        let form = Form::Number(*range.start(), *range.end());
        self.read(key, form, |value| {
            let DeValue::Integer(integer) = value else {
                return Err(unlike("a whole number", value));
            };
            i128::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .and_then(|number| u64::try_from(number).ok())
                .filter(|number| range.contains(number))
                .map(Some)
                .ok_or_else(|| {
                    format!(
                        "must be a whole number from {} to {}",
                        range.start(),
                        range.end()
                    )
                })
        })
    }

    /// A number with a fraction.
    pub fn fraction(&self, key: &str) -> Found<'t, f64> {
        self.read(key, Form::Fraction, |value| {
            let text = match value {
                DeValue::Float(float) => float.as_str(),
                DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
                other => return Err(unlike("a number", other)),
            };
            text.parse()
                .map(Some)
                .map_err(|_| format!("`{text}` is no number"))
        })
    }

    /// A duration such as `"10s"`, in `range`.
    pub fn duration(&self, key: &str, range: RangeInclusive<Duration>) -> Found<'t, Duration> {
        self.read(key, Form::Duration, |value| {
            let Some(text) = self.string(value)? else {
                return Ok(None);
            };
            let duration = duration::parse(&text)?;
            if range.contains(&duration) {
                return Ok(Some(duration));
            }
            let [from, to] = [range.start(), range.end()].map(|edge| duration::write(*edge));
            Err(format!("must be a duration from {from} to {to}"))
        })
    }

    /// A list of durations.
    pub fn durations(&self, key: &str) -> Found<'t, Vec<Duration>> {
        self.list(key, "a list of durations", Form::Durations, |text| {
            duration::parse(&text)
        })
    }

    /// A size such as `"256 KiB"`, in bytes, in `range`.
    pub fn size(&self, key: &str, range: RangeInclusive<u64>) -> Found<'t, u64> {
        self.read(key, Form::Size, |value| {
            let Some(text) = self.string(value)? else {
                return Ok(None);
            };
            let size = parse_size(&text)?;
            if range.contains(&size) {
                return Ok(Some(size));
            }
            Err(format!(
                "must be a size from {} to {}",
                size_text(*range.start()),
                size_text(*range.end())
            ))
        })
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Found<'t, T> {
        let words = choices.iter().map(|(word, _)| (*word).to_owned()).collect();
        self.read(key, Form::Word(words), |value| {
            let Some(text) = self.string(value)? else {
                return Ok(None);
            };
            choices
                .iter()
                .find(|(word, _)| *word == text)
                .map(|(_, choice)| Some(*choice))
                .ok_or_else(|| {
                    let words: Vec<_> = choices
                        .iter()
                        .map(|(word, _)| format!("`{word}`"))
                        .collect();
                    let near = did_you_mean(&text, choices.iter().map(|(word, _)| *word));
                    format!("`{text}` is none of {}{near}", words.join(", "))
                })
        })
    }

    /// A path, relative to the file.
    pub fn file(&self, key: &str) -> Found<'t, PathBuf> {
        self.read(key, Form::Text, |value| {
            let text = self.string(value).and_then(not_empty)?;
            Ok(text.map(|text| self.reading.resolve(&text)))
        })
    }

    /// Names of the keys that stand in the table.
    pub fn names(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.entries.keys().map(|name| name.get_ref().as_ref())
    }

    /// The TOML of this table, for readers of another grammar.
    pub fn entries(&self) -> &'t DeTable<'t> {
        self.entries
    }

    /// Notes a key for the list of keys without reading it.
    pub fn note(&self, key: &str, default: Option<&str>) {
        let default = default.map(str::to_owned);
        self.reading.note_key(Key {
            path: self.path_of(key),
            default,
            form: Form::Own,
        });
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for (name, _) in self.entries {
            let word: &str = name.get_ref();
            if asked.iter().any(|key| key == word) {
                continue;
            }
            let near = did_you_mean(word, asked.iter().map(String::as_str));
            let place = if self.path.is_empty() {
                "the file"
            } else {
                &self.path
            };
            let remedy = if near.is_empty() {
                "; remove it".to_owned()
            } else {
                near
            };
            self.reading.mistake(
                name.span(),
                format!("unknown key `{word}` in {}{remedy}", quoted(place)),
            );
        }
    }

    fn read<T>(
        &self,
        key: &str,
        form: Form,
        parse: impl FnOnce(&DeValue<'_>) -> Result<Option<T>, String>,
    ) -> Found<'t, T> {
        let state = match self.raw(key) {
            None => State::Missing,
            Some(value) => match parse(value.get_ref()) {
                Ok(Some(parsed)) => State::Given(parsed),
                Ok(None) => State::Unusable,
                Err(what) => {
                    self.reading
                        .mistake(value.span(), format!("`{}`: {what}", self.path_of(key)));
                    State::Unusable
                }
            },
        };
        Found {
            reading: self.reading,
            path: self.path_of(key),
            table_span: self.span(),
            form,
            state,
        }
    }

    fn list<T>(
        &self,
        key: &str,
        wanted: &'static str,
        form: Form,
        parse: impl Fn(String) -> Result<T, String>,
    ) -> Found<'t, Vec<T>> {
        self.read(key, form, |value| {
            let DeValue::Array(items) = value else {
                return Ok(
                    match self.string(value).map_err(|_| unlike(wanted, value))? {
                        Some(text) => Some(vec![parse(text)?]),
                        None => None,
                    },
                );
            };
            let mut read = Vec::with_capacity(items.len());
            for item in items {
                match self.string(item.get_ref()) {
                    Ok(Some(text)) => match parse(text) {
                        Ok(one) => read.push(one),
                        Err(what) => self.item_mistake(key, item, &what),
                    },
                    Ok(None) => return Ok(None),
                    Err(what) => self.item_mistake(key, item, &what),
                }
            }
            Ok(Some(read))
        })
    }

    fn item_mistake(&self, key: &str, item: &Spanned<DeValue<'_>>, what: &str) {
        self.reading
            .mistake(item.span(), format!("`{}`: {what}", self.path_of(key)));
    }

    /// The text of a string value; `Ok(None)` where a variable is not set in a lenient pass.
    fn string(&self, value: &DeValue<'_>) -> Result<Option<String>, String> {
        let DeValue::String(text) = value else {
            return Err(unlike("a string", value));
        };
        match resolve(text, self.reading) {
            Ok(text) => Ok(Some(text)),
            Err(Unresolved::Wrong(what)) => Err(what),
            Err(Unresolved::Unset(what)) if self.reading.is_lenient() => {
                self.reading.warning(self.span_of_value(value), what);
                Ok(None)
            }
            Err(Unresolved::Unset(what)) => Err(what),
        }
    }

    /// Bytes of `value`, found by identity among this table's entries and their items.
    fn span_of_value(&self, value: &DeValue<'_>) -> Range<usize> {
        let is_it = |entry: &&Spanned<DeValue<'_>>| std::ptr::addr_eq(entry.get_ref(), value);
        let items = |entry: &'t Spanned<DeValue<'t>>| match entry.get_ref() {
            DeValue::Array(items) => items.iter().collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let mut all = self
            .entries
            .values()
            .chain(self.entries.values().flat_map(items));
        all.find(is_it).map_or_else(|| self.span(), Spanned::span)
    }
}

fn not_empty(text: Option<String>) -> Result<Option<String>, String> {
    match text {
        Some(text) if text.is_empty() => Err("must not be empty".to_owned()),
        other => Ok(other),
    }
}

fn unlike(wanted: &str, value: &DeValue<'_>) -> String {
    let is = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("must be {wanted}, but is {is}")
}

fn quoted(place: &str) -> String {
    if place == "the file" {
        place.to_owned()
    } else {
        format!("`{place}`")
    }
}
