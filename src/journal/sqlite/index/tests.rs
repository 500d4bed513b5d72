//! Filling and giving back parts, on a journal whose rows are written by hand.

use tempfile::TempDir;

use super::*;

/// Events to a part here.
const PART: i64 = 64;

struct Bench {
    _folder: TempDir,
    path: PathBuf,
    conn: Connection,
    names: Names,
    filler: Filler,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let conn = open::writer(&path).unwrap();
        let names = Names::load(&conn).unwrap();
        let filler = Filler::open(&path, PART).unwrap();
        Self {
            _folder: folder,
            path,
            conn,
            names,
            filler,
        }
    }

    /// Records events up to `last`, each with two deliveries.
    fn record(&self, first: i64, last: i64) {
        for seq in first..=last {
            let text =
                format!(r#"{{"id":"S{seq}","content":{{"eniId":"eni-1","requestId":"R{seq}"}}}}"#);
            self.conn
                .execute(
                    "INSERT INTO event (seq, id, received, source, generation, flags, \
                     first_delivery, deliveries, matched, text) \
                     VALUES (?1, ?2, 0, 1, 1, 0, ?3, 2, '[]', ?4)",
                    params![seq, id(seq).uuid().as_bytes(), 2 * seq, text],
                )
                .unwrap();
            for delivery in [2 * seq, 2 * seq + 1] {
                self.conn
                    .execute(
                        "INSERT INTO delivery (seq, event, subscription, sink, level, expires) \
                         VALUES (?1, ?2, ?1, 1, 1, 0)",
                        [delivery, seq],
                    )
                    .unwrap();
            }
        }
        self.conn
            .execute("UPDATE counter SET next_event = ?1", [last + 1])
            .unwrap();
    }

    /// Retention removes what is there up to `swept`, but for `kept`.
    fn sweep(&self, swept: i64, kept: &[i64]) {
        self.conn.execute("DELETE FROM kept_back", []).unwrap();
        for event in kept {
            self.conn
                .execute("INSERT INTO kept_back VALUES (?1)", [event])
                .unwrap();
        }
        self.conn
            .execute_batch(&format!(
                "DELETE FROM delivery WHERE event <= {swept} \
                 AND event NOT IN (SELECT event FROM kept_back);
                 DELETE FROM event WHERE seq <= {swept} \
                 AND seq NOT IN (SELECT event FROM kept_back);
                 UPDATE counter SET swept = {swept};"
            ))
            .unwrap();
    }

    /// Until there is nothing to do.
    fn work(&mut self) {
        while self.filler.fill(&self.names).unwrap() | self.filler.prune().unwrap() {}
    }

    fn rows(&self, table: &str) -> i64 {
        let text = format!("SELECT count(*) FROM {table}");
        let count = self.filler.index.query_row(&text, [], |row| row.get(0));
        count.unwrap()
    }

    fn lookup(&self) -> Lookup {
        Lookup::open(&self.path).unwrap()
    }

    fn requests(&self, seq: i64) -> Vec<i64> {
        let request = format!("R{seq}");
        let found = self
            .lookup()
            .find(Kind::Request, request.as_bytes(), i64::MAX, 8);
        found.unwrap()
    }
}

fn id(seq: i64) -> EventId {
    EventId::from_uuid(Uuid::from_u128(u128::from(seq.unsigned_abs()) << 64))
}

#[test]
fn whatever_part_it_is_in_it_is_found_newest_first() {
    let mut bench = Bench::new();
    bench.record(1, 3 * PART);
    bench.work();
    assert_eq!(bench.rows("part"), 4);
    let lookup = bench.lookup();
    for seq in [1, PART - 1, PART, 2 * PART + 5, 3 * PART] {
        assert_eq!(lookup.event(id(seq)).unwrap(), Some(seq));
        assert_eq!(bench.requests(seq), [seq]);
    }
    let enis = lookup.find(Kind::Eni, b"eni-1", 2 * PART + 2, 100).unwrap();
    let expected: Vec<i64> = (0..100).map(|back| 2 * PART + 1 - back).collect();
    assert_eq!(enis, expected);
}

#[test]
fn a_part_is_given_back_when_retention_has_passed_all_of_it() {
    let mut bench = Bench::new();
    bench.record(1, 3 * PART);
    bench.work();
    bench.sweep(PART - 2, &[]);
    bench.work();
    assert_eq!(bench.rows("event_id"), 3 * PART, "its last event is there");
    bench.sweep(2 * PART - 1, &[]);
    bench.work();
    assert_eq!(bench.rows("part"), 2);
    assert_eq!(bench.rows("event_id"), PART + 1);
    assert_eq!(bench.rows("hash"), 3 * (PART + 1));
    assert_eq!(bench.rows("delivery"), 2 * (PART + 1));
    assert!(bench.requests(5).is_empty());
    assert_eq!(bench.requests(2 * PART), [2 * PART]);
}

#[test]
fn what_retention_passed_over_stays_until_it_goes_too() {
    let mut bench = Bench::new();
    bench.record(1, 2 * PART);
    bench.work();
    bench.sweep(PART, &[7, 9]);
    bench.work();
    assert_eq!(bench.requests(7), [7]);
    assert!(bench.requests(8).is_empty());
    assert_eq!(bench.rows("event_id"), 2 + PART + 1);
    assert_eq!(bench.rows("delivery"), 2 * (2 + PART + 1));
    bench.record(2 * PART + 1, 3 * PART);
    bench.sweep(2 * PART, &[9]);
    bench.work();
    assert!(
        bench.requests(7).is_empty(),
        "looked at again with the next part"
    );
    assert_eq!(bench.requests(9), [9]);
    assert_eq!(bench.rows("event_id"), 1 + PART + 1);
}

#[test]
fn what_is_indexed_after_its_part_was_given_back_is_found() {
    let mut bench = Bench::new();
    bench.record(1, PART - 1);
    bench.sweep(PART - 1, &[3]);
    while bench.filler.prune().unwrap() {}
    bench.work();
    assert_eq!(bench.requests(3), [3]);
    assert_eq!(bench.rows("part"), 1);
}

#[test]
fn nothing_is_sorted_to_be_found() {
    let bench = Bench::new();
    for text in [FIND_EVENT, FIND_EVENTS, FIND_DELIVERIES] {
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let mut explained = bench.filler.index.prepare(&explain).unwrap();
        let mut rows = explained.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get::<_, String>(3).unwrap());
        }
        let plan = plan.join("; ");
        assert!(!plan.contains("TEMP B-TREE"), "{text}: {plan}");
        assert!(plan.contains("part=?"), "{text}: {plan}");
    }
}
