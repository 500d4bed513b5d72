//! Reading single fields, and what every shape owes the canonical form.

use herald_rules::json::{self, Limits, Object, Value};

use super::Refusal;

/// The text under `key`, which a refusal calls `path`; null and empty count as missing.
pub(super) fn text(object: &Object, key: &str, path: &str) -> Result<Option<String>, Refusal> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Refusal::field(path, "must be a string")),
    }
}

/// A text, or a number as its text; `None` for everything else, and for an empty text.
pub(super) fn said(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// What JSON text holds, and whether an object in it named a key twice.
pub(super) fn json_text(text: &str) -> Option<(Value, bool)> {
    let parsed = json::parse(text.as_bytes(), Limits::default()).ok()?;
    Some((parsed.value, parsed.duplicate_keys))
}

/// The object that a value is, or that it holds as JSON text, and whether an object in that text
/// named a key twice.
pub(super) fn object(value: &Value) -> Option<(Object, bool)> {
    match value {
        Value::Object(object) => Some((object.clone(), false)),
        Value::String(text) => match json_text(text)? {
            (Value::Object(object), duplicate_keys) => Some((object, duplicate_keys)),
            _ => None,
        },
        _ => None,
    }
}

/// Sets `key` unless there is nothing to set.
pub(super) fn set(fields: &mut Object, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(key, value);
    }
}

/// The fields and, behind them, those of `rest` whose names are not among them. Setting them one by
/// one would let a sender spend our time by the square of its keys.
pub(super) fn with_rest(fields: Object, rest: impl Iterator<Item = (String, Value)>) -> Object {
    let rest: Vec<_> = rest.filter(|(key, _)| !fields.contains_key(key)).collect();
    fields.into_iter().chain(rest).collect()
}

/// Brings what senders write in several ways into one: `product` and `level` in capitals, an ARN
/// without `arn:` before it, the account out of the ARN where `userId` is missing.
pub(super) fn tidy(fields: &mut Object) {
    for upper in ["product", "level"] {
        if let Some(Value::String(text)) = fields.get_mut(upper) {
            text.make_ascii_uppercase();
        }
    }
    let Some(Value::String(arn)) = fields.get_mut("resourceId") else {
        return;
    };
    let trimmed = arn.trim();
    let bare = trimmed.strip_prefix("arn:").unwrap_or(trimmed);
    if bare.len() != arn.len() {
        *arn = bare.to_owned();
    }
    let account = account(arn).map(str::to_owned);
    if said(fields.get("userId")).is_none() {
        set(fields, "userId", account);
    }
}

/// Whether a text is an Alibaba Cloud resource name: `acs:{service}:{region}:{account}:{path}`.
pub(super) fn is_arn(text: &str) -> bool {
    text.starts_with("acs:") && text.splitn(5, ':').count() == 5
}

/// The account that a resource name names.
fn account(arn: &str) -> Option<&str> {
    if !is_arn(arn) {
        return None;
    }
    arn.split(':').nth(3).filter(|account| !account.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resource: &str, expected_resource: &str, expected_user: Option<&str>) {
        let mut fields = Object::new();
        fields.insert("resourceId", resource);
        tidy(&mut fields);
        let field = |key: &str| fields.get(key).and_then(Value::as_str);
        assert_eq!(field("resourceId"), Some(expected_resource));
        assert_eq!(field("userId"), expected_user);
    }

    #[test]
    fn the_account_is_the_fourth_part_of_the_arn() {
        check(
            "acs:ecs:r:12:eni/eni-1",
            "acs:ecs:r:12:eni/eni-1",
            Some("12"),
        );
        check(
            " arn:acs:ram::12:role/a:b",
            "acs:ram::12:role/a:b",
            Some("12"),
        );
        check("acs:oss:r::bucket", "acs:oss:r::bucket", None);
        check("acs:ecs:r:12", "acs:ecs:r:12", None);
        check("eni-1", "eni-1", None);
        check("", "", None);
    }

    #[test]
    fn an_account_that_is_written_stays() {
        let mut fields = Object::new();
        fields.insert("userId", "7");
        fields.insert("resourceId", "acs:ecs:r:12:eni/eni-1");
        tidy(&mut fields);
        assert_eq!(fields.get("userId").and_then(Value::as_str), Some("7"));
    }
}
