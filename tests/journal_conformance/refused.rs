//! Refused bodies: kept, bounded, found, and let go.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    Bounds, Entry, FORGET_MAX, Hand, HandVerb, Pressure, RefusedEntry, RefusedFilter, RefusedNo,
    RefusedRow,
};

use crate::engine::Engine;
use crate::world::{DAY, World};

fn bound(world: &World<'_>, max_size: u64, refused: u64) {
    world.journal().bound(Bounds { max_size, refused });
}

fn refused(world: &World<'_>, source: &str, n: usize, bytes: usize) -> Entry {
    Entry::Refused(Box::new(RefusedEntry {
        at: world.now,
        source: Arc::from(source),
        reason: format!("no. {n}"),
        form: "events document".to_owned(),
        bytes: 7,
        body: (bytes > 0).then(|| vec![n as u8; bytes]),
    }))
}

async fn list(world: &World<'_>, filter: RefusedFilter) -> Vec<RefusedRow> {
    world.journal().refused(filter).await.unwrap().rows
}

async fn reasons(world: &World<'_>, source: &str) -> Vec<String> {
    let filter = RefusedFilter {
        source: Some(source.to_owned()),
        ..RefusedFilter::default()
    };
    let rows = list(world, filter).await;
    rows.into_iter().map(|row| row.reason).collect()
}

pub(crate) async fn a_refused_body_is_kept_and_found(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    bound(&world, 1 << 30, 10);
    let entries = vec![
        refused(&world, "one", 1, 100),
        world.event(1).entry(),
        refused(&world, "two", 2, 0),
    ];
    world.journal().record(entries).await.unwrap();
    let first = world.now;
    world.pass(DAY);
    let entry = refused(&world, "one", 3, 5);
    world.journal().record(vec![entry]).await.unwrap();
    world.restart().await;

    let all = list(&world, RefusedFilter::default()).await;
    let seen: Vec<_> = all.iter().map(|row| (&*row.reason, row.is_kept)).collect();
    assert_eq!(seen, [("no. 3", true), ("no. 2", false), ("no. 1", true)]);
    assert_eq!((all[2].at, &*all[2].source), (first, "one"));
    assert_eq!((all[2].bytes, &*all[2].form), (7, "events document"));
    assert!(all[2].body.is_none(), "lists leave it out");
    let one = world.journal().refusal(all[2].number).await.unwrap();
    assert_eq!(one.unwrap().body, Some(vec![1; 100]));
    assert_eq!(reasons(&world, "one").await, ["no. 3", "no. 1"]);
    let since = RefusedFilter {
        since: Some(first + Duration::from_secs(1)),
        ..RefusedFilter::default()
    };
    assert_eq!(list(&world, since).await.len(), 1);
    let until = RefusedFilter {
        until: Some(first + Duration::from_secs(1)),
        limit: 1,
        ..RefusedFilter::default()
    };
    let page = world.journal().refused(until.clone()).await.unwrap();
    assert_eq!(page.rows[0].reason, "no. 2");
    let next = RefusedFilter {
        cursor: page.next,
        ..until
    };
    assert_eq!(list(&world, next).await[0].reason, "no. 1");
}

pub(crate) async fn the_oldest_of_a_source_goes_first(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    bound(&world, 1 << 30, 3);
    let record = async |world: &World<'_>, source: &str, n: usize| {
        let entry = refused(world, source, n, 10);
        world.journal().record(vec![entry]).await.unwrap();
    };
    record(&world, "rare", 0).await;
    for n in 1..=10 {
        record(&world, "often", n).await;
    }
    world.restart().await;
    bound(&world, 1 << 30, 3);
    record(&world, "often", 11).await;
    let kept = reasons(&world, "often").await;
    assert_eq!(kept, ["no. 11", "no. 10", "no. 9"]);
    assert_eq!(reasons(&world, "rare").await, ["no. 0"]);
    bound(&world, 1 << 30, 1);
    record(&world, "often", 12).await;
    assert_eq!(reasons(&world, "often").await, ["no. 12"]);
    bound(&world, 1 << 30, 0);
    record(&world, "often", 13).await;
    assert_eq!(reasons(&world, "often").await, ["no. 12"], "none wanted");
}

pub(crate) async fn large_bodies_take_a_share_at_most(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world, 64 << 20, 1_000);
    let entries = (0..16)
        .map(|n| refused(&world, "large", n, 200 << 10))
        .collect();
    world.journal().record(entries).await.unwrap();
    let kept = reasons(&world, "large").await;
    assert_eq!(kept.len(), 5, "a sixty-fourth of the journal: {kept:?}");
    assert_eq!(kept[0], "no. 15");
    let too_large = refused(&world, "large", 99, 2 << 20);
    world.journal().record(vec![too_large]).await.unwrap();
    assert!(reasons(&world, "large").await.is_empty());
}

pub(crate) async fn where_room_is_scarce_no_refused_body_is_kept(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world, 1 << 30, 10);
    let mut event = world.event(1);
    event.0.event.text = Arc::from(format!(r#"{{"x":"{}"}}"#, "x".repeat(64 << 10)));
    world.record(vec![event]).await;
    let used = world.journal().size().used;
    bound(&world, used * 16 / 14, 10);
    let entry = refused(&world, "one", 1, 0);
    world.journal().record(vec![entry]).await.unwrap();
    assert!(reasons(&world, "one").await.is_empty());
}

pub(crate) async fn what_was_taken_leaves_and_who_asked_is_noted(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world, 1 << 30, 10);
    let entries = (1..=3).map(|n| refused(&world, "one", n, 9)).collect();
    world.journal().record(entries).await.unwrap();
    let rows = list(&world, RefusedFilter::default()).await;
    let hand = Hand {
        at: world.now,
        who: Arc::from("ops"),
        verb: HandVerb::SendAgain,
        what: "{}".to_owned(),
        why: Some("after the upgrade".to_owned()),
    };
    let noted = world.journal().forget(Vec::new(), Some(hand.clone()));
    assert_eq!(noted.await.unwrap(), 0);
    let numbers = vec![rows[0].number, rows[2].number, RefusedNo(77)];
    let gone = world.journal().forget(numbers.clone(), None).await;
    assert_eq!(gone.unwrap(), 2);
    let again = world.journal().forget(numbers, None).await;
    assert_eq!(again.unwrap(), 0, "safe to repeat");
    assert_eq!(reasons(&world, "one").await, ["no. 2"]);
    assert_eq!(world.journal().hands(9).await.unwrap(), [hand]);
    let too_many = vec![RefusedNo(1); FORGET_MAX + 1];
    assert!(world.journal().forget(too_many, None).await.is_err());
}

pub(crate) async fn refused_bodies_are_kept_no_longer_than_events(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    bound(&world, 1 << 30, 10);
    let entry = refused(&world, "one", 1, 9);
    world.journal().record(vec![entry]).await.unwrap();
    world.pass(2 * DAY);
    let entry = refused(&world, "one", 2, 9);
    world.journal().record(vec![entry]).await.unwrap();
    assert_eq!(world.sweep(3 * DAY, 100).await.others, 0);
    assert_eq!(world.sweep(DAY, 100).await.others, 1);
    assert_eq!(reasons(&world, "one").await, ["no. 2"]);
    bound(&world, 1, 10);
    assert_eq!(world.make_room(Pressure::Finished, 100).await.others, 1);
    assert!(reasons(&world, "one").await.is_empty());
}
