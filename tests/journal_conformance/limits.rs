//! Endpoints: permits, penalty, breaker; sinks that are held; `max_backlog`.

use std::sync::Arc;
use std::time::Duration;

use herald::journal::{
    BREAKER_FAULTS, Claimed, Claims, DeliveryFilter, Limit, Next, Policy, Settlement, SinkState,
};
use herald_model::event::Level;
use herald_model::{DeliveryState, EndpointId, Outcome, Phase, Signal};

use crate::engine::Engine;
use crate::world::{HOOK, HOUR, MAIL, World, rules, told};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Both sinks on one robot that takes `messages` a minute.
async fn robot(engine: &mut dyn Engine, messages: u32, reserve: u32) -> World<'_> {
    let mut world = World::new(engine).await;
    let policy = Arc::new(Policy {
        endpoints: vec![EndpointId::new("test", "robot")],
        limit: Some(Limit {
            messages,
            per: MINUTE,
            in_flight: 100,
            reserve,
        }),
        ..Policy::default()
    });
    world.policies = [Arc::clone(&policy), policy];
    world
}

/// Both sinks on one endpoint without a limit.
async fn shared(engine: &mut dyn Engine) -> World<'_> {
    let mut world = World::new(engine).await;
    let policy = Arc::new(Policy {
        endpoints: vec![EndpointId::new("test", "shared")],
        ..Policy::default()
    });
    world.policies = [Arc::clone(&policy), policy];
    world
}

/// The mail sink on two robots of `messages` a minute each.
async fn two_robots(engine: &mut dyn Engine, messages: u32) -> World<'_> {
    let mut world = robot(engine, messages, 0).await;
    let policy = Policy {
        endpoints: vec![
            EndpointId::new("test", "robot"),
            EndpointId::new("test", "second"),
        ],
        ..Policy::clone(&world.policies[MAIL])
    };
    world.policies[MAIL] = Arc::new(policy);
    world
}

/// By which of two robots each message goes.
fn ways(claims: &Claims) -> Vec<&str> {
    let name = |claimed: &'_ Claimed| match claimed.endpoint.as_ref().map(EndpointId::as_str) {
        Some("test:robot") => "first",
        Some("test:second") => "second",
        other => panic!("an endpoint that nobody named: {other:?}"),
    };
    claims.messages.iter().map(name).collect()
}

impl World<'_> {
    async fn record_many(&self, numbers: std::ops::RangeInclusive<u128>) {
        self.record(numbers.map(|n| self.event(n)).collect()).await;
    }

    async fn states(&self) -> Vec<(SinkState, Option<Duration>)> {
        let rows = self.journal().sinks().await.unwrap();
        let until = |at: jiff::Timestamp| Duration::try_from(at.duration_since(self.now)).unwrap();
        rows.iter()
            .map(|row| (row.state, row.until.map(until)))
            .collect()
    }

    async fn fault(&self, claimed: &Claimed) {
        let next = Next::Again(self.now);
        self.settle(claimed, Outcome::sink_fault("535 bad password"), next)
            .await;
    }

    async fn signal(&self, claimed: &Claimed, signal: Signal) {
        let outcome = Outcome::transient("sent too fast");
        let settlement = self.settlement(claimed, &outcome, &Next::Again(self.now));
        let settlement = Settlement {
            signal,
            ..settlement
        };
        self.journal().settle(settlement).await.unwrap();
        self.conserves().await;
    }
}

pub(crate) async fn permits_are_shared_by_all_sinks_of_an_endpoint(engine: &mut dyn Engine) {
    let mut world = robot(engine, 3, 0).await;
    world.record_many(1..=4).await;
    assert_eq!(world.claim(MAIL, 2).await.messages.len(), 2);
    world.pass(SECOND);
    let claims = world.claim(HOOK, 9).await;
    assert_eq!(claims.messages.len(), 1, "the third of three");
    assert_eq!(claims.next_due, Some(world.now + MINUTE - SECOND));
    world.pass(MINUTE - 2 * SECOND);
    assert!(world.claim(HOOK, 9).await.messages.is_empty());
    world.pass(SECOND);
    let claims = world.claim(HOOK, 9).await;
    assert_eq!(claims.messages.len(), 2, "as many as started a minute ago");
    assert_eq!(claims.next_due, Some(world.now + SECOND));
}

pub(crate) async fn permits_survive_a_restart(engine: &mut dyn Engine) {
    let mut world = robot(engine, 3, 0).await;
    world.record_many(1..=9).await;
    let claims = world.claim(MAIL, 9).await;
    world.deliver(&claims.messages[0]).await;
    world.pass(30 * SECOND);
    world.restart().await;
    let claims = world.claim(MAIL, 9).await;
    assert!(claims.messages.is_empty());
    assert_eq!(claims.next_due, Some(world.now + 30 * SECOND));
    world.pass(30 * SECOND);
    assert_eq!(world.claim(MAIL, 9).await.messages.len(), 3);
}

