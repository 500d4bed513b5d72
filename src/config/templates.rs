//! `title`, `text`, `html` and `body`: texts that stand in for the built-in ones.

use std::sync::Arc;

use herald_model::settings::{Table, did_you_mean};

use super::fields;
use crate::render::{Part, try_out};

/// Templates of a sink or a subscription; a subscription's win over its sink's, one by one. They
/// were tried on events of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Templates {
    /// One line: a mail's subject, a chat message's title.
    pub title: Option<Arc<str>>,
    /// The text in the sink's markup.
    pub text: Option<Arc<str>>,
    /// The same as HTML.
    pub html: Option<Arc<str>>,
    /// The whole body of a callback.
    pub body: Option<Arc<str>>,
}

/// Reads the four keys from the table of a sink or a subscription.
pub(super) fn read(table: &Table<'_>) -> Templates {
    Templates {
        title: template(table, Part::Title),
        text: template(table, Part::Text),
        html: template(table, Part::Html),
        body: template(table, Part::Body),
    }
}

fn template(table: &Table<'_>, part: Part) -> Option<Arc<str>> {
    let key = part.key();
    let text = table.text(key).optional()?;
    let (reading, span) = (table.reading(), table.span_of(key));
    let path = table.path_of(key);
    // In a template of several lines the place of the key is not enough.
    let place = |line: usize| match line {
        1.. if text.trim_end().contains('\n') => format!("`{path}`, line {line}"),
        _ => format!("`{path}`"),
    };
    let tried = match try_out(part, &text) {
        Ok(tried) => tried,
        Err(error) => {
            reading.mistake(span, format!("{}: {}", place(error.line), error.what));
            return None;
        }
    };
    let mut is_sound = true;
    for (name, line) in &tried.names {
        match unknown(name) {
            None => {}
            Some(Unknown::Never(why)) => {
                reading.mistake(span.clone(), format!("{}: {why}", place(*line)));
                is_sound = false;
            }
            Some(Unknown::Perhaps(why)) => {
                reading.warning(span.clone(), format!("{}: {why}", place(*line)));
            }
        }
    }
    if let Some(error) = tried.fails {
        reading.warning(
            span,
            format!(
                "{}: on some events it fails, and the built-in text stands in: {}",
                place(error.line),
                error.what
            ),
        );
    }
    is_sound.then(|| Arc::from(text))
}

/// Why a name of a template means nothing.
enum Unknown {
    /// To no event.
    Never(String),
    /// To no event that is known.
    Perhaps(String),
}

/// What templates see, each with its fields where these are all.
const SEEN: [(&str, &[&str]); 5] = [
    ("event", &[]),
    ("events", &[]),
    ("subscription", &["name"]),
    ("delivery", &["id"]),
    ("console_url", &[]),
];

/// Names that functions of the template language have.
const FUNCTIONS: [&str; 4] = ["range", "dict", "namespace", "debug"];

/// What is wrong with `name`, as `event.content.eniId`.
fn unknown(name: &str) -> Option<Unknown> {
    let path: Vec<&str> = name.split('.').collect();
    let (top, rest) = path.split_first()?;
    if FUNCTIONS.contains(top) {
        return None;
    }
    let Some((_, below)) = SEEN.iter().find(|(seen, _)| seen == top) else {
        let near = did_you_mean(top, SEEN.map(|(seen, _)| seen));
        let all = SEEN.map(|(seen, _)| format!("`{seen}`")).join(", ");
        return Some(Unknown::Never(format!(
            "templates do not see `{top}`, but {all}{near}"
        )));
    };
    match rest {
        [field, ..] if !below.is_empty() && !below.contains(field) => {
            let near = did_you_mean(field, below.iter().copied());
            Some(Unknown::Never(format!("there is no `{top}.{field}`{near}")))
        }
        [_, ..] if *top == "event" => fields::unlikely(rest).map(Unknown::Perhaps),
        _ => None,
    }
}
