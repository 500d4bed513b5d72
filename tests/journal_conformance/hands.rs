//! What people do: replay, cancel, pause, resume.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    Cancel, Cancelled, Claimed, DeliveryFilter, DeliveryNo, DeliveryRow, Expire, Hand, HandVerb,
    Next, Paused, Policy, Replay, STEP_MAX, Saved, SinkState,
};
use herald_model::{DeliveryState, Outcome, Phase, Signal};

use crate::engine::Engine;
use crate::messages::{digests, members, together};
use crate::world::{DAY, HOOK, HOUR, MAIL, World, ok, told};

const SECOND: Duration = Duration::from_secs(1);

fn hand(world: &World<'_>, verb: HandVerb, what: &str) -> Hand {
    Hand {
        at: world.now,
        who: Arc::from("ops"),
        verb,
        what: what.to_owned(),
        why: Some("it was mended".to_owned()),
    }
}

async fn replay_rows(world: &World<'_>, rows: &[DeliveryRow]) -> u64 {
    let replay = Replay {
        now: world.now,
        deliveries: rows.iter().map(|row| (row.number, row.state)).collect(),
        hand: None,
    };
    let count = world.journal().replay(replay).await.unwrap();
    world.conserves().await;
    count
}

/// Replays everything that is over.
async fn replay(world: &World<'_>) -> u64 {
    let rows = world.deliveries(DeliveryFilter::default()).await;
    replay_rows(world, &rows).await
}

async fn cancel(world: &World<'_>, numbers: &[i64]) -> Cancelled {
    let cancel = Cancel {
        now: world.now,
        deliveries: numbers.iter().copied().map(DeliveryNo).collect(),
        reason: Arc::from("cancelled by ops"),
        hand: None,
    };
    let cancelled = world.journal().cancel(cancel).await.unwrap();
    world.conserves().await;
    cancelled
}

async fn pause(world: &World<'_>) -> Paused {
    let hand = hand(world, HandVerb::Pause, "mail");
    world.journal().pause("mail", hand).await.unwrap()
}

async fn resume(world: &World<'_>) -> Paused {
    let hand = hand(world, HandVerb::Resume, "mail");
    world.journal().resume("mail", hand).await.unwrap()
}

/// A world with one dead letter, after one attempt that saved `saved` and ended so.
async fn dead<'e>(engine: &'e mut dyn Engine, saved: Vec<Saved>, outcome: Outcome) -> World<'e> {
    let world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let claimed = world.claim_one(MAIL).await;
    for saved in saved {
        world.journal().save(claimed.attempt, saved).await.unwrap();
    }
    let next = Next::Dead("given up".to_owned());
    world.settle(&claimed, outcome, next).await;
    world
}

pub(crate) async fn a_dead_letter_is_replayed(engine: &mut dyn Engine) {
    let mut world = dead(engine, vec![], Outcome::permanent("550")).await;
    let before = world.delivery().await;
    world.pass(HOUR);
    assert_eq!(replay(&world).await, 1);
    let row = world.delivery().await;
    assert_eq!(
        (row.state, row.phase),
        (DeliveryState::Pending, Some(Phase::Due))
    );
    assert_eq!(
        (row.charged, row.attempts.len()),
        (1, 1),
        "attempts stay visible"
    );
    world.restart().await;
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(claimed.message, before.attempts[0].message, "the same key");
    assert_eq!(claimed.items[0].charged, 0, "its schedule begins anew");
    assert_eq!(claimed.items[0].first_attempt, None);
    world.deliver(&claimed).await;
    let row = world.delivery().await;
    assert_eq!(row.state, DeliveryState::Delivered);
    assert_eq!((row.charged, row.attempts.len()), (2, 2));
    assert_eq!(replay(&world).await, 1, "and again");
    assert_eq!(world.delivery().await.charged, 2);
}

pub(crate) async fn a_replay_of_what_arrived_has_a_new_key(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let first = world.claim_one(MAIL).await;
    let progress = Saved::Progress(b"all".to_vec());
    world.journal().save(first.attempt, progress).await.unwrap();
    world.deliver(&first).await;
    assert_eq!(replay(&world).await, 1);
    let second = world.claim_one(MAIL).await;
    assert_ne!(second.message, first.message);
    assert_eq!((second.frozen, second.progress), (None, None));
}

