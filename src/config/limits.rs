//! How much Herald takes from the network. Each limit has its name here and in the answer to a
//! request that passes it.

use std::time::Duration;

use herald_model::settings::Table;
use herald_rules::json;

use super::reading::count;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How much is taken. A request that passes one of these is refused with the limit's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body, after unpacking.
    pub body_max: u64,
    /// Events or operation results of one request.
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
    /// Bytes of bodies at a time, after unpacking, from their first byte to their answer; whoever
    /// brings more is answered `503`. At least `body_max`.
    pub bodies_max: u64,
    /// Longest time for a request's head to arrive; of the first one, from the connection's begin.
    pub header_timeout: Duration,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// How long a connection may stay open between requests, or an answer unread.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A whole batch of events of 4 KiB, eight times the size of an ENI event.
            body_max: 4 * MIB,
            // One answer of about 100 KB, and a commit of well under a second.
            batch_max: 1_000,
            // The deepest published event has 9 levels.
            depth_max: json::Limits::default().depth_max,
            // A queue's largest message is 64 KB, 87 KB in Base64; events carry others' documents
            // as text.
            field_max: 256 * KIB,
            // Twice what nginx takes for a request line or header by default (8 KB each).
            header_max: 16 * KIB,
            // Senders that keep connections open, at about 20 KiB each.
            connections_max: 4_096,
            // A third of a second of the journal's aim of 25,000 events a second.
            queue_max: 8_192,
            // Sixteen of the longest bodies, or hundreds of batches of 100 events; what is made of a
            // body takes several times its bytes.
            bodies_max: 64 * MIB,
            // Ample for a phone network; a head that trickles holds a connection no longer.
            header_timeout: Duration::from_secs(10),
            // `body_max` at 1.1 Mbit/s.
            body_timeout: Duration::from_secs(30),
            // Longer than the 60 s of common load balancers: who closes first must not be us, or
            // a request crosses the close.
            idle_timeout: Duration::from_secs(75),
        }
    }
}

/// Reads the limits among the keys of `[server]`.
pub(super) fn read(table: &Table<'_>) -> Limits {
    let limits = read_each(table);
    if limits.bodies_max < limits.body_max {
        let text = format!(
            "`server.bodies_max`: {} bytes are less than one body of `server.body_max`, {} bytes; \
             raise it, or lower that",
            limits.bodies_max, limits.body_max
        );
        table.reading().mistake(table.span_of("bodies_max"), text);
    }
    limits
}

fn read_each(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let times = Duration::from_millis(100)..=Duration::from_secs(3_600);
    let number =
        |key: &str, range, default: usize| count(table.number(key, range).or(default as u64));
    let body_max = table
        .size("body_max", KIB..=1_024 * MIB)
        .or(default.body_max);
    Limits {
        body_max,
        batch_max: number("batch_max", 1..=1_000_000, default.batch_max),
        depth_max: number(
            "depth_max",
            8..=json::Limits::DEPTH_CEILING as u64,
            default.depth_max,
        ),
        field_max: table
            .size("field_max", KIB..=1_024 * MIB)
            .or(default.field_max),
        // The HTTP library works with no less than 8 KiB.
        header_max: table
            .size("header_max", 8 * KIB..=MIB)
            .or(default.header_max),
        connections_max: number("connections_max", 1..=1_000_000, default.connections_max),
        queue_max: number("queue_max", 1..=1_000_000, default.queue_max),
        bodies_max: table
            .size("bodies_max", KIB..=65_536 * MIB)
            .or(default.bodies_max.max(body_max)),
        header_timeout: table
            .duration("header_timeout", times.clone())
            .or(default.header_timeout),
        body_timeout: table
            .duration("body_timeout", times.clone())
            .or(default.body_timeout),
        idle_timeout: table
            .duration("idle_timeout", times)
            .or(default.idle_timeout),
    }
}
