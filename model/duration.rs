//! Durations as people write them: `250ms`, `10s`, `5m`, `1h`, `30d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Longest duration that can be written: about a century, so that sums with any time of this age
/// stay representable.
pub const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Reads one number with one unit.
///
/// # Errors
/// What is wrong and how a duration is written, in words that follow a colon.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let malformed = || {
        format!(
            "`{text}` is no duration; write a number and its unit, as in 250ms, 10s, 5m, 1h or 30d"
        )
    };
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(malformed)?;
    let number: u64 = number.parse().map_err(|_| malformed())?;
    number
        .checked_mul(*factor)
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("`{text}` is too long; the longest duration is 36500d"))
}

/// Writes a duration in the largest unit that loses nothing (down to milliseconds).
pub fn write(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) = UNITS
        .iter()
        .find(|(_, factor)| millis % factor == 0)
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["250ms", "10s", "5m", "1h", "30d", "0s", "90s"] {
            let duration = parse(text).unwrap();
            assert_eq!(parse(&write(duration)), Ok(duration));
        }
        assert_eq!(write(Duration::from_secs(90)), "90s");
        assert_eq!(write(Duration::from_secs(86_400)), "1d");
    }

    #[test]
    fn refuses_what_has_no_unit_or_no_number() {
        for text in [
            "",
            "10",
            "s",
            "1.5h",
            "-1s",
            "10 s",
            "1h30m",
            "99999999999999999999s",
        ] {
            assert!(
                parse(text)
                    .unwrap_err()
                    .contains("write a number and its unit"),
                "{text}"
            );
        }
        assert!(parse("40000d").unwrap_err().contains("36500d"));
    }
}