pub(crate) async fn where_one_endpoint_is_full_the_next_goes_on(engine: &mut dyn Engine) {
    let mut world = two_robots(engine, 2).await;
    world.record_many(1..=9).await;
    let claims = world.claim(MAIL, 1).await;
    assert_eq!(ways(&claims), ["first"]);
    world.pass(SECOND);
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(ways(&claims), ["first", "second", "second"]);
    assert_eq!(claims.next_due, Some(world.now + MINUTE - SECOND));
    world.restart().await;
    assert!(world.claim(MAIL, 9).await.messages.is_empty());
    world.pass(MINUTE - SECOND);
    assert_eq!(ways(&world.claim(MAIL, 9).await), ["first"]);
    assert!(
        world.claim(HOOK, 9).await.messages.is_empty(),
        "what another sink took of the shared robot counts"
    );
}

pub(crate) async fn where_one_endpoint_is_punished_the_next_takes_over(engine: &mut dyn Engine) {
    let mut world = two_robots(engine, 9).await;
    world.record_many(1..=9).await;
    let claimed = world.claim_one(MAIL).await;
    world.signal(&claimed, Signal::Penalty(10 * MINUTE)).await;
    let claims = world.claim(MAIL, 2).await;
    assert_eq!(ways(&claims), ["second", "second"]);
    let ready = (SinkState::Ready, None);
    assert_eq!(world.states().await[MAIL], ready, "it gets through");
    world
        .signal(&claims.messages[0], Signal::Penalty(5 * MINUTE))
        .await;
    let claims = world.claim(MAIL, 9).await;
    assert!(claims.messages.is_empty());
    assert_eq!(claims.next_due, Some(world.now + 5 * MINUTE));
    let punished = (SinkState::Penalty, Some(5 * MINUTE));
    assert_eq!(
        world.states().await[MAIL],
        punished,
        "by the sooner of the two"
    );
    world.pass(5 * MINUTE);
    assert_eq!(ways(&world.claim(MAIL, 9).await), ["second"], "as a probe");
    world.pass(5 * MINUTE);
    assert_eq!(ways(&world.claim(MAIL, 1).await), ["first"]);
}

pub(crate) async fn a_reserve_is_kept_for_warnings(engine: &mut dyn Engine) {
    let world = robot(engine, 3, 1).await;
    world.record_many(1..=4).await;
    assert_eq!(told(&world.claim(MAIL, 9).await), [1, 2]);
    world
        .record(vec![world.event(5).level(Level::Warn).by_mail()])
        .await;
    assert_eq!(told(&world.claim(MAIL, 9).await), [5]);
}

pub(crate) async fn a_warning_anywhere_goes_before_what_shares_its_endpoint(
    engine: &mut dyn Engine,
) {
    let world = robot(engine, 1, 0).await;
    world.record(vec![world.event(1).by_mail()]).await;
    world
        .record(vec![world.event(2).in_lane(1).level(Level::Warn)])
        .await;
    let request = world.request(&[(MAIL, 1), (HOOK, 1)]);
    let claims = world.journal().claim(request).await.unwrap();
    assert_eq!(told(&claims), [2]);
}

pub(crate) async fn one_in_flight_waits_for_its_end(engine: &mut dyn Engine) {
    let mut world = robot(engine, 9, 0).await;
    let mut policy = (*world.policies[MAIL]).clone();
    policy.limit.as_mut().unwrap().in_flight = 1;
    world.policies = [Arc::new(policy.clone()), Arc::new(policy)];
    world.record_many(1..=2).await;
    let first = world.claim_one(MAIL).await;
    let claims = world.claim(HOOK, 9).await;
    assert!(claims.messages.is_empty());
    assert_eq!(claims.next_due, None, "an end is announced by a signal");
    let signal = world.journal().due_signal();
    signal.notify_one();
    signal.notified().await;
    world.deliver(&first).await;
    tokio::time::timeout(Duration::from_secs(10), signal.notified())
        .await
        .expect("a signal");
    world.claim_one(HOOK).await;
    world.restart().await;
    world.claim_one(HOOK).await;
}

pub(crate) async fn a_claim_given_back_gives_its_permit_back(engine: &mut dyn Engine) {
    let world = robot(engine, 1, 0).await;
    world.record(vec![world.event(1).by_mail()]).await;
    for _ in 0..5 {
        let claimed = world.claim_one(MAIL).await;
        world
            .wait(claimed.attempt, Duration::ZERO, Phase::Limited)
            .await;
    }
}

