//! The fields that events are known to have, for finding slips in patterns.
//!
//! Events are open: the cloud adds fields, and a pattern may name one that Herald has never seen.
//! So an unknown field is a warning at most, and inside `content` only where it looks like a slip.

use std::ops::Range;

use herald_model::event::{CANONICAL_FIELDS, EniOperation, EniStatus, Level};
use herald_model::settings::{Reading, did_you_mean};
use herald_rules::pattern::FieldTest;

/// Top-level fields that CloudMonitor's envelopes add to the canonical ones.
const ADDED: [&str; 7] = [
    "status",
    "traceId",
    "instanceName",
    "groupId",
    "ruleName",
    "eventType",
    "keyword",
];

fn top_level() -> impl Iterator<Item = &'static str> + Clone {
    CANONICAL_FIELDS.into_iter().chain(ADDED)
}

/// Fields of the objects that Herald itself makes: complete, so anything else never matches.
const MADE: [(&str, &[&str]); 4] = [
    ("initiator", &["kind", "id"]),
    ("addressee", &["kind", "id"]),
    (
        "intake",
        &[
            "source",
            "format",
            "receivedAt",
            "duplicateKeys",
            "conflict",
            "test",
            "badTime",
        ],
    ),
    ("cause", &["delivery", "depth"]),
];

/// Fields of an ENI operation's `content`.
const ENI_CONTENT: [&str; 5] = ["eniId", "operation", "eniStatus", "result", "requestId"];

/// Top-level fields of CloudEvents and of AWS events, with the remedy.
const FOREIGN: [(&str, &str); 4] = [
    (
        "source",
        "test `product` (\"ECS\" for acs.ecs), or `intake.source` for the way in",
    ),
    (
        "type",
        "test `name`, without the part before its first colon",
    ),
    ("data", "test `content`"),
    ("detail", "test `content`"),
];

/// Why a pattern on the events of Herald cannot begin with the key `top`.
pub(super) fn foreign(top: &str) -> Option<String> {
    let (_, remedy) = FOREIGN.iter().find(|(foreign, _)| *foreign == top)?;
    Some(format!("events have no field `{top}`; {remedy}"))
}

/// Reports fields of another form as mistakes, and warns of what looks like a slip. `place` gives
/// the bytes of the file for a span of the pattern. Answers whether there was no mistake.
pub(super) fn check(
    reading: &Reading<'_>,
    tests: &[FieldTest],
    place: impl Fn(&Range<usize>) -> Range<usize>,
) -> bool {
    let mut sound = true;
    for test in tests {
        let Some((top, span)) = test.path.first().zip(test.spans.first()) else {
            continue;
        };
        if let Some(text) = foreign(top) {
            reading.mistake(place(span), text);
            sound = false;
        } else if let Some((at, text)) = slip(test) {
            reading.warning(place(&test.spans[at]), text);
        } else {
            for (value, span) in &test.texts {
                if let Some(text) = never(&test.path, value) {
                    reading.warning(place(span), text);
                }
            }
        }
    }
    sound
}

/// Fields of Herald's own form that no CloudEvent has, with the one to test.
const NOT_OF_CLOUD_EVENTS: [(&str, &str); 8] = [
    ("product", "test `source` (\"acs.ecs\" for ECS)"),
    (
        "name",
        "test `type` (\"ecs:\" and the name for an event of ECS)",
    ),
    ("content", "test `data`"),
    ("eventTime", "test `time`"),
    ("userId", "test `aliyunaccountid`"),
    ("regionId", "test `aliyunregionid`"),
    ("resourceId", "test `subject`"),
    ("level", "test `data.result`, or leave `form` out"),
];

