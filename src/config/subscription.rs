//! `[[subscription]]`: who wants to hear of which events.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use herald_model::event::{Addressee, Form, Owner};
use herald_model::settings::{Table, did_you_mean};
use herald_rules::Pattern;

use super::condition;
use super::reading::{File, items_of, with_places};
use super::shadow;
use super::sink::Sinks;
use super::templates::{self, Templates};

/// Who wants to hear of which events.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Its name, unique among subscriptions: one line of at most 128 characters.
    pub name: Arc<str>,
    /// Names of the sinks to use, in the file's order; never empty, none twice.
    pub to: Vec<Arc<str>>,
    /// The condition; `None`: every event.
    pub pattern: Option<Pattern>,
    /// Whose events.
    pub owner: Owner,
    /// Which form of the event the pattern tests.
    pub form: Form,
    /// Age, counted from receipt, at which what is not delivered yet is suppressed, 1s to 365d, by
    /// default 24h: as long as the default schedule goes on trying.
    pub expires: Duration,
    /// Texts that stand in for those of the sink.
    pub templates: Templates,
}

/// [`Form::CloudEvents`] in the file and in stored texts.
pub(super) const CLOUD_EVENTS: &str = "cloudevents";

/// Longest name of a subscription, in characters. Chosen: names are sentences of a few words, and
/// stand in columns and subjects.
const SUBSCRIPTION_NAME_MAX: usize = 128;

const DAY: Duration = Duration::from_secs(86_400);

/// The subscriptions of a file.
pub(super) struct Subscriptions {
    /// Those without a mistake.
    pub(super) read: Vec<Subscription>,
    /// What other sections may refer to, also of subscriptions with a mistake, so that one mistake
    /// is reported once. `None` when one has no name that could be read.
    pub(super) known: Option<Vec<Known>>,
}

/// What is known of a subscription, with a mistake or without.
pub(super) struct Known {
    pub(super) name: String,
    /// Its sinks; `None` where the list has a mistake.
    pub(super) to: Option<Vec<Arc<str>>>,
}

/// Reads every `[[subscription]]`.
pub(super) fn read_all<'t>(file: &File<'t>, root: &Table<'t>, sinks: &Sinks<'_>) -> Subscriptions {
    root.note("subscription", None);
    let mut read = Vec::new();
    let mut places = Vec::new();
    let mut known: Option<Vec<Known>> = Some(Vec::new());
    for table in root.tables("subscription") {
        let name = name(&table, known.as_deref().unwrap_or_default());
        let to = to(&table, sinks);
        if let Some(one) = read_one(file, &table, name.as_deref(), to.clone()) {
            places.push(place(&table));
            read.push(one);
        }
        known = match (known, name) {
            (Some(mut known), Some(name)) => {
                known.push(Known { name, to });
                Some(known)
            }
            _ => None,
        };
        table.finish();
    }
    let placed: Vec<_> = read.iter().zip(places).collect();
    shadow::warn(root.reading(), &placed);
    Subscriptions { read, known }
}

/// Where the condition stands, or the name of a subscription without one.
fn place(table: &Table<'_>) -> Range<usize> {
    let key = ["when", "pattern", "name"]
        .into_iter()
        .find(|key| table.names().any(|name| name == *key));
    table.span_of(key.unwrap_or("name"))
}

fn read_one<'t>(
    file: &File<'t>,
    table: &Table<'t>,
    name: Option<&str>,
    to: Option<Vec<Arc<str>>>,
) -> Option<Subscription> {
    let form = form(table);
    let owner = owner(table);
    let pattern = condition::read(file, table, form);
    let expires = table
        .duration("expires", Duration::from_secs(1)..=365 * DAY)
        .or(DAY);
    let templates = templates::read(table);
    Some(Subscription {
        name: Arc::from(name?),
        to: to?,
        pattern: pattern.ok()?,
        owner: owner?,
        form,
        expires,
        templates,
    })
}

fn name(table: &Table<'_>, others: &[Known]) -> Option<String> {
    let name = table.text("name").required("\"failed operations\"")?;
    let mistake = |text: String| table.reading().mistake(table.span_of("name"), text);
    if name.chars().count() > SUBSCRIPTION_NAME_MAX
        || name.chars().any(char::is_control)
        || name.trim() != name
    {
        mistake(format!(
            "`subscription.name`: a name is one line of at most {SUBSCRIPTION_NAME_MAX} \
             characters, without spaces around it; rename it"
        ));
    }
    if others.iter().any(|other| other.name == name) {
        mistake(format!(
            "there are two subscriptions named `{name}`; names are unique, rename one"
        ));
    }
    Some(name)
}

fn to(table: &Table<'_>, sinks: &Sinks<'_>) -> Option<Vec<Arc<str>>> {
    let names = table.texts("to").required("[\"ops-mail\"]")?;
    let reading = table.reading();
    let written = items_of(table, "to");
    if written == 0 {
        reading.mistake(
            table.span_of("to"),
            "`subscription.to`: an empty list reaches nobody; name a sink, or remove the \
             subscription",
        );
    }
    let mut to: Vec<Arc<str>> = Vec::new();
    for (name, span) in with_places(table, "to", names) {
        if to.iter().any(|other| **other == *name) {
            let text = format!("`subscription.to`: `{name}` is named twice; remove one");
            reading.mistake(span, text);
        } else if let Some(known) = &sinks.names
            && !known.contains(&name.as_str())
        {
            let near = did_you_mean(&name, known.iter().copied());
            let remedy = if near.is_empty() { "; add one" } else { &near };
            let text = format!("`subscription.to`: there is no sink `{name}`{remedy}");
            reading.mistake(span, text);
        } else {
            to.push(Arc::from(name));
        }
    }
    (to.len() == written && written > 0).then_some(to)
}

fn form(table: &Table<'_>) -> Form {
    let choices = [(CLOUD_EVENTS, Form::CloudEvents)];
    table.word("form", &choices).optional().unwrap_or_default()
}

fn owner(table: &Table<'_>) -> Option<Owner> {
    let written = table.names().any(|name| name == "owner");
    let Some(text) = table.text("owner").optional() else {
        return (!written).then_some(Owner::Users);
    };
    let owner = parse_owner(&text);
    if owner.is_none() {
        table.reading().mistake(
            table.span_of("owner"),
            format!(
                "`subscription.owner`: `{text}` is no addressee; write \"user:ID\", \
                 \"service:ID\" or \"*\" for all"
            ),
        );
    }
    owner
}

/// Reads `*`, `user:ID` or `service:ID`.
pub(super) fn parse_owner(text: &str) -> Option<Owner> {
    match text {
        "*" => Some(Owner::Everyone),
        text => Addressee::parse(text).map(Owner::One),
    }
}
