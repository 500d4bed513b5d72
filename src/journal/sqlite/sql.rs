//! Every statement of the writer, in one list: prepared once, named, and checked for its query plan
//! by the test below.

use rusqlite::{Connection, Statement};

macro_rules! statements {
    ($($name:ident: $text:literal;)+) => {
        /// The writer's statements, prepared.
        pub(super) struct Statements<'c> {
            $(pub(super) $name: Statement<'c>,)+
        }

        impl<'c> Statements<'c> {
            /// Prepares them all.
            pub(super) fn prepare(conn: &'c Connection) -> rusqlite::Result<Self> {
                Ok(Self { $($name: conn.prepare($text)?,)+ })
            }
        }

        #[cfg(test)]
        impl Statements<'_> {
            /// Steps that they took since this was last asked.
            pub(super) fn steps(&self) -> i64 {
                let step = rusqlite::StatementStatus::VmStep;
                0 $(+ i64::from(self.$name.reset_status(step)))+
            }
        }

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $text),)+];
    };
}

statements! {
    begin: "BEGIN IMMEDIATE";
    commit: "COMMIT";
    page_count: "PRAGMA page_count";
    free_pages: "PRAGMA freelist_count";

    insert_event: "INSERT INTO event (seq, id, received, source, generation, flags, first_delivery, deliveries, identities, matched, text, original) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    insert_delivery: "INSERT INTO delivery (seq, event, subscription, sink, level, lane_key, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    insert_lane: "INSERT INTO lane (head, sink, level, due, key, phase, expires) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6) ON CONFLICT DO NOTHING";
    insert_queue: "INSERT INTO queue (delivery, sink, key) VALUES (?1, ?2, ?3)";
    learning_event: "SELECT id, text, matched FROM event WHERE seq = ?1";
    write_learned: "UPDATE event SET text = ?2, matched = ?3 WHERE seq = ?1";
    insert_added: "INSERT INTO added (delivery, event, id) VALUES (?1, ?2, ?3)";
    added_of: "SELECT delivery FROM added WHERE event = ?1 ORDER BY delivery";
    delete_added: "DELETE FROM added WHERE event = ?1";
    write_bookmark: "INSERT INTO bookmark (source, text) VALUES (?1, ?2) ON CONFLICT (source) DO UPDATE SET text = excluded.text";
    insert_operation: "INSERT INTO operation (seq, received, source, reason, text) VALUES (?1, ?2, ?3, ?4, ?5)";

    insert_refused: "INSERT INTO refused (seq, at, source, reason, body, form, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    oldest_refused: "SELECT seq FROM refused WHERE source = ?1 ORDER BY seq LIMIT 1";
    delete_refused: "DELETE FROM refused WHERE seq = ?1 RETURNING source, coalesce(length(body), 0)";
    old_refused: "SELECT seq, at FROM refused ORDER BY seq LIMIT ?1";

    find_identity: "SELECT event FROM identity WHERE key = ?1";
    find_identity_more: "SELECT event FROM identity_more WHERE key = ?1";
    insert_identity: "INSERT INTO identity (key, event) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    replace_identity: "UPDATE identity SET event = ?2 WHERE key = ?1";
    insert_identity_more: "INSERT INTO identity_more (key, event) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    identified_event: "SELECT id, received, identities FROM event WHERE seq = ?1";

    due_lanes: "SELECT head, sink, key, expires, charged, kills, since, uncounted, first_attempt, message, composed, kept, last, level, due, again, late, earlier FROM lane WHERE sink = ?1 AND level = ?2 AND due <= ?3 ORDER BY due, head LIMIT ?4";
    next_due: "SELECT due FROM lane WHERE sink = ?1 AND level = ?2 AND due > ?3 ORDER BY due LIMIT 1";
    lane_by_head: "SELECT head, sink, key, expires, charged, kills, since, uncounted, first_attempt, message, composed, kept, last, level, due, again, late, earlier FROM lane WHERE head = ?1";
    lanes_of_event: "SELECT head, sink, key, expires, charged, kills, since, uncounted, first_attempt, message, composed, kept, last, level, due, again, late, earlier FROM lane WHERE head BETWEEN ?1 AND ?2 AND head <> ?3 AND +sink = ?4 AND +due <= ?5 AND message IS NULL AND again IS NULL ORDER BY head";
    queued_of_event: "SELECT delivery FROM queue WHERE delivery BETWEEN ?1 AND ?2 AND +sink = ?3 AND +key = ?4 ORDER BY delivery";
    open_lane: "UPDATE lane SET due = NULL, attempt = ?2, started = ?3, kept = ?4 WHERE head = ?1";
    claimed_delivery: "SELECT d.subscription, d.sink, d.event, e.id, e.text, e.first_delivery, e.deliveries FROM delivery d JOIN event e ON e.seq = d.event WHERE d.seq = ?1";
    saved_text: "SELECT text FROM message WHERE number = ?1 AND frozen = 1";
    saved_progress: "SELECT bytes FROM checkpoint WHERE message = ?1";

    save_text: "INSERT INTO message (number, composed, text) VALUES (?1, ?2, ?3) ON CONFLICT (number) DO UPDATE SET text = excluded.text WHERE frozen = 0";
    save_progress: "INSERT INTO checkpoint (message, bytes) VALUES (?1, ?2) ON CONFLICT (message) DO UPDATE SET bytes = excluded.bytes";
    saved_members: "SELECT members FROM message WHERE number = ?1";
    save_members: "INSERT INTO message (number, composed, members) VALUES (?1, ?2, ?3) ON CONFLICT (number) DO UPDATE SET members = excluded.members";
    drop_text: "UPDATE message SET text = NULL WHERE number = ?1";
    leave_message: "UPDATE lane SET message = NULL, composed = NULL, kept = 0 WHERE head = ?1 AND message = ?2";
    freeze: "UPDATE message SET frozen = 1 WHERE number = ?1";
    delete_message: "DELETE FROM message WHERE number = ?1";
    delete_checkpoint: "DELETE FROM checkpoint WHERE message = ?1";

    insert_attempt: "INSERT INTO attempt (seq, number, message, leader, delivery, previous, started, ended, outcome, charged, words) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    insert_finish: "INSERT INTO finish (delivery, state, at, attempt, charged, reason, late) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    delete_lane: "DELETE FROM lane WHERE head = ?1";
    again_lane: "UPDATE lane SET due = ?2, attempt = NULL, started = NULL, phase = ?3, charged = ?4, kills = ?5, since = NULL, uncounted = ?6, first_attempt = ?7, message = ?8, composed = ?9, kept = ?10, last = ?11, again = ?12 WHERE head = ?1";
    pass_lane: "UPDATE lane SET key = NULL, late = 1, due = ?2, again = NULL WHERE head = ?1";
    mark_late: "UPDATE lane SET late = 1 WHERE head = ?1";
    inherit_lane: "UPDATE lane SET key = ?2 WHERE head = ?1";
    return_lane: "UPDATE lane SET due = ?2, attempt = NULL, started = NULL WHERE head = ?1";
    wait_lane: "UPDATE lane SET due = ?2, attempt = NULL, started = NULL, phase = ?3, since = ?4, uncounted = ?5, kept = ?6, again = NULL WHERE head = ?1";
    next_in_queue: "SELECT delivery FROM queue WHERE sink = ?1 AND key = ?2 ORDER BY delivery LIMIT 1";
    delete_queue: "DELETE FROM queue WHERE delivery = ?1";
    queued_delivery: "SELECT level, expires FROM delivery WHERE seq = ?1";
    lane_key: "SELECT lane_key FROM delivery WHERE seq = ?1";
    queue_page: "SELECT q.delivery, d.level FROM queue q JOIN delivery d ON d.seq = q.delivery WHERE q.sink = ?1 ORDER BY q.key LIMIT ?2";
    waiting_lanes: "SELECT head, sink, key, expires, charged, kills, since, uncounted, first_attempt, message, composed, kept, last, level, due, again, late, earlier FROM lane WHERE sink = ?1 AND level = ?2 AND due IS NOT NULL ORDER BY due LIMIT ?3";
    insert_endpoint: "INSERT INTO endpoint (seq, name) VALUES (?1, ?2)";
    write_endpoint: "UPDATE endpoint SET starts = ?2, per = ?3, penalty_until = ?4, faults = ?5, probe_at = ?6 WHERE seq = ?1";
    write_way: "INSERT INTO way (sink, endpoint, limited, until) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (sink) DO UPDATE SET endpoint = excluded.endpoint, limited = excluded.limited, until = excluded.until";
    hold_sink: "INSERT INTO pause (sink, at, who, why) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let_go: "DELETE FROM pause WHERE sink = ?1";

    old_events: "SELECT seq, received, first_delivery, deliveries, octet_length(text) FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    event_from: "SELECT seq, received FROM event WHERE seq >= ?1 ORDER BY seq LIMIT 1";
    kept_back: "SELECT k.event, e.first_delivery, e.deliveries FROM kept_back k JOIN event e ON e.seq = k.event WHERE k.event > ?1 ORDER BY k.event LIMIT ?2";
    insert_kept_back: "INSERT INTO kept_back (event) VALUES (?1) ON CONFLICT DO NOTHING";
    delete_kept_back: "DELETE FROM kept_back WHERE event = ?1";
    ends: "SELECT state, attempt FROM finish WHERE delivery BETWEEN ?1 AND ?2";
    delete_attempt: "DELETE FROM attempt WHERE seq = ?1 RETURNING previous, message";
    delete_finish: "DELETE FROM finish WHERE delivery BETWEEN ?1 AND ?2";
    delete_delivery: "DELETE FROM delivery WHERE seq BETWEEN ?1 AND ?2";
    delete_event: "DELETE FROM event WHERE seq = ?1";
    old_operations: "SELECT seq, received FROM operation ORDER BY seq LIMIT ?1";
    delete_operations: "DELETE FROM operation WHERE seq <= ?1";
    identity_slice: "SELECT key FROM identity WHERE key > ?1 ORDER BY key LIMIT 1 OFFSET ?2";
    delete_identities: "DELETE FROM identity WHERE key > ?1 AND key <= ?2 AND (event < ?3 OR (event <= ?4 AND NOT EXISTS (SELECT 1 FROM kept_back k WHERE k.event = identity.event)))";
    delete_identities_more: "DELETE FROM identity_more WHERE key > ?1 AND key <= ?2 AND (event < ?3 OR (event <= ?4 AND NOT EXISTS (SELECT 1 FROM kept_back k WHERE k.event = identity_more.event)))";

    write_counter: "UPDATE counter SET events = ?1, planned = ?2, delivered = ?3, dead = ?4, suppressed = ?5, pending = ?6, removed = ?7, next_event = ?8, next_delivery = ?9, next_attempt = ?10, next_claim = ?11, next_operation = ?12, identities_from = ?13, swept = ?14, next_refused = ?15 WHERE one = 1";
    write_backlog: "INSERT INTO backlog (sink, pending) VALUES (?1, ?2) ON CONFLICT (sink) DO UPDATE SET pending = pending + excluded.pending";

    insert_hand: "INSERT INTO hand (at, who, verb, what, why) VALUES (?1, ?2, ?3, ?4, ?5)";
    end_of: "SELECT state, attempt, charged FROM finish WHERE delivery = ?1";
    replayed_delivery: "SELECT d.sink, d.level, d.expires, e.received FROM delivery d JOIN event e ON e.seq = d.event WHERE d.seq = ?1";
    replay_lane: "INSERT INTO lane (head, sink, level, due, phase, expires, message, composed, kept, last, earlier) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10)";
    attempt_made: "SELECT message, leader, started, outcome, previous FROM attempt WHERE seq = ?1";
    stored_message: "SELECT composed, members IS NOT NULL, frozen, text IS NOT NULL FROM message WHERE number = ?1";
    stored_progress: "SELECT 1 FROM checkpoint WHERE message = ?1";
    copy_progress: "INSERT INTO checkpoint (message, bytes) SELECT ?2, bytes FROM checkpoint WHERE message = ?1";
    in_flight: "SELECT attempt IS NOT NULL FROM lane WHERE head = ?1";
    queued_for: "SELECT sink FROM queue WHERE delivery = ?1";
    next_lanes: "SELECT head, expires, attempt IS NOT NULL FROM lane WHERE head > ?1 ORDER BY head LIMIT ?2";

    insert_name: "INSERT INTO name (seq, text) VALUES (?1, ?2)";
    insert_subscription: "INSERT INTO subscription (seq, name, text) VALUES (?1, ?2, ?3)";
    insert_generation: "INSERT INTO generation (seq, since) VALUES (?1, ?2)";
    insert_in_force: "INSERT INTO in_force (seq, subscription, position, first_generation) VALUES (?1, ?2, ?3, ?4)";
    end_in_force: "UPDATE in_force SET last_generation = ?2 WHERE seq = ?1";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::sqlite::schema;

    #[test]
    fn no_statement_scans_a_table_or_sorts() {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn, std::path::Path::new("journal.db")).unwrap();
        let mut bad = Vec::new();
        for (name, text) in ALL {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let steps: Vec<String> = plan
                .raw_query()
                .mapped(|row| row.get(3))
                .collect::<Result<_, _>>()
                .unwrap();
            for step in steps {
                // A scan in key order that stops after a bounded number of rows is a walk.
                let walk = text.contains("ORDER BY seq LIMIT")
                    && ["SCAN operation", "SCAN refused"].contains(&&*step);
                if (step.starts_with("SCAN") && !walk) || step.contains("TEMP B-TREE") {
                    bad.push(format!("{name}: {step}"));
                }
            }
        }
        assert!(bad.is_empty(), "{bad:#?}");
    }
}
