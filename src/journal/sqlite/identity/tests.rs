//! What was folded, swept and taken back is known or forgotten as it should be.

use std::path::Path;

use super::*;
use crate::journal::sqlite::schema;

const WINDOW: Duration = Duration::from_secs(60);

/// The `n`th event's identities. Every third shares its first half with its neighbour.
fn identities(n: i64) -> [Identity; 2] {
    let n = u128::try_from(n).unwrap();
    let first = (n - n % 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) << 64;
    [Identity(first | n), Identity((n << 70) | 7)]
}

/// Writes an event that was received at its own number.
fn write(conn: &Connection, set: &mut Identities, count: &mut Counters, fingerprint: u64) {
    let n = count.next_event;
    count.next_event += 1;
    conn.execute(
        "INSERT INTO event VALUES (?1, ?2, ?1, 1, 1, 0, 1, 0, ?3, '[]', '{}', NULL)",
        params![
            n,
            Uuid::from_u128(7).as_bytes(),
            encode(fingerprint, &identities(n))
        ],
    )
    .unwrap();
    set.add(n, fingerprint, &identities(n));
}

fn sight(set: &Identities, sql: &mut Statements<'_>, n: i64, fingerprint: u64) -> Sight {
    set.sight(sql, &identities(n), fingerprint, n, WINDOW)
        .unwrap()
}

#[test]
fn what_was_folded_is_known_across_starts_and_failures() {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, Path::new("journal.db")).unwrap();
    let mut sql = Statements::prepare(&conn).unwrap();
    let mut count = Counters {
        next_event: 1,
        identities_from: 1,
        ..Counters::default()
    };
    let mut set = Identities::load(&conn, &count).unwrap();
    for group in 0..120 {
        set.young_max = 32;
        let before = count;
        conn.execute_batch("BEGIN").unwrap();
        for _ in 0..5 {
            write(&conn, &mut set, &mut count, 1);
        }
        set.fold(&mut sql, &mut count).unwrap();
        if group % 7 == 3 {
            conn.execute_batch("ROLLBACK").unwrap();
            count = before;
            set.roll_back();
        } else {
            conn.execute_batch("COMMIT").unwrap();
            set.committed();
        }
        if group % 10 == 9 {
            set = Identities::load(&conn, &count).unwrap();
        }
    }
    assert!(
        count.identities_from > 300,
        "rounds were finished: {count:?}"
    );
    for n in 1..count.next_event {
        let same = sight(&set, &mut sql, n, 1);
        assert!(matches!(same, Sight::Same(_)), "event {n}: {same:?}");
        assert_eq!(sight(&set, &mut sql, n, 2), Sight::Other, "event {n}");
    }
    assert_eq!(sight(&set, &mut sql, count.next_event, 1), Sight::New);
}

#[test]
fn a_turn_removes_what_is_old_from_memory_and_tree() {
    let mut conn = Connection::open_in_memory().unwrap();
    schema::migrate(&mut conn, Path::new("journal.db")).unwrap();
    let mut sql = Statements::prepare(&conn).unwrap();
    let mut count = Counters {
        next_event: 1,
        identities_from: 1,
        ..Counters::default()
    };
    let mut set = Identities::load(&conn, &count).unwrap();
    set.young_max = 32;
    for _ in 0..100 {
        write(&conn, &mut set, &mut count, 1);
        set.fold(&mut sql, &mut count).unwrap();
        set.committed();
    }
    let mut removed = 0;
    loop {
        let gone = |old_before| Gone {
            old_before,
            swept: 0,
        };
        let (step, more) = set.sweep(&mut sql, gone(61), count.next_event, 2).unwrap();
        removed += step;
        if !more {
            break;
        }
    }
    assert_eq!(removed, 120, "two of each of the first sixty");
    assert_eq!(sight(&set, &mut sql, 60, 1), Sight::New);
    assert!(matches!(sight(&set, &mut sql, 61, 1), Sight::Same(_)));
    let gone = Gone {
        old_before: 62,
        swept: 0,
    };
    let again = set.sweep(&mut sql, gone, count.next_event, 2).unwrap();
    assert_eq!(again, (0, false), "not worth another turn yet");
}
