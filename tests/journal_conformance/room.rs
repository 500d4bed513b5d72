//! `bound`: what happens on the way to the bound, at it, and back.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    Bounds, Cancel, DeliveryFilter, Entry, Error, EventFilter, Fill, Hand, HandVerb, Next, Paused,
    Pressure, Recorded,
};
use herald_model::event::Level;
use herald_model::{DeliveryState, Outcome};

use crate::engine::Engine;
use crate::world::{DAY, MAIL, Sample, World, accepted, ok};

const MAX_SIZE: u64 = 2 << 20;

/// Bytes of an event: some hundred and thirty fill the journal.
const TEXT: usize = 16 << 10;

/// More events than the journal can hold.
const TOO_MANY: u128 = 300;

fn bound(world: &World<'_>) {
    bound_to(world, MAX_SIZE);
}

fn bound_to(world: &World<'_>, max_size: u64) {
    world.journal().bound(Bounds {
        max_size,
        refused: 10,
    });
}

fn large(world: &World<'_>, n: u128) -> Sample {
    let mut event = world.event(n).by_mail();
    let text = format!(
        r#"{{"ver":"1.0","id":"S{n}","content":{{"x":"{}"}}}}"#,
        "x".repeat(TEXT)
    );
    event.0.event.text = Arc::from(text);
    event
}

async fn try_record(world: &World<'_>, event: Sample) -> Result<Recorded, Error> {
    let recorded = world.journal().record(vec![event.entry()]).await?;
    Ok(recorded[0])
}