/// The same as [`check`] for patterns on the CloudEvents form, which may have any attribute: there
/// is nothing to refuse.
pub(super) fn check_cloud_event(
    reading: &Reading<'_>,
    tests: &[FieldTest],
    place: impl Fn(&Range<usize>) -> Range<usize>,
) {
    for test in tests {
        let path: Vec<&str> = test.path.iter().map(String::as_str).collect();
        let own = NOT_OF_CLOUD_EVENTS
            .iter()
            .find(|(own, _)| Some(own) == path.first());
        let slip = match (own, path.as_slice()) {
            (Some((own, remedy)), _) => {
                Some((0, format!("CloudEvents have no field `{own}`; {remedy}")))
            }
            (None, ["data", field, ..]) if !ENI_CONTENT.contains(field) => {
                let near = did_you_mean(field, ENI_CONTENT);
                let text = format!("no event is known to have a field `data.{field}`{near}");
                (!near.is_empty()).then_some((1, text))
            }
            (None, _) => None,
        };
        if let Some((step, text)) = slip {
            if let Some(span) = test.spans.get(step) {
                reading.warning(place(span), text);
            }
            continue;
        }
        for (value, span) in &test.texts {
            let text = match path.as_slice() {
                ["data", "operation"] => misspelt(value, EniOperation::KNOWN),
                ["data", "eniStatus"] => misspelt(value, EniStatus::KNOWN),
                _ => None,
            };
            if let Some(text) = text {
                reading.warning(place(span), text);
            }
        }
    }
}

/// Why no event is likely to have the field at `path`, as templates name it.
pub(super) fn unlikely(path: &[&str]) -> Option<String> {
    // Herald's own id, which templates see beside the sender's.
    if matches!(path, ["herald_id"]) {
        return None;
    }
    slip_of(path).map(|(_, text)| text)
}

/// The step of the path that looks wrong, and why.
fn slip(test: &FieldTest) -> Option<(usize, String)> {
    let path: Vec<&str> = test.path.iter().map(String::as_str).collect();
    slip_of(&path)
}

fn slip_of(path: &[&str]) -> Option<(usize, String)> {
    let unknown =
        |field: &str, near: &str| format!("no event is known to have a field `{field}`{near}");
    match path {
        [top, ..] if !top_level().any(|known| known == *top) => {
            Some((0, unknown(top, &did_you_mean(top, top_level()))))
        }
        ["content", field, ..] if !ENI_CONTENT.contains(field) => {
            let near = did_you_mean(field, ENI_CONTENT);
            (!near.is_empty()).then(|| (1, unknown(&format!("content.{field}"), &near)))
        }
        [top, field, ..] => {
            let (_, fields) = MADE.iter().find(|(made, _)| made == top)?;
            let near = did_you_mean(field, fields.iter().copied());
            let text = unknown(&format!("{top}.{field}"), &near);
            (!fields.contains(field)).then_some((1, text))
        }
        _ => None,
    }
}

/// Why no event has `value` in the field at `path`, where that is known.
fn never(path: &[String], value: &str) -> Option<String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let upper = value.to_uppercase();
    match path.as_slice() {
        ["level"]
            if Level::URGENT_FIRST
                .iter()
                .all(|level| level.as_str() != value) =>
        {
            let levels = Level::URGENT_FIRST.map(Level::as_str);
            let near = if levels.contains(&upper.as_str()) {
                format!("; write `{upper}`")
            } else {
                did_you_mean(value, levels)
            };
            Some(format!(
                "no level is written `{value}`: there are INFO, WARN and CRITICAL{near}"
            ))
        }
        ["product"] if upper != value => Some(format!(
            "products are upper-case in events; write `{upper}`"
        )),
        ["content", "operation"] => misspelt(value, EniOperation::KNOWN),
        ["content", "eniStatus"] => misspelt(value, EniStatus::KNOWN),
        _ => None,
    }
}

/// Values are open too: only what is close to a known one looks like a slip.
fn misspelt(value: &str, known: &[&str]) -> Option<String> {
    let near = did_you_mean(value, known.iter().copied());
    (!known.contains(&value) && !near.is_empty())
        .then(|| format!("`{value}` is no value that events are known to have{near}"))
}
