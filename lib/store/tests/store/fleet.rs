//! Replicas, the version that tells of news, and the plan.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use store::{Application, Phase, Plan, Replica};
use tokio::time::sleep;

use crate::bench::{Bench, LONG, SHORT, held, look, replica, shard, take};

crate::contract! {
    replicas_see_each_other
    a_replica_without_heartbeat_is_gone
    the_version_changes_when_there_is_news
    the_age_grows
    a_plan_is_replaced_only_by_who_knows_it
    a_plan_is_replaced_only_while_nobody_comes_or_goes
    of_many_plans_one_is_made
}

async fn replicas_see_each_other(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let first = Replica {
        id: "a {1} \"ü\"".to_owned(),
        started_at_ms: 1_700_000_000_000,
        shard_ids: Some(BTreeSet::from([1, 2, 9])),
        shard_count: Some(16),
        leaving: true,
    };
    let second = replica("b");
    let fleet = a.beat(&first, LONG, &[]).await.unwrap();
    assert_eq!(fleet.replicas, std::slice::from_ref(&first));
    let fleet = b.beat(&second, LONG, &[]).await.unwrap();
    assert_eq!(fleet.replicas, [first.clone(), second.clone()]);
    assert_eq!(fleet.corrupt, Vec::<String>::new());
    b.leave(&first.id).await.unwrap();
    let fleet = b.beat(&second, LONG, &[]).await.unwrap();
    assert_eq!(fleet.replicas, [second]);
}

async fn a_replica_without_heartbeat_is_gone(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    a.beat(&replica("a"), SHORT, &[]).await.unwrap();
    let before = a.version().await.unwrap();
    let fleet = loop {
        let fleet = b.beat(&replica("b"), LONG, &[]).await.unwrap();
        if fleet.replicas.len() == 1 {
            break fleet;
        }
        sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(fleet.replicas, [replica("b")]);
    assert!(fleet.version > before);
}

/// Whether the version differs from the last one that was asked for.
async fn news(application: &Application, last: &mut u64) -> bool {
    let version = application.version().await.unwrap();
    let news = version != *last;
    assert!(version >= *last, "it never returns to an old one");
    *last = version;
    news
}

async fn the_version_changes_when_there_is_news(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let mut last = 0;
    assert!(!news(&b, &mut last).await, "0 as long as there is nothing");
    let mut me = replica("a");
    let fleet = a.beat(&me, LONG, &[]).await.unwrap();
    assert!(news(&b, &mut last).await, "a replica has come");
    assert_eq!(fleet.version, last, "the beat tells it too");
    let token = take(&a, shard(0), "a", LONG).await;
    a.beat(&me, LONG, &[held(shard(0), token)]).await.unwrap();
    a.save(&[(shard(0), token, None)]).await.unwrap();
    a.beat(&me, LONG, &[held(shard(0), token)]).await.unwrap();
    assert!(!news(&b, &mut last).await, "a lease, a session, a beat");
    a.release(shard(0), token, None, None).await.unwrap();
    assert!(news(&b, &mut last).await, "a lease was given back");
    a.release(shard(0), token, None, None).await.unwrap();
    assert!(!news(&b, &mut last).await, "it was already");
    me.leaving = true;
    a.beat(&me, LONG, &[]).await.unwrap();
    assert!(news(&b, &mut last).await, "it is about to leave");
    a.leave("a").await.unwrap();
    assert!(news(&b, &mut last).await, "it has left");
    a.leave("a").await.unwrap();
    assert!(!news(&b, &mut last).await, "it had left already");
    let mut fleet = a.beat(&me, LONG, &[]).await.unwrap();
    let plan = a.plan(&fleet, &Plan::default()).await.unwrap();
    assert!(news(&b, &mut last).await, "there is a plan");
    (fleet.version, fleet.plan) = (last, plan);
    fleet.plan.as_mut().unwrap().revision += 1;
    a.plan(&fleet, &Plan::default()).await.unwrap();
    a.forget(16).await.unwrap();
    a.tails(16).await.unwrap();
    assert!(!news(&b, &mut last).await, "the plan was not the expected");
}

async fn the_age_grows(bench: Bench) {
    let a = bench.application();
    let first = look(&a).await.age;
    while look(&a).await.age < first + SHORT {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn a_plan_is_replaced_only_by_who_knows_it(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    assert_eq!(look(&a).await.plan, None);
    let steady = Plan {
        current: 16,
        ..Plan::default()
    };
    let warming = Plan {
        current: 16,
        next: Some(32),
        phase: Phase::Warming,
        revision: 0,
    };
    let nothing = look(&a).await;
    let first = a.plan(&nothing, &steady).await.unwrap().unwrap();
    let revision = first.revision;
    assert_eq!(
        first,
        Plan {
            revision,
            ..steady.clone()
        }
    );
    // Who thinks that there is none is too late.
    assert_eq!(b.plan(&nothing, &warming).await.unwrap(), None);
    let before = look(&b).await;
    assert_eq!(before.plan, Some(first));
    let second = b.plan(&before, &warming).await.unwrap().unwrap();
    assert!(second.revision > revision);
    for late in [&warming, &steady] {
        assert_eq!(a.plan(&before, late).await.unwrap(), None);
    }
    assert_eq!(look(&a).await.plan, Some(second.clone()));
    let revision = second.revision;
    assert_eq!(
        second,
        Plan {
            revision,
            ..warming
        }
    );
}

async fn a_plan_is_replaced_only_while_nobody_comes_or_goes(bench: Bench) {
    let a = bench.application();
    let token = take(&a, shard(0), "a", LONG).await;
    let before = look(&a).await;
    a.release(shard(0), token, None, None).await.unwrap();
    let after = look(&a).await;
    assert_eq!(a.plan(&before, &Plan::default()).await.unwrap(), None);
    let leaving = Replica {
        leaving: true,
        ..replica("b")
    };
    a.beat(&leaving, LONG, &[]).await.unwrap();
    assert_eq!(a.plan(&after, &Plan::default()).await.unwrap(), None);
    let now = look(&a).await;
    assert_eq!(now.plan, None);
    let made = a.plan(&now, &Plan::default()).await.unwrap();
    assert!(made.is_some());
}

async fn of_many_plans_one_is_made(bench: Bench) {
    let stores: Vec<_> = (0..4).map(|_| bench.application()).collect();
    let mut revision = 0;
    for round in 0..10 {
        let fleet = &look(&stores[0]).await;
        let make = |number: u32| {
            let application = &stores[number as usize % stores.len()];
            // Some of them say the same, and yet one alone has made it.
            let plan = Plan {
                current: round * 100 + number / 10,
                ..Plan::default()
            };
            async move { application.plan(fleet, &plan).await.unwrap() }
        };
        let results = join_all((1..20).map(make)).await;
        let mut won = results.into_iter().flatten();
        let now = won.next().unwrap();
        assert_eq!(won.next(), None);
        assert_eq!(look(&stores[0]).await.plan.as_ref(), Some(&now));
        assert!(now.revision > revision);
        revision = now.revision;
    }
}
