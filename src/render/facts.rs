//! What the built-in texts say about an event, before it is marked up.

use herald_model::{Event, Item, Language};
use jiff::tz::TimeZone;

use super::words::{self, Label};

/// Longest title in characters. Chosen: what a phone shows of a subject, with room; far under the
/// 998 octets of a mail header line (RFC 5322, 2.1.1) also in Chinese.
const TITLE_MAX: usize = 160;

/// Longest value of a fact in characters. Chosen; the whole stands on the event's page.
const VALUE_MAX: usize = 600;

/// Where and how built-in texts are read.
#[derive(Debug, Clone)]
pub struct Setting {
    /// In which language.
    pub language: Language,
    /// In which zone times are written.
    pub time_zone: TimeZone,
    /// Address of the console, without a slash at the end; `None` leaves links out.
    pub console_url: Option<String>,
}

/// One event, told.
pub(super) struct Facts {
    /// All of it on one line.
    pub(super) line: String,
    pub(super) headline: String,
    pub(super) meaning: Option<String>,
    pub(super) rows: Vec<Row>,
    pub(super) link: Option<String>,
}

/// One fact.
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// Whether it is what somebody looks for first.
    pub(super) is_main: bool,
}

/// `[WARN] AttachNetworkInterface failed: eni-… (cn-hangzhou)`.
pub(super) fn title(event: &Event, setting: &Setting) -> String {
    one_line(&format!("[{}] {}", event.level, line(event, setting)))
}

/// The same without the level.
pub(super) fn line(event: &Event, setting: &Setting) -> String {
    let what = headline(event, setting.language);
    let about = match &event.eni {
        Some(eni) => eni.id.as_str(),
        None => short_resource(event),
    };
    words::line(&what, about, &event.region_id, setting.language)
}

/// One line without control characters, cut to the longest title.
pub(super) fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(spaced.trim(), TITLE_MAX)
}

/// `text` cut to `max` characters, with a mark where something is missing.
pub(super) fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let head: String = text.chars().take(max.saturating_sub(1)).collect();
    format!("{head}…")
}

pub(super) fn headline(event: &Event, language: Language) -> String {
    match &event.eni {
        Some(eni) => words::headline(eni, language),
        None if event.product.is_empty() => event.name.clone(),
        None => format!("{} {}", event.product, event.name),
    }
}

/// The event's page in the console.
pub(super) fn page(console: &str, event: &Event) -> String {
    format!("{console}/events/{}", event.id)
}

/// The part of the ARN that people know a resource by.
fn short_resource(event: &Event) -> &str {
    event
        .resource_id
        .as_deref()
        .and_then(|arn| arn.rsplit([':', '/']).next())
        .unwrap_or_default()
}

/// Tells one item. `subscriptions` are all that the message names for its event.
pub(super) fn facts(item: &Item, subscriptions: &[&str], setting: &Setting) -> Facts {
    let event = &item.event;
    let language = setting.language;
    let headline = headline(event, language);
    let mut rows = Vec::new();
    let mut row = |label: Label, value: &str| {
        if !value.is_empty() {
            rows.push(Row {
                label: label.word(language),
                value: cut(value, VALUE_MAX),
                is_main: label.is_main(),
            });
        }
    };
    if let Some(eni) = &event.eni {
        row(Label::Eni, &eni.id);
        row(Label::Status, eni.status.as_str());
        // Where the headline says it in other words.
        if !headline.contains(eni.operation.as_str()) {
            row(Label::Operation, eni.operation.as_str());
        }
    } else {
        row(
            Label::Resource,
            event.resource_id.as_deref().unwrap_or_default(),
        );
    }
    row(Label::Region, &event.region_id);
    row(Label::Account, &event.user_id);
    let time = event.occurred_at.to_zoned(setting.time_zone.clone());
    row(
        Label::Time,
        &time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
    );
    match &event.eni {
        Some(eni) => row(Label::Request, &eni.request_id),
        None => row(Label::Content, &content(event)),
    }
    row(Label::Subscription, &subscriptions.join(", "));
    row(Label::Event, &event.id.to_string());
    Facts {
        line: one_line(&line(event, setting)),
        headline,
        meaning: event
            .eni
            .as_ref()
            .and_then(|eni| words::meaning(eni, language)),
        rows,
        link: setting
            .console_url
            .as_ref()
            .map(|console| page(console, event)),
    }
}

/// The content of an event that Herald has no words for, as JSON.
fn content(event: &Event) -> String {
    use herald_rules::json;
    let limits = json::Limits {
        depth_max: json::Limits::DEPTH_CEILING,
    };
    json::parse(event.text.as_bytes(), limits)
        .ok()
        .and_then(|parsed| parsed.value.get("content").map(ToString::to_string))
        .unwrap_or_default()
}