pub(crate) async fn a_replay_that_was_cancelled_goes_on_with_no_key_of_what_arrived(
    engine: &mut dyn Engine,
) {
    let world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let first = world.claim_one(MAIL).await;
    world.deliver(&first).await;
    assert_eq!(replay(&world).await, 1);
    assert_eq!(cancel(&world, &[1]).await.suppressed, 1);
    assert_eq!(replay(&world).await, 1);
    let second = world.claim_one(MAIL).await;
    assert_ne!(second.message, first.message);
    world.deliver(&second).await;
}

pub(crate) async fn a_replay_goes_on_where_it_stopped(engine: &mut dyn Engine) {
    let saved = vec![
        Saved::Text("sent".to_owned()),
        Saved::Progress(b"two of three".to_vec()),
    ];
    let mut world = dead(engine, saved, Outcome::permanent("550 c@example.com")).await;
    world.restart().await;
    assert_eq!(replay(&world).await, 1);
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(claimed.progress.as_deref(), Some(&b"two of three"[..]));
    assert_eq!(
        claimed.frozen.as_deref(),
        Some("sent"),
        "the rest gets the same words"
    );
    world.again(&claimed, Duration::ZERO).await;
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(claimed.progress.as_deref(), Some(&b"two of three"[..]));
}

pub(crate) async fn a_replay_after_an_unknown_sends_the_same_words(engine: &mut dyn Engine) {
    let saved = || vec![Saved::Text("sent".to_owned())];
    let world = dead(engine, saved(), Outcome::unknown("timed out")).await;
    replay(&world).await;
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(claimed.frozen.as_deref(), Some("sent"));
    world.record(vec![world.event(2).by_mail()]).await;
    let refused = world.claim_one(MAIL).await;
    let text = Saved::Text("refused".to_owned());
    world.journal().save(refused.attempt, text).await.unwrap();
    let next = Next::Dead("550".to_owned());
    world
        .settle(&refused, Outcome::permanent("550"), next)
        .await;
    replay(&world).await;
    let mended = world.claim_one(MAIL).await;
    assert_eq!(mended.frozen, None, "what never arrived is written anew");
}

pub(crate) async fn a_replay_after_an_unknown_keeps_the_form(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world.policies[MAIL] = Arc::new(Policy {
        form: Some("a form".into()),
        ..Policy::default()
    });
    world.record(vec![world.event(1).by_mail()]).await;
    let claimed = world.claim_one(MAIL).await;
    let next = Next::Dead("given up".to_owned());
    world
        .settle(&claimed, Outcome::unknown("timed out"), next)
        .await;
    world.policies[MAIL] = Arc::default();
    replay(&world).await;
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(claimed.frozen.as_deref(), Some("a form"));
}

pub(crate) async fn a_replay_joins_no_lane(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let lane = |n| world.event(n).in_lane(7);
    world.record(vec![lane(1), lane(2), lane(3)]).await;
    let first = world.claim_one(HOOK).await;
    let next = Next::Dead("404".to_owned());
    world.settle(&first, Outcome::permanent("404"), next).await;
    assert_eq!(replay(&world).await, 1);
    let claims = world.claim(HOOK, 9).await;
    assert_eq!(
        told(&claims),
        [1, 2],
        "neither waits for the other, and the third waits for the second"
    );
    let of = |n: u128| {
        let its = |claimed: &&Claimed| claimed.items[0].event.uuid().as_u128() == n;
        claims.messages.iter().find(its).unwrap()
    };
    world.deliver(of(1)).await;
    assert!(world.claim(HOOK, 9).await.messages.is_empty());
    world.deliver(of(2)).await;
    assert_eq!(told(&world.claim(HOOK, 9).await), [3]);
}

pub(crate) async fn a_replay_has_its_time_anew(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world
        .record(vec![world.event(1).by_mail().expires(HOUR)])
        .await;
    world.pass(HOUR);
    assert_eq!(world.claim(MAIL, 1).await.expired.len(), 1);
    world.pass(HOUR);
    assert_eq!(replay(&world).await, 1);
    world.pass(HOUR - SECOND);
    let claimed = world.claim_one(MAIL).await;
    world.again(&claimed, DAY).await;
    world.pass(SECOND);
    assert_eq!(world.claim(MAIL, 1).await.expired.len(), 1);
}

