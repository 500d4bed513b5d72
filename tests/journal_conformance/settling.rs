//! `save`, `settle`, `wait`: what becomes of a claim, and what a crash makes of it.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{Error, KILLS_MAX, Next, Policy, Saved, Settled};
use herald_model::{DeliveryState, Outcome, Phase};

use crate::engine::Engine;
use crate::world::{HOOK, HOUR, MAIL, World, ok};

const SECOND: Duration = Duration::from_secs(1);

fn text(words: &str) -> Saved {
    Saved::Text(words.to_owned())
}

/// A world with one delivery waiting.
async fn one(engine: &mut dyn Engine) -> World<'_> {
    let world = World::new(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    world
}

pub(crate) async fn a_delivered_event_is_over(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    assert_eq!(&*claimed.items[0].subscription, "first");
    assert_eq!(claimed.items[0].text, world.event(1).0.event.text);
    assert_eq!(
        (claimed.items[0].charged, claimed.items[0].first_attempt),
        (0, None)
    );
    assert_eq!(claimed.composed_at, world.now);
    world.deliver(&claimed).await;
    let row = world.delivery().await;
    assert_eq!((row.state, row.phase), (DeliveryState::Delivered, None));
    assert_eq!((row.charged, row.reason), (1, None));
    assert_eq!(row.attempts.len(), 1);
    assert_eq!(row.attempts[0].outcome, Some("delivered"));
    assert_eq!(row.attempts[0].reply, "250 queued");
    assert_eq!(row.attempts[0].message, claimed.message);
    assert!(world.claim(MAIL, 9).await.messages.is_empty());
}

pub(crate) async fn a_dead_letter_says_why(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    let next = Next::Dead("no such mailbox".to_owned());
    let outcome = Outcome::permanent("550 no such mailbox");
    world.settle(&claimed, outcome, next).await;
    let row = world.delivery().await;
    assert_eq!(row.state, DeliveryState::Dead);
    assert_eq!(row.reason.as_deref(), Some("no such mailbox"));
    assert_eq!(row.attempts[0].reason, "550 no such mailbox");
    assert_eq!(world.totals().await.dead, 1);
}

pub(crate) async fn a_retry_waits_and_counts(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    let first = world.claim_one(MAIL).await;
    let began = world.now;
    world.pass(SECOND);
    world.again(&first, HOUR).await;
    let row = world.delivery().await;
    assert_eq!(row.phase, Some(Phase::Waiting));
    assert_eq!(row.next_attempt, Some(world.now + HOUR));
    assert_eq!(row.reason.as_deref(), Some("busy"));
    world.restart().await;
    assert!(world.claim(MAIL, 1).await.messages.is_empty());
    world.pass(HOUR);
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.items[0].charged, 1);
    assert_eq!(second.items[0].first_attempt, Some(began));
    assert_eq!(second.composed_at, began);
}

pub(crate) async fn a_sink_fault_is_not_charged(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    let next = Next::Again(world.now);
    let outcome = Outcome::sink_fault("535 bad password");
    world.settle(&claimed, outcome, next).await;
    assert_eq!(world.claim_one(MAIL).await.items[0].charged, 0);
    assert!(!world.delivery().await.attempts[0].charged);
}

pub(crate) async fn settling_twice_is_stale(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    world.again(&claimed, Duration::ZERO).await;
    let settled = world.settle(&claimed, ok(), Next::Delivered).await;
    assert_eq!(settled, Settled::Stale);
    let waited = world.wait(claimed.attempt, HOUR, Phase::Limited).await;
    assert_eq!(waited, Settled::Stale);
    assert_eq!(world.totals().await.pending, 1);
    assert_eq!(world.delivery().await.attempts.len(), 1);
}

pub(crate) async fn a_settlement_of_other_items_is_refused(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    let mut wrong = world.settlement(&claimed, &ok(), &Next::Delivered);
    wrong.items.clear();
    assert!(world.journal().settle(wrong).await.is_err());
    world.deliver(&claimed).await;
}

pub(crate) async fn a_claim_given_back_leaves_no_attempt(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    world
        .journal()
        .save(claimed.attempt, text("never sent"))
        .await
        .unwrap();
    let waited = world.wait(claimed.attempt, SECOND, Phase::Limited).await;
    assert_eq!(waited, Settled::Done);
    let row = world.delivery().await;
    assert_eq!((row.phase, row.attempts.len()), (Some(Phase::Limited), 0));
    assert_eq!(row.next_attempt, Some(world.now + SECOND));
    assert!(world.claim(MAIL, 1).await.messages.is_empty());
    world.restart().await;
    world.pass(SECOND);
    let again = world.claim_one(MAIL).await;
    assert_eq!((again.frozen, again.items[0].charged), (None, 0));
    assert_eq!(again.items[0].first_attempt, None);
}

