//! Bodies in, answers out, over the memory journal.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use arc_swap::ArcSwap;
use herald_model::delivery::Order;
use herald_model::event::{Addressee, Owner};
use herald_rules::Pattern;

use super::*;
use crate::intake::Limits;
use crate::journal::memory::MemoryJournal;
use crate::journal::{DeliveryFilter, EventFilter, Look, OperationFilter, Rules};
use crate::plan::{Subscription, Subscriptions, Target};

const ACCOUNT: &str = "1690700000000030";

fn event(id: &str, result: &str) -> String {
    format!(
        r#"{{"id":"{id}","product":"ECS","resourceId":"acs:ecs:r:{ACCOUNT}:eni/eni-1","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"{ACCOUNT}","regionId":"r","content":{{"eniId":"eni-1","operation":"AttachNetworkInterface","eniStatus":"Available","result":"{result}","requestId":"r-{id}"}}}}"#
    )
}

fn operation(kind: &str) -> String {
    format!(
        r#"{{"operation":"AttachNetworkInterface","requestId":"r-9","regionId":"r","userId":"{ACCOUNT}","error":null,"result":"failed","networkInterface":{{"NetworkInterfaceId":"eni-1","Type":"{kind}","Status":"Available"}}}}"#
    )
}

struct Bench {
    pipeline: Pipeline,
    journal: Arc<MemoryJournal>,
    source: Source,
}

async fn bench() -> Bench {
    bench_of(&[("failed", Owner::Users)]).await
}

