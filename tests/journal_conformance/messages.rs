//! Messages of several deliveries: together, digests, frozen members.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    Claimed, Digest, Error, KILLS_MAX, Next, Planned, Policy, SUSPECT_APART, Saved, SettledItem,
};
use herald_model::event::Level;
use herald_model::{DeliveryState, Outcome, Phase};

use crate::engine::Engine;
use crate::world::{DAY, HOOK, HOUR, MAIL, Sample, World, ok};

const SECOND: Duration = Duration::from_secs(1);

/// What waits for five seconds goes as a digest of at most four.
pub(crate) async fn digests(engine: &mut dyn Engine) -> World<'_> {
    let mut world = World::new(engine).await;
    world.policies[MAIL] = Arc::new(Policy {
        digest: Some(Digest {
            after: 5 * SECOND,
            items_max: 4,
        }),
        ..Policy::default()
    });
    world
}

pub(crate) async fn together(engine: &mut dyn Engine) -> World<'_> {
    let mut world = World::new(engine).await;
    let policy = Arc::new(Policy {
        together: true,
        ..Policy::default()
    });
    world.policies = [Arc::clone(&policy), policy];
    world
}

impl World<'_> {
    /// An event that both subscriptions want by one sink.
    pub(crate) fn wanted_twice(&self, n: u128, sink: usize, lane: Option<u64>) -> Sample {
        let mut sample = self.event(n);
        sample.0.deliveries = self
            .rules
            .subscriptions
            .iter()
            .map(|subscription| Planned {
                subscription: *subscription,
                sink: self.sink(sink),
                lane,
                level: Level::Info,
                expires_at: self.now + DAY,
            })
            .collect();
        sample
    }

    /// Settles each item by itself.
    pub(crate) async fn settle_each(&self, claimed: &Claimed, each: &[(Outcome, Next)]) {
        let mut settlement = self.settlement(claimed, &ok(), &Next::Delivered);
        settlement.items = claimed
            .items
            .iter()
            .zip(each)
            .map(|(item, (outcome, next))| SettledItem {
                delivery: item.number,
                outcome: outcome.clone(),
                next: next.clone(),
            })
            .collect();
        self.journal().settle(settlement).await.unwrap();
        self.conserves().await;
    }

    async fn save(&self, claimed: &Claimed, words: &str) {
        let saved = Saved::Text(words.to_owned());
        self.journal().save(claimed.attempt, saved).await.unwrap();
    }
}

pub(crate) fn members(claimed: &Claimed) -> Vec<u128> {
    let number = |item: &herald::journal::ClaimedItem| item.event.uuid().as_u128();
    claimed.items.iter().map(number).collect()
}

pub(crate) async fn deliveries_of_one_event_go_together(engine: &mut dyn Engine) {
    let world = together(engine).await;
    let events = vec![
        world.wanted_twice(1, MAIL, None),
        world.wanted_twice(2, MAIL, None),
    ];
    world.record(events).await;
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.messages.len(), 2);
    let first = &claims.messages[0];
    assert_eq!(members(first), [1, 1]);
    let names: Vec<_> = first.items.iter().map(|item| &*item.subscription).collect();
    assert_eq!(names, ["first", "second"]);
    world.deliver(first).await;
    let row = world.journal().delivery(first.items[1].id).await.unwrap();
    let row = row.unwrap();
    assert_eq!(row.state, DeliveryState::Delivered);
    assert_eq!(row.attempts[0].message, first.message, "one message");
}

pub(crate) async fn without_together_each_goes_alone(engine: &mut dyn Engine) {
    let world = World::new(engine).await;
    world.record(vec![world.wanted_twice(1, MAIL, None)]).await;
    assert_eq!(world.claim(MAIL, 9).await.messages.len(), 2);
}

pub(crate) async fn together_in_a_lane_keeps_its_order(engine: &mut dyn Engine) {
    let mut world = together(engine).await;
    world
        .record(vec![
            world.wanted_twice(1, HOOK, Some(7)),
            world.wanted_twice(2, HOOK, Some(7)),
        ])
        .await;
    let first = world.claim_one(HOOK).await;
    assert_eq!(members(&first), [1, 1]);
    let busy = Outcome::transient("busy");
    let each = [
        (ok(), Next::Delivered),
        (busy, Next::Again(world.now + SECOND)),
    ];
    world.settle_each(&first, &each).await;
    assert!(
        world.claim(HOOK, 9).await.messages.is_empty(),
        "what is left of the first holds the lane"
    );
    world.pass(SECOND);
    let rest = world.claim_one(HOOK).await;
    assert_eq!(members(&rest), [1]);
    assert_ne!(rest.message, first.message, "other members, another key");
    world.deliver(&rest).await;
    assert_eq!(members(&world.claim_one(HOOK).await), [2, 2]);
}

