//! The built-in texts: what a sink sends when no template says otherwise.

use herald_model::event::Level;
use herald_model::{Item, Markup, Rendered};

use super::facts::{self, Facts, Setting};
use super::words;

/// One event of the message with all subscriptions that want it.
struct Entry<'a> {
    item: &'a Item,
    subscriptions: Vec<&'a str>,
}

/// The built-in text of a message. Never fails and follows from its arguments alone.
pub(super) fn render(items: &[Item], markup: Markup, setting: &Setting) -> Rendered {
    let entries = by_event(items);
    let title = title(&entries, setting);
    let text = match markup {
        Markup::Plain => plain(&title, &entries, setting),
        Markup::DingTalk => dingtalk(&title, &entries, setting),
        Markup::Body => String::new(),
    };
    Rendered {
        title,
        text,
        html: None,
        body: None,
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

fn title(entries: &[Entry<'_>], setting: &Setting) -> String {
    match entries {
        [entry] => facts::title(&entry.item.event, setting),
        _ => facts::one_line(&summary(entries, setting)),
    }
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

fn told<'a>(
    entries: &'a [Entry<'_>],
    setting: &'a Setting,
) -> impl Iterator<Item = (Level, Facts)> + 'a {
    entries.iter().map(|entry| {
        (
            entry.item.event.level,
            facts::facts(entry.item, &entry.subscriptions, setting),
        )
    })
}

fn plain(title: &str, entries: &[Entry<'_>], setting: &Setting) -> String {
    let mut out = String::new();
    if entries.len() > 1 {
        out.push_str(title);
        out.push_str("\n\n");
    }
    for (index, (level, facts)) in told(entries, setting).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        out.push_str(&format!("[{level}] {}\n", printable(&facts.headline)));
        if let Some(meaning) = &facts.meaning {
            out.push_str(&printable(meaning));
            out.push('\n');
        }
        out.push('\n');
        let width = facts
            .rows
            .iter()
            .map(|(label, _)| columns(label))
            .max()
            .unwrap_or(0);
        for (label, value) in &facts.rows {
            let pad = " ".repeat(width - columns(label) + 2);
            out.push_str(&format!("{label}{pad}{}\n", printable(value)));
        }
        if let Some(link) = &facts.link {
            out.push_str(&format!("\n{link}\n"));
        }
    }
    out
}

/// Columns a terminal or mail client gives a label: Chinese characters take two.
fn columns(label: &str) -> usize {
    label
        .chars()
        .map(|c| if c.is_ascii() { 1 } else { 2 })
        .sum()
}

/// Event content is hostile: no control character reaches a mail.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn dingtalk(title: &str, entries: &[Entry<'_>], setting: &Setting) -> String {
    use herald_sinks::dingtalk::escape;
    let mut out = String::new();
    if entries.len() > 1 {
        out.push_str(&format!("### {}\n\n", escape(title)));
    }
    for (level, facts) in told(entries, setting) {
        out.push_str(&format!(
            "#### {} {}\n\n",
            badge(level),
            escape(&printable(&facts.headline))
        ));
        if let Some(meaning) = &facts.meaning {
            out.push_str(&format!("{}\n\n", escape(&printable(meaning))));
        }
        for (label, value) in &facts.rows {
            out.push_str(&format!("- **{label}**: {}\n", escape(&printable(value))));
        }
        out.push('\n');
        if let Some(link) = &facts.link {
            out.push_str(&format!("[{link}]({link})\n\n"));
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// A level at a glance: colour where the client draws it, and the word for whoever does not see it.
fn badge(level: Level) -> &'static str {
    match level {
        Level::Info => "🟢 INFO",
        Level::Warn => "🟠 WARN",
        Level::Critical => "🔴 CRITICAL",
    }
}
