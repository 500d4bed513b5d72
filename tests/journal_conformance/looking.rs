//! `look`: lists, filters, pages, generations.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    DeliveryFilter, Entry, Error, EventFilter, GenerationNo, Next, OperationFilter,
};
use herald_model::{DeliveryState, Outcome, Phase};

use crate::engine::Engine;
use crate::world::{HOOK, HOUR, MAIL, World, ok, rules};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn events_are_listed_newest_first_in_pages(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=7).map(|n| world.event(n)).collect();
    world.record(events).await;
    let mut filter = EventFilter {
        limit: 3,
        ..EventFilter::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = world.journal().events(filter.clone()).await.unwrap();
        pages.push(
            page.rows
                .iter()
                .map(|row| row.id.uuid().as_u128())
                .collect::<Vec<_>>(),
        );
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    filter.limit = 7;
    let page = world.journal().events(filter).await.unwrap();
    assert_eq!(page.next, None, "a full last page is the last one");
}

async fn found(world: &World<'_>, filter: EventFilter) -> Vec<u128> {
    let page = world.journal().events(filter).await.unwrap();
    page.rows
        .iter()
        .map(|row| row.id.uuid().as_u128())
        .collect()
}

pub(crate) async fn events_are_found_by_what_people_know(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    for n in 1..=25 {
        world.record(vec![world.event(n)]).await;
        world.pass(SECOND);
    }
    let all = EventFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let sender_id = text("S12");
    assert_eq!(
        found(&world, EventFilter { sender_id, ..all() }).await,
        [12]
    );
    let request = text("R13");
    assert_eq!(found(&world, EventFilter { request, ..all() }).await, [13]);
    let eni = text("eni-3");
    let by_eni = EventFilter { eni, ..all() };
    assert_eq!(found(&world, by_eni.clone()).await, [23, 13, 3]);
    let both = EventFilter {
        request: text("R4"),
        ..by_eni.clone()
    };
    assert_eq!(found(&world, both).await, [], "every filter holds");
    let page = world
        .journal()
        .events(EventFilter {
            limit: 2,
            ..by_eni.clone()
        })
        .await
        .unwrap();
    let cursor = page.next;
    assert!(cursor.is_some());
    assert_eq!(found(&world, EventFilter { cursor, ..by_eni }).await, [3]);
    let (since, until) = (world.now - 3 * SECOND, world.now - SECOND);
    let between = EventFilter {
        since: Some(since),
        until: Some(until),
        ..all()
    };
    assert_eq!(found(&world, between).await, [24, 23]);
    assert_eq!(
        world.journal().event(world.event(99).id()).await.unwrap(),
        None
    );
}

pub(crate) async fn deliveries_are_filtered(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let mut second = world.event(2);
    second.0.deliveries[0].subscription = world.rules.subscriptions[1];
    world.record(vec![world.event(1), second]).await;
    let claimed = world.claim_one(MAIL).await;
    let dead = Next::Dead("gone".to_owned());
    world
        .settle(&claimed, Outcome::permanent("410"), dead)
        .await;
    let claimed = world.claim_one(HOOK).await;
    world.deliver(&claimed).await;
    world.pass(HOUR);
    world.record(vec![world.event(3)]).await;
    let all = DeliveryFilter::default;
    let numbers = |filter| {
        let world = &world;
        async move {
            let rows = world.deliveries(filter).await;
            rows.iter().map(|row| row.number.0).collect::<Vec<_>>()
        }
    };
    assert_eq!(numbers(all()).await, [6, 5, 4, 3, 2, 1]);
    let sink = Some("mail".to_owned());
    assert_eq!(numbers(DeliveryFilter { sink, ..all() }).await, [5, 3, 1]);
    let subscription = Some("second".to_owned());
    let filter = DeliveryFilter {
        subscription,
        ..all()
    };
    assert_eq!(numbers(filter).await, [3]);
    let state = Some(DeliveryState::Dead);
    assert_eq!(numbers(DeliveryFilter { state, ..all() }).await, [1]);
    let state = Some(DeliveryState::Delivered);
    assert_eq!(numbers(DeliveryFilter { state, ..all() }).await, [2]);
    let state = Some(DeliveryState::Pending);
    let filter = DeliveryFilter {
        state,
        sink: Some("hook".to_owned()),
        ..all()
    };
    assert_eq!(numbers(filter).await, [6, 4]);
    let event = Some(world.event(2).id());
    assert_eq!(numbers(DeliveryFilter { event, ..all() }).await, [4, 3]);
    let eni = Some("eni-1".to_owned());
    assert_eq!(numbers(DeliveryFilter { eni, ..all() }).await, [2, 1]);
    let request = Some("R3".to_owned());
    assert_eq!(numbers(DeliveryFilter { request, ..all() }).await, [6, 5]);
    let since = Some(world.now);
    assert_eq!(numbers(DeliveryFilter { since, ..all() }).await, [6, 5]);
    let until = Some(world.now);
    assert_eq!(
        numbers(DeliveryFilter { until, ..all() }).await,
        [4, 3, 2, 1]
    );
}