pub(crate) async fn waiting_for_a_permit_is_not_counted(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    let before = world.claim_one(MAIL).await;
    world.wait(before.attempt, HOUR, Phase::Limited).await;
    world.pass(HOUR);
    let first = world.claim_one(MAIL).await;
    assert_eq!(
        first.items[0].uncounted,
        Duration::ZERO,
        "no attempt before"
    );
    world.again(&first, HOUR).await;
    world.pass(HOUR);
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.items[0].uncounted, Duration::ZERO, "a retry counts");
    world.wait(second.attempt, HOUR, Phase::Held).await;
    world.restart().await;
    world.pass(2 * HOUR);
    let third = world.claim_one(MAIL).await;
    assert_eq!(third.items[0].uncounted, 2 * HOUR);
    world.wait(third.attempt, HOUR, Phase::Waiting).await;
    world.pass(HOUR);
    let fourth = world.claim_one(MAIL).await;
    assert_eq!(fourth.items[0].uncounted, 2 * HOUR, "no more than that");
}

pub(crate) async fn text_is_made_anew_until_it_may_have_arrived(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    let save = |words| world.journal().save(claimed.attempt, text(words));
    save("one").await.unwrap();
    save("two").await.unwrap();
    world.again(&claimed, Duration::ZERO).await;
    assert_eq!(world.claim_one(MAIL).await.frozen, None);
}

pub(crate) async fn text_is_frozen_by_an_unknown_outcome(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    for words in ["draft", "sent"] {
        let saved = world.journal().save(claimed.attempt, text(words)).await;
        saved.unwrap();
    }
    let next = Next::Again(world.now);
    world
        .settle(&claimed, Outcome::unknown("timed out"), next)
        .await;
    world.restart().await;
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.frozen.as_deref(), Some("sent"));
    let saved = world.journal().save(second.attempt, text("other")).await;
    saved.unwrap();
    world.again(&second, Duration::ZERO).await;
    let third = world.claim_one(MAIL).await;
    assert_eq!(third.frozen.as_deref(), Some("sent"), "for good");
    assert_eq!(third.message, claimed.message);
}

/// The same world; the bodies of the sink are of this form.
async fn in_form<'e>(engine: &'e mut dyn Engine, form: &str) -> World<'e> {
    let mut world = one(engine).await;
    world.policies[MAIL] = of_form(form);
    world
}

fn of_form(form: &str) -> Arc<Policy> {
    Arc::new(Policy {
        form: Some(form.into()),
        ..Policy::default()
    })
}

pub(crate) async fn a_form_is_frozen_where_no_text_was_saved(engine: &mut dyn Engine) {
    let mut world = in_form(engine, "first form").await;
    let refused = world.claim_one(MAIL).await;
    assert_eq!(refused.frozen, None);
    world.again(&refused, Duration::ZERO).await;
    world.policies[MAIL] = of_form("second form");
    let unknown = world.claim_one(MAIL).await;
    assert_eq!(unknown.frozen, None, "a refusal freezes nothing");
    let next = Next::Again(world.now);
    world
        .settle(&unknown, Outcome::unknown("timed out"), next)
        .await;
    world.policies[MAIL] = of_form("third form");
    world.restart().await;
    let third = world.claim_one(MAIL).await;
    assert_eq!(third.frozen.as_deref(), Some("second form"));
    assert_eq!(third.message, refused.message);
    world.again(&third, Duration::ZERO).await;
    let fourth = world.claim_one(MAIL).await;
    assert_eq!(fourth.frozen.as_deref(), Some("second form"), "for good");
    world.deliver(&fourth).await;
    world.conserves().await;
}

pub(crate) async fn a_form_is_frozen_by_a_crash(engine: &mut dyn Engine) {
    let mut world = in_form(engine, "first form").await;
    let claimed = world.claim_one(MAIL).await;
    world.restart().await;
    world.policies[MAIL] = Arc::default();
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.frozen.as_deref(), Some("first form"));
    assert_eq!(second.message, claimed.message);
}