pub(crate) async fn what_has_no_permit_is_limited_and_not_charged_for_it(engine: &mut dyn Engine) {
    let mut world = robot(engine, 1, 0).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let first = world.claim_one(MAIL).await;
    world.again(&first, SECOND).await;
    world.pass(10 * SECOND);
    assert!(world.claim(MAIL, 1).await.messages.is_empty());
    let row = world.delivery().await;
    assert_eq!(row.phase, Some(Phase::Limited));
    assert_eq!(row.next_attempt, Some(world.now + 50 * SECOND));
    assert_eq!(
        world.states().await,
        [(SinkState::Limited, Some(50 * SECOND))]
    );
    world.restart().await;
    world.pass(50 * SECOND);
    let second = world.claim_one(MAIL).await;
    assert_eq!(second.items[0].uncounted, 59 * SECOND);
    assert_eq!(world.states().await, [(SinkState::Ready, None)]);
}

pub(crate) async fn a_sink_that_left_waits_for_no_permit(engine: &mut dyn Engine) {
    let world = robot(engine, 1, 0).await;
    world
        .record(vec![world.event(1).by_mail(), world.event(2).by_mail()])
        .await;
    world.claim_one(MAIL).await;
    assert!(world.claim(MAIL, 1).await.messages.is_empty());
    assert_eq!(world.states().await, [(SinkState::Limited, Some(MINUTE))]);
    let mut without = rules(&["first", "second"], world.now);
    without.sinks.remove(MAIL);
    world.journal().begin(without).await.unwrap();
    assert_eq!(world.states().await, [(SinkState::Ready, None)]);
    let waiting = DeliveryFilter {
        state: Some(DeliveryState::Pending),
        ..DeliveryFilter::default()
    };
    let rows = world.deliveries(waiting).await;
    let phases: Vec<_> = rows.iter().map(|row| row.phase).collect();
    assert_eq!(phases, [Some(Phase::Due), Some(Phase::InFlight)]);
}

pub(crate) async fn what_has_no_permit_still_expires(engine: &mut dyn Engine) {
    let mut world = robot(engine, 1, 0).await;
    world
        .record(vec![
            world.event(1).by_mail(),
            world.event(2).by_mail().expires(SECOND),
        ])
        .await;
    assert_eq!(told(&world.claim(MAIL, 1).await), [1]);
    world.pass(SECOND);
    assert_eq!(world.claim(MAIL, 1).await.expired.len(), 1);
}

pub(crate) async fn a_penalty_pauses_every_sink_of_the_endpoint(engine: &mut dyn Engine) {
    let mut world = shared(engine).await;
    world.record_many(1..=3).await;
    let claimed = world.claim_one(MAIL).await;
    world.signal(&claimed, Signal::Penalty(10 * MINUTE)).await;
    world.restart().await;
    let claims = world.claim(HOOK, 9).await;
    assert!(claims.messages.is_empty());
    assert_eq!(claims.next_due, Some(world.now + 10 * MINUTE));
    let penalty = (SinkState::Penalty, Some(10 * MINUTE));
    assert_eq!(world.states().await, [penalty, penalty]);
    world.pass(10 * MINUTE);
    let probe = world.claim_one(HOOK).await;
    assert!(world.claim(HOOK, 9).await.messages.is_empty(), "a probe");
    world.deliver(&probe).await;
    assert_eq!(world.claim(HOOK, 9).await.messages.len(), 2);
}

pub(crate) async fn a_run_of_sink_faults_opens_the_breaker(engine: &mut dyn Engine) {
    let mut world = shared(engine).await;
    world.record_many(1..=u128::from(BREAKER_FAULTS) + 1).await;
    for _ in 0..BREAKER_FAULTS {
        let claimed = world.claim_one(MAIL).await;
        world.fault(&claimed).await;
    }
    world.restart().await;
    let claims = world.claim(HOOK, 9).await;
    assert!(claims.messages.is_empty(), "for every sink of the endpoint");
    assert_eq!(claims.next_due, Some(world.now + 10 * SECOND));
    let broken = (SinkState::Broken, Some(10 * SECOND));
    assert_eq!(world.states().await, [broken, broken]);
    world.pass(10 * SECOND);
    let probe = world.claim_one(HOOK).await;
    assert!(world.claim(MAIL, 9).await.messages.is_empty(), "one probe");
    world.fault(&probe).await;
    world.pass(10 * SECOND);
    assert!(world.claim(HOOK, 9).await.messages.is_empty(), "20 s now");
    world.pass(10 * SECOND);
    let probe = world.claim_one(HOOK).await;
    assert_eq!(probe.items[0].charged, 0);
    world.deliver(&probe).await;
    assert_eq!(world.claim(HOOK, 99).await.messages.len(), 5);
}