pub(crate) async fn pending_deliveries_are_listed_across_lanes(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=20)
        .map(|n| match n % 4 {
            0 => world.event(n).by_mail(),
            _ => world.event(n).in_lane(n as u64 % 3),
        })
        .collect();
    world.record(events).await;
    let mut filter = DeliveryFilter {
        state: Some(DeliveryState::Pending),
        limit: 6,
        ..DeliveryFilter::default()
    };
    let mut numbers = Vec::new();
    loop {
        let page = world.journal().deliveries(filter.clone()).await.unwrap();
        numbers.extend(page.rows.iter().map(|row| row.number.0));
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!(numbers, (1..=20).rev().collect::<Vec<_>>());
}

pub(crate) async fn a_delivery_shows_all_its_attempts_in_order(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    for words in ["one", "two", "three"] {
        let claimed = world.claim_one(MAIL).await;
        world.pass(SECOND);
        let next = Next::Again(world.now);
        world
            .settle(&claimed, Outcome::transient(words), next)
            .await;
    }
    world.claim_one(MAIL).await;
    let row = world.delivery().await;
    let told: Vec<_> = row
        .attempts
        .iter()
        .map(|attempt| (attempt.reason.as_str(), attempt.outcome))
        .collect();
    let transient = Some("transient");
    assert_eq!(
        told,
        [
            ("one", transient),
            ("two", transient),
            ("three", transient),
            ("", None)
        ]
    );
    assert_eq!((row.charged, row.reason.as_deref()), (3, Some("three")));
    let listed = world.deliveries(DeliveryFilter::default()).await;
    assert_eq!(listed[0].attempts.len(), 1, "lists carry the last only");
    assert_eq!(listed[0].attempts[0].ended, None);
}

pub(crate) async fn phases_are_told(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = vec![world.event(1).in_lane(1), world.event(2).in_lane(1)];
    world.record(events).await;
    let phases = || async {
        let rows = world.deliveries(DeliveryFilter::default()).await;
        [rows[1].phase, rows[0].phase].map(Option::unwrap)
    };
    assert_eq!(phases().await, [Phase::Due, Phase::Waiting]);
    let claimed = world.claim_one(HOOK).await;
    assert_eq!(phases().await, [Phase::InFlight, Phase::Waiting]);
    for phase in [Phase::Held, Phase::Limited, Phase::Waiting] {
        let claimed = if phase == Phase::Held {
            claimed.clone()
        } else {
            world.claim_one(HOOK).await
        };
        world.wait(claimed.attempt, Duration::ZERO, phase).await;
        assert_eq!(phases().await, [phase, Phase::Waiting]);
    }
    let claimed = world.claim_one(HOOK).await;
    world.settle(&claimed, ok(), Next::Delivered).await;
    let rows = world.deliveries(DeliveryFilter::default()).await;
    assert_eq!((rows[1].phase, rows[0].phase), (None, Some(Phase::Due)));
}