pub(crate) async fn what_waits_too_long_leaves_as_a_digest(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    let info = |n| world.event(n).by_mail();
    let events = vec![
        info(1),
        info(2),
        info(3).level(Level::Warn),
        info(4),
        info(5).level(Level::Critical),
    ];
    world.record(events).await;
    world.pass(4 * SECOND);
    let claims = world.claim(MAIL, 1).await;
    assert_eq!(members(&claims.messages[0]), [5], "nothing waited for long");
    world.deliver(&claims.messages[0]).await;
    world.pass(SECOND);
    world.record(vec![world.event(6).by_mail()]).await;
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(members(&claims.messages[0]), [3, 1, 2, 4]);
    assert_eq!(members(&claims.messages[1]), [6], "no more than four");
    let ids: Vec<_> = claims.messages[0]
        .items
        .iter()
        .map(|item| item.id)
        .collect();
    for id in ids {
        let row = world.journal().delivery(id).await.unwrap().unwrap();
        assert_eq!(row.phase, Some(Phase::InFlight));
        assert_eq!(row.attempts[0].message, claims.messages[0].message);
    }
}

pub(crate) async fn a_message_keeps_its_members_and_after_an_unknown_its_text(
    engine: &mut dyn Engine,
) {
    let mut world = digests(engine).await;
    world
        .record((1..=3).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(5 * SECOND);
    let first = world.claim_one(MAIL).await;
    world.save(&first, "three").await;
    world.again(&first, SECOND).await;
    world
        .record((4..=5).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(10 * SECOND);
    world.restart().await;
    let claims = world.claim(MAIL, 9).await;
    let second = claims
        .messages
        .iter()
        .find(|one| one.message == first.message)
        .unwrap();
    assert_eq!(members(second), [1, 2, 3]);
    assert_eq!(
        (&second.frozen, second.composed_at),
        (&None, first.composed_at)
    );
    assert!(claims.messages.iter().any(|one| members(one) == [4, 5]));
    world.save(second, "three, mended").await;
    let next = Next::Again(world.now);
    world
        .settle(second, Outcome::unknown("timed out"), next)
        .await;
    let third = world.claim_one(MAIL).await;
    assert_eq!(third.message, first.message);
    assert_eq!(members(&third), [1, 2, 3]);
    assert_eq!(third.frozen.as_deref(), Some("three, mended"));
}

pub(crate) async fn a_message_cut_off_keeps_its_members(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    world
        .record((1..=3).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(5 * SECOND);
    let first = world.claim_one(MAIL).await;
    world.save(&first, "three").await;
    world.restart().await;
    world.record(vec![world.event(4).by_mail()]).await;
    world.pass(6 * SECOND);
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.message, first.message);
    assert_eq!(members(&second), [1, 2, 3]);
    assert_eq!(second.frozen.as_deref(), Some("three"));
    let row = world.journal().delivery(first.items[2].id).await.unwrap();
    assert_eq!(row.unwrap().attempts[0].message, first.message);
    for _ in 2..KILLS_MAX {
        world.restart().await;
        world.pass(SUSPECT_APART);
        let claims = world.claim(MAIL, 9).await;
        let mut all: Vec<_> = claims.messages.iter().map(members).collect();
        all.sort();
        assert_eq!(
            all,
            [vec![1, 2, 3], vec![4]],
            "the fourth never goes with them"
        );
    }
}

pub(crate) async fn items_that_end_differently_leave_the_message(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    world
        .record((1..=3).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(5 * SECOND);
    let first = world.claim_one(MAIL).await;
    world.save(&first, "three").await;
    let again = || (Outcome::unknown("cut"), Next::Again(world.now));
    let dead = (Outcome::permanent("no"), Next::Dead("no".to_owned()));
    world.settle_each(&first, &[again(), dead, again()]).await;
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.messages.len(), 2);
    for one in &claims.messages {
        assert_ne!(one.message, first.message);
        assert_eq!(one.frozen, None);
    }
}

pub(crate) async fn a_message_with_an_expired_member_is_none_any_more(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    let events = vec![
        world.event(1).by_mail(),
        world.event(2).by_mail().expires(HOUR),
        world.event(3).by_mail(),
    ];
    world.record(events).await;
    world.pass(5 * SECOND);
    let first = world.claim_one(MAIL).await;
    world.again(&first, Duration::ZERO).await;
    world.pass(HOUR);
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.expired.len(), 1);
    let told: Vec<_> = claims.messages.iter().flat_map(members).collect();
    assert_eq!(told, [1, 3]);
    assert!(
        claims
            .messages
            .iter()
            .all(|one| one.message != first.message)
    );
}

pub(crate) async fn a_message_that_does_not_fit_is_shortened(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    world
        .record((1..=4).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(5 * SECOND);
    let first = world.claim_one(MAIL).await;
    let journal = world.journal();
    assert!(journal.shorten(first.attempt, 0).await.is_err());
    journal.shorten(first.attempt, 2).await.unwrap();
    let second = world.claim_one(MAIL).await;
    assert_eq!(members(&second), [3, 4], "they waited for long already");
    assert_ne!(second.message, first.message);
    let mut shorter = first.clone();
    shorter.items.truncate(2);
    world.again(&shorter, Duration::ZERO).await;
    let third = world.claim_one(MAIL).await;
    assert_eq!(
        (third.message, members(&third)),
        (first.message, vec![1, 2])
    );
    let refused = world.journal().shorten(third.attempt, 1).await;
    assert!(matches!(refused, Err(Error::Failed(_))), "it was tried");
    let stale = world.journal().shorten(first.attempt, 1).await;
    assert!(matches!(stale, Err(Error::Stale)));
    world.deliver(&third).await;
}

pub(crate) async fn a_message_split_in_a_lane_keeps_its_order(engine: &mut dyn Engine) {
    let mut world = together(engine).await;
    world
        .record(vec![
            world.wanted_twice(1, HOOK, Some(7)),
            world.wanted_twice(2, HOOK, Some(7)),
        ])
        .await;
    let both = world.claim_one(HOOK).await;
    world.journal().shorten(both.attempt, 1).await.unwrap();
    world.conserves().await;
    assert!(
        world.claim(HOOK, 9).await.messages.is_empty(),
        "the one that had no room waits for the end of the first"
    );
    let mut first = both.clone();
    first.items.truncate(1);
    world.deliver(&first).await;
    world.restart().await;
    let second = world.claim_one(HOOK).await;
    assert_eq!(second.items[0].number, both.items[1].number);
    assert!(
        world.claim(HOOK, 9).await.messages.is_empty(),
        "the next event waits for both"
    );
    world.deliver(&second).await;
    assert_eq!(members(&world.claim_one(HOOK).await), [2, 2]);
}

async fn patient_together(engine: &mut dyn Engine) -> World<'_> {
    let mut world = together(engine).await;
    world.policies[HOOK] = Arc::new(Policy {
        together: true,
        lane_patience: 30 * SECOND,
        ..Policy::default()
    });
    let wanted = |n| world.wanted_twice(n, HOOK, Some(7));
    world.record(vec![wanted(1), wanted(2)]).await;
    world
}

/// How each delivery of the first event stands, once a lane that waited for it goes on.
async fn passed(world: &mut World<'_>, first: &Claimed) -> Vec<(DeliveryState, bool)> {
    assert!(world.claim(HOOK, 9).await.messages.is_empty());
    world.pass(30 * SECOND);
    world.restart().await;
    assert_eq!(members(&world.claim_one(HOOK).await), [2, 2]);
    world.conserves().await;
    let mut stands = Vec::new();
    for item in &first.items {
        let row = world.journal().delivery(item.id).await.unwrap().unwrap();
        stands.push((row.state, row.late));
    }
    stands
}

pub(crate) async fn a_lane_passes_a_whole_message(engine: &mut dyn Engine) {
    let mut world = patient_together(engine).await;
    let first = world.claim_one(HOOK).await;
    world.again(&first, HOUR).await;
    let late = (DeliveryState::Pending, true);
    assert_eq!(passed(&mut world, &first).await, [late, late]);
}

pub(crate) async fn a_lane_passes_who_took_it_over(engine: &mut dyn Engine) {
    let mut world = patient_together(engine).await;
    let first = world.claim_one(HOOK).await;
    let busy = Outcome::transient("busy");
    let each = [
        (ok(), Next::Delivered),
        (busy, Next::Again(world.now + HOUR)),
    ];
    world.settle_each(&first, &each).await;
    let stands = passed(&mut world, &first).await;
    assert_eq!(stands[0], (DeliveryState::Delivered, false));
    assert_eq!(stands[1], (DeliveryState::Pending, true));
}

pub(crate) async fn a_message_given_back_is_no_message(engine: &mut dyn Engine) {
    let mut world = digests(engine).await;
    world
        .record((1..=3).map(|n| world.event(n).by_mail()).collect())
        .await;
    world.pass(5 * SECOND);
    let first = world.claim_one(MAIL).await;
    world.wait(first.attempt, HOUR, Phase::Limited).await;
    world.restart().await;
    world.pass(HOUR + 5 * SECOND);
    let second = world.claim_one(MAIL).await;
    assert_eq!(members(&second), [1, 2, 3]);
    assert_ne!(second.message, first.message);
}