pub(crate) async fn a_second_replay_has_no_more_time_than_the_first(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let event = world.event(1).by_mail().expires(HOUR);
    world.record(vec![event]).await;
    for _ in 0..3 {
        world.pass(HOUR - SECOND);
        assert!(world.claim(MAIL, 0).await.expired.is_empty());
        world.pass(SECOND);
        assert_eq!(world.claim(MAIL, 0).await.expired.len(), 1);
        world.pass(HOUR);
        assert_eq!(replay(&world).await, 1);
    }
}

/// A message of three with a text and a checkpoint.
async fn three<'e>(engine: &'e mut dyn Engine) -> (World<'e>, Claimed) {
    let mut world = digests(engine).await;
    let events = (1..=3).map(|n| world.event(n).by_mail()).collect();
    world.record(events).await;
    world.pass(5 * SECOND);
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(members(&claimed), [1, 2, 3]);
    let saved = [
        Saved::Text("three".to_owned()),
        Saved::Progress(b"one of three".to_vec()),
    ];
    for saved in saved {
        world.journal().save(claimed.attempt, saved).await.unwrap();
    }
    (world, claimed)
}

pub(crate) async fn a_replayed_member_goes_without_the_others(engine: &mut dyn Engine) {
    for number in 1..=3 {
        let (mut world, first) = three(engine).await;
        let next = Next::Dead("given up".to_owned());
        world.settle(&first, Outcome::unknown("cut"), next).await;
        world.restart().await;
        let rows = world.deliveries(DeliveryFilter::default()).await;
        let one = &rows[rows.len() - number];
        assert_eq!(replay_rows(&world, std::slice::from_ref(one)).await, 1);
        let claimed = world.claim_one(MAIL).await;
        assert_eq!(members(&claimed), [number as u128]);
        assert_ne!(claimed.message, first.message, "other members, another key");
        assert_eq!(claimed.frozen, None, "its text would tell of the others");
        let progress = claimed.progress.as_deref();
        assert_eq!(progress, Some(&b"one of three"[..]), "what was done is");
        world.again(&claimed, Duration::ZERO).await;
        let again = world.claim_one(MAIL).await;
        assert_eq!(again.message, claimed.message);
        world.deliver(&again).await;
        world.pass(3 * DAY);
        assert_eq!(world.sweep(DAY, 10).await.events, 3);
    }
}

pub(crate) async fn a_cancelled_member_ends_its_message(engine: &mut dyn Engine) {
    let (mut world, first) = three(engine).await;
    let in_flight = Cancelled {
        suppressed: 0,
        in_flight: 3,
    };
    assert_eq!(cancel(&world, &[1, 2, 3]).await, in_flight);
    world.again(&first, HOUR).await;
    assert_eq!(cancel(&world, &[2]).await.suppressed, 1);
    let seen = DeliveryFilter {
        state: Some(DeliveryState::Suppressed),
        ..DeliveryFilter::default()
    };
    let rows = world.deliveries(seen).await;
    assert_eq!(replay_rows(&world, &rows).await, 1);
    let replayed = world.claim_one(MAIL).await;
    assert_eq!(members(&replayed), [2]);
    world.pass(HOUR);
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.messages.iter().flat_map(members).count(), 2);
    for one in claims.messages.iter().chain([&replayed]) {
        assert_ne!(one.message, first.message);
        assert_eq!(one.frozen, None);
        world.deliver(one).await;
    }
    assert_eq!(world.totals().await.delivered, 3);
}

pub(crate) async fn a_cancelled_head_leaves_its_lane_to_what_went_with_it(engine: &mut dyn Engine) {
    let mut world = together(engine).await;
    world
        .record(vec![
            world.wanted_twice(1, HOOK, Some(7)),
            world.wanted_twice(2, HOOK, Some(7)),
        ])
        .await;
    let first = world.claim_one(HOOK).await;
    assert_eq!(members(&first), [1, 1]);
    world.again(&first, SECOND).await;
    assert_eq!(cancel(&world, &[1]).await.suppressed, 1);
    assert!(world.claim(HOOK, 9).await.messages.is_empty());
    world.pass(SECOND);
    let rest = world.claim_one(HOOK).await;
    assert_eq!(members(&rest), [1]);
    world.deliver(&rest).await;
    assert_eq!(members(&world.claim_one(HOOK).await), [2, 2]);
}

