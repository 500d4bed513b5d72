//! `claim`: order, independence, levels, room, expiry, exclusivity.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use herald::journal::{DeliveryFilter, Policy};
use herald_model::DeliveryState;
use herald_model::event::Level;

use crate::engine::Engine;
use crate::world::{HOOK, HOUR, MAIL, World, told};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn a_lane_keeps_the_order_of_commits(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=4).map(|n| world.event(n).in_lane(5)).collect();
    world.record(events).await;
    for n in 1..=4 {
        let claims = world.claim(HOOK, 10).await;
        assert_eq!(told(&claims), [n], "only the head is due");
        assert!(world.claim(HOOK, 10).await.messages.is_empty());
        if n == 2 {
            world.again(&claims.messages[0], SECOND).await;
            assert!(world.claim(HOOK, 10).await.messages.is_empty(), "it waits");
            world.pass(SECOND);
            let head = world.claim_one(HOOK).await;
            assert_eq!(head.items[0].number, claims.messages[0].items[0].number);
            world.deliver(&head).await;
        } else {
            world.deliver(&claims.messages[0]).await;
        }
    }
    assert_eq!(world.totals().await.delivered, 4);
}

pub(crate) async fn lanes_are_independent(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = vec![
        world.event(1).in_lane(1),
        world.event(2).in_lane(1),
        world.event(3).in_lane(2),
    ];
    world.record(events).await;
    let stuck = world.claim_one(HOOK).await;
    let claims = world.claim(HOOK, 10).await;
    assert_eq!(told(&claims), [3], "the other lane goes on");
    world.again(&stuck, HOUR).await;
    assert!(world.claim(HOOK, 10).await.messages.is_empty());
}

pub(crate) async fn a_delivery_without_lane_waits_for_nobody(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=3).map(|n| world.event(n).by_mail()).collect();
    world.record(events).await;
    assert_eq!(told(&world.claim(MAIL, 10).await), [1, 2, 3]);
}

pub(crate) async fn a_level_is_preferred_between_lanes_never_inside_one(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world
        .record(vec![
            world.event(1).in_lane(1),
            world.event(2).in_lane(1).level(Level::Critical),
            world.event(3).in_lane(2),
        ])
        .await;
    world.pass(SECOND);
    world
        .record(vec![
            world.event(4).in_lane(3).level(Level::Warn),
            world.event(5).in_lane(4).level(Level::Critical),
        ])
        .await;
    let claims = world.claim(HOOK, 10).await;
    assert_eq!(told(&claims), [5, 4, 1, 3]);
    world.deliver(&claims.messages[2]).await;
    assert_eq!(told(&world.claim(HOOK, 10).await), [2]);
}

pub(crate) async fn room_is_respected_and_unnamed_sinks_get_nothing(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=5).map(|n| world.event(n)).collect();
    world.record(events).await;
    let claims = world.claim(MAIL, 2).await;
    assert_eq!(told(&claims), [1, 2]);
    assert!(
        claims
            .messages
            .iter()
            .all(|one| one.sink == world.sink(MAIL))
    );
    let request = world.request(&[(MAIL, 1), (HOOK, 3)]);
    let claims = world.journal().claim(request).await.unwrap();
    assert_eq!(told(&claims), [3, 1, 2, 3]);
}

pub(crate) async fn the_next_due_time_is_reported(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    assert_eq!(world.claim(MAIL, 1).await.next_due, None);
    world
        .record(vec![world.event(1).by_mail(), world.event(2).by_mail()])
        .await;
    let claims = world.claim(MAIL, 2).await;
    assert_eq!(claims.next_due, None, "what is in flight is not due");
    world.again(&claims.messages[0], 3 * SECOND).await;
    world.again(&claims.messages[1], 2 * SECOND).await;
    let claims = world.claim(MAIL, 2).await;
    assert!(claims.messages.is_empty());
    assert_eq!(claims.next_due, Some(world.now + 2 * SECOND));
    assert_eq!(world.claim(HOOK, 2).await.next_due, None, "not asked for");
}