pub(crate) async fn what_was_recorded_a_moment_ago_is_found(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    for n in 1..=50 {
        let event = world.event(n);
        world.record(vec![event.clone()]).await;
        let row = world.journal().event(event.id()).await.unwrap().unwrap();
        let deliveries = world.journal().deliveries_of(row.number).await.unwrap();
        let id = deliveries[1].id;
        let delivery = world.journal().delivery(id).await.unwrap().unwrap();
        assert_eq!(delivery.number, deliveries[1].number);
        let request = Some(format!("R{n}"));
        let filter = EventFilter {
            request,
            ..EventFilter::default()
        };
        assert_eq!(found(&world, filter).await, [n]);
    }
}

pub(crate) async fn operations_are_filtered(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    for reason in ["primary-eni", "feature-disabled", "primary-eni"] {
        let entry = Entry::NotTriggered {
            received_at: world.now,
            source: Arc::from("operations"),
            operation: format!("{{\"reason\":\"{reason}\"}}"),
            reason,
        };
        world.journal().record(vec![entry]).await.unwrap();
        world.pass(HOUR);
    }
    let filter = OperationFilter {
        reason: Some("primary-eni".to_owned()),
        ..OperationFilter::default()
    };
    let count = |filter| async { world.journal().operations(filter).await.unwrap().rows.len() };
    assert_eq!(count(filter.clone()).await, 2);
    let since = Some(world.now - 2 * HOUR);
    assert_eq!(count(OperationFilter { since, ..filter }).await, 1);
}

pub(crate) async fn generations_keep_what_was_in_force(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let begin = async |names: &[&str], world: &World<'_>| {
        let rules = rules(names, world.now);
        world.journal().begin(rules).await.unwrap()
    };
    let first = world.rules.clone();
    world.pass(HOUR);
    let same = begin(&["first", "second"], &world).await;
    assert_eq!(same, first, "an equal generation is the last one");
    let second = begin(&["new", "second"], &world).await;
    assert_eq!(second.number, GenerationNo(first.number.0 + 1));
    assert_eq!(second.subscriptions[1], first.subscriptions[1]);
    let third = begin(&["second"], &world).await;
    world.restart().await;
    let back = world.rules.clone();
    assert_eq!(back.subscriptions, first.subscriptions, "known texts");
    assert!(back.number > third.number);
    let names = async |number| {
        let row = world.journal().generation(number).await.unwrap().unwrap();
        let names = row.subscriptions.iter().map(|(name, _)| name.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(first.number).await, ["first", "second"]);
    assert_eq!(names(second.number).await, ["new", "second"]);
    assert_eq!(names(third.number).await, ["second"]);
    assert_eq!(names(back.number).await, ["first", "second"]);
    let beyond = world.journal().generation(GenerationNo(99)).await.unwrap();
    assert_eq!(beyond, None);
}

pub(crate) async fn sinks_tell_what_waits(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let began = world.now;
    world.record(vec![world.event(1).in_lane(1)]).await;
    world.pass(SECOND);
    let events = vec![world.event(2).in_lane(1), world.event(3).by_mail()];
    world.record(events).await;
    let rows = world.journal().sinks().await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (&*row.name, row.pending, row.oldest))
        .collect();
    let expected = [("mail", 1, Some(world.now)), ("hook", 2, Some(began))];
    assert_eq!(told, expected);
    let claimed = world.claim_one(MAIL).await;
    world.deliver(&claimed).await;
    world.restart().await;
    let rows = world.journal().sinks().await.unwrap();
    assert_eq!(
        rows.len(),
        1,
        "a sink for which nothing waits is not listed"
    );
}

pub(crate) async fn a_closed_journal_says_so(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    world.record(vec![world.event(1)]).await;
    world.journal().close().await;
    let closed = |error| matches!(error, Error::Closed);
    let claimed = world.journal().claim(world.request(&[(MAIL, 1)])).await;
    assert!(claimed.is_err_and(closed));
    assert!(world.journal().totals().await.is_err_and(closed));
    world.journal().close().await;
}