/// Records until the journal refuses; how many it took.
async fn fill(world: &World<'_>, level: Level) -> u128 {
    for n in 1..TOO_MANY {
        match try_record(world, large(world, n).level(level)).await {
            Ok(recorded) => assert!(accepted(&recorded)),
            Err(Error::NoRoom { used, max }) => {
                assert!(used < max && used > max / 8 * 7, "{used} of {max}");
                return n - 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it never refused");
}

/// Delivers what is due, without looking at every row there is.
async fn deliver(world: &World<'_>) {
    let claims = world.journal().claim(world.request(&[(MAIL, 1)])).await;
    let settlement = world.settlement(&claims.unwrap().messages[0], &ok(), &Next::Delivered);
    world.journal().settle(settlement).await.unwrap();
}

fn hand(world: &World<'_>, verb: HandVerb) -> Hand {
    Hand {
        at: world.now,
        who: Arc::from("ops"),
        verb,
        what: "mail".to_owned(),
        why: None,
    }
}

pub(crate) async fn at_its_bound_only_intake_is_refused(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world);
    let taken = fill(&world, Level::Warn).await;
    assert_eq!(world.journal().size().fill(), Fill::Full);
    let operation = Entry::NotTriggered {
        received_at: world.now,
        source: Arc::from("operations"),
        operation: "{}".to_owned(),
        reason: "primary-eni",
    };
    let refused = world.journal().record(vec![operation]).await;
    assert!(matches!(refused, Err(Error::NoRoom { .. })));

    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.messages.len(), 9);
    for claimed in &claims.messages[..4] {
        world.again(claimed, Duration::from_secs(1)).await;
    }
    let dead = Next::Dead("no".to_owned());
    world
        .settle(&claims.messages[4], Outcome::permanent("no"), dead)
        .await;
    for claimed in &claims.messages[5..] {
        world.deliver(claimed).await;
    }
    let paused = world.journal().pause("mail", hand(&world, HandVerb::Pause));
    assert_eq!(paused.await.unwrap(), Paused::Done);
    let resumed = world
        .journal()
        .resume("mail", hand(&world, HandVerb::Resume));
    assert_eq!(resumed.await.unwrap(), Paused::Done);
    let waiting = DeliveryFilter {
        state: Some(DeliveryState::Pending),
        limit: 3,
        ..DeliveryFilter::default()
    };
    let waiting = world.deliveries(waiting).await;
    let cancel = Cancel {
        now: world.now,
        deliveries: waiting.iter().map(|row| row.number).collect(),
        reason: Arc::from("cancelled"),
        hand: None,
    };
    assert_eq!(world.journal().cancel(cancel).await.unwrap().suppressed, 3);
    let totals = world.totals().await;
    assert_eq!(u128::from(totals.planned), taken);
    assert_eq!(u128::from(totals.pending), taken - 8);

    assert_eq!(world.make_room(Pressure::Finished, 500).await.events, 8);
    let recorded = try_record(&world, large(&world, 900)).await;
    assert!(accepted(&recorded.unwrap()), "there is room again");
    world.conserves().await;
}

/// Far more than the reserve is offered at once, so that it comes to the writer as one group.
pub(crate) async fn no_group_runs_through_the_reserve(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world);
    let batches = (0..120_u128).map(|batch| {
        let entries = (1..=4).map(|n| large(&world, batch * 4 + n).level(Level::Warn).entry());
        world.journal().record(entries.collect())
    });
    let mut taken = 0;
    for recorded in futures_util::future::join_all(batches).await {
        match recorded {
            Ok(recorded) => taken += recorded.len(),
            Err(Error::NoRoom { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(taken > 60, "{taken}");
    let size = world.journal().size();
    assert!(
        size.used < size.refuse_at() + size.reserve() / 4 * 3,
        "{} of {}",
        size.used,
        size.max
    );
    world.conserves().await;
}

pub(crate) async fn beyond_the_reserve_trying_on_takes_no_more_room(engine: &mut dyn Engine) {
    const WAITING: u32 = 100;
    let mut world = World::new(engine).await;
    world
        .record(
            (1..=u128::from(WAITING))
                .map(|n| world.event(n).by_mail().level(Level::Warn))
                .collect(),
        )
        .await;
    bound_to(&world, 1);
    assert!(world.journal().size().is_brimful());
    let reason = "the far side is busy, ".repeat(20);
    let mut used: Vec<u64> = Vec::new();
    let mut charged = 0;
    for _ in 0..30 {
        let claims = world
            .journal()
            .claim(world.request(&[(MAIL, WAITING)]))
            .await;
        for claimed in &claims.unwrap().messages {
            charged = charged.max(claimed.items[0].charged);
            let outcome = match used.len() % 2 {
                0 => Outcome::transient(&reason),
                _ => Outcome::unknown(&reason),
            };
            let settlement = world.settlement(claimed, &outcome, &Next::Again(world.now));
            world.journal().settle(settlement).await.unwrap();
        }
        used.push(world.journal().size().used);
        world.pass(Duration::from_secs(60));
    }
    assert_eq!(charged, 29, "every attempt counts");
    // Some pages come and go, as rows are split over them and the index is written beside it;
    // one attempt of each that stayed would be more.
    let of_one_attempt = u64::from(WAITING) * reason.len() as u64;
    let first = used[0];
    assert!(
        used.iter().all(|&used| used < first + of_one_attempt),
        "{used:?}"
    );
    let waiting = world.deliveries(DeliveryFilter::default()).await;
    let row = world.journal().delivery(waiting[0].id).await.unwrap();
    assert_eq!(row.unwrap().attempts.len(), 1, "the last one is kept");
    for _ in 0..WAITING {
        deliver(&world).await;
    }
    assert_eq!(world.totals().await.delivered, u64::from(WAITING));
    world.conserves().await;
}

pub(crate) async fn finished_events_go_before_anything_is_refused(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world);
    let mut fullest = Fill::Roomy;
    for n in 1..TOO_MANY {
        let recorded = try_record(&world, large(&world, n)).await.unwrap();
        assert!(accepted(&recorded));
        deliver(&world).await;
        fullest = fullest.max(world.journal().size().fill());
        while world.journal().size().fill() > Fill::Roomy {
            let swept = world.make_room(Pressure::Finished, 8).await;
            assert!(swept.events > 0 && swept.crowded_out.is_none());
        }
    }
    assert_eq!(fullest, Fill::Trimming, "it had to, and never came nearer");
    let kept = EventFilter {
        limit: 1_000,
        ..EventFilter::default()
    };
    let kept = world.journal().events(kept).await.unwrap().rows;
    let newest: Vec<_> = (1..TOO_MANY)
        .rev()
        .take(kept.len())
        .map(|n| world.event(n).id())
        .collect();
    let ids: Vec<_> = kept.iter().map(|row| row.id).collect();
    assert_eq!(ids, newest, "the oldest went");
    assert!(ids.len() > 50, "{}", ids.len());
    let totals = world.totals().await;
    assert_eq!(u128::from(totals.planned), TOO_MANY - 1);
    assert_eq!(totals.delivered, ids.len() as u64);
}

pub(crate) async fn a_sink_that_is_gone_does_not_stop_intake(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world);
    let warning = large(&world, 5_000).level(Level::Warn);
    let urgent = warning.id();
    try_record(&world, warning).await.unwrap();
    let mut gone = 0;
    for n in 1..TOO_MANY {
        try_record(&world, large(&world, n)).await.unwrap();
        let mut pressure = Pressure::Finished;
        while world.journal().size().fill() >= Fill::Near {
            let swept = world.make_room(pressure, 5).await;
            gone += swept.crowded_out.as_ref().map_or(0, |(_, count)| *count);
            if let Some((sink, _)) = &swept.crowded_out {
                assert_eq!(&**sink, "mail");
                assert_eq!(pressure, Pressure::Waiting);
            }
            pressure = match swept.made_room() {
                true => Pressure::Finished,
                false => Pressure::Waiting,
            };
        }
    }
    let totals = world.totals().await;
    assert_eq!((totals.removed, totals.suppressed), (gone, 0));
    assert!(gone > 120, "{gone}");
    let first = world.claim_one(MAIL).await;
    assert_eq!(first.items[0].event, urgent, "a WARN never goes for room");
}

pub(crate) async fn warnings_are_kept_and_intake_waits(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world);
    let taken = fill(&world, Level::Warn).await;
    for pressure in [Pressure::Finished, Pressure::Waiting] {
        let swept = world.make_room(pressure, 100).await;
        assert!(!swept.made_room() && swept.crowded_out.is_none());
    }
    assert_eq!(u128::from(world.totals().await.pending), taken);
    let again = try_record(&world, large(&world, 900)).await;
    assert!(matches!(again, Err(Error::NoRoom { .. })));
}

pub(crate) async fn a_repeat_of_what_waits_is_known_after_room_was_made(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    world
        .record((1..=40).map(|n| large(&world, n)).collect())
        .await;
    for _ in 0..20 {
        world.deliver(&world.claim_one(MAIL).await).await;
    }
    bound_to(&world, 1);
    for _ in 0..20 {
        world.make_room(Pressure::Finished, 7).await;
    }
    bound(&world);
    assert_eq!(world.totals().await.removed, 20);
    world.restart().await;
    for n in 1..=40 {
        let repeat = large(&world, n).under_id(n + 500);
        let recorded = try_record(&world, repeat).await.unwrap();
        assert_eq!(accepted(&recorded), n <= 20, "{n}: {recorded:?}");
    }
    world.conserves().await;
}

pub(crate) async fn operations_go_in_their_turn(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let operation = |world: &World<'_>| Entry::NotTriggered {
        received_at: world.now,
        source: Arc::from("operations"),
        operation: "{}".to_owned(),
        reason: "primary-eni",
    };
    world
        .journal()
        .record(vec![operation(&world)])
        .await
        .unwrap();
    for n in 1..=2 {
        world.pass(DAY);
        world.record(vec![large(&world, n)]).await;
        world.deliver(&world.claim_one(MAIL).await).await;
    }
    world.pass(DAY);
    world
        .journal()
        .record(vec![operation(&world)])
        .await
        .unwrap();
    bound_to(&world, 1);
    for _ in 0..2 {
        let swept = world.make_room(Pressure::Finished, 1).await;
        assert_eq!((swept.events, swept.others), (1, 1));
    }
}

pub(crate) async fn a_bound_can_be_raised(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    bound(&world);
    fill(&world, Level::Info).await;
    bound_to(&world, 4 * MAX_SIZE);
    let recorded = try_record(&world, large(&world, 900)).await;
    assert!(accepted(&recorded.unwrap()));
}
