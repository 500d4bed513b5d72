//! The event in its canonical form: what patterns, templates and sinks see, whatever envelope it
//! came in.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::ids::EventId;

/// The name every ENI operation event bears (ECS documentation, "ENI operation notifications").
pub const ENI_OPERATION_EVENT: &str = "NetworkInterface:NetworkInterfaceOperateCompleted";

/// The top-level fields of the canonical form; what else stands there came in the sender's envelope.
pub const CANONICAL_FIELDS: [&str; 14] = [
    "ver",
    "id",
    "product",
    "resourceId",
    "level",
    "name",
    "userId",
    "regionId",
    "eventTime",
    "content",
    "initiator",
    "addressee",
    "intake",
    "cause",
];

/// One thing that happened.
///
/// `text` is the whole canonical form as JSON; the other fields are what Herald itself decides by,
/// read out of it once. Fields are empty where the sender left them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Herald's own id, used in routes, delivery ids and links.
    pub id: EventId,
    /// The canonical form: compact JSON whose numbers are exactly the sender's.
    pub text: Arc<str>,
    /// The sender's `id`; `None` for a body without one (CloudMonitor's dry run).
    pub sender_id: Option<String>,
    /// Upper-cased, `ECS`.
    pub product: String,
    /// `{ResourceType}:{Event}[:{Status}]`.
    pub name: String,
    /// How urgent it is.
    pub level: Level,
    /// Account id.
    pub user_id: String,
    /// `cn-hangzhou`.
    pub region_id: String,
    /// ARN of what it is about; an event without one has a lane of its own.
    pub resource_id: Option<String>,
    /// When it happened; the receive time where the sender's could not be read.
    pub occurred_at: Timestamp,
    /// When Herald received it.
    pub received_at: Timestamp,
    /// Name of the source it came by.
    pub source: String,
    /// Whom it is addressed to.
    pub addressee: Addressee,
    /// The typed content of an ENI operation event.
    pub eni: Option<Eni>,
}

/// How urgent an event is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// For the record. A level never seen before counts as this one; its text is kept.
    #[default]
    Info,
    /// Somebody should look.
    Warn,
    /// Somebody must act.
    Critical,
}

impl Level {
    /// All levels, most urgent first.
    pub const URGENT_FIRST: [Self; 3] = [Self::Critical, Self::Warn, Self::Info];

    /// The level that a text names in any case.
    pub fn named(text: &str) -> Option<Self> {
        Self::URGENT_FIRST
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }

    /// `INFO`, `WARN` or `CRITICAL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Critical => "CRITICAL",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom an event is addressed to: the initiator if known; else, for a managed ENI, the service
/// that owns it; else the user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Addressee {
    /// An account.
    User(String),
    /// An Alibaba Cloud service, by its `ServiceID`, or `unknown`.
    Service(String),
}

impl Addressee {
    /// Reads the form used in configuration: `user:…` or `service:…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        Self::from_parts(kind, id).filter(|_| !id.is_empty())
    }

    /// The addressee of `kind` `user` or `service`; `None` for other kinds.
    pub fn from_parts(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "user" => Some(Self::User(id.to_owned())),
            "service" => Some(Self::Service(id.to_owned())),
            _ => None,
        }
    }

    /// `user` or `service`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Service(_) => "service",
        }
    }

    /// The id without its kind.
    pub fn id(&self) -> &str {
        let (Self::User(id) | Self::Service(id)) = self;
        id
    }
}

impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}

/// A form of the event, as patterns test it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// Herald's own.
    #[default]
    Canonical,
    /// CloudEvents 1.0 as Alibaba Cloud's EventBridge writes it.
    CloudEvents,
}

/// Who a subscription hears of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Owner {
    /// No `owner` written: events addressed to users.
    #[default]
    Users,
    /// One addressee.
    One(Addressee),
    /// `*`: all.
    Everyone,
}

