//! `[[test]]`: examples of how the file routes, checked together with it.

use std::path::PathBuf;
use std::sync::Arc;

use herald_model::settings::{Table, did_you_mean};
use jiff::Timestamp;
use toml::de::DeValue;

use super::json;
use super::problem::Place;
use super::reading::{File, items_of, with_places};
use super::subscription::{Known, Subscriptions};

/// An example: an event, and what must be planned for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Where it stands in the file.
    pub place: Place,
    /// What comes in.
    pub event: TestEvent,
    /// The deliveries that must be planned for it, no more and no fewer.
    pub delivers: Vec<Route>,
    /// The time at which it comes in; `None`: whenever the test is run.
    pub now: Option<Timestamp>,
}

/// What comes in, in any shape that intake knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestEvent {
    /// The content of a file, which was not opened yet.
    File(PathBuf),
    /// This text.
    Json(String),
}

/// `subscription -> sink`; both stand in the file, and the one names the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// Name of the subscription.
    pub subscription: Arc<str>,
    /// Name of one of its sinks.
    pub sink: Arc<str>,
}

/// Stands between the names. Sinks' names hold no space, so the last one in a route is it.
const ARROW: &str = " -> ";

/// Reads every `[[test]]`. Those with a mistake may be left out.
pub(super) fn read_all<'t>(
    file: &File<'t>,
    root: &Table<'t>,
    subscriptions: &Subscriptions,
) -> Vec<Test> {
    root.note("test", None);
    let mut tests = Vec::new();
    for table in root.tables("test") {
        let event = event(&table);
        let delivers = delivers(&table, subscriptions.known.as_deref());
        let now = now(&table);
        if let Some(event) = event {
            tests.push(Test {
                place: Place::of(file.text, table.span().start),
                event,
                delivers,
                now,
            });
        }
        table.finish();
    }
    tests
}

fn event(table: &Table<'_>) -> Option<TestEvent> {
    let value = table.raw("event");
    if let Some(DeValue::Table(entries)) = value.map(toml::Spanned::get_ref) {
        table.note("event", None);
        return match json::from_toml(entries) {
            Ok(text) => Some(TestEvent::Json(text)),
            Err(span) => {
                table.reading().mistake(
                    span,
                    "`test.event`: JSON has neither dates nor infinite numbers; write a string",
                );
                None
            }
        };
    }
    let text = table
        .text("event")
        .required("\"examples/attach-failed.json\"")?;
    if text.trim_start().starts_with(['{', '[']) {
        Some(TestEvent::Json(text))
    } else {
        Some(TestEvent::File(table.reading().resolve(&text)))
    }
}

fn delivers(table: &Table<'_>, known: Option<&[Known]>) -> Vec<Route> {
    let routes = table
        .texts("delivers")
        .required("[\"failed operations -> ops-mail\"]")
        .unwrap_or_default();
    let mut read = Vec::with_capacity(items_of(table, "delivers"));
    for (text, span) in with_places(table, "delivers", routes) {
        let mistake = |what: String| {
            let text = format!("`test.delivers`: {what}");
            table.reading().mistake(span.clone(), text);
        };
        let Some((subscription, sink)) = text.rsplit_once(ARROW) else {
            mistake(format!(
                "`{text}` is no route; write one as in \"failed operations -> ops-mail\""
            ));
            continue;
        };
        let [subscription, sink] = [subscription.trim(), sink.trim()];
        if let Some(known) = known
            && let Err(what) = check_route(known, subscription, sink)
        {
            mistake(what);
        }
        read.push(Route {
            subscription: Arc::from(subscription),
            sink: Arc::from(sink),
        });
    }
    read
}

fn check_route(known: &[Known], subscription: &str, sink: &str) -> Result<(), String> {
    let Some(found) = known.iter().find(|known| known.name == subscription) else {
        let near = did_you_mean(subscription, known.iter().map(|known| known.name.as_str()));
        return Err(format!("there is no subscription `{subscription}`{near}"));
    };
    match &found.to {
        Some(to) if !to.iter().any(|name| **name == *sink) => {
            let near = did_you_mean(sink, to.iter().map(|name| &**name));
            Err(format!(
                "subscription `{subscription}` does not send to `{sink}`{near}"
            ))
        }
        _ => Ok(()),
    }
}

fn now(table: &Table<'_>) -> Option<Timestamp> {
    let text = match table.raw("now").map(toml::Spanned::get_ref) {
        // TOML has times of its own; one with an offset is as good as a string.
        Some(DeValue::Datetime(time)) => {
            table.note("now", None);
            time.to_string()
        }
        _ => table.text("now").optional()?,
    };
    let now = text.parse().ok();
    if now.is_none() {
        table.reading().mistake(
            table.span_of("now"),
            format!(
                "`test.now`: `{text}` is no time; write one as in \"2026-01-02T03:04:05Z\", with \
                 its offset"
            ),
        );
    }
    now
}
