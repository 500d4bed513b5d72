//! How the door stands: what connections and bodies take of their room, how long the certificate is
//! still good, and who was turned away for what.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::standing::signed;

/// What is known of the door at a scrape.
#[derive(Debug, Clone, Copy, Default)]
pub struct DoorFact {
    /// Connections that are open, those that still shake hands too.
    pub connections: usize,
    /// `server.connections_max`.
    pub connections_max: usize,
    /// Bytes of bodies on their way: inflated, and not yet answered.
    pub bodies: usize,
    /// `server.bodies_max`.
    pub bodies_max: usize,
    /// Until when the certificate is good; `None` without TLS, and where nobody can tell.
    pub certificate_ends: Option<Timestamp>,
}

/// Why a connection was closed, or a request answered, before anything of it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// HTTP where HTTPS is spoken.
    NoTls,
    /// The handshake failed.
    Handshake,
    /// It was not over within `server.tls.handshake_timeout`.
    HandshakeLate,
    /// The head did not arrive within `server.header_timeout`.
    HeadLate,
    /// It is longer than `server.header_max`, or its target too long.
    HeadTooLong,
    /// It is no request of HTTP/1.1.
    NotHttp,
    /// `Host` is not in `server.hosts`, or stands there twice.
    Host,
    /// `Origin` is another site, or a page of one sent it.
    Origin,
    /// The token is missing or wrong.
    Token,
    /// The token lacks the role.
    Role,
    /// There is no such source, or none that events are brought to.
    NoSource,
    /// The address is outside the source's `allow_from`.
    Network,
    /// The source's signature is missing, wrong or too old.
    Signature,
    /// The type or packing of the body is none that is read.
    MediaType,
    /// The body is longer than `server.body_max`.
    BodyTooLong,
    /// It did not arrive within `server.body_timeout`.
    BodyLate,
    /// It ended before its announced end.
    BodyCut,
    /// It is not packed as it says.
    BodyUnpacked,
    /// All bodies together take all of `server.bodies_max`.
    NoRoom,
    /// The bodies of this sender take its share of it.
    NoShare,
    /// The journal takes no more.
    Journal,
}

impl TurnedAway {
    const ALL: [Self; 21] = [
        Self::NoTls,
        Self::Handshake,
        Self::HandshakeLate,
        Self::HeadLate,
        Self::HeadTooLong,
        Self::NotHttp,
        Self::Host,
        Self::Origin,
        Self::Token,
        Self::Role,
        Self::NoSource,
        Self::Network,
        Self::Signature,
        Self::MediaType,
        Self::BodyTooLong,
        Self::BodyLate,
        Self::BodyCut,
        Self::BodyUnpacked,
        Self::NoRoom,
        Self::NoShare,
        Self::Journal,
    ];

    /// The label in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTls => "no-tls",
            Self::Handshake => "handshake",
            Self::HandshakeLate => "handshake-late",
            Self::HeadLate => "head-late",
            Self::HeadTooLong => "head-too-long",
            Self::NotHttp => "not-http",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Token => "token",
            Self::Role => "role",
            Self::NoSource => "no-source",
            Self::Network => "network",
            Self::Signature => "signature",
            Self::MediaType => "media-type",
            Self::BodyTooLong => "body-too-long",
            Self::BodyLate => "body-late",
            Self::BodyCut => "body-cut",
            Self::BodyUnpacked => "body-unpacked",
            Self::NoRoom => "no-room",
            Self::NoShare => "no-share",
            Self::Journal => "journal",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    key: &'static str,
}

/// The families.
#[derive(Debug, Default)]
pub(super) struct Door {
    connections: Gauge,
    connections_max: Gauge,
    bodies: Gauge,
    bodies_max: Gauge,
    /// Without an entry there is no certificate, and nothing is shown.
    certificate: Family<CertificateLabels, Gauge<f64, AtomicU64>>,
    turned_away: Family<ReasonLabels, Counter>,
}

impl Door {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mine = Self::default();
        registry.register(
            "door_connections",
            "Open connections",
            mine.connections.clone(),
        );
        registry.register(
            "door_connections_max",
            "server.connections_max",
            mine.connections_max.clone(),
        );
        registry.register_with_unit(
            "door_bodies",
            "Bodies on their way, inflated, that are not answered yet",
            Unit::Bytes,
            mine.bodies.clone(),
        );
        registry.register_with_unit(
            "door_bodies_max",
            "server.bodies_max",
            Unit::Bytes,
            mine.bodies_max.clone(),
        );
        registry.register_with_unit(
            "door_certificate_expires",
            "How long a certificate is still good; below 0 it has expired",
            Unit::Seconds,
            mine.certificate.clone(),
        );
        registry.register(
            "door_turned_away",
            "Connections closed and requests refused before anything in them was looked at",
            mine.turned_away.clone(),
        );
        // A rate needs a beginning: what has not happened is 0, not missing.
        for reason in TurnedAway::ALL {
            mine.count(reason, 0);
        }
        mine
    }

    pub(super) fn set(&self, fact: &DoorFact, now: Timestamp) {
        let count = |count: usize| signed(u64::try_from(count).unwrap_or(u64::MAX));
        self.connections.set(count(fact.connections));
        self.connections_max.set(count(fact.connections_max));
        self.bodies.set(count(fact.bodies));
        self.bodies_max.set(count(fact.bodies_max));
        self.certificate.clear();
        if let Some(ends) = fact.certificate_ends {
            let left = ends.duration_since(now).as_secs_f64();
            let labels = CertificateLabels {
                key: "server.tls.cert",
            };
            self.certificate.get_or_create(&labels).set(left);
        }
    }

    pub(super) fn turned_away(&self, reason: TurnedAway) {
        self.count(reason, 1);
    }

    fn count(&self, reason: TurnedAway, by: u64) {
        let labels = ReasonLabels {
            reason: reason.as_str(),
        };
        self.turned_away.get_or_create(&labels).inc_by(by);
    }
}
