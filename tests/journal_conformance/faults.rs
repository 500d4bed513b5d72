//! What only the file can suffer: other processes, kills, full disks, damage, foreign files.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use herald::journal::sqlite::{SqliteJournal, WAL_BYTES_MAX};
use herald::journal::{
    Bounds, DeliveryFilter, Entry, Error, EventFilter, Journal, Look, Next, Recorded, RefusedEntry,
    RefusedFilter, SettledItem, Settlement,
};
use herald_model::{DeliveryState, EventId, Signal};
use uuid::Uuid;

use crate::engine::{Engine, Sqlite};
use crate::world::{HOOK, MAIL, Sample, World, accepted, ok, start};

const CHILD: &str = "HERALD_TEST_JOURNAL";

fn open(path: impl AsRef<Path>) -> Result<SqliteJournal, Error> {
    SqliteJournal::open(path.as_ref(), start())
}

fn refused(path: impl AsRef<Path>) -> Error {
    match open(path) {
        Ok(_) => panic!("it was opened"),
        Err(why) => why,
    }
}

/// A journal with some events, some of them delivered, that is closed again.
async fn used(events: u128) -> Sqlite {
    let mut engine = Sqlite::new();
    {
        let world = World::new(&mut engine).await;
        let events = (1..=events).map(|n| world.event(n).by_mail()).collect();
        world.record(events).await;
        for claimed in &world.claim(MAIL, 5).await.messages {
            world.deliver(claimed).await;
        }
    }
    engine.stop();
    engine
}

#[test]
fn a_second_opening_is_refused_while_the_first_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let first = open(&path).unwrap();
    let why = refused(&path);
    assert!(matches!(why, Error::InUse { .. }), "{why}");
    drop(first);
    open(&path).unwrap();
}

