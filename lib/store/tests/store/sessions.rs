//! Sessions, the tails of streams, and what belongs to whom.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use store::{Acquired, Application, Config, Phase, Plan, Saved, Shard, Store, Written};
use tokio::time::sleep;

use crate::bench::{APPLICATION, Bench, LONG, SHORT, look, session, shard, take};

crate::contract! {
    the_next_owner_gets_what_was_saved
    a_session_is_saved_with_the_release
    another_session_is_saved_while_the_next_set_takes_over
    many_sessions_are_saved_at_once
    tails_are_there_until_they_are_of_no_use
    a_set_is_forgotten_as_a_whole
    applications_do_not_see_each_other
}

/// What the next owner of a shard gets.
async fn saved(application: &Application, shard: Shard) -> Saved {
    let Acquired::Taken { session, .. } = application.acquire(shard, "next", LONG).await.unwrap()
    else {
        panic!("{shard} is held");
    };
    session
}

async fn the_next_owner_gets_what_was_saved(bench: Bench) {
    let a = bench.application();
    let token = take(&a, shard(0), "next", LONG).await;
    assert_eq!(saved(&a, shard(1)).await, Saved::None);
    for sequence in [1, u64::from(u32::MAX) + 1, u64::MAX] {
        let odd = session("a \"b\" \\ \u{1f600}\n", sequence);
        let token = take(&a, shard(0), "next", LONG).await;
        let refused = a.save(&[(shard(0), token, Some(odd.clone()))]).await;
        assert_eq!(refused.unwrap(), []);
        assert_eq!(saved(&a, shard(0)).await, Saved::Some(odd));
    }
    assert_eq!(
        a.save(&[(shard(0), token, None)]).await.unwrap(),
        [shard(0)]
    );
    let token = take(&a, shard(0), "next", LONG).await;
    assert_eq!(a.save(&[(shard(0), token, None)]).await.unwrap(), []);
    assert_eq!(saved(&a, shard(0)).await, Saved::None);
}

async fn a_session_is_saved_with_the_release(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let last = session("s", 9);
    let token = take(&a, shard(0), "a", LONG).await;
    a.release(shard(0), token, Some(&last), None).await.unwrap();
    assert_eq!(saved(&b, shard(0)).await, Saved::Some(last));
    let token = take(&b, shard(0), "next", LONG).await;
    b.release(shard(0), token, None, None).await.unwrap();
    assert_eq!(saved(&a, shard(0)).await, Saved::None, "it was gone");
}

async fn another_session_is_saved_while_the_next_set_takes_over(bench: Bench) {
    let a = bench.application();
    let (last, early) = (session("s", 9), session("s", 2));
    for (phase, expected) in [
        (Phase::Warming, &last),
        (Phase::Switching, &early),
        (Phase::Steady, &last),
    ] {
        let plan = Plan {
            phase,
            ..Plan::default()
        };
        a.plan(&look(&a).await, &plan).await.unwrap().unwrap();
        let token = take(&a, shard(0), "a", LONG).await;
        a.release(shard(0), token, Some(&last), Some(&early))
            .await
            .unwrap();
        assert_eq!(saved(&a, shard(0)).await, Saved::Some(expected.clone()));
        let token = take(&a, shard(0), "next", LONG).await;
        a.release(shard(0), token, Some(&last), None).await.unwrap();
        assert_eq!(saved(&a, shard(0)).await, Saved::Some(last.clone()));
        let token = take(&a, shard(0), "next", LONG).await;
        a.release(shard(0), token, None, None).await.unwrap();
    }
}

async fn many_sessions_are_saved_at_once(bench: Bench) {
    let a = bench.application();
    let mut sessions = Vec::new();
    for id in 0..1_500 {
        let shard = Shard { count: 1_500, id };
        let ttl = if id % 100 == 0 { Duration::ZERO } else { LONG };
        let token = take(&a, shard, "next", ttl).await;
        sessions.push((shard, token, Some(session(&id.to_string(), id.into()))));
    }
    let taken = Shard {
        count: 1_500,
        id: 700,
    };
    take(&a, taken, "other", LONG).await;
    assert_eq!(a.save(&sessions).await.unwrap(), [taken]);
    for (shard, _, session) in sessions {
        if shard != taken {
            assert_eq!(saved(&a, shard).await, Saved::Some(session.unwrap()));
        }
    }
}

async fn tails_are_there_until_they_are_of_no_use(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    for (id, ttl) in [(0, LONG), (1, SHORT), (2, LONG)] {
        let token = take(&a, shard(id), "a", LONG).await;
        let left = a.put_tail(shard(id), token, &bytes, ttl).await.unwrap();
        assert_eq!(left, Written::Done);
    }
    let other = Shard { count: 1, id: 0 };
    let token = take(&a, other, "a", LONG).await;
    a.put_tail(other, token, b"", LONG).await.unwrap();
    loop {
        let tails = b.tails(16).await.unwrap();
        assert!(tails.values().all(|tail| *tail == bytes));
        assert!(tails.contains_key(&0) && tails.contains_key(&2));
        if tails.len() == 2 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let tails = b.tails(1).await.unwrap();
    assert_eq!(tails, BTreeMap::from([(0, Bytes::new())]));
    assert_eq!(b.tails(2).await.unwrap(), BTreeMap::new());
}

async fn a_set_is_forgotten_as_a_whole(bench: Bench) {
    let a = bench.application();
    let (gone, stays) = (shard(1), Shard { count: 161, id: 1 });
    let mut tokens = Vec::new();
    for shard in [gone, stays] {
        let token = take(&a, shard, "next", LONG).await;
        a.put_tail(shard, token, b"tail", LONG).await.unwrap();
        let session = Some(session("s", 1));
        a.save(&[(shard, token, session)]).await.unwrap();
        tokens.push(token);
    }
    a.forget(16).await.unwrap();
    let leases = look(&a).await.leases;
    assert_eq!(leases.len(), 1);
    assert_eq!((leases[0].shard, leases[0].token), (stays, tokens[1]));
    assert_eq!(a.tails(16).await.unwrap().len(), 0);
    assert_eq!(a.tails(161).await.unwrap().len(), 1);
    assert_eq!(saved(&a, gone).await, Saved::None);
    assert_eq!(saved(&a, stays).await, Saved::Some(session("s", 1)));
}

async fn applications_do_not_see_each_other(bench: Bench) {
    let store = bench.store();
    let other_prefix = Config {
        prefix: format!("{}x", bench.config.prefix),
        ..bench.config.clone()
    };
    let mut others = vec![store.application(APPLICATION + 1)];
    if store.is_shared() {
        let store = Store::open(&other_prefix).unwrap();
        others.push(store.application(APPLICATION));
    }
    let a = store.application(APPLICATION);
    let token = take(&a, shard(0), "a", LONG).await;
    let saved_session = Some(session("s", 1));
    a.save(&[(shard(0), token, saved_session)]).await.unwrap();
    for other in others {
        let fleet = look(&other).await;
        assert_eq!((fleet.leases.len(), fleet.replicas.len()), (0, 1));
        assert_eq!(saved(&other, shard(0)).await, Saved::None);
    }
}