pub(crate) async fn a_replay_takes_over_no_lane(engine: &mut dyn Engine) {
    let world = together(engine).await;
    world
        .record(vec![
            world.wanted_twice(1, HOOK, Some(7)),
            world.wanted_twice(2, HOOK, Some(7)),
        ])
        .await;
    assert_eq!(cancel(&world, &[2]).await.suppressed, 1);
    assert_eq!(replay(&world).await, 1);
    let first = world.claim_one(HOOK).await;
    assert_eq!(members(&first), [1, 1]);
    let busy = Outcome::transient("busy");
    let each = [
        (ok(), Next::Delivered),
        (busy, Next::Again(world.now + HOUR)),
    ];
    world.settle_each(&first, &each).await;
    let second = world.claim_one(HOOK).await;
    assert_eq!(members(&second), [2, 2], "nothing is before them");
}

pub(crate) async fn a_replay_that_is_cancelled_leaves_nothing_behind(engine: &mut dyn Engine) {
    let (mut world, first) = three(engine).await;
    let next = Next::Dead("given up".to_owned());
    world.settle(&first, Outcome::unknown("cut"), next).await;
    for _ in 0..2 {
        assert_eq!(replay(&world).await, 3);
        assert_eq!(cancel(&world, &[1, 2, 3]).await.suppressed, 3);
    }
    world.pass(3 * DAY);
    assert_eq!(world.sweep(DAY, 10).await.events, 3);
    let Some(file) = world.engine.file() else {
        return;
    };
    let conn = rusqlite::Connection::open(file).unwrap();
    for table in ["message", "checkpoint", "attempt", "lane"] {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = conn.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

pub(crate) async fn only_what_stands_as_it_was_seen_is_replayed(engine: &mut dyn Engine) {
    let world = dead(engine, vec![], Outcome::permanent("550")).await;
    let seen = world.deliveries(DeliveryFilter::default()).await;
    assert_eq!(replay_rows(&world, &seen).await, 1);
    assert_eq!(replay_rows(&world, &seen).await, 0, "it is pending now");
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(replay(&world).await, 0, "in flight");
    world.deliver(&claimed).await;
    assert_eq!(replay_rows(&world, &seen).await, 0, "it arrived meanwhile");
    assert_eq!(world.totals().await.delivered, 1);
}

pub(crate) async fn a_replay_is_removed_only_when_it_is_over_again(engine: &mut dyn Engine) {
    let mut world = dead(engine, vec![], Outcome::permanent("550")).await;
    world.pass(2 * DAY);
    replay(&world).await;
    assert_eq!(world.sweep(DAY, 10).await.events, 0);
    let claimed = world.claim_one(MAIL).await;
    world.deliver(&claimed).await;
    assert_eq!(world.sweep(DAY, 10).await.events, 1);
    assert_eq!(world.totals().await.removed, 1);
}

pub(crate) async fn what_waits_is_cancelled_what_is_in_flight_is_not(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=3).map(|n| world.event(n).by_mail()).collect();
    world.record(events).await;
    let open = world.claim_one(MAIL).await;
    let retried = world.claim_one(MAIL).await;
    world.again(&retried, HOUR).await;
    let made = cancel(&world, &[1, 2, 3, 4]).await;
    assert_eq!(
        made,
        Cancelled {
            suppressed: 2,
            in_flight: 1
        }
    );
    let rows = world.deliveries(DeliveryFilter::default()).await;
    assert_eq!(rows[0].state, DeliveryState::Suppressed);
    assert_eq!(rows[0].reason.as_deref(), Some("cancelled by ops"));
    assert_eq!((rows[1].charged, rows[1].attempts.len()), (1, 1));
    world.pass(HOUR);
    assert!(world.claim(MAIL, 9).await.messages.is_empty());
    assert_eq!(cancel(&world, &[2, 3]).await, Cancelled::default());
    world.deliver(&open).await;
    assert_eq!(world.totals().await.suppressed, 2);
}

pub(crate) async fn cancelling_a_head_passes_its_lane_on(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=2).map(|n| world.event(n).in_lane(1)).collect();
    world.record(events).await;
    assert_eq!(cancel(&world, &[1]).await.suppressed, 1);
    assert_eq!(told(&world.claim(HOOK, 9).await), [2]);
}

