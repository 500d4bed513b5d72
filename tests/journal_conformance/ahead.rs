//! Claims that are asked for before there is something to claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use herald::journal::{Ahead, Claims, DeliveryFilter};
use herald_model::Phase;

use crate::engine::{Engine, Sqlite};
use crate::world::{HOOK, World, told};

fn ahead(world: &World<'_>, messages: u32) -> Ahead {
    let request = world.request(&[(HOOK, messages)]);
    world.journal().claim_ahead(Box::new(move || request))
}

async fn filled(ahead: &mut Ahead) -> Claims {
    let claims = tokio::time::timeout(Duration::from_secs(10), ahead.claims());
    claims.await.expect("filled").unwrap()
}

pub(crate) async fn what_is_asked_for_ahead_is_claimed_once(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let early = ahead(&world, 9);
    world.record(vec![world.event(1).by_hook()]).await;
    let taken_back = early.withdraw().await;
    let mut claimed = taken_back.map_or_else(Vec::new, |claims| told(&claims.unwrap()));
    claimed.extend(told(&world.claim(HOOK, 9).await));
    assert_eq!(claimed, [1]);
    world.conserves().await;
    world.restart().await;
    let row = world.delivery().await;
    assert_eq!(row.attempts.len(), 1, "an open attempt was written");
    world.conserves().await;
}

pub(crate) async fn what_is_taken_back_claims_nothing(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    assert!(ahead(&world, 9).withdraw().await.is_none());
    drop(ahead(&world, 9));
    let signal = world.journal().due_signal();
    world.record(vec![world.event(1).by_hook()]).await;
    let woken = tokio::time::timeout(Duration::from_secs(10), signal.notified());
    woken.await.expect("a signal");
    assert_eq!(told(&world.claim(HOOK, 9).await), [1]);
}

#[tokio::test]
async fn the_commit_that_records_claims_too_and_wakes_nobody() {
    let mut engine = Sqlite::new();
    let world = World::new(&mut engine).await;
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    let count = move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    world.journal().on_commit(Box::new(count));
    let mut early = ahead(&world, 9);
    world
        .record(vec![world.event(1).by_hook(), world.event(2).by_hook()])
        .await;
    assert_eq!(told(&filled(&mut early).await), [1, 2]);
    assert_eq!(commits.load(Ordering::Relaxed), 1);
    let signal = world.journal().due_signal();
    assert!(signal.notified().now_or_never().is_none());
    for row in world.deliveries(DeliveryFilter::default()).await {
        assert_eq!(row.phase, Some(Phase::InFlight));
    }
}

#[tokio::test]
async fn an_end_of_an_attempt_brings_the_next_of_its_lane() {
    let mut engine = Sqlite::new();
    let world = World::new(&mut engine).await;
    let events = (1..=2).map(|n| world.event(n).in_lane(1));
    world.record(events.collect()).await;
    let first = world.claim_one(HOOK).await;
    let mut early = ahead(&world, 9);
    world.deliver(&first).await;
    assert_eq!(told(&filled(&mut early).await), [2]);
}

#[tokio::test]
async fn the_oldest_that_waits_is_filled_alone() {
    let mut engine = Sqlite::new();
    let world = World::new(&mut engine).await;
    let withdrawn = ahead(&world, 9);
    let mut oldest = ahead(&world, 9);
    let mut other = ahead(&world, 9);
    assert!(withdrawn.withdraw().await.is_none());
    world.record(vec![world.event(1).by_hook()]).await;
    assert_eq!(told(&filled(&mut oldest).await), [1]);
    assert!(other.claims().now_or_never().is_none());
    world.record(vec![world.event(2).by_hook()]).await;
    assert_eq!(told(&filled(&mut other).await), [2]);
}

#[tokio::test]
async fn one_that_finds_no_room_says_so_and_leaves_what_is_due() {
    let mut engine = Sqlite::new();
    let world = World::new(&mut engine).await;
    let mut early = ahead(&world, 1);
    world
        .record(vec![world.event(1).by_hook(), world.event(2).by_hook()])
        .await;
    assert_eq!(told(&filled(&mut early).await), [1]);
    assert_eq!(told(&world.claim(HOOK, 1).await), [2]);
    let mut nothing = ahead(&world, 0);
    world.record(vec![world.event(3).by_hook()]).await;
    assert!(filled(&mut nothing).await.messages.is_empty());
    assert_eq!(told(&world.claim(HOOK, 1).await), [3]);
    world.conserves().await;
}
