//! The body of a request that changes something: which things are meant, and why.

use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Longest accepted `why`, in bytes. Chosen: a sentence or three.
const WHY_MAX: usize = 1_000;

/// What such a body says.
pub(super) trait Wanted: DeserializeOwned + Default {
    /// The reason that is given, for the record.
    fn why(&mut self) -> &mut Option<String>;
}

/// Reads a body; one without a byte wants what the default says.
///
/// # Errors
/// It is no such object, or its `why` is too long; in words.
pub(super) fn read<T: Wanted>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let mut wanted: T = serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request(format!("the body is not as wanted: {error}")))?;
    let why = wanted.why();
    *why = checked(why.take())?;
    Ok(wanted)
}

/// The text without space round it; `None` where nothing is left.
fn checked(text: Option<String>) -> Result<Option<String>, Problem> {
    let text = text.map(|text| text.trim().to_owned());
    match text.filter(|text| !text.is_empty()) {
        Some(text) if text.len() > WHY_MAX => Err(Problem::bad_request(format!(
            "`why` has {} bytes; at most {WHY_MAX} are taken",
            text.len()
        ))),
        text => Ok(text),
    }
}