/// Runs one of the [`child`] jobs on a journal in a process of its own.
fn spawn(job: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::child", "--nocapture"])
        .env(CHILD, format!("{job} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child process does; nothing when it is run as a test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (job, path) = order.split_once(' ').unwrap();
    match job {
        "open" => {
            let opened = tokio::task::block_in_place(|| open(path));
            println!(
                "{}",
                opened.map_or_else(|why| why.to_string(), |_| "opened".to_owned())
            );
        }
        "work" => work(path).await,
        other => panic!("no job {other}"),
    }
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let first = open(&path).unwrap();
    let told = |path: &Path| {
        let output = spawn("open", path).wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let words = told(&path);
    assert!(words.contains("is in use by another process"), "{words}");
    drop(first);
    assert!(told(&path).contains("opened"));
}

/// Records, claims and settles for ever, and says what was acknowledged.
async fn work(path: &str) {
    let journal = open(path).unwrap();
    let rules = journal
        .begin(crate::world::rules(&["first", "second"], start()))
        .await
        .unwrap();
    let mut engine = Lent(journal);
    let world = World {
        engine: &mut engine,
        now: start(),
        rules,
        policies: Default::default(),
    };
    let mut stdout = std::io::stdout();
    for _ in 0..1_000_000 {
        let events: Vec<Sample> = (0..7)
            .map(|_| world.event(Uuid::now_v7().as_u128()).by_mail())
            .collect();
        let entries = events.iter().cloned().map(Sample::entry).collect();
        for recorded in world.journal().record(entries).await.unwrap() {
            if let Recorded::Accepted { id, .. } = recorded {
                writeln!(stdout, "recorded {id}").unwrap();
            }
        }
        let claims = world.journal().claim(world.request(&[(MAIL, 5)])).await;
        for claimed in claims.unwrap().messages {
            let settlement = world.settlement(&claimed, &ok(), &Next::Delivered);
            world.journal().settle(settlement).await.unwrap();
            writeln!(stdout, "delivered {}", claimed.items[0].event).unwrap();
        }
        stdout.flush().unwrap();
    }
}

/// A journal that belongs to somebody else.
struct Lent(SqliteJournal);

#[async_trait::async_trait]
impl Engine for Lent {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }

    async fn restart(&mut self, _: jiff::Timestamp) {
        unreachable!("it is not ours to restart");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let (mut recorded, mut delivered) = (HashSet::new(), HashSet::new());
    for round in 0..5 {
        let mut child = spawn("work", &path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        for line in lines {
            let line = line.unwrap();
            let known = match line.split_once(' ') {
                Some(("recorded", id)) => recorded.insert(id.parse::<EventId>().unwrap()),
                Some(("delivered", id)) => delivered.insert(id.parse::<EventId>().unwrap()),
                _ => false,
            };
            acknowledged += usize::from(known);
            if acknowledged == 150 + round * 61 {
                // SIGKILL. What it had printed by then is still in the pipe, and counts.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();

        let journal = open(&path).unwrap();
        let totals = journal.totals().await.unwrap();
        assert!(totals.events >= recorded.len() as u64);
        assert!(totals.delivered >= delivered.len() as u64);
        assert_eq!(totals.planned, totals.delivered + totals.pending);
        for id in &recorded {
            assert!(journal.event(*id).await.unwrap().is_some(), "{id} is lost");
        }
        for id in &delivered {
            let filter = DeliveryFilter {
                event: Some(*id),
                ..DeliveryFilter::default()
            };
            let rows = journal.deliveries(filter).await.unwrap().rows;
            assert_eq!(rows[0].state, DeliveryState::Delivered, "{id}");
        }
        journal.close().await;
    }
    assert!(recorded.len() > 500 && delivered.len() > 300);
}

#[test]
fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing").join("journal.db");
    let why = refused(&missing);
    assert!(matches!(why, Error::Open { .. }), "{why}");
    assert!(why.to_string().contains("missing"), "{why}");
    let why = refused(dir.path());
    assert!(matches!(why, Error::Open { .. }), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused() {
    let engine = used(3).await;
    let conn = rusqlite::Connection::open(engine.path()).unwrap();
    conn.pragma_update(None, "user_version", 999).unwrap();
    drop(conn);
    let why = refused(engine.path());
    assert!(matches!(why, Error::TooNew { found: 999, .. }), "{why}");
}

/// A journal as version 1 of the schema left it: an event, its delivery that waits, and a body that
/// was refused.
const OF_VERSION_1: &str = r#"
    PRAGMA application_id = 0x48524c44;
    INSERT INTO name VALUES (1, 'mail'), (2, 'hook'), (3, 'cloudmonitor');
    INSERT INTO subscription VALUES (1, 'first', '{"name":"first"}');
    INSERT INTO generation VALUES (1, 1800000000000);
    INSERT INTO in_force VALUES (1, 1, 0, 1, NULL);
    INSERT INTO event VALUES (1, zeroblob(15) || x'07', 1800000000000, 3, 1, 0, 1, 1, NULL, '[1]',
        '{"ver":"1.0","id":"S7"}', NULL);
    UPDATE event SET id = CAST(id AS BLOB);
    INSERT INTO delivery VALUES (1, 1, 1, 1, 2, NULL, 1800086400000);
    INSERT INTO lane (head, sink, level, due, phase, expires)
        VALUES (1, 1, 2, 1800000000000, 0, 1800086400000);
    INSERT INTO backlog VALUES (1, 1);
    INSERT INTO refused VALUES (4, 1800000000000, 3, 'not JSON', NULL);
    UPDATE counter SET events = 1, planned = 1, pending = 1, next_event = 2, next_delivery = 2;
    PRAGMA user_version = 1;
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_schema_is_carried_forward_and_goes_on() {
    let mut engine = Sqlite::new();
    engine.stop();
    for end in ["", "-wal", "-shm", ".index"] {
        let _ = std::fs::remove_file(beside(&engine.path(), end));
    }
    let conn = rusqlite::Connection::open(engine.path()).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    let schema = include_str!("../../src/journal/sqlite/schema/1.sql");
    conn.execute_batch(schema).unwrap();
    conn.execute_batch(OF_VERSION_1).unwrap();
    drop(conn);

    engine.restart(start()).await;
    let world = World::new(&mut engine).await;
    world.journal().bound(Bounds {
        max_size: 1 << 30,
        refused: 2,
    });
    world.conserves().await;
    let rows = world.journal().refused(RefusedFilter::default()).await;
    let rows = rows.unwrap().rows;
    assert_eq!((rows.len(), &*rows[0].reason), (1, "not JSON"));
    let entry = |n: u64| {
        Entry::Refused(Box::new(RefusedEntry {
            at: world.now,
            source: Arc::from("cloudmonitor"),
            reason: format!("no. {n}"),
            form: "events lines".to_owned(),
            bytes: n,
            body: Some(vec![1]),
        }))
    };
    let entries = vec![entry(1), entry(2)];
    world.journal().record(entries).await.unwrap();
    let rows = world.journal().refused(RefusedFilter::default()).await;
    let reasons: Vec<_> = rows
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.reason)
        .collect();
    assert_eq!(reasons, ["no. 2", "no. 1"], "the old one counts");
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(
        claimed.items[0].event,
        EventId::from_uuid(Uuid::from_u128(7))
    );
    world.deliver(&claimed).await;
    let recorded = world.record(vec![world.event(9)]).await;
    assert!(accepted(&recorded[0]));
}

#[test]
fn a_file_that_is_no_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    std::fs::write(
        &path,
        "dear diary, today I wrote more than a hundred bytes\n".repeat(99),
    )
    .unwrap();
    let why = refused(&path);
    assert!(matches!(why, Error::Corrupt { .. }), "{why}");
    std::fs::remove_file(&path).unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE of_somebody_else (x)")
        .unwrap();
    drop(conn);
    let why = refused(&path);
    assert!(why.to_string().contains("not a journal"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_header_is_refused() {
    let engine = used(3).await;
    damage(&engine.path(), 0, 64);
    let why = refused(engine.path());
    assert!(matches!(why, Error::Corrupt { .. }), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_served_from_a_damaged_page() {
    let mut engine = used(400).await;
    let path = engine.path();
    let pages = std::fs::metadata(&path).unwrap().len() / 4_096;
    // Every page but the first, which holds the schema: wherever a look goes, it meets damage.
    for page in 1..pages {
        damage(&path, page * 4_096, 200);
    }
    let damaged = match open(&path) {
        Err(why) => matches!(why, Error::Corrupt { .. }),
        Ok(journal) => {
            let listed = journal.events(EventFilter::default()).await;
            matches!(listed, Err(Error::Corrupt { .. }))
        }
    };
    assert!(damaged);
    engine.stop();
}

fn damage(path: &Path, offset: u64, bytes: usize) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&vec![0xa5; bytes]).unwrap();
}

/// What a journal of forty events holds that was killed and whose log was then spoiled.
async fn with_spoiled_log(spoil: impl Fn(&Path, u64)) {
    let mut engine = Sqlite::new();
    let world = World::new(&mut engine).await;
    for n in 1..=40 {
        world.record(vec![world.event(n).by_mail()]).await;
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("journal.db");
    let from = world.engine.file().unwrap();
    std::fs::copy(&from, &copy).unwrap();
    let log = beside(&copy, "-wal");
    std::fs::copy(beside(&from, "-wal"), &log).unwrap();
    spoil(&log, std::fs::metadata(&log).unwrap().len());

    let journal = open(&copy).unwrap();
    let totals = journal.totals().await.unwrap();
    assert!(totals.events > 5 && totals.events < 40, "{totals:?}");
    assert_eq!(totals.pending, totals.events);
    let filter = EventFilter {
        limit: 1_000,
        ..EventFilter::default()
    };
    let rows = journal.events(filter).await.unwrap().rows;
    assert_eq!(rows.len() as u64, totals.events);
    assert_eq!(
        rows[0].id,
        EventId::from_uuid(Uuid::from_u128(totals.events.into()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_log_costs_only_what_was_cut() {
    let cut = |log: &Path, length: u64| {
        let file = std::fs::OpenOptions::new().write(true).open(log).unwrap();
        file.set_len(length / 2 + 77).unwrap();
    };
    with_spoiled_log(cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_costs_only_what_comes_after() {
    with_spoiled_log(|log, length| damage(log, length / 2, 4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_damaged_page_hides_nothing_and_makes_nothing_up() {
    let engine = used(120).await;
    let whole = std::fs::read(engine.path()).unwrap();
    let filter = || EventFilter {
        limit: 1_000,
        ..EventFilter::default()
    };
    let of_deliveries = || DeliveryFilter {
        limit: 1_000,
        ..DeliveryFilter::default()
    };
    let journal = open(engine.path()).unwrap();
    let events = journal.events(filter()).await.unwrap().rows;
    let deliveries = journal.deliveries(of_deliveries()).await.unwrap().rows;
    journal.close().await;
    let mut met = 0;
    let pages = whole.len() / 4_096;
    for page in 1..pages {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        std::fs::write(&path, &whole).unwrap();
        damage(&path, page as u64 * 4_096, 200);
        let journal = match open(&path) {
            Ok(journal) => journal,
            Err(why) => {
                assert!(matches!(why, Error::Corrupt { .. }), "page {page}: {why}");
                met += 1;
                continue;
            }
        };
        let found = journal.events(filter()).await.map(|page| page.rows);
        let its = journal.deliveries(of_deliveries()).await;
        let its = its.map(|page| page.rows);
        for damaged in [found.as_ref().err(), its.as_ref().err()] {
            let Some(why) = damaged else { continue };
            assert!(matches!(why, Error::Corrupt { .. }), "page {page}: {why}");
            met += 1;
        }
        if let Ok(found) = found {
            assert_eq!(found, events, "page {page}");
        }
        if let Ok(its) = its {
            assert_eq!(its, deliveries, "page {page}");
        }
        journal.close().await;
    }
    assert!(met > pages / 4, "{met} of {pages} pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_that_cannot_be_written_is_refused_by_name() {
    let Some(disk) = Tmpfs::mount(8) else {
        println!("SKIPPED: this user may not mount a tmpfs");
        return;
    };
    let path = disk.0.path().join("journal.db");
    open(&path).unwrap().close().await;
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.0.path())
        .status();
    if !remounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: this user may not mount a file system anew");
        return;
    }
    let why = refused(&path);
    assert!(matches!(why, Error::Open { .. }), "{why}");
    let words = why.to_string();
    assert!(
        words.contains("journal.db") && words.contains("may write"),
        "{words}"
    );
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_is_made_again_when_it_is_missing_damaged_or_foreign() {
    let mut engine = used(50).await;
    let other = used(80).await;
    let index = beside(&engine.path(), ".index");
    let spoil: [&dyn Fn(); 3] = [
        &|| std::fs::remove_file(&index).unwrap(),
        &|| damage(&index, 0, 3_000),
        &|| {
            std::fs::copy(beside(&other.path(), ".index"), &index).unwrap();
        },
    ];
    for spoil in spoil {
        engine.stop();
        spoil();
        engine.restart(start()).await;
        let filter = EventFilter {
            request: Some("R17".to_owned()),
            ..EventFilter::default()
        };
        let found = engine.journal().events(filter).await.unwrap().rows;
        assert_eq!(found.len(), 1);
        let id = EventId::from_uuid(Uuid::from_u128(33));
        assert!(engine.journal().event(id).await.unwrap().is_some());
    }
    // What was found by scanning above is found by the index in the end.
    let conn = rusqlite::Connection::open(&index).unwrap();
    let indexed = || -> i64 {
        conn.query_row("SELECT event FROM position", [], |row| row.get(0))
            .unwrap()
    };
    while indexed() < 50 {
        tokio::task::yield_now().await;
    }
}

/// What the `sqlite3` shell shows of a running journal: plain tables, without anything of Herald.
#[tokio::test]
async fn the_shell_reads_the_journal() {
    let mut engine = Sqlite::new();
    let path = engine.path();
    let world = World::new(&mut engine).await;
    world
        .record((1..=3).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.deliver(&world.claim_one(MAIL).await).await;
    let shell = rusqlite::Connection::open(&path).unwrap();
    let ask = |text: &str| {
        shell
            .query_row(text, [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    assert_eq!(
        ask("SELECT group_concat(json_extract(text, '$.id')) FROM event"),
        "S1,S2,S3"
    );
    assert_eq!(
        ask(
            "SELECT n.text || ' ' || a.words FROM finish f JOIN delivery d ON d.seq = f.delivery \
             JOIN name n ON n.seq = d.sink JOIN attempt a ON a.seq = f.attempt"
        ),
        "mail 250 queued"
    );
    assert_eq!(ask("SELECT count(*) || '' FROM lane"), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_poisonous_one_of_a_group_fails() {
    let mut engine = Sqlite::new();
    let path = engine.path();
    let world = World::new(&mut engine).await;
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch(
        "CREATE TRIGGER poison BEFORE INSERT ON event WHEN NEW.text LIKE '%\"S13\"%'
         BEGIN SELECT RAISE(ABORT, 'poison'); END;
         CREATE TRIGGER stuck BEFORE INSERT ON finish BEGIN SELECT RAISE(ABORT, 'stuck'); END",
    )
    .unwrap();
    let batches = (1..=20).map(|n| {
        let batch = vec![
            world.event(n).by_mail().entry(),
            world.event(n + 100).by_mail().entry(),
        ];
        world.journal().record(batch)
    });
    let answers = futures_util::future::join_all(batches).await;
    world.conserves().await;
    for (n, answer) in (1..).zip(answers) {
        assert_eq!(answer.is_ok(), n != 13, "{n}: {answer:?}");
    }
    assert_eq!(world.totals().await.events, 38);
    let recorded = world.record(vec![world.event(113).by_mail()]).await;
    assert!(accepted(&recorded[0]), "its neighbour left nothing behind");

    let claimed = world.claim_one(MAIL).await;
    let settlement = world.settlement(&claimed, &ok(), &Next::Delivered);
    assert!(world.journal().settle(settlement).await.is_err());
    world.conserves().await;
    conn.execute_batch("DROP TRIGGER stuck").unwrap();
    world.deliver(&claimed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_starts_over_under_constant_load() {
    let mut engine = Sqlite::new();
    let log = beside(&engine.path(), "-wal");
    let world = World::new(&mut engine).await;
    let text: Arc<str> = Arc::from(format!(r#"{{"x":"{}"}}"#, "x".repeat(64 << 10)));
    let mut written = 0;
    let mut n = 0;
    // Which commit finds nobody with the log in his hands is the scheduler's affair, and so is how
    // long it is by then. That one does is not: a log that never starts over is as long as all that was written.
    loop {
        let batches = (0..4).map(|_| {
            let entries = (0..16).map(|_| {
                n += 1;
                let mut event = world.event(n).by_mail();
                event.0.event.text = Arc::clone(&text);
                event.entry()
            });
            world.journal().record(entries.collect())
        });
        for recorded in futures_util::future::join_all(batches).await {
            recorded.unwrap();
        }
        written += 64 * u64::try_from(text.len()).unwrap();
        let length = std::fs::metadata(&log).unwrap().len();
        if length + (64 << 20) < written {
            return;
        }
        let most = 4 * u64::try_from(WAL_BYTES_MAX).unwrap();
        assert!(written < most, "{length} bytes of log after {written}");
    }
}

/// A small file system of its own, where this user may mount one.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        match mounted {
            Ok(status) if status.success() => Some(Self(dir)),
            _ => None,
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writing_and_nothing_else() {
    let Some(disk) = Tmpfs::mount(6) else {
        println!("SKIPPED: this user may not mount a tmpfs");
        return;
    };
    let path = disk.0.path().join("journal.db");
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![0; 3 << 20]).unwrap();
    let journal = open(&path).unwrap();
    let rules = journal
        .begin(crate::world::rules(&["first", "second"], start()))
        .await
        .unwrap();
    let mut engine = Lent(journal);
    let world = World {
        engine: &mut engine,
        now: start(),
        rules,
        policies: Default::default(),
    };
    world
        .record((1..=20).map(|n| world.event(n)).collect())
        .await;
    let held = world.claim_one(HOOK).await;
    let mut n = 100;
    let why = loop {
        n += 20;
        let batch = (n..n + 20).map(|n| world.event(n).entry()).collect();
        if let Err(why) = world.journal().record(batch).await {
            break why;
        }
    };
    assert!(matches!(why, Error::Full), "{why}");
    world.conserves_totals().await;
    let before = world.totals().await;
    assert_eq!(u128::from(before.events), n - 100, "nothing half-written");
    let settlement = Settlement {
        attempt: held.attempt,
        ended: world.now,
        items: vec![SettledItem {
            delivery: held.items[0].number,
            outcome: ok(),
            next: Next::Delivered,
        }],
        signal: Signal::None,
    };
    let big = (1..=20).map(|n| world.event(n + 50_000).entry()).collect();
    assert!(matches!(
        world.journal().record(big).await,
        Err(Error::Full)
    ));

    std::fs::remove_file(&filler).unwrap();
    world.journal().settle(settlement).await.unwrap();
    let batch: Vec<Sample> = (n..n + 20).map(|n| world.event(n)).collect();
    let recorded = world
        .journal()
        .record(batch.into_iter().map(Sample::entry).collect())
        .await;
    assert!(recorded.unwrap().iter().all(accepted));
    world.conserves_totals().await;
    let after = world.totals().await;
    assert_eq!((after.events, after.delivered), (before.events + 20, 1));
    world.journal().close().await;
}
