//! Public identifiers. They are unique by construction and stand in routes, links and signatures;
//! inside the journal everything is keyed by integers instead.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Namespace of all ids that Herald derives (UUIDv5). Chosen once; changing it would plan every
/// repeated event a second time.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_6a0e_5b1d_4c57_9d52_3d1f_0b7e_a9c4);

/// Separates the parts of a derived id, so that ("a", "bc") and ("ab", "c") differ.
const SEPARATOR: &str = "\u{1f}";

/// Text that is not an id of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}: it is written `{prefix}` and 32 hexadecimal digits")]
pub struct ParseIdError {
    text: String,
    wanted: &'static str,
    prefix: &'static str,
}

macro_rules! public_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What the written form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID that was made or stored elsewhere.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID without its prefix.
            pub const fn uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() == 32)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or_else(|| ParseIdError {
                        text: text.chars().take(80).collect(),
                        wanted: $wanted,
                        prefix: $prefix,
                    })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

public_id! {
    /// Herald's own id of an event: `evt_` and a UUIDv7 made at intake.
    EventId, "evt_", "an event id"
}

public_id! {
    /// Id of a delivery: `dlv_` and the UUIDv5 of event, subscription and sink, so planning twice
    /// plans the same.
    DeliveryId, "dlv_", "a delivery id"
}

public_id! {
    /// Id of a message: `msg_` and a UUIDv5. It is the idempotency key of all the message's
    /// attempts and holds no dot (Standard Webhooks 1.0.0 forbids one in `webhook-id`).
    MessageId, "msg_", "a message id"
}

impl DeliveryId {
    /// The id of the duty to bring `event` to `sink` for `subscription`.
    pub fn derive(event: EventId, subscription: &str, sink: &str) -> Self {
        let name = [&event.to_string(), subscription, sink].join(SEPARATOR);
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}

impl MessageId {
    /// The id of the message whose first member is `first` and whose integer in the journal is
    /// `number`. The delivery is part of it so that a restored backup, which counts on from an
    /// older number, never gives a key that a receiver has seen to other members.
    pub fn derive(first: DeliveryId, number: u64) -> Self {
        let name = [first.to_string(), number.to_string()].join(SEPARATOR);
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}

/// UUIDv5 of an identity's parts; the `id` of events that Herald makes from operation results.
pub fn derive_uuid(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, parts.join(SEPARATOR).as_bytes())
}

/// What a limit protects: a DingTalk robot, a mail server and user, a callback's origin.
///
/// Written `kind:text`. It is shown to people, so a sink must hash what is secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct EndpointId(String);

impl EndpointId {
    /// Names an endpoint of `kind`.
    pub fn new(kind: &str, what: &str) -> Self {
        Self(format!("{kind}:{what}"))
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: EventId = EventId::from_uuid(Uuid::from_u128(7));

    #[test]
    fn written_form_reads_back() {
        let text = EVENT.to_string();
        assert_eq!(text, "evt_00000000000000000000000000000007");
        assert_eq!(text.parse::<EventId>(), Ok(EVENT));
    }

    #[test]
    fn a_delivery_id_is_no_event_id() {
        let delivery = DeliveryId::derive(EVENT, "s", "k").to_string();
        let error = delivery.parse::<EventId>().unwrap_err();
        assert!(error.to_string().contains("written `evt_`"), "{error}");
    }

    #[test]
    fn planning_twice_gives_one_id_and_parts_do_not_run_together() {
        assert_eq!(
            DeliveryId::derive(EVENT, "a", "b"),
            DeliveryId::derive(EVENT, "a", "b")
        );
        assert_ne!(
            DeliveryId::derive(EVENT, "ab", "c"),
            DeliveryId::derive(EVENT, "a", "bc")
        );
    }

    #[test]
    fn a_message_id_holds_no_dot() {
        let id = MessageId::derive(DeliveryId::derive(EVENT, "a", "b"), 1);
        assert!(!id.to_string().contains('.'));
    }
}