pub(crate) async fn claimers_never_hold_the_same_lane(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=300)
        .map(|n| world.event(n).in_lane(n as u64 % 60))
        .collect();
    world.record(events).await;
    let held = std::sync::Mutex::new(HashSet::new());
    let delivered = AtomicUsize::new(0);
    let claimer = || async {
        loop {
            let request = world.request(&[(HOOK, 7)]);
            let claims = world.journal().claim(request).await.unwrap();
            if claims.messages.is_empty() && delivered.load(Ordering::SeqCst) == 300 {
                break;
            }
            for claimed in &claims.messages {
                let lane = claimed.items[0].event.uuid().as_u128() % 60;
                assert!(held.lock().unwrap().insert(lane), "lane {lane} is held");
            }
            tokio::task::yield_now().await;
            for claimed in &claims.messages {
                let lane = claimed.items[0].event.uuid().as_u128() % 60;
                held.lock().unwrap().remove(&lane);
                let settlement = world.settlement(
                    claimed,
                    &crate::world::ok(),
                    &herald::journal::Next::Delivered,
                );
                world.journal().settle(settlement).await.unwrap();
                delivered.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    futures_util::future::join_all((0..8).map(|_| claimer())).await;
    world.conserves().await;
    assert_eq!(world.totals().await.delivered, 300);
}

pub(crate) async fn what_has_expired_is_suppressed_and_passes_its_lane_on(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world
        .record(vec![
            world.event(1).in_lane(1).expires(SECOND),
            world.event(2).in_lane(1).expires(SECOND),
            world.event(3).in_lane(1),
        ])
        .await;
    world.pass(SECOND);
    let claims = world.claim(HOOK, 1).await;
    assert_eq!(claims.expired.len(), 2);
    assert_eq!(told(&claims), [3]);
    let row = world.journal().delivery(claims.expired[0]).await.unwrap();
    let row = row.unwrap();
    assert_eq!(row.state, DeliveryState::Suppressed);
    assert_eq!(row.reason.as_deref(), Some("expired"));
    let suppressed = world
        .deliveries(DeliveryFilter {
            state: Some(DeliveryState::Suppressed),
            ..DeliveryFilter::default()
        })
        .await;
    assert_eq!(suppressed.len(), 2);
}

pub(crate) async fn a_retry_is_due_no_later_than_it_expires(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world
        .record(vec![world.event(1).by_mail().expires(2 * SECOND)])
        .await;
    let claimed = world.claim_one(MAIL).await;
    world.again(&claimed, HOUR).await;
    let claims = world.claim(MAIL, 1).await;
    assert_eq!(claims.next_due, Some(world.now + 2 * SECOND));
    world.pass(2 * SECOND);
    assert_eq!(world.claim(MAIL, 1).await.expired, [claimed.items[0].id]);
}

pub(crate) async fn recording_wakes_a_claimer(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let signal = world.journal().due_signal();
    world.record(vec![world.event(1)]).await;
    tokio::time::timeout(Duration::from_secs(10), signal.notified())
        .await
        .expect("a signal");
}

/// A world whose lanes wait an hour for a failing head.
async fn patient(engine: &mut dyn Engine) -> World<'_> {
    let mut world = World::new(engine).await;
    world.policies[HOOK] = Arc::new(Policy {
        lane_patience: HOUR,
        ..Policy::default()
    });
    let events = (1..=3).map(|n| world.event(n).in_lane(1)).collect();
    world.record(events).await;
    world
}

pub(crate) async fn a_lane_passes_a_head_that_fails_too_long(engine: &mut dyn Engine) {
    let mut world = patient(engine).await;
    let head = world.claim_one(HOOK).await;
    world.again(&head, HOUR / 2).await;
    world.pass(HOUR / 2);
    let head = world.claim_one(HOOK).await;
    world.again(&head, 2 * HOUR).await;
    world.restart().await;
    let claims = world.claim(HOOK, 9).await;
    assert!(claims.messages.is_empty());
    assert_eq!(claims.next_due, Some(world.now + HOUR / 2));
    let row = world.journal().delivery(head.items[0].id).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.next_attempt, Some(world.now + 2 * HOUR));
    assert!(!row.late);
    world.pass(HOUR / 2);
    let next = world.claim_one(HOOK).await;
    assert_eq!(next.items[0].event, world.event(2).id());
    assert!(
        world.claim(HOOK, 9).await.messages.is_empty(),
        "the rest waits"
    );
    world.deliver(&next).await;
    let third = world.claim_one(HOOK).await;
    assert_eq!(third.items[0].event, world.event(3).id());
    world.pass(2 * HOUR - HOUR / 2);
    let first = world.claim_one(HOOK).await;
    assert_eq!(first.message, head.message, "the same message, late");
    world.deliver(&first).await;
    let row = world.journal().delivery(first.items[0].id).await;
    assert!(row.unwrap().unwrap().late);
}

pub(crate) async fn a_lane_never_passes_on_a_crash(engine: &mut dyn Engine) {
    let mut world = patient(engine).await;
    world.claim_one(HOOK).await;
    world.pass(2 * HOUR);
    world.restart().await;
    let claims = world.claim(HOOK, 9).await;
    assert_eq!(told(&claims), [1], "the head, and it alone");
}
