//! Times as senders write them.

use std::sync::LazyLock;

use herald_rules::json::Value;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;

/// The zones that the program brings along: reading a time must not depend on the machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Longest name of a zone. Chosen: the longest in the database has 32 bytes.
const ZONE_MAX: usize = 40;

/// Reads `20190409T121826.922+0800`, RFC 3339, and a local time with a zone's name behind it. A
/// time without offset and zone is unreadable: guessing one would be wrong by hours.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let with_offset = text.parse().ok().filter(|_| has_sound_offset(text));
    with_offset.or_else(|| in_named_zone(text))
}

/// Whether the hours of an offset are at most 23, as RFC 3339 says; our reader takes 25.
fn has_sound_offset(text: &str) -> bool {
    let clock = text
        .split_once(['T', 't', ' '])
        .map_or("", |(_, clock)| clock);
    let offset = clock
        .split_once(['+', '-'])
        .map_or("", |(_, offset)| offset);
    offset.get(..2).is_none_or(|hours| hours <= "23")
}

/// Reads `2020-08-17T16:04:46.149Asia/Shanghai` and `2020-11-19T21:04:42.179PRC`, as the pages on
/// EventBridge print them (Alibaba Cloud, "Event overview").
fn in_named_zone(text: &str) -> Option<Timestamp> {
    let clock_from = text.find(['T', ' '])? + 1;
    let zone_from = clock_from
        + text
            .get(clock_from..)?
            .find(|c: char| c.is_ascii_alphabetic())?;
    let (local, zone) = text.split_at_checked(zone_from)?;
    let local = local.trim_end();
    // The reader of local times passes over an offset; beside a zone's name it would be a riddle.
    let clock = local.get(clock_from..)?;
    if zone.len() > ZONE_MAX || clock.contains(['+', '-', '[']) {
        return None;
    }
    let local: DateTime = local.parse().ok()?;
    ZONES.get(zone).ok()?.to_timestamp(local).ok()
}

/// Milliseconds since 1970, a number or its text, as RFC 3339.
pub(super) fn of_milliseconds(value: Option<&Value>) -> Option<String> {
    let milliseconds = match value? {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    let time = Timestamp::from_millisecond(milliseconds).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let read = parse(text).map(|time| time.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn offsets_and_names_of_zones_are_honoured() {
        check("20190409T121826.922+0800", Some("2019-04-09T04:18:26.922Z"));
        check("20190409T121826+08:00", Some("2019-04-09T04:18:26Z"));
        check(
            "2019-04-09T04:18:26.123456789Z",
            Some("2019-04-09T04:18:26.123456789Z"),
        );
        check("2020-11-19T21:04:41-05:30", Some("2020-11-20T02:34:41Z"));
        check(
            "2020-08-17T16:04:46.149Asia/Shanghai",
            Some("2020-08-17T08:04:46.149Z"),
        );
        check(
            "2020-11-19T21:04:42.179PRC",
            Some("2020-11-19T13:04:42.179Z"),
        );
        check("20201119T210442.179 PRC", Some("2020-11-19T13:04:42.179Z"));
        check(
            "2020-11-19 21:04:42 Asia/Shanghai",
            Some("2020-11-19T13:04:42Z"),
        );
    }

    #[test]
    fn what_would_have_to_be_guessed_is_unreadable() {
        for text in [
            "",
            "yesterday",
            "2019-04-09",
            "2019-04-09T12:18:26",
            "2019-04-09T12:18:26Mars/Olympus",
            "2019-04-09T12:18:26+25:00",
            "2019-04-09T12:18:26+08:00PRC",
            "2023-1-25T01:45:16.969Z",
            "2019-04-09T25:18:26PRC",
            "T\u{e9}PRC",
            "1554783506922",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn milliseconds_come_as_number_or_text() {
        let number =
            |text: &str| Value::Number(herald_rules::json::Number::from_text(text).unwrap());
        let expected = Some("2019-04-09T04:18:26.922Z".to_owned());
        assert_eq!(of_milliseconds(Some(&number("1554783506922"))), expected);
        assert_eq!(of_milliseconds(Some(&"1554783506922".into())), expected);
        for none in [
            number("1e400"),
            number("9223372036854775807"),
            "soon".into(),
            Value::Null,
        ] {
            assert_eq!(of_milliseconds(Some(&none)), None);
        }
    }
}