pub(crate) async fn a_cancelled_lane_member_never_leaves(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=3).map(|n| world.event(n).in_lane(1)).collect();
    world.record(events).await;
    let head = world.claim_one(HOOK).await;
    assert_eq!(cancel(&world, &[2]).await.suppressed, 1);
    world.deliver(&head).await;
    assert_eq!(told(&world.claim(HOOK, 9).await), [3]);
}

pub(crate) async fn cancelling_what_stands_behind_hastens_no_head(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let in_lane = |n| world.event(n).in_lane(7);
    world.record((1..=3).map(in_lane).collect()).await;
    let head = world.claim_one(HOOK).await;
    world.again(&head, HOUR).await;
    assert_eq!(cancel(&world, &[2]).await.suppressed, 1);
    assert!(world.claim(HOOK, 9).await.messages.is_empty());
    world.pass(HOUR);
    assert_eq!(told(&world.claim(HOOK, 9).await), [1]);
}

pub(crate) async fn a_paused_sink_is_not_claimed(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world.record(vec![world.event(1), world.event(2)]).await;
    let open = world.claim_one(MAIL).await;
    assert_eq!(pause(&world).await, Paused::Done);
    assert_eq!(pause(&world).await, Paused::Already);
    world.restart().await;
    assert!(world.claim(MAIL, 9).await.messages.is_empty());
    assert_eq!(world.claim(HOOK, 9).await.messages.len(), 2, "only it");
    let by_mail = DeliveryFilter {
        sink: Some("mail".to_owned()),
        ..DeliveryFilter::default()
    };
    for row in world.deliveries(by_mail).await {
        assert_eq!(row.phase, Some(Phase::Held));
    }
    let pauses = world.journal().pauses().await.unwrap();
    assert_eq!(pauses.len(), 1);
    assert_eq!((&*pauses[0].sink, &*pauses[0].who), ("mail", "ops"));
    assert_eq!(
        (pauses[0].at, &*pauses[0].why),
        (world.now, "it was mended")
    );
    assert_eq!(resume(&world).await, Paused::Done);
    assert_eq!(resume(&world).await, Paused::Already);
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.messages.len(), 2, "due at once");
    assert!(
        !claims
            .messages
            .iter()
            .any(|one| one.attempt == open.attempt)
    );
    let nobody = hand(&world, HandVerb::Pause, "nobody");
    let paused = world.journal().pause("nobody", nobody).await.unwrap();
    assert_eq!(paused, Paused::NoSuchSink);
}

pub(crate) async fn what_stands_behind_a_head_is_held_with_it(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=2).map(|n| world.event(n).in_lane(1)).collect();
    world.record(events).await;
    let noted = hand(&world, HandVerb::Pause, "hook");
    world.journal().pause("hook", noted.clone()).await.unwrap();
    for row in world.deliveries(DeliveryFilter::default()).await {
        assert_eq!((row.phase, row.next_attempt), (Some(Phase::Held), None));
    }
    let rows = world.journal().sinks().await.unwrap();
    assert_eq!((&*rows[0].name, rows[0].state), ("hook", SinkState::Held));
    world.journal().resume("hook", noted).await.unwrap();
    let rows = world.deliveries(DeliveryFilter::default()).await;
    let phases: Vec<_> = rows.iter().map(|row| row.phase).collect();
    assert_eq!(phases, [Some(Phase::Waiting), Some(Phase::Due)]);
}

pub(crate) async fn a_pause_is_not_counted_for_giving_up(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let first = world.claim_one(MAIL).await;
    world.again(&first, HOUR).await;
    pause(&world).await;
    world.pass(3 * HOUR);
    resume(&world).await;
    let second = world.claim_one(MAIL).await;
    assert_eq!(
        second.items[0].uncounted,
        2 * HOUR,
        "the hour until it was due counts"
    );
}

