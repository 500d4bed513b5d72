//! `[server]`: where Herald listens, who may speak to it, and how much of it.

use std::net::SocketAddr;
use std::time::Duration;

use herald_model::Secret;
use jiff::tz::TimeZone;
use url::Url;

/// The face to the network.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where to listen. Beyond loopback only with `tokens`.
    pub listen: SocketAddr,
    /// What a request's `Host` may be besides the listen address and `localhost`: names or
    /// addresses, lower-case, with a port or without (any port).
    pub hosts: Vec<String>,
    /// Longest time that stopping waits for open attempts.
    pub drain: Duration,
    /// Who may call; empty only on loopback, where every caller then has every role.
    pub tokens: Vec<Token>,
    /// How much is taken.
    pub limits: Limits,
    /// What links in notifications begin with; `None` for `http://` and the listen address.
    pub console_url: Option<Url>,
    /// The zone in which built-in texts write times.
    pub time_zone: TimeZone,
}

/// A caller of the API.
#[derive(Debug, Clone)]
pub struct Token {
    /// Who this is, for the journal's record of who asked.
    pub name: String,
    /// What the caller sends as bearer.
    pub token: Secret,
    /// What it may do; never empty.
    pub roles: Vec<Role>,
}

impl Token {
    /// Whether the caller may do what `role` allows.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Hand in events and operation results.
    Intake,
    /// Look at everything.
    Read,
    /// Replay, cancel, pause, reload.
    Operate,
    /// Approve follow-up actions.
    Approve,
}

impl Role {
    /// All roles with their words in the file.
    pub const ALL: [(&'static str, Self); 4] = [
        ("intake", Self::Intake),
        ("read", Self::Read),
        ("operate", Self::Operate),
        ("approve", Self::Approve),
    ];
}

/// How much is taken. A request that passes one of these is refused with the limit's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body, after unpacking.
    pub body_max: u64,
    /// Events of one request.
    pub batch_max: usize,
    /// Levels of arrays and objects in a body.
    pub depth_max: usize,
    /// Bytes of one text in a body.
    pub field_max: u64,
    /// Bytes of a request's head.
    pub header_max: u64,
    /// Connections at a time; more wait to be accepted.
    pub connections_max: usize,
    /// Events at a time between intake and the journal's commit; more are answered `503`.
    pub queue_max: usize,
    /// Longest time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: Duration,
}