async fn bench_of(owners: &[(&str, Owner)]) -> Bench {
    let journal = Arc::new(MemoryJournal::new());
    let rules = Rules {
        since: Timestamp::UNIX_EPOCH,
        subscriptions: owners
            .iter()
            .map(|(name, _)| ((*name).into(), "{}".into()))
            .collect(),
        sinks: vec!["mail".into(), "chat".into()],
    };
    let generation = journal.begin(rules).await.unwrap();
    let target = |index: usize, name: &str| Target {
        sink: generation.sinks[index],
        name: name.into(),
        order: Order::None,
    };
    let subscription = |(place, (name, owner)): (usize, &(&str, Owner))| Subscription {
        number: generation.subscriptions[place],
        name: (*name).into(),
        pattern: Some(Pattern::from_json(r#"{"content":{"result":["failed"]}}"#).unwrap()),
        form: herald_model::event::Form::default(),
        owner: owner.clone(),
        to: vec![target(0, "mail"), target(1, "chat")],
        expires: Duration::from_secs(3_600),
    };
    let subscriptions = owners.iter().enumerate().map(subscription).collect();
    let in_force = InForce {
        generation: generation.number,
        limits: Limits::default(),
        dedup_window: Duration::from_secs(86_400),
        announcing: HashSet::from([ACCOUNT.to_owned()]),
        sources: HashMap::new(),
        subscriptions: Subscriptions::new(subscriptions),
        sinks: HashMap::new(),
    };
    let current = Arc::new(ArcSwap::from_pointee(in_force));
    let pipeline = Pipeline::new(Arc::clone(&journal) as Arc<dyn Journal>, current, 1_000);
    let source = Source {
        name: "test".into(),
        accounts: None,
        products: None,
    };
    Bench {
        pipeline,
        journal,
        source,
    }
}

impl Bench {
    async fn take(&self, bringing: Bringing, body: &str, framing: Framing) -> Vec<Answer> {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        self.pipeline
            .take(&self.source, bringing, body.as_bytes(), framing, now)
            .await
            .unwrap()
    }

    async fn events(&self, body: &str) -> Vec<Answer> {
        self.take(Bringing::Events, body, Framing::Document).await
    }

    async fn planned(&self) -> u64 {
        self.journal.totals().await.unwrap().planned
    }
}

#[tokio::test]
async fn a_matching_event_is_recorded_with_its_deliveries() {
    let bench = bench().await;
    let answers = bench.events(&event("1", "failed")).await;
    let [Answer::Accepted(id)] = answers[..] else {
        panic!("{answers:?}")
    };
    let page = bench
        .journal
        .deliveries(DeliveryFilter::default())
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 2);
    assert!(page.rows.iter().all(|row| row.event == id));
    let row = bench.journal.event(id).await.unwrap().unwrap();
    assert_eq!(row.matched, ["failed".into()]);
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_recorded_all_the_same() {
    let bench = bench().await;
    assert!(matches!(
        bench.events(&event("1", "success")).await[..],
        [Answer::Accepted(_)]
    ));
    assert_eq!(bench.planned().await, 0);
    assert_eq!(
        bench
            .journal
            .events(EventFilter::default())
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
}

#[tokio::test]
async fn a_repeat_is_answered_with_the_first_ones_id_and_plans_nothing() {
    let bench = bench().await;
    let batch = format!("[{0},{0}]", event("1", "failed"));
    let answers = bench.events(&batch).await;
    let [Answer::Accepted(first), Answer::Duplicate(of)] = answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(first, of);
    assert_eq!(
        bench.events(&event("1", "failed")).await,
        [Answer::Duplicate(first)]
    );
    assert_eq!(bench.planned().await, 2);
}

#[tokio::test]
async fn the_same_identity_with_other_content_is_kept_and_flagged() {
    let bench = bench().await;
    bench.events(&event("1", "failed")).await;
    let answers = bench.events(&event("1", "success")).await;
    let [Answer::Accepted(second)] = answers[..] else {
        panic!("{answers:?}")
    };
    let row = bench.journal.event(second).await.unwrap().unwrap();
    assert!(row.text.contains(r#""conflict":true"#));
    assert_eq!(
        bench.events(&event("1", "success")).await,
        [Answer::Duplicate(second)]
    );
}

#[tokio::test]
async fn an_event_and_its_operation_result_are_one() {
    let bench = bench().await;
    let answers = bench
        .take(
            Bringing::Operations,
            &operation("Secondary"),
            Framing::Document,
        )
        .await;
    let [Answer::Accepted(first)] = answers[..] else {
        panic!("{answers:?}")
    };
    let same = event("other-id", "failed").replace("r-other-id", "r-9");
    assert_eq!(bench.events(&same).await, [Answer::Duplicate(first)]);
}

#[tokio::test]
async fn a_repeat_that_knows_more_adds_it_for_those_with_an_owner() {
    let service = Addressee::Service("svc-1".to_owned());
    let bench = bench_of(&[
        ("users", Owner::Users),
        ("theirs", Owner::One(service)),
        ("all", Owner::Everyone),
    ])
    .await;
    let plain = event("other-id", "failed").replace("r-other-id", "r-9");
    let [Answer::Accepted(first)] = bench.events(&plain).await[..] else {
        panic!()
    };
    assert_eq!(bench.planned().await, 4, "for the users and for all");

    let by = |kind: &str, id: &str| {
        let initiator = format!(r#""initiator":{{"kind":"{kind}","id":"{id}"}},"error""#);
        operation("Secondary").replace("\"error\"", &initiator)
    };
    let batch = format!("[{0},{0}]", by("service", "svc-1"));
    for body in [batch.clone(), batch, by("user", "u-7")] {
        let answers = bench
            .take(Bringing::Operations, &body, Framing::Document)
            .await;
        assert!(
            answers
                .iter()
                .all(|answer| *answer == Answer::Duplicate(first))
        );
    }
    let row = bench.journal.event(first).await.unwrap().unwrap();
    assert!(
        row.text.contains(r#""id":"other-id""#),
        "the first one's own fields stay"
    );
    let told = r#""initiator":{"kind":"service","id":"svc-1"},"addressee":{"kind":"service","id":"svc-1"},"intake""#;
    assert!(row.text.contains(told), "{}", row.text);
    assert_eq!(row.matched, ["users".into(), "all".into(), "theirs".into()]);
    let of = bench.journal.deliveries_of(row.number).await.unwrap();
    let names: Vec<_> = of.iter().map(|row| &*row.subscription).collect();
    let expected = ["users", "users", "all", "all", "theirs", "theirs"];
    assert_eq!(names, expected, "each once, however often it was repeated");
    assert_eq!(bench.events(&plain).await, [Answer::Duplicate(first)]);
    assert_eq!(bench.planned().await, 6);
}

#[tokio::test]
async fn what_triggers_nothing_is_kept_with_its_reason() {
    let bench = bench().await;
    let answers = bench
        .take(
            Bringing::Operations,
            &operation("Primary"),
            Framing::Document,
        )
        .await;
    assert_eq!(answers, [Answer::NotTriggered("primary-eni")]);
    let page = bench
        .journal
        .operations(OperationFilter::default())
        .await
        .unwrap();
    assert_eq!(page.rows[0].reason, "primary-eni");
}

#[tokio::test]
async fn a_bad_item_does_not_take_the_others_with_it() {
    let bench = bench().await;
    let body = format!(
        "{}\n{{\"name\":7,\"content\":1}}\n@\n{}",
        event("1", "failed"),
        event("2", "failed")
    );
    let answers = bench.take(Bringing::Events, &body, Framing::Lines).await;
    let [
        Answer::Accepted(_),
        Answer::Refused(field),
        Answer::Refused(offset),
        Answer::Accepted(_),
    ] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(field, "`name` must be a string");
    assert!(offset.contains("at byte"), "{offset}");
    assert_eq!(bench.planned().await, 4);
}

#[tokio::test]
async fn a_source_speaks_only_for_its_accounts_and_products() {
    let mut bench = bench().await;
    bench.source.accounts = Some(HashSet::from(["1".to_owned()]));
    let answers = bench.events(&event("1", "failed")).await;
    let [Answer::Refused(reason)] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert!(reason.starts_with("foreign-account: "), "{reason}");
    assert_eq!(bench.planned().await, 0);
}

#[tokio::test]
async fn an_empty_array_is_no_work_and_no_error() {
    assert_eq!(bench().await.events("[]").await, []);
}

#[tokio::test]
async fn a_journal_that_is_closed_refuses_the_whole() {
    let bench = bench().await;
    bench.journal.close().await;
    let now = Timestamp::UNIX_EPOCH;
    let body = event("1", "failed");
    let taken = bench.pipeline.take(
        &bench.source,
        Bringing::Events,
        body.as_bytes(),
        Framing::Document,
        now,
    );
    assert!(matches!(taken.await, Err(Error::Closed)));
}
