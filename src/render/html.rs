//! The built-in text as HTML: the same words as the plain one, in tables that mail programs leave
//! alone. It holds no script and nothing that would be fetched, and names no colour of text or page
//! but in the bands of levels and on buttons, so that dark modes can turn it over.

use askama::Template as _;
use herald_model::Language;
use herald_model::event::Level;

use super::facts::{Facts, Row};
use super::words;

#[derive(askama::Template)]
#[template(path = "mail.html")]
struct Page<'a> {
    lang: &'static str,
    title: &'a str,
    notes: &'a [String],
    entries: Vec<Entry>,
    /// On the button that opens an event in the console.
    open: &'static str,
}

/// One event.
struct Entry {
    level: &'static str,
    colour: &'static str,
    line: String,
    headline: String,
    meaning: Option<String>,
    rows: Vec<Row>,
    link: Option<String>,
}

/// A whole document. `notes` stand first: what went wrong in making the text.
pub(super) fn page(
    title: &str,
    told: impl Iterator<Item = (Level, Facts)>,
    notes: &[String],
    language: Language,
) -> String {
    let entries = told.map(|(level, facts)| Entry {
        level: level.as_str(),
        colour: colour(level),
        line: facts.line,
        headline: facts.headline,
        meaning: facts.meaning,
        rows: facts.rows,
        link: facts.link,
    });
    let page = Page {
        lang: language.tag(),
        title,
        notes,
        entries: entries.collect(),
        open: words::open_in_console(language),
    };
    // It is written to memory, which does not fail.
    page.render().unwrap_or_default()
}

/// Dark enough for white words: a contrast of 5 and more (WCAG 2.2, 1.4.3 wants 4.5).
fn colour(level: Level) -> &'static str {
    match level {
        Level::Info => "#1b6e3c",
        Level::Warn => "#b45309",
        Level::Critical => "#b3141e",
    }
}
