//! What kills its worker: it dies alone, whatever was under way beside it.

use std::time::Duration;

use herald::journal::{ClaimedItem, DeliveryFilter, KILLS_MAX, SUSPECT_APART};
use herald_model::DeliveryState;

use crate::engine::Engine;
use crate::messages::{digests, members, together};
use crate::world::{HOOK, MAIL, World};

/// Attempts under way at a time.
const ROOM: u32 = 9;

/// What waits for so long leaves as a digest.
const LONG: Duration = Duration::from_secs(5);

/// Starts of the process; more than any of these tests needs.
const STARTS_MAX: u32 = 40;

/// Works until nothing waits. The process dies as soon as it holds a deadly item, whatever else it
/// holds then, and is started again.
async fn work(world: &mut World<'_>, is_deadly: impl Fn(&ClaimedItem) -> bool) {
    let mut starts = 0;
    while world.totals().await.pending > 0 {
        let claims = world.claim(MAIL, ROOM).await;
        if claims.messages.is_empty() {
            world.pass(SUSPECT_APART);
        } else if claims
            .messages
            .iter()
            .any(|one| one.items.iter().any(&is_deadly))
        {
            starts += 1;
            assert!(starts < STARTS_MAX, "it never ends");
            world.restart().await;
        } else {
            for claimed in &claims.messages {
                world.deliver(claimed).await;
            }
        }
    }
}

/// The events that ended so.
async fn ended(world: &World<'_>, state: DeliveryState) -> Vec<u128> {
    let rows = world.deliveries(DeliveryFilter {
        state: Some(state),
        ..DeliveryFilter::default()
    });
    let mut events: Vec<u128> = rows
        .await
        .iter()
        .map(|row| row.event.uuid().as_u128())
        .collect();
    events.sort_unstable();
    events
}

pub(crate) async fn a_digest_is_broken_up_and_only_the_deadly_one_dies(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    world
        .record((1..=4).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(LONG);
    let digest = world.claim_one(MAIL).await;
    assert_eq!(members(&digest), [1, 2, 3, 4]);
    world.restart().await;
    work(&mut world, |item| item.event.uuid().as_u128() == 3).await;
    assert_eq!(ended(&world, DeliveryState::Dead).await, [3]);
    assert_eq!(ended(&world, DeliveryState::Delivered).await, [1, 2, 4]);
    let mut keys = Vec::new();
    for item in &digest.items {
        let row = world.journal().delivery(item.id).await.unwrap().unwrap();
        let (first, last) = (&row.attempts[0], row.attempts.last().unwrap());
        assert_eq!(first.message, digest.message);
        assert_ne!(last.message, digest.message, "other members, another key");
        keys.push(last.message);
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4, "each went alone");
}

pub(crate) async fn deliveries_that_went_together_are_tried_apart(engine: &mut dyn Engine) {
    let mut world = together(engine).await;
    world.record(vec![world.wanted_twice(1, MAIL, None)]).await;
    work(&mut world, |item| &*item.subscription == "second").await;
    let totals = world.totals().await;
    assert_eq!((totals.delivered, totals.dead), (1, 1));
}

pub(crate) async fn what_went_with_a_deadly_one_is_late(engine: &mut dyn Engine) {
    let mut world = together(engine).await;
    let wanted = |n| world.wanted_twice(n, HOOK, Some(7));
    world.record(vec![wanted(1), wanted(2)]).await;
    let both = world.claim_one(HOOK).await;
    for _ in 1..KILLS_MAX {
        world.restart().await;
        assert_eq!(world.claim_one(HOOK).await.message, both.message);
    }
    world.restart().await;
    let apart = world.claim(HOOK, ROOM).await.messages;
    assert_eq!(apart.len(), 2, "the lane waits for its head alone");
    for (item, late) in both.items.iter().zip([false, true]) {
        let row = world.journal().delivery(item.id).await.unwrap().unwrap();
        assert_eq!(row.late, late);
    }
}

pub(crate) async fn what_was_under_way_beside_it_lives(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world
        .record((1..=6).map(|n| world.event(n).by_mail()).collect())
        .await;
    work(&mut world, |item| item.event.uuid().as_u128() == 3).await;
    assert_eq!(ended(&world, DeliveryState::Dead).await, [3]);
    assert_eq!(
        ended(&world, DeliveryState::Delivered).await,
        [1, 2, 4, 5, 6]
    );
}

pub(crate) async fn a_digest_that_forms_anew_leaves_the_suspects_out(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    world
        .record((1..=2).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(LONG);
    let mut deadly = world.claim_one(MAIL).await;
    while members(&deadly) == [1, 2] {
        world.restart().await;
        deadly = world.claim_one(MAIL).await;
    }
    world.restart().await;
    world
        .record((3..=4).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(LONG);
    let claims = world.claim(MAIL, ROOM).await;
    let mut all: Vec<_> = claims.messages.iter().map(members).collect();
    all.sort();
    assert_eq!(all, [vec![1], vec![2], vec![3, 4]]);
}
