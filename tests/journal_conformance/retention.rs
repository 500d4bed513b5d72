//! `sweep`: what is removed, what never is, and that it is counted.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{Entry, EventFilter, Next, OperationFilter};
use herald_model::Outcome;

use crate::engine::Engine;
use crate::world::{DAY, HOUR, MAIL, World, accepted};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub(crate) async fn only_what_is_finished_and_old_is_removed(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=3)
        .map(|n| world.event(n).by_mail().expires(4 * WEEK))
        .collect();
    world.record(events).await;
    let entry = Entry::NotTriggered {
        received_at: world.now,
        source: Arc::from("operations"),
        operation: "{}".to_owned(),
        reason: "primary-eni",
    };
    world.journal().record(vec![entry]).await.unwrap();
    let claims = world.claim(MAIL, 2).await;
    world.again(&claims.messages[0], Duration::ZERO).await;
    let first = world.claim_one(MAIL).await;
    world.deliver(&first).await;
    let dead = Next::Dead("no".to_owned());
    let second = &claims.messages[1];
    world.settle(second, Outcome::permanent("no"), dead).await;
    world.pass(WEEK);
    let event = world.event(4).by_mail().expires(4 * WEEK);
    world.record(vec![event]).await;

    assert_eq!(world.sweep(WEEK, 100).await.events, 0, "not old enough");
    world.pass(HOUR);
    let swept = world.sweep(WEEK, 100).await;
    assert_eq!((swept.events, swept.deliveries, swept.more), (2, 2, false));
    let totals = world.totals().await;
    assert_eq!((totals.removed, totals.delivered, totals.dead), (2, 0, 0));
    assert_eq!((totals.pending, totals.events), (2, 4));
    let rows = world
        .journal()
        .events(EventFilter::default())
        .await
        .unwrap();
    assert_eq!(rows.rows.len(), 2);
    let operations = world.journal().operations(OperationFilter::default()).await;
    assert_eq!(operations.unwrap().rows.len(), 0);
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(
        claims.messages.len(),
        2,
        "what is pending is still delivered"
    );
}

pub(crate) async fn a_step_is_bounded_and_says_that_there_is_more(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=10)
        .map(|n| {
            let mut event = world.event(n);
            event.0.deliveries.clear();
            event
        })
        .collect();
    world.record(events).await;
    world.pass(WEEK);
    let mut removed = Vec::new();
    for _ in 0..10 {
        let swept = world.sweep(DAY, 4).await;
        removed.push(swept.events);
        if !swept.more {
            break;
        }
    }
    assert_eq!(removed.iter().sum::<u64>(), 10);
    assert_eq!(removed[..2], [4, 4]);
}

pub(crate) async fn what_was_passed_over_is_removed_later(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=3)
        .map(|n| world.event(n).by_mail().expires(4 * WEEK))
        .collect();
    world.record(events).await;
    let claims = world.claim(MAIL, 3).await;
    world.deliver(&claims.messages[1]).await;
    world.pass(WEEK);
    assert_eq!(world.sweep(DAY, 100).await.events, 1);
    world.restart().await;
    let claims = world.claim(MAIL, 3).await;
    assert_eq!(claims.messages.len(), 2);
    world.deliver(&claims.messages[0]).await;
    assert_eq!(world.sweep(DAY, 100).await.events, 1);
    world.deliver(&claims.messages[1]).await;
    assert_eq!(world.sweep(DAY, 100).await.events, 1);
    assert_eq!(world.totals().await.removed, 3);
}

pub(crate) async fn identities_outlive_their_window_only_until_swept(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=5).map(|n| world.event(n)).collect();
    world.record(events).await;
    world.pass(DAY);
    assert_eq!(world.sweep(4 * WEEK, 100).await.identities, 0);
    world.pass(HOUR);
    assert_eq!(world.sweep(4 * WEEK, 100).await.identities, 5);
    let rows = world
        .journal()
        .events(EventFilter::default())
        .await
        .unwrap();
    assert_eq!(rows.rows.len(), 5, "the events stay");
    let recorded = world.record(vec![world.event(1).under_id(9)]).await;
    assert!(accepted(&recorded[0]));
}

pub(crate) async fn numbers_are_never_given_twice(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let mut event = world.event(1);
    event.0.deliveries.clear();
    world.record(vec![event.clone()]).await;
    let before = world.journal().event(event.id()).await.unwrap().unwrap();
    world.pass(WEEK);
    assert_eq!(world.sweep(DAY, 100).await.events, 1);
    world.restart().await;
    world.record(vec![world.event(2)]).await;
    let id = world.event(2).id();
    let after = world.journal().event(id).await.unwrap().unwrap();
    assert!(after.number > before.number);
}
