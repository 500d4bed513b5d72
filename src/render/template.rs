//! Templates of configuration: minijinja with fuel, strict undefined, no file access.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use herald_model::{Event, Item};
use herald_rules::json::{Limits, Value as Json, parse};
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, context};

use super::facts::Setting;
use super::json;

/// Steps one rendering may take. Chosen: a digest of a thousand items takes a tenth of it.
const FUEL: u64 = 500_000;

/// Longest text a template may make, in bytes. Chosen: far above any sink's own limit; minijinja
/// bounds the steps but not the output.
const OUTPUT_MAX: usize = 1 << 20;

/// Which part of a message a template says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// One line.
    Title,
    /// The text in the sink's markup.
    Text,
    /// The same as HTML; values are escaped for it.
    Html,
    /// The exact body, for kinds that send one: JSON, in which each value is written as JSON.
    Body,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Title, Self::Text, Self::Html, Self::Body];

    /// The key in the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Text => "text",
            Self::Html => "html",
            Self::Body => "body",
        }
    }
}

/// A template that does not compile, or failed at run time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template `{part}`, line {line}: {what}")]
pub struct TemplateError {
    /// Which one.
    pub part: &'static str,
    /// Line within the template, from 1; 0 where it is not known.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl TemplateError {
    pub(super) fn of(part: Part, error: &minijinja::Error) -> Self {
        let detail = match error.kind() {
            ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps"),
            kind => error
                .detail()
                .map_or_else(|| kind.to_string(), str::to_owned),
        };
        Self {
            part: part.key(),
            line: error.line().unwrap_or_default(),
            what: detail,
        }
    }
}

/// The compiled templates of a sink or a subscription. Cloning is cheap.
#[derive(Clone)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
    sources: BTreeMap<Part, String>,
}

impl Default for Templates {
    fn default() -> Self {
        Self {
            environment: Arc::new(environment()),
            sources: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

/// What templates see.
pub(super) struct Context<'a> {
    pub(super) items: &'a [Item],
    pub(super) setting: &'a Setting,
}

impl Templates {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Compiles the parts that are there.
    ///
    /// # Errors
    /// Every template that does not compile, with its line.
    pub fn compile(sources: BTreeMap<Part, String>) -> Result<Self, Vec<(Part, TemplateError)>> {
        let mut environment = environment();
        let mut errors = Vec::new();
        for (part, source) in &sources {
            if let Err(error) = environment.add_template_owned(part.key(), source.clone()) {
                errors.push((*part, TemplateError::of(*part, &error)));
            }
        }
        if errors.is_empty() {
            Ok(Self {
                environment: Arc::new(environment),
                sources,
            })
        } else {
            Err(errors)
        }
    }

    /// These templates, with those of `under` for the parts that are missing here.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        if self.sources.is_empty() {
            return under.clone();
        }
        let mut sources = under.sources.clone();
        sources.extend(self.sources.clone());
        // Both were compiled before, so this cannot fail; the sink's stand in if it does.
        Self::compile(sources).unwrap_or_else(|_| under.clone())
    }

    /// The part of a message; `None` where no template says it.
    pub(super) fn render(
        &self,
        part: Part,
        context: &Context<'_>,
    ) -> Option<Result<String, TemplateError>> {
        // Asking the library for what is not there costs a formatted error.
        self.sources.get(&part)?;
        let template = self.environment.get_template(part.key()).ok()?;
        Some(rendered(part, &template, context).map_err(|(error, _)| error))
    }
}

/// What a template makes of `context`; else why not, with the library's kind of it (none where the
/// text was too long).
pub(super) fn rendered(
    part: Part,
    template: &minijinja::Template<'_, '_>,
    context: &Context<'_>,
) -> Result<String, (TemplateError, Option<ErrorKind>)> {
    let mut out = Bounded(Vec::new());
    match template.render_captured_to(context.value(part), &mut out) {
        Ok(_) => {
            let text = String::from_utf8_lossy(&out.0).into_owned();
            match part {
                Part::Body => sound_body(text).map_err(|error| (error, None)),
                Part::Title | Part::Text | Part::Html => Ok(text),
            }
        }
        Err(_) if out.0.len() >= OUTPUT_MAX => {
            let what = format!("the text is longer than {OUTPUT_MAX} bytes");
            let (part, line) = (part.key(), 0);
            Err((TemplateError { part, line, what }, None))
        }
        Err(error) => Err((TemplateError::of(part, &error), Some(error.kind()))),
    }
}

/// Takes a body that is JSON.
fn sound_body(text: String) -> Result<String, TemplateError> {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(TemplateError {
            part: Part::Body.key(),
            line: 0,
            what: format!(
                "what it makes is no JSON ({error}); values are written as JSON, quotes and all, \
                 so `{{{{ … }}}}` stands without quotes around it"
            ),
        }),
    }
}

/// What every template may do: no files, a bounded number of steps, no name that means nothing.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| match name {
        "html" => AutoEscape::Html,
        "body" => AutoEscape::Json,
        _ => AutoEscape::None,
    });
    environment.set_formatter(json::print);
    environment.add_filter("tojson", |value: Value| json::tojson(&value));
    environment.add_filter("markdown", |text: String| {
        herald_sinks::dingtalk::escape(&text)
    });
    environment
}

impl Context<'_> {
    fn value(&self, part: Part) -> Value {
        let event = |item: &Item| event(&item.event, part);
        let events: Vec<Value> = self.items.iter().map(event).collect();
        let first = self.items.first();
        context! {
            event => events.first().cloned(),
            events => events,
            subscription => first.map(|item| context! { name => item.subscription.as_ref() }),
            delivery => first.map(|item| context! { id => item.delivery.to_string() }),
            console_url => self.setting.console_url.as_deref(),
        }
    }
}

/// The canonical form, with Herald's id as `herald_id`.
fn event(event: &Event, part: Part) -> Value {
    let limits = Limits {
        depth_max: Limits::DEPTH_CEILING,
    };
    let parsed = parse(event.text.as_bytes(), limits);
    let mut members: BTreeMap<String, Value> = match parsed.map(|parsed| parsed.value) {
        Ok(Json::Object(object)) => object
            .iter()
            .map(|(key, value)| (key.to_owned(), convert(value, part)))
            .collect(),
        _ => BTreeMap::new(),
    };
    members.insert("herald_id".to_owned(), event.id.to_string().into());
    Value::from_pairs(members)
}

fn convert(value: &Json, part: Part) -> Value {
    match value {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        // A number that no integer holds stays the sender's text: a float would change it.
        Json::Number(number) => match (number.as_i64(), part) {
            (Some(integer), _) if integer.to_string() == number.as_str() => Value::from(integer),
            (_, Part::Body) => json::number(number),
            (_, Part::Title | Part::Text | Part::Html) => Value::from(number.as_str()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => elements.iter().map(|one| convert(one, part)).collect(),
        Json::Object(object) => Value::from_pairs(
            object
                .iter()
                .map(|(key, value)| (key.to_owned(), convert(value, part))),
        ),
    }
}

/// Takes at most [`OUTPUT_MAX`] bytes.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = OUTPUT_MAX.saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::Error::other("the text is too long"));
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
