//! `record`: all or nothing, repeats, conflicts.

use std::sync::Arc;

use herald::journal::{
    DeliveryFilter, Entry, EventFilter, Identity, Learned, OperationFilter, Planned, Recorded,
    SinkNo,
};
use herald_model::event::Level;
use herald_model::{DeliveryId, EventId};

use crate::engine::Engine;
use crate::world::{DAY, HOUR, World, accepted};

pub(crate) async fn an_event_is_recorded_with_its_deliveries(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let event = world.event(7);
    let recorded = world.record(vec![event.clone()]).await;
    let id = event.id();
    assert_eq!(
        recorded,
        [Recorded::Accepted {
            id,
            conflict: false
        }]
    );
    let row = world.journal().event(id).await.unwrap().unwrap();
    assert_eq!(row.text, event.0.event.text);
    assert_eq!(row.received_at, world.now);
    assert_eq!(row.generation, world.rules.number);
    assert_eq!(row.matched, [Arc::from("first")]);
    let deliveries = world.journal().deliveries_of(row.number).await.unwrap();
    let sinks: Vec<_> = deliveries.iter().map(|row| &*row.sink).collect();
    assert_eq!(sinks, ["mail", "hook"]);
    let totals = world.totals().await;
    assert_eq!((totals.events, totals.planned, totals.pending), (1, 2, 2));
}

pub(crate) async fn a_repeat_is_answered_with_the_first_ones_id(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let first = world.event(1);
    world.record(vec![first.clone()]).await;
    world.pass(HOUR);
    let recorded = world.record(vec![world.event(1).under_id(2)]).await;
    assert_eq!(recorded, [Recorded::Duplicate { of: first.id() }]);
    assert_eq!(world.totals().await.events, 1);
}

pub(crate) async fn a_repeat_in_one_batch_is_recognised(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let first = world.event(1);
    let recorded = world
        .record(vec![
            first.clone(),
            world.event(3),
            first.clone().under_id(2),
        ])
        .await;
    assert!(accepted(&recorded[0]) && accepted(&recorded[1]));
    assert_eq!(recorded[2], Recorded::Duplicate { of: first.id() });
}

pub(crate) async fn a_repeat_is_recognised_after_a_restart(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let first = world.event(1);
    world.record(vec![first.clone()]).await;
    world.restart().await;
    let recorded = world.record(vec![first.clone().under_id(2)]).await;
    assert_eq!(recorded, [Recorded::Duplicate { of: first.id() }]);
}

pub(crate) async fn a_repeat_beyond_the_window_is_a_new_event(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world.record(vec![world.event(1)]).await;
    world.pass(DAY);
    let recorded = world.record(vec![world.event(1).under_id(2)]).await;
    assert!(
        matches!(recorded[0], Recorded::Duplicate { .. }),
        "at its end"
    );
    world.pass(std::time::Duration::from_millis(1));
    let recorded = world.record(vec![world.event(1).under_id(3)]).await;
    assert!(accepted(&recorded[0]), "beyond it");
    let recorded = world.record(vec![world.event(1).under_id(4)]).await;
    let of = world.event(3).id();
    assert_eq!(recorded, [Recorded::Duplicate { of }], "of the new one");
}

pub(crate) async fn either_identity_makes_a_repeat(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let mut first = world.event(1);
    first.0.identities = vec![Identity(11), Identity(12)];
    let mut second = world.event(2);
    second.0.identities = vec![Identity(21), Identity(12)];
    let mut third = world.event(3);
    third.0.identities = vec![Identity(21), Identity(22)];
    let recorded = world.record(vec![first.clone(), second, third]).await;
    assert_eq!(recorded[1], Recorded::Duplicate { of: first.id() });
    assert!(accepted(&recorded[2]), "the second one was never written");
}

pub(crate) async fn an_event_without_identity_is_never_a_repeat(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let mut event = world.event(1);
    event.0.identities.clear();
    let recorded = world.record(vec![event.clone(), event.under_id(2)]).await;
    assert!(recorded.iter().all(accepted));
}

