//! Dates in headers.

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The three forms of a date that RFC 9110 section 5.6.7 asks recipients to take.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    if let Ok(date) = jiff::fmt::rfc2822::parse(text) {
        return Some(date.timestamp());
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .into_iter()
        .find_map(|format| DateTime::strptime(format, text).ok())
        .and_then(|date| date.to_zoned(TimeZone::UTC).ok())
        .map(|date| date.timestamp())
}

/// By how many seconds this machine's clock, which says `now`, is ahead of the one that wrote the
/// `Date` of an answer; `None` where it named none.
pub(crate) fn seconds_ahead(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let theirs = http_date(headers.get(header::DATE)?.to_str().ok()?)?;
    Some(now.duration_since(theirs).as_secs())
}