pub(crate) async fn a_paused_delivery_expires_in_time(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = vec![
        world.event(1).by_mail().expires(HOUR),
        world.event(2).by_mail(),
    ];
    world.record(events).await;
    pause(&world).await;
    let look = |world: &World<'_>| Expire {
        now: world.now,
        after: None,
        lanes_max: 10,
    };
    world.pass(HOUR - SECOND);
    let expired = world.journal().expire(look(&world)).await.unwrap();
    assert!(expired.deliveries.is_empty());
    world.pass(SECOND);
    let expired = world.journal().expire(look(&world)).await.unwrap();
    world.conserves().await;
    assert_eq!((expired.deliveries.len(), expired.next), (1, None));
    let row = world.journal().delivery(expired.deliveries[0]).await;
    let row = row.unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Suppressed);
    assert_eq!(row.reason.as_deref(), Some("expired"));
    assert_eq!(world.totals().await.pending, 1);
}

pub(crate) async fn a_look_for_the_expired_goes_round_in_steps(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = (1..=5).map(|n| world.event(n).by_mail().expires(HOUR));
    world.record(events.collect()).await;
    let open = world.claim_one(MAIL).await;
    world.pass(HOUR);
    let (mut after, mut expired, mut steps) = (None, 0, 0);
    loop {
        let look = Expire {
            now: world.now,
            after,
            lanes_max: 2,
        };
        let found = world.journal().expire(look).await.unwrap();
        world.conserves().await;
        assert!(found.deliveries.len() <= 2);
        expired += found.deliveries.len();
        steps += 1;
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((expired, steps), (4, 3), "what is in flight is left alone");
    world.deliver(&open).await;
}

pub(crate) async fn a_receiver_that_wants_no_more_holds_its_sink(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    let events = (1..=2).map(|n| world.event(n).by_mail()).collect();
    world.record(events).await;
    let claimed = world.claim_one(MAIL).await;
    let next = Next::Dead("410 Gone".to_owned());
    let mut settlement = world.settlement(&claimed, &Outcome::permanent("410 Gone"), &next);
    settlement.signal = Signal::Hold;
    world.journal().settle(settlement).await.unwrap();
    assert!(world.claim(MAIL, 9).await.messages.is_empty());
    let pauses = world.journal().pauses().await.unwrap();
    assert_eq!((&*pauses[0].who, &*pauses[0].why), ("herald", "410 Gone"));
    resume(&world).await;
    assert_eq!(told(&world.claim(MAIL, 9).await), [2]);
}

pub(crate) async fn what_people_did_is_written_down(engine: &mut dyn Engine) {
    let mut world = dead(engine, vec![], Outcome::permanent("550")).await;
    let began = world.now;
    let noted = hand(&world, HandVerb::Replay, "dlv_1");
    let steps = [Some(noted.clone()), None];
    for hand in steps {
        let replay = Replay {
            now: world.now,
            deliveries: vec![(DeliveryNo(1), DeliveryState::Dead)],
            hand,
        };
        world.journal().replay(replay).await.unwrap();
    }
    world.pass(SECOND);
    pause(&world).await;
    pause(&world).await;
    resume(&world).await;
    let hands = world.journal().hands(10).await.unwrap();
    let verbs: Vec<_> = hands.iter().map(|hand| hand.verb.as_str()).collect();
    assert_eq!(verbs, ["resume", "pause", "replay"], "newest first");
    assert_eq!(hands[2], noted);
    assert_eq!(hands[2].at, began);
    assert_eq!(world.journal().hands(1).await.unwrap().len(), 1);
}

pub(crate) async fn a_step_has_a_limit(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let claimed = world.claim_one(MAIL).await;
    world.settle(&claimed, ok(), Next::Delivered).await;
    let replay = Replay {
        now: world.now,
        deliveries: vec![(DeliveryNo(1), DeliveryState::Delivered); STEP_MAX + 1],
        hand: None,
    };
    assert!(world.journal().replay(replay).await.is_err());
    let cancel = Cancel {
        now: world.now,
        deliveries: vec![DeliveryNo(1); STEP_MAX + 1],
        reason: Arc::from("cancelled"),
        hand: None,
    };
    assert!(world.journal().cancel(cancel).await.is_err());
    assert_eq!(world.totals().await.delivered, 1);
}