pub(crate) async fn other_content_under_one_identity_is_a_conflict(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    world.record(vec![world.event(1)]).await;
    let other = world.event(1).under_id(2).fingerprint(2);
    let recorded = world.record(vec![other.clone()]).await;
    let id = other.id();
    assert_eq!(recorded, [Recorded::Accepted { id, conflict: true }]);
    let row = world.journal().event(id).await.unwrap().unwrap();
    assert_eq!(row.text, other.0.text_in_conflict);
    let filter = EventFilter::default();
    assert_eq!(world.journal().events(filter).await.unwrap().rows.len(), 2);
}

pub(crate) async fn two_conflicting_events_are_both_known(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let first = world.event(1);
    let second = world.event(1).under_id(2).fingerprint(2);
    world.record(vec![first.clone(), second.clone()]).await;
    world.restart().await;
    let recorded = world
        .record(vec![
            first.clone().under_id(3),
            second.clone().under_id(4),
            world.event(1).under_id(5).fingerprint(3),
        ])
        .await;
    assert_eq!(recorded[0], Recorded::Duplicate { of: first.id() });
    assert_eq!(recorded[1], Recorded::Duplicate { of: second.id() });
    assert!(matches!(
        recorded[2],
        Recorded::Accepted { conflict: true, .. }
    ));
}

pub(crate) async fn a_batch_with_an_unknown_sink_writes_nothing(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let mut bad = world.event(2);
    bad.0.deliveries[1].sink = SinkNo(99);
    let batch = vec![world.event(1).entry(), bad.entry()];
    assert!(world.journal().record(batch).await.is_err());
    world.conserves().await;
    assert_eq!(world.totals().await.events, 0);
    let recorded = world.record(vec![world.event(1)]).await;
    assert!(accepted(&recorded[0]), "and left no identity behind");
}

pub(crate) async fn a_result_that_triggers_nothing_is_noted(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let entry = Entry::NotTriggered {
        received_at: world.now,
        source: Arc::from("operations"),
        operation: r#"{"operation":"Attach"}"#.to_owned(),
        reason: "primary-eni",
    };
    let recorded = world.journal().record(vec![entry]).await.unwrap();
    assert_eq!(recorded, [Recorded::Noted]);
    let page = world
        .journal()
        .operations(OperationFilter::default())
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].reason, "primary-eni");
    assert_eq!(page.rows[0].operation, r#"{"operation":"Attach"}"#);
    assert_eq!(world.totals().await.events, 0);
}

pub(crate) async fn a_bookmark_is_written_with_its_batch_or_not_at_all(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let bookmark = |text: &str| Entry::Bookmark {
        source: Arc::from("tail"),
        text: text.to_owned(),
    };
    let read =
        async |world: &World<'_>, source: &str| world.journal().bookmark(source).await.unwrap();
    assert_eq!(read(&world, "tail").await, None);
    let batch = vec![world.event(1).entry(), bookmark("one")];
    let recorded = world.journal().record(batch).await.unwrap();
    assert!(accepted(&recorded[0]));
    assert_eq!(recorded[1], Recorded::Noted);
    assert_eq!(read(&world, "tail").await.as_deref(), Some("one"));

    let mut bad = world.event(2);
    bad.0.deliveries[1].sink = SinkNo(99);
    let batch = vec![bookmark("two"), bad.entry()];
    assert!(world.journal().record(batch).await.is_err());
    assert_eq!(read(&world, "tail").await.as_deref(), Some("one"));

    world
        .journal()
        .record(vec![bookmark("three")])
        .await
        .unwrap();
    world.restart().await;
    assert_eq!(read(&world, "tail").await.as_deref(), Some("three"));
    assert_eq!(read(&world, "other").await, None);
}

