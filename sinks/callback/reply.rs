//! What an answer means.

use std::collections::BTreeMap;
use std::time::Duration;

use herald_model::{Outcome, Outcomes, Signal};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use crate::http::{Answer, Failure, http_date, seconds_ahead};
use crate::said::Redactor;

/// The longest wait that a `Retry-After` may ask for. Chosen: an hour is the longest step of the
/// default retry schedule; a receiver that wants more is asked again.
pub(super) const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(3_600);

/// What the configuration says a status means, where it differs from the table below.
pub(super) type Statuses = BTreeMap<u16, Meaning>;

/// What a status can be said to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Delivered,
    Transient,
    Permanent,
    SinkFault,
}

impl Meaning {
    /// The words of the configuration.
    pub(super) const WORDS: [(&str, Self); 4] = [
        ("delivered", Self::Delivered),
        ("transient", Self::Transient),
        ("permanent", Self::Permanent),
        ("sink-fault", Self::SinkFault),
    ];
}

/// The outcome of an answer. The status line decides, whatever became of the body.
///
/// Sources: RFC 9110 section 15; Standard Webhooks 1.0.0 and the CloudEvents webhook specification
/// (2xx is success, 3xx is failure and not followed, 410 retires the endpoint, 429 with
/// `Retry-After`); RFC 9110 section 15.5.9 (408) and RFC 8470 section 5.2 (425) allow repeating.
pub(super) fn outcome(
    answer: &Answer,
    now: Timestamp,
    statuses: &Statuses,
    redactor: &Redactor,
) -> Outcomes {
    let said = said(answer, redactor);
    let status = answer.status.as_u16();
    let transient = |reason| Outcome::Transient {
        reason,
        not_before: not_before(&answer.headers, now),
    };
    if let Some(meaning) = statuses.get(&status) {
        return match meaning {
            Meaning::Delivered => Outcome::Delivered { reply: said },
            Meaning::Transient => transient(said),
            Meaning::Permanent => Outcome::permanent(said),
            Meaning::SinkFault => Outcome::sink_fault(said),
        }
        .into();
    }
    match status {
        200..=299 => Outcome::Delivered { reply: said }.into(),
        300..=399 => Outcome::sink_fault(format!(
            "{said}; redirects are not followed, so write the final URL"
        ))
        .into(),
        401 | 403 => Outcome::sink_fault(explained(said, answer, now)).into(),
        410 => Outcomes::same(Outcome::sink_fault(format!(
            "{said}; the receiver wants no more, so the sink is held until you resume it"
        )))
        .with_signal(Signal::Hold),
        408 | 425 | 429 | 500..=599 => transient(said).into(),
        400..=499 => Outcome::permanent(explained(said, answer, now)).into(),
        _ => Outcome::transient(format!("{said}; this is no final status")).into(),
    }
}

/// Statuses that a mistake in the settings leads to, in words.
const MEANINGS: [(u16, &str); 5] = [
    (
        401,
        "the receiver wants other credentials; check `secret`, `bearer`, `password`",
    ),
    (
        403,
        "the receiver lets nobody in with these credentials or from this address",
    ),
    (404, "the receiver knows no such path; check `url`"),
    (405, "the receiver wants another `method`"),
    (415, "the receiver wants another `format`"),
];

/// Seconds by which two clocks may differ before receivers refuse a signature (Standard Webhooks'
/// reference libraries: five minutes, either way).
const CLOCK_TOLERANCE: u64 = 300;

/// What was said, with what it means.
fn explained(said: String, answer: &Answer, now: Timestamp) -> String {
    let status = answer.status.as_u16();
    let meaning = MEANINGS.iter().find(|(known, _)| *known == status);
    let mut words: Vec<String> = meaning
        .iter()
        .map(|(_, words)| (*words).to_owned())
        .collect();
    let ahead = seconds_ahead(&answer.headers, now).unwrap_or_default();
    // A signature with a wrong time is refused as any other, most often with one of these.
    if matches!(status, 400 | 401 | 403) && ahead.unsigned_abs() > CLOCK_TOLERANCE {
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let seconds = ahead.unsigned_abs();
        words.push(format!(
            "this machine's clock is {seconds} s {way} the receiver's"
        ));
    }
    match words.is_empty() {
        true => said,
        false => format!("{said} ({})", words.join("; ")),
    }
}

/// The outcome where no status line came.
pub(super) fn failure(failure: &Failure, redactor: &Redactor) -> Outcome {
    let words = redactor.clean(&failure.to_string());
    match failure {
        Failure::Refused(_) | Failure::Tls(_) => Outcome::sink_fault(words),
        Failure::NotSent(_) => Outcome::transient(words),
        Failure::Lost(_) => Outcome::unknown(words),
    }
}

/// Status and first kilobyte of the body.
fn said(answer: &Answer, redactor: &Redactor) -> String {
    let body = redactor.clean_bytes(&answer.body);
    let status = status_words(answer.status);
    if body.is_empty() {
        status
    } else {
        format!("{status}: {body}")
    }
}

fn status_words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// `Retry-After` as a time: seconds or a date (RFC 9110 section 10.2.3), not in the past and at
/// most [`RETRY_AFTER_AT_MOST`] ahead.
fn not_before(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let at_most = now.checked_add(RETRY_AFTER_AT_MOST).ok()?;
    let wanted = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit ask for longer than the cap.
        true => match text.parse::<u32>() {
            Ok(seconds) => now
                .checked_add(Duration::from_secs(seconds.into()))
                .unwrap_or(at_most),
            Err(_) if text.is_empty() => return None,
            Err(_) => at_most,
        },
        false => http_date(text)?,
    };
    (wanted > now).then(|| wanted.min(at_most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T21:53:01Z";

    #[track_caller]
    fn check(retry_after: &str, expected: Option<&str>) {
        let now: Timestamp = NOW.parse().unwrap();
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, retry_after.parse().unwrap())]);
        let expected = expected.map(|text| text.parse::<Timestamp>().unwrap());
        assert_eq!(not_before(&headers, now), expected, "{retry_after}");
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        check("30", Some("2026-11-22T21:53:31Z"));
        check(
            "Sun, 22 Nov 2026 22:00:00 GMT",
            Some("2026-11-22T22:00:00Z"),
        );
        check(
            "Sunday, 22-Nov-26 22:00:00 GMT",
            Some("2026-11-22T22:00:00Z"),
        );
        check("Sun Nov 22 22:00:00 2026", Some("2026-11-22T22:00:00Z"));
        // Never in the past, never days ahead.
        check("0", None);
        check("Sun, 22 Nov 2026 21:00:00 GMT", None);
        check("86400", Some("2026-11-22T22:53:01Z"));
        check("99999999999999999999", Some("2026-11-22T22:53:01Z"));
        check(
            "Tue, 22 Dec 2026 22:00:00 GMT",
            Some("2026-11-22T22:53:01Z"),
        );
        check("soon", None);
        check("", None);
        check("-5", None);
    }
}