pub(crate) async fn a_saved_text_stands_before_a_form(engine: &mut dyn Engine) {
    let mut world = in_form(engine, "first form").await;
    let claimed = world.claim_one(MAIL).await;
    let saved = world.journal().save(claimed.attempt, text("sent")).await;
    saved.unwrap();
    world.restart().await;
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.frozen.as_deref(), Some("sent"));
}

pub(crate) async fn text_is_frozen_once_it_partly_arrived(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    world
        .journal()
        .save(claimed.attempt, text("sent"))
        .await
        .unwrap();
    let progress = Saved::Progress(b"first recipient".to_vec());
    let saved = world.journal().save(claimed.attempt, progress).await;
    saved.unwrap();
    world.again(&claimed, Duration::ZERO).await;
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.frozen.as_deref(), Some("sent"));
    assert_eq!(second.progress.as_deref(), Some(&b"first recipient"[..]));
}

pub(crate) async fn progress_survives_attempts_and_restarts(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    for bytes in [b"1".to_vec(), b"12".to_vec()] {
        let saved = Saved::Progress(bytes);
        world.journal().save(claimed.attempt, saved).await.unwrap();
    }
    world.restart().await;
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.progress.as_deref(), Some(&b"12"[..]), "over a crash");
    world.again(&second, Duration::ZERO).await;
    let third = world.claim_one(MAIL).await;
    assert_eq!(third.progress.as_deref(), Some(&b"12"[..]));
}

pub(crate) async fn saving_without_a_claim_is_stale(engine: &mut dyn Engine) {
    let world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    world.again(&claimed, Duration::ZERO).await;
    let saved = world.journal().save(claimed.attempt, text("late")).await;
    assert!(matches!(saved, Err(Error::Stale)));
}

pub(crate) async fn a_claim_cut_off_is_unknown_and_frozen(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    let claimed = world.claim_one(MAIL).await;
    let began = world.now;
    let saved = world.journal().save(claimed.attempt, text("sent")).await;
    saved.unwrap();
    world.pass(SECOND);
    world.restart().await;
    let settled = world.settle(&claimed, ok(), Next::Delivered).await;
    assert_eq!(settled, Settled::Stale, "its holder is gone");
    let row = world.delivery().await;
    assert_eq!((row.phase, row.charged), (Some(Phase::Due), 0));
    assert_eq!(row.attempts[0].outcome, Some("unknown"));
    assert_eq!(row.attempts[0].ended, Some(world.now));
    assert!(!row.attempts[0].charged);
    assert!(row.attempts[0].reason.contains("may have arrived"));
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.frozen.as_deref(), Some("sent"));
    assert_eq!(second.message, claimed.message);
    assert_eq!(second.composed_at, began);
}

pub(crate) async fn a_delivery_that_kills_its_worker_dies(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let events = vec![world.event(1).in_lane(1), world.event(2).in_lane(1)];
    world.record(events).await;
    for _ in 0..KILLS_MAX {
        assert_eq!(world.totals().await.dead, 0);
        world.claim_one(HOOK).await;
        world.restart().await;
    }
    assert_eq!(world.totals().await.dead, 1);
    let next = world.claim_one(HOOK).await;
    assert_eq!(next.items[0].event, world.event(2).id(), "its lane goes on");
}

pub(crate) async fn a_kill_is_forgotten_after_a_settlement(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    for _ in 0..2 {
        for _ in 1..KILLS_MAX {
            world.claim_one(MAIL).await;
            world.restart().await;
        }
        let claimed = world.claim_one(MAIL).await;
        world.again(&claimed, Duration::ZERO).await;
    }
    assert_eq!(world.totals().await.pending, 1);
}

pub(crate) async fn the_message_id_stays_while_its_member_does(engine: &mut dyn Engine) {
    let mut world = one(engine).await;
    world.record(vec![world.event(2).by_mail()]).await;
    let claims = world.claim(MAIL, 2).await;
    let (first, other) = (&claims.messages[0], &claims.messages[1]);
    assert_ne!(first.message, other.message);
    world.again(first, Duration::ZERO).await;
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.message, first.message, "after a refusal");
    assert_ne!(second.attempt, first.attempt);
    world.restart().await;
    let claims = world.claim(MAIL, 2).await;
    let ids: Vec<_> = claims.messages.iter().map(|one| one.message).collect();
    assert!(ids.contains(&first.message) && ids.contains(&other.message));
}
