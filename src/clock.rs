//! The only place that reads the clock. Everything that decides takes `now` as an argument.

use jiff::Timestamp;

/// The present, cut to milliseconds, which is what the journal and the API keep.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that may read the clock"
)]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
