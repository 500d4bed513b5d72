//! The text of a subscription as the journal keeps it: verdicts on old events are computed from
//! the rules of their time, so this must read back, and the same rule must give the same text.

use std::sync::Arc;

use herald_model::duration;
use herald_model::event::{Form, Owner};
use herald_rules::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::subscription::{CLOUD_EVENTS, Subscription, parse_owner};
use super::templates::Templates;

/// The order of the fields is part of the text. Templates are no part: they change how a match is
/// told, not what matches.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Arc<str>,
    /// Left out where events addressed to users are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Left out where it is Herald's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    to: Vec<Arc<str>>,
    expires: String,
    /// Left out where every event matches. Raw, so that its numbers stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<Box<RawValue>>,
}

/// A stored text that is no subscription: another version wrote it, or a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored text of a subscription cannot be read: {0}")]
pub struct StoredTextError(String);

impl Subscription {
    /// The canonical text: compact JSON. One subscription has one text, whether its condition is
    /// written as TOML or as JSON and whatever its templates are.
    pub fn text(&self) -> Arc<str> {
        let pattern = self.pattern.as_ref().map(Pattern::to_json);
        let written = Written {
            name: Arc::clone(&self.name),
            owner: (self.owner != Owner::Users).then(|| self.owner.to_string()),
            form: (self.form == Form::CloudEvents).then(|| CLOUD_EVENTS.to_owned()),
            to: self.to.clone(),
            expires: duration::write(self.expires),
            pattern: pattern.and_then(|json| RawValue::from_string(json).ok()),
        };
        // Texts and lists alone: there is nothing in it that JSON could not hold.
        Arc::from(serde_json::to_string(&written).unwrap_or_default())
    }

    /// Reads a canonical text back; templates, which it does not hold, are none.
    ///
    /// # Errors
    /// It is no canonical text. See [`StoredTextError`].
    pub fn from_text(text: &str) -> Result<Self, StoredTextError> {
        let unreadable = |why: &dyn ToString| StoredTextError(why.to_string());
        let written: Written = serde_json::from_str(text).map_err(|why| unreadable(&why))?;
        let owner = match written.owner {
            None => Owner::Users,
            Some(owner) => parse_owner(&owner).ok_or_else(|| unreadable(&"unknown owner"))?,
        };
        let form = match written.form.as_deref() {
            None => Form::Canonical,
            Some(CLOUD_EVENTS) => Form::CloudEvents,
            Some(_) => return Err(unreadable(&"unknown form")),
        };
        let pattern = match written.pattern {
            None => None,
            Some(json) => Some(Pattern::from_json(json.get()).map_err(|mistakes| {
                let first = mistakes.first().map(ToString::to_string);
                StoredTextError(first.unwrap_or_default())
            })?),
        };
        Ok(Self {
            name: written.name,
            to: written.to,
            pattern,
            owner,
            form,
            expires: duration::parse(&written.expires).map_err(|why| unreadable(&why))?,
            templates: Templates::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str) -> Subscription {
        let subscription = Subscription::from_text(text).unwrap();
        assert_eq!(&*subscription.text(), text);
        subscription
    }

    #[test]
    fn what_was_stored_reads_back() {
        let all = check(r#"{"name":"a","to":["x"],"expires":"1d"}"#);
        assert_eq!((all.pattern, all.owner), (None, Owner::Users));
        let one = check(
            r#"{"name":"漢 \"b\"","owner":"service:7","form":"cloudevents","to":["x","y"],"expires":"15m","pattern":{"content":{"n":[{"numeric":["=",123456789012345678901234567890]}]}}}"#,
        );
        assert_eq!(one.form, Form::CloudEvents);
        assert_eq!(
            check(r#"{"name":"a","owner":"*","to":["x"],"expires":"1s"}"#).owner,
            Owner::Everyone
        );
    }

    #[test]
    fn what_is_no_subscription_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"name":"a","to":["x"],"expires":"soon"}"#,
            r#"{"name":"a","owner":"me","to":["x"],"expires":"1d"}"#,
            r#"{"name":"a","to":["x"],"expires":"1d","pattern":{}}"#,
            r#"{"name":"a","to":["x"],"expires":"1d","later":1}"#,
        ] {
            assert!(Subscription::from_text(text).is_err(), "{text}");
        }
    }
}
