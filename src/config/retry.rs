//! `retry` of a sink: a list of waits, or a table that says how they grow.

use std::time::Duration;

use herald_model::RetrySchedule;
use herald_model::duration::LONGEST;
use herald_model::retry::ScheduleError;
use herald_model::settings::Table;
use toml::de::DeValue;

use super::reading::{File, items_of};

/// As [`RetrySchedule::default`] has them; the tests compare.
const FIRST: Duration = Duration::from_secs(5);
const FACTOR: f64 = 2.0;
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);

/// Reads `retry = ["5s", "1m"]` or `[sink.NAME.retry]`; the default where there is neither, or a
/// mistake was reported.
pub(super) fn read<'t>(file: &File<'t>, sink: &Table<'t>) -> RetrySchedule {
    let value = sink.raw("retry").map(toml::Spanned::get_ref);
    let schedule = match value {
        Some(DeValue::Array(_) | DeValue::String(_)) => {
            sink.note("retry", None);
            listed(sink, "retry", LONGEST)
        }
        _ => from_table(file.section(sink, "retry")),
    };
    schedule.unwrap_or_default()
}

fn from_table(table: Table<'_>) -> Option<RetrySchedule> {
    let given = |key: &str| table.names().any(|name| name == key);
    let any = Duration::ZERO..=LONGEST;
    let give_up_after = table
        .duration("give_up_after", any.clone())
        .or(GIVE_UP_AFTER);
    let first = table.duration("first", any.clone()).or(FIRST);
    let factor = table.fraction("factor").or(FACTOR);
    let longest = table
        .duration("longest", any.clone())
        .or(LONGEST_WAIT.max(first));
    let schedule = if given("waits") {
        if let Some(key) = ["first", "factor", "longest"]
            .into_iter()
            .find(|key| given(key))
        {
            let text = format!(
                "`{}`: `waits` lists every wait, so `first`, `factor` and `longest` have no place \
                 beside it; remove one or the other",
                table.path()
            );
            table.reading().mistake(table.span_of(key), text);
        }
        // The end of the list is the end, unless a time is set too.
        let bound = if given("give_up_after") {
            give_up_after
        } else {
            LONGEST
        };
        listed(&table, "waits", bound)
    } else {
        table.durations("waits").optional();
        // What was refused is not judged a second time by its default.
        let refused = given("factor") && table.fraction("factor").optional().is_none()
            || ["first", "longest"]
                .into_iter()
                .any(|key| given(key) && table.duration(key, any.clone()).optional().is_none());
        let schedule = RetrySchedule::growing(first, factor, longest, give_up_after);
        if refused {
            None
        } else {
            reported(&table, schedule)
        }
    };
    table.finish();
    schedule
}

fn listed(table: &Table<'_>, key: &str, give_up_after: Duration) -> Option<RetrySchedule> {
    let waits = table.durations(key).optional()?;
    if items_of(table, key) != waits.len() {
        return None;
    }
    let schedule = RetrySchedule::listed(waits, give_up_after);
    schedule
        .map_err(|error| {
            let what = match error {
                ScheduleError::NoFirstWait => "the first wait must be at least 1ms".to_owned(),
                ScheduleError::NoWaits => "must hold at least one wait; for a single attempt set \
                     retry = { give_up_after = \"0s\" }"
                    .to_owned(),
                other => other.to_string(),
            };
            let text = format!("`{}`: {what}", table.path_of(key));
            table.reading().mistake(table.span_of(key), text);
        })
        .ok()
}

/// The schedule, or `None` after its mistake was reported where it stands.
fn reported(
    table: &Table<'_>,
    schedule: Result<RetrySchedule, ScheduleError>,
) -> Option<RetrySchedule> {
    schedule
        .map_err(|error| {
            let key = match error {
                ScheduleError::Factor => "factor",
                ScheduleError::LongestBelowFirst => "longest",
                ScheduleError::NoFirstWait => "first",
                ScheduleError::NoWaits => "waits",
            };
            let text = format!("`{}`: {error}", table.path());
            table.reading().mistake(table.span_of(key), text);
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_defaults_are_the_schedules() {
        assert_eq!(
            RetrySchedule::growing(FIRST, FACTOR, LONGEST_WAIT, GIVE_UP_AFTER),
            Ok(RetrySchedule::default())
        );
    }
}