/// For the second subscription, by the second sink.
async fn learned(world: &World<'_>, of: EventId) -> Learned {
    let row = world.journal().event(of).await.unwrap().unwrap();
    Learned {
        event: row.number,
        before: Arc::clone(&row.text),
        text: row.text.replace('{', "{\"initiator\":1,").into(),
        received_at: world.now,
        matched: vec![world.rules.subscriptions[1]],
        deliveries: vec![Planned {
            subscription: world.rules.subscriptions[1],
            sink: world.rules.sinks[1],
            lane: None,
            level: Level::Info,
            expires_at: world.now + 60 * DAY,
        }],
    }
}

pub(crate) async fn what_a_repeat_knows_more_is_added_once(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let event = world.event(1);
    world.record(vec![event.clone(), world.event(2)]).await;
    let learned = learned(&world, event.id()).await;
    assert!(world.journal().learn(learned.clone()).await.unwrap());
    assert!(
        !world.journal().learn(learned.clone()).await.unwrap(),
        "the text has changed"
    );
    world.conserves().await;
    world.restart().await;
    assert!(!world.journal().learn(learned.clone()).await.unwrap());

    let row = world.journal().event(event.id()).await.unwrap().unwrap();
    assert_eq!(row.text, learned.text);
    assert_eq!(row.matched, [Arc::from("first"), Arc::from("second")]);
    let deliveries = world.journal().deliveries_of(row.number).await.unwrap();
    let pairs: Vec<_> = deliveries
        .iter()
        .map(|row| (&*row.subscription, &*row.sink))
        .collect();
    assert_eq!(
        pairs,
        [("first", "mail"), ("first", "hook"), ("second", "hook")]
    );
    let totals = world.totals().await;
    assert_eq!((totals.events, totals.planned, totals.pending), (2, 5, 5));

    let mut unknown = learned.clone();
    unknown.before = row.text;
    unknown.deliveries[0].sink = SinkNo(99);
    assert!(world.journal().learn(unknown).await.is_err());
    world.conserves().await;
}

pub(crate) async fn what_was_added_is_found_delivered_and_removed(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let event = world.event(1);
    world.record(vec![event.clone()]).await;
    world.pass(HOUR);
    world.record(vec![world.event(2)]).await;
    let learned = learned(&world, event.id()).await;
    assert!(world.journal().learn(learned).await.unwrap());
    let id = DeliveryId::derive(event.id(), "second", "hook");
    let row = world.journal().delivery(id).await.unwrap().unwrap();
    assert_eq!((&*row.subscription, row.event), ("second", event.id()));
    // A list since then shows what came since then, and is not cut short by it.
    let since = DeliveryFilter {
        since: Some(world.now),
        ..DeliveryFilter::default()
    };
    assert_eq!(world.deliveries(since).await.len(), 2);

    for message in &world.claim(0, 10).await.messages {
        world.deliver(message).await;
    }
    let (added, others): (Vec<_>, Vec<_>) = world
        .claim(1, 10)
        .await
        .messages
        .into_iter()
        .partition(|message| message.items[0].id == id);
    assert_eq!((added.len(), others.len()), (1, 2));
    assert!(added[0].items[0].text.contains("initiator"));
    for message in &others {
        world.deliver(message).await;
    }
    world.conserves().await;
    world.pass(30 * DAY);
    let swept = world.sweep(DAY, 100).await;
    assert_eq!(
        swept.events, 1,
        "an event stays as long as what was added is pending"
    );
    world.deliver(&added[0]).await;
    assert_eq!(world.sweep(DAY, 100).await.events, 1);
    world.conserves().await;
    assert!(world.journal().delivery(id).await.unwrap().is_none());
    let totals = world.totals().await;
    assert_eq!((totals.planned, totals.removed, totals.pending), (5, 5, 0));
}

pub(crate) async fn nothing_recorded_is_nothing(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    assert_eq!(world.record(Vec::new()).await, []);
    assert!(world.claim(0, 5).await.messages.is_empty());
}
