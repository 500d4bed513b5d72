//! The built-in texts: what a sink sends when no template says otherwise.

use herald_model::event::Level;
use herald_model::{Item, Link, Markup};

use super::facts::{self, Facts, Row, Setting};
use super::{html, words};

/// The events of a message, each with all subscriptions that want it, and how they are told.
pub(super) struct Told<'a> {
    entries: Vec<Entry<'a>>,
    title: String,
    setting: &'a Setting,
}

/// One event of the message with all subscriptions that want it.
struct Entry<'a> {
    item: &'a Item,
    subscriptions: Vec<&'a str>,
}

impl<'a> Told<'a> {
    pub(super) fn new(items: &'a [Item], setting: &'a Setting) -> Self {
        let entries = by_event(items);
        let title = match entries.as_slice() {
            [entry] => facts::title(&entry.item.event, setting),
            several => facts::one_line(&summary(several, setting)),
        };
        Self {
            entries,
            title,
            setting,
        }
    }

    /// One line: of several events how many of which level.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The event's page; of several events the console's first.
    pub(super) fn link(&self) -> Option<Link> {
        let console = self.setting.console_url.as_deref()?;
        let url = match self.entries.as_slice() {
            [entry] => facts::page(console, &entry.item.event),
            _ => format!("{console}/"),
        };
        Some(Link {
            title: words::open_in_console(self.setting.language).to_owned(),
            url,
        })
    }

    /// The text in this markup.
    pub(super) fn text(&self, markup: Markup) -> String {
        match markup {
            Markup::Plain | Markup::Mail => self.plain(),
            Markup::DingTalk => self.dingtalk(),
            Markup::Body => String::new(),
        }
    }

    /// The same as a document of its own, behind `notes`.
    pub(super) fn html(&self, notes: &[String]) -> String {
        html::page(&self.title, self.facts(), notes, self.setting.language)
    }

    /// Each event, told. Event content is hostile: no control character reaches a text.
    fn facts(&self) -> impl Iterator<Item = (Level, Facts)> {
        self.entries.iter().map(|entry| {
            let mut facts = facts::facts(entry.item, &entry.subscriptions, self.setting);
            facts.line = printable(&facts.line);
            facts.headline = printable(&facts.headline);
            facts.meaning = facts.meaning.as_deref().map(printable);
            for row in &mut facts.rows {
                row.value = printable(&row.value);
            }
            (entry.item.event.level, facts)
        })
    }

    fn plain(&self) -> String {
        let mut out = String::new();
        if self.entries.len() > 1 {
            out.push_str(&self.title);
            out.push_str("\n\n");
            // First what there is, at a glance; then each in full.
            for (level, facts) in self.facts() {
                out.push_str(&format!("{level} {}\n", facts.line));
            }
            out.push('\n');
        }
        for (index, (level, facts)) in self.facts().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            out.push_str(&format!("[{level}] {}\n", facts.headline));
            if let Some(meaning) = &facts.meaning {
                out.push_str(meaning);
                out.push('\n');
            }
            out.push('\n');
            let labels = facts.rows.iter().map(|row| columns(row.label));
            let width = labels.max().unwrap_or(0);
            for Row { label, value, .. } in &facts.rows {
                let pad = " ".repeat(width - columns(label) + 2);
                out.push_str(&format!("{label}{pad}{value}\n"));
            }
            if let Some(link) = &facts.link {
                let open = words::open_in_console(self.setting.language);
                out.push_str(&format!("\n{open}\n{link}\n"));
            }
        }
        out
    }

    fn dingtalk(&self) -> String {
        use herald_sinks::dingtalk::escape;
        let mut out = String::new();
        if self.entries.len() > 1 {
            out.push_str(&format!("### {}\n\n", escape(&self.title)));
        }
        for (level, facts) in self.facts() {
            let headline = escape(&facts.headline);
            out.push_str(&format!("#### {} {headline}\n\n", badge(level)));
            if let Some(meaning) = &facts.meaning {
                out.push_str(&format!("{}\n\n", escape(meaning)));
            }
            for Row { label, value, .. } in &facts.rows {
                out.push_str(&format!("- **{label}**: {}\n", escape(value)));
            }
            out.push('\n');
            if let Some(link) = &facts.link {
                let open = words::open_in_console(self.setting.language);
                out.push_str(&format!("[{open}]({link})\n\n"));
            }
        }
        out.truncate(out.trim_end().len());
        out
    }
}

/// Deliveries of one event by several subscriptions are told once.
fn by_event(items: &[Item]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for item in items {
        match entries
            .iter_mut()
            .find(|entry| entry.item.event.id == item.event.id)
        {
            Some(entry) => entry.subscriptions.push(&item.subscription),
            None => entries.push(Entry {
                item,
                subscriptions: vec![&item.subscription],
            }),
        }
    }
    entries
}

fn summary(entries: &[Entry<'_>], setting: &Setting) -> String {
    let count = |level: Level| {
        let found = entries
            .iter()
            .filter(|entry| entry.item.event.level == level)
            .count();
        (found > 0).then_some((level.as_str(), found))
    };
    let by_level: Vec<_> = Level::URGENT_FIRST.into_iter().filter_map(count).collect();
    words::summary(entries.len(), &by_level, setting.language)
}

/// Columns a terminal or mail client gives a label: Chinese characters take two.
fn columns(label: &str) -> usize {
    label
        .chars()
        .map(|c| if c.is_ascii() { 1 } else { 2 })
        .sum()
}

/// The text without control characters and without the marks that reorder what is shown.
fn printable(text: &str) -> String {
    let is_unfit = |c: char| {
        c.is_control()
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    text.chars()
        .map(|c| if is_unfit(c) { ' ' } else { c })
        .collect()
}

/// A level at a glance: colour where the client draws it, and the word for whoever does not see it.
fn badge(level: Level) -> &'static str {
    match level {
        Level::Info => "🟢 INFO",
        Level::Warn => "🟠 WARN",
        Level::Critical => "🔴 CRITICAL",
    }
}
