//! What a scrape shows.

use std::time::Duration;

use super::*;
use crate::intake::Class;
use crate::journal::{EndpointRow, Limit, Size, Totals};

fn facts() -> Facts {
    let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let limit = Limit {
        messages: 18,
        per: Duration::from_secs(60),
        in_flight: 1,
        reserve: 3,
    };
    let row = EndpointRow {
        name: "dingtalk:abc".to_owned(),
        starts: vec![
            (now - Duration::from_secs(61), 5),
            (now - Duration::from_secs(59), 2),
            (now, 1),
        ],
        penalty_until: Some(now + Duration::from_secs(90)),
        is_broken: true,
    };
    Facts {
        now,
        totals: Totals {
            events: 3,
            planned: 10,
            delivered: 4,
            dead: 1,
            suppressed: 2,
            pending: 2,
            removed: 1,
        },
        size: Size {
            used: 15 << 20,
            free: 7,
            max: 16 << 20,
            events: 3,
        },
        sinks: vec![SinkFact {
            name: "chat".to_owned(),
            state: "penalty",
            pending: 2,
            oldest: Some(now - Duration::from_secs(30)),
        }],
        endpoints: vec![(row, Some(limit))],
        attempts: vec![("chat".into(), "transient", 6)],
        refused: vec![("api".into(), Class::Unreadable, 9)],
        door: DoorFact {
            connections: 7,
            connections_max: 4_096,
            bodies: 1_000,
            bodies_max: 64 << 20,
            certificate_ends: Some(now + Duration::from_secs(3_600)),
        },
    }
}

#[test]
fn a_scrape_shows_how_everything_stands() {
    let metrics = Metrics::default();
    metrics.recorded(Duration::from_millis(3));
    metrics.turned_away(TurnedAway::Token);
    metrics.turned_away(TurnedAway::Token);
    metrics.commits()(Duration::from_millis(30));
    let text = metrics.write(&facts()).unwrap();
    for line in [
        "herald_deliveries_planned 10",
        "herald_deliveries{state=\"removed\"} 1",
        "herald_journal_used_bytes 15728640",
        "herald_journal_refused_from_bytes 15728640",
        "herald_journal_reserve_bytes 1048576",
        "herald_journal_near 1",
        "herald_sink_pending{sink=\"chat\"} 2",
        "herald_sink_oldest_seconds{sink=\"chat\"} 30.0",
        "herald_sink_state{sink=\"chat\",state=\"penalty\"} 1",
        "herald_sink_state{sink=\"chat\",state=\"ready\"} 0",
        "herald_endpoint_permits_used{endpoint=\"dingtalk:abc\"} 3",
        "herald_endpoint_permits_limit{endpoint=\"dingtalk:abc\"} 18",
        "herald_endpoint_penalty_seconds{endpoint=\"dingtalk:abc\"} 90.0",
        "herald_endpoint_breaker_open{endpoint=\"dingtalk:abc\"} 1",
        "herald_attempts_total{sink=\"chat\",outcome=\"transient\"} 6",
        "herald_refused_total{source=\"api\",class=\"unreadable\"} 9",
        "herald_record_seconds_count 1",
        "herald_door_connections 7",
        "herald_door_connections_max 4096",
        "herald_door_bodies_bytes 1000",
        "herald_door_bodies_max_bytes 67108864",
        "herald_door_certificate_expires_seconds{key=\"server.tls.cert\"} 3600.0",
        "herald_door_turned_away_total{reason=\"token\"} 2",
        "herald_door_turned_away_total{reason=\"no-room\"} 0",
        "herald_journal_commit_seconds_bucket{le=\"0.0256\"} 0",
        "herald_journal_commit_seconds_bucket{le=\"0.0512\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn what_is_gone_is_not_shown_any_more_and_counters_do_not_run_away() {
    let metrics = Metrics::default();
    metrics.write(&facts()).unwrap();
    let mut later = facts();
    later.sinks.clear();
    later.endpoints.clear();
    later.door.certificate_ends = None;
    let text = metrics.write(&later).unwrap();
    assert!(!text.contains("sink_pending{") && !text.contains("dingtalk:abc"));
    assert!(!text.contains("certificate_expires_seconds{"), "{text}");
    assert!(text.contains("herald_attempts_total{sink=\"chat\",outcome=\"transient\"} 6\n"));
}
