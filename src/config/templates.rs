//! `title`, `text`, `html` and `body`: texts that stand in for the built-in ones.

use std::sync::Arc;

use herald_model::settings::Table;

/// Templates of a sink or a subscription; a subscription's win over its sink's, one by one. Their
/// syntax was checked.
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
        title: template(table, "title"),
        text: template(table, "text"),
        html: template(table, "html"),
        body: template(table, "body"),
    }
}

fn template(table: &Table<'_>, key: &str) -> Option<Arc<str>> {
    let text = table.text(key).optional()?;
    let environment = minijinja::Environment::empty();
    match environment.template_from_str(&text) {
        Ok(_) => Some(Arc::from(text)),
        Err(error) => {
            let line = error.line().map_or_else(String::new, |line| {
                format!(" in line {line} of the template")
            });
            // Its words name tokens of the grammar, never the text between them.
            let what = error.detail().unwrap_or("this is no template");
            let path = table.path_of(key);
            table
                .reading()
                .mistake(table.span_of(key), format!("`{path}`: {what}{line}"));
            None
        }
    }
}