impl Owner {
    /// Whether events addressed to `addressee` are for this owner.
    pub fn hears(&self, addressee: &Addressee) -> bool {
        match self {
            Self::Users => matches!(addressee, Addressee::User(_)),
            Self::One(one) => one == addressee,
            Self::Everyone => true,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users => f.write_str("users"),
            Self::One(addressee) => addressee.fmt(f),
            Self::Everyone => f.write_str("*"),
        }
    }
}

/// Makes an enum that knows some words and keeps every other as it came: the cloud adds values
/// over time, and a value never seen before must not cost an event.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A value that Herald does not know, as it came.
            Other(String),
        }

        impl $name {
            /// The values that Herald knows, as they are written.
            pub const KNOWN: &'static [&'static str] = &[$($text),+];

            /// As it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

open_enum! {
    /// An ENI operation that is announced.
    EniOperation {
        /// Makes an ENI.
        Create = "CreateNetworkInterface",
        /// Binds an ENI to an instance.
        Attach = "AttachNetworkInterface",
        /// Takes an ENI off its instance.
        Detach = "DetachNetworkInterface",
        /// Removes an ENI.
        Delete = "DeleteNetworkInterface",
    }
}

open_enum! {
    /// State of an ENI after an operation (`eniStatus`).
    EniStatus {
        /// Exists, attached to nothing.
        Available = "Available",
        /// Attached.
        InUse = "InUse",
        /// Being detached.
        Detaching = "Detaching",
        /// Being deleted.
        Deleting = "Deleting",
        /// Gone.
        Deleted = "Deleted",
        /// Was never made.
        CreateFailed = "CreateFailed",
    }
}

open_enum! {
    /// How an operation ended.
    OperationOutcome {
        /// As wished.
        Success = "success",
        /// Not as wished.
        Failed = "failed",
    }
}

impl OperationOutcome {
    /// Whether the operation did what was asked. Sibling events write `accomplished` and
    /// `succeeded` for the same (ECS documentation, disk and snapshot events).
    pub fn is_success(&self) -> bool {
        matches!(self.as_str(), "success" | "succeeded" | "accomplished")
    }

    /// `INFO` for a success, `WARN` for anything else.
    pub fn level(&self) -> Level {
        if self.is_success() {
            Level::Info
        } else {
            Level::Warn
        }
    }
}

/// The content of an ENI operation event. Ids may be masked with asterisks; they are kept so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eni {
    /// `eniId`.
    pub id: String,
    /// `operation`.
    pub operation: EniOperation,
    /// `eniStatus`.
    pub status: EniStatus,
    /// `result`.
    pub result: OperationOutcome,
    /// `requestId`: of the API call that began the operation.
    pub request_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_and_are_named_in_any_case() {
        assert!(Level::Info < Level::Warn && Level::Warn < Level::Critical);
        assert_eq!(Level::named("warn"), Some(Level::Warn));
        assert_eq!(Level::named("FATAL"), None);
    }

    #[test]
    fn an_unknown_value_is_kept() {
        let status = EniStatus::from("Create Failed");
        assert_eq!(status, EniStatus::Other("Create Failed".to_owned()));
        assert_eq!(status.as_str(), "Create Failed");
        assert_eq!(EniStatus::from("InUse"), EniStatus::InUse);
    }

    #[test]
    fn without_owner_only_users_hear() {
        let user = Addressee::User("1".to_owned());
        let service = Addressee::Service("7".to_owned());
        assert!(Owner::Users.hears(&user) && !Owner::Users.hears(&service));
        let one = Owner::One(Addressee::parse("service:7").unwrap());
        assert!(one.hears(&service) && !one.hears(&user));
        assert!(Owner::Everyone.hears(&user) && Owner::Everyone.hears(&service));
    }

    #[test]
    fn an_addressee_has_a_kind_and_an_id() {
        assert_eq!(Addressee::parse("user:"), None);
        assert_eq!(Addressee::parse("team:x"), None);
        assert_eq!(Addressee::parse("user:1").unwrap().to_string(), "user:1");
    }
}