pub(crate) async fn behind_a_breaker_nothing_is_charged_and_time_goes_on(engine: &mut dyn Engine) {
    let mut world = shared(engine).await;
    let faults = u128::from(BREAKER_FAULTS);
    let mut events: Vec<_> = (1..=faults).map(|n| world.event(n).by_mail()).collect();
    events.push(world.event(faults + 1).by_mail().expires(5 * SECOND));
    world.record(events).await;
    for claimed in world.claim(MAIL, BREAKER_FAULTS).await.messages {
        world.fault(&claimed).await;
    }
    // A restart in the middle changes nothing of it.
    world.restart().await;
    for _ in 0..4 {
        let claims = world.claim(MAIL, 9).await;
        assert!(claims.messages.is_empty() && claims.expired.is_empty());
        world.pass(SECOND);
    }
    world.pass(SECOND);
    let claims = world.claim(MAIL, 9).await;
    assert!(claims.messages.is_empty(), "it is open still");
    assert_eq!(claims.expired.len(), 1, "time went on");
    world.pass(5 * SECOND);
    let probe = world.claim_one(MAIL).await;
    assert_eq!(probe.items[0].charged, 0);
    assert_eq!(
        probe.items[0].uncounted,
        10 * SECOND,
        "none of it counts for giving up"
    );
    world.deliver(&probe).await;
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.messages.len(), BREAKER_FAULTS as usize - 1);
    for claimed in &claims.messages {
        assert_eq!(claimed.items[0].charged, 0);
    }
}

pub(crate) async fn refusals_of_single_messages_open_no_breaker(engine: &mut dyn Engine) {
    let world = shared(engine).await;
    world.record_many(1..=20).await;
    for n in 0..20 {
        let claimed = world.claim_one(MAIL).await;
        if n % 2 == 0 {
            world.fault(&claimed).await;
        } else {
            let next = Next::Dead("550 no such mailbox".to_owned());
            world
                .settle(&claimed, Outcome::permanent("550"), next)
                .await;
        }
    }
    let ready = (SinkState::Ready, None);
    assert_eq!(world.states().await, [ready, ready]);
}

pub(crate) async fn a_sink_that_wants_no_more_is_held(engine: &mut dyn Engine) {
    let mut world = shared(engine).await;
    world.record(vec![world.event(1).by_mail()]).await;
    let claimed = world.claim_one(MAIL).await;
    world.signal(&claimed, Signal::Hold).await;
    for _ in 0..2 {
        world.pass(HOUR);
        let claims = world.claim(MAIL, 9).await;
        assert!(claims.messages.is_empty());
        let row = world.delivery().await;
        assert_eq!((row.phase, row.next_attempt), (Some(Phase::Held), None));
        assert_eq!(world.states().await, [(SinkState::Held, None)]);
        world.restart().await;
    }
    world.record(vec![world.event(2).in_lane(1)]).await;
    world.claim_one(HOOK).await;
    world.pass(24 * HOUR);
    assert_eq!(world.claim(MAIL, 9).await.expired.len(), 1, "held or not");
}

pub(crate) async fn a_backlog_is_bounded_and_the_oldest_info_goes_first(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let policy = Policy {
        max_backlog: 3,
        ..Policy::default()
    };
    world.policies[MAIL] = Arc::new(policy);
    let warn = |n| world.event(n).by_mail().level(Level::Warn);
    let info = |n| world.event(n).by_mail();
    let events = vec![warn(1), info(2), info(3), warn(4), info(5)];
    world.record(events).await;
    let claims = world.claim(MAIL, 0).await;
    assert_eq!(claims.crowded_out.len(), 2);
    assert!(claims.messages.is_empty());
    let row = world.journal().delivery(claims.crowded_out[0]).await;
    assert_eq!(row.unwrap().unwrap().reason.as_deref(), Some("backlog"));
    assert_eq!(told(&world.claim(MAIL, 9).await), [1, 4, 5]);
    world.restart().await;
    world
        .record(
            (6..=9)
                .map(|n| world.event(n).by_mail().level(Level::Critical))
                .collect(),
        )
        .await;
    let claims = world.claim(MAIL, 9).await;
    assert_eq!(claims.crowded_out.len(), 4);
    assert_eq!(told(&claims), [7, 8, 9], "INFO, WARN, and then the oldest");
}

pub(crate) async fn a_backlog_behind_one_head_is_bounded_too(engine: &mut dyn Engine) {
    let mut world = World::new(engine).await;
    let policy = Policy {
        max_backlog: 4,
        ..Policy::default()
    };
    world.policies[HOOK] = Arc::new(policy);
    let first = vec![world.event(1).in_lane(1)];
    world.record(first).await;
    let head = world.claim_one(HOOK).await;
    let events = (2..=9).map(|n| world.event(n).in_lane(1)).collect();
    world.record(events).await;
    assert_eq!(world.claim(HOOK, 0).await.crowded_out.len(), 5);
    world.deliver(&head).await;
    assert_eq!(told(&world.claim(HOOK, 9).await), [7]);
}
