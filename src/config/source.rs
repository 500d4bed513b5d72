//! `[[account]]` and `[source.NAME]`: whose events are taken, and by which way.

use herald_model::Secret;
use ipnet::IpNet;

/// A cloud account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's number.
    pub id: String,
    /// Whether ENI operation results of this account become events. An account that is not listed
    /// has it off.
    pub eni_events: bool,
}

/// One configured way in.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, unique among sources.
    pub name: String,
    /// Its type.
    pub kind: SourceKind,
    /// Any of these lets a sender in at this source; empty: whoever may use the API.
    pub tokens: Vec<Secret>,
    /// Account ids whose events it may bring; empty: all. Others are refused `foreign-account`.
    pub accounts: Vec<String>,
    /// Products, upper-cased, whose events it may bring; empty: all. Others are refused likewise.
    pub products: Vec<String>,
    /// What its events may set off.
    pub trust: Trust,
    /// Networks from which it may be called; empty: any.
    pub allow_from: Vec<IpNet>,
}

/// Type of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Events are posted to `/v1/sources/{name}/events`.
    Http,
}

/// What the events of a source may set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Notifications.
    Notify,
    /// Also follow-up actions that change something.
    Act,
}
