//! Leases and their tokens.

use std::time::Duration;

use futures_util::future::join_all;
use store::{Acquired, Shard, Status, Written};
use tokio::time::{Instant, sleep};

use crate::bench::{
    Bench, LONG, SHORT, held, lease_of, look, replica, session, shard, take, wait_for,
};

crate::contract! {
    a_shard_has_one_owner
    of_many_who_want_a_shard_one_gets_it
    a_lease_is_taken_only_after_it_ran_out
    a_lease_that_is_renewed_does_not_run_out
    a_lease_that_ran_out_is_renewed_if_nobody_took_it
    a_lease_that_vanished_is_renewed_if_nobody_took_it
    a_token_only_grows
    an_old_token_does_nothing
    a_token_that_was_given_back_is_spent
    a_shard_is_released_once_more_without_harm
    the_owner_can_acquire_again
    everybody_sees_the_leases
}

async fn a_shard_has_one_owner(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let token = take(&a, shard(3), "a", LONG).await;
    let other = b.acquire(shard(3), "b", LONG).await.unwrap();
    assert_eq!(other, Acquired::Held { by: "a".to_owned() });
    // The same number in another set is another shard.
    take(&b, Shard { count: 32, id: 3 }, "b", LONG).await;
    assert_eq!(
        a.release(shard(3), token, None, None).await.unwrap(),
        Written::Done
    );
    take(&b, shard(3), "b", LONG).await;
}

async fn of_many_who_want_a_shard_one_gets_it(bench: Bench) {
    let stores: Vec<_> = (0..8).map(|_| bench.application()).collect();
    for id in 0..16 {
        let acquire = |number: usize| {
            let application = &stores[number % stores.len()];
            async move {
                let replica = format!("replica-{number}");
                application
                    .acquire(shard(id), &replica, LONG)
                    .await
                    .unwrap()
            }
        };
        let results = join_all((0..32).map(acquire)).await;
        let winners: Vec<usize> = (0..32)
            .filter(|number| matches!(results[*number], Acquired::Taken { .. }))
            .collect();
        let [winner] = winners[..] else {
            panic!("{winners:?} have got shard {id}");
        };
        let by = format!("replica-{winner}");
        for (number, result) in results.iter().enumerate() {
            if number != winner {
                assert_eq!(*result, Acquired::Held { by: by.clone() });
            }
        }
    }
}

async fn a_lease_is_taken_only_after_it_ran_out(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let before = Instant::now();
    let old = take(&a, shard(0), "a", SHORT).await;
    let new = wait_for(&b, shard(0), "b").await;
    // A millisecond for rounding.
    assert!(before.elapsed() + Duration::from_millis(1) >= SHORT);
    assert!(new > old);
    let fleet = a.beat(&replica("a"), LONG, &[held(shard(0), old)]).await;
    assert_eq!(fleet.unwrap().lost, [shard(0)]);
}

async fn a_lease_that_is_renewed_does_not_run_out(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let token = take(&a, shard(0), "a", SHORT).await;
    let fleet = a.beat(&replica("a"), LONG, &[held(shard(0), token)]).await;
    assert_eq!(fleet.unwrap().lost, []);
    sleep(SHORT * 2).await;
    let other = b.acquire(shard(0), "b", LONG).await.unwrap();
    assert_eq!(other, Acquired::Held { by: "a".to_owned() });
}

async fn a_lease_that_ran_out_is_renewed_if_nobody_took_it(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let token = take(&a, shard(0), "a", Duration::ZERO).await;
    let lease = lease_of(&b, shard(0)).await.unwrap();
    assert_eq!(lease.remaining, None);
    let fleet = a.beat(&replica("a"), LONG, &[held(shard(0), token)]).await;
    assert_eq!(fleet.unwrap().lost, []);
    let lease = lease_of(&b, shard(0)).await.unwrap();
    assert_eq!((lease.token, lease.replica.as_str()), (token, "a"));
    assert!(lease.remaining.is_some());
}

async fn a_lease_that_vanished_is_renewed_if_nobody_took_it(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let tokens = [
        take(&a, shard(0), "a", LONG).await,
        take(&a, shard(1), "a", LONG).await,
    ];
    // Time passes as it does whenever data is lost.
    sleep(Duration::from_millis(5)).await;
    a.forget(16).await.unwrap();
    let new = take(&b, shard(1), "b", LONG).await;
    assert!(new > tokens[1], "{new} {tokens:?}");
    let mine = [held(shard(0), tokens[0]), held(shard(1), tokens[1])];
    let fleet = a.beat(&replica("a"), LONG, &mine).await.unwrap();
    assert_eq!(fleet.lost, [shard(1)]);
    assert_eq!(lease_of(&b, shard(0)).await.unwrap().token, tokens[0]);
    assert_eq!(lease_of(&b, shard(1)).await.unwrap().token, new);
}

async fn a_token_only_grows(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let mut last = 0;
    for _ in 0..10 {
        let mut grown = |token: u64| {
            assert!(token > last, "{token} after {last}");
            last = token;
        };
        let token = take(&a, shard(0), "a", Duration::ZERO).await;
        grown(token);
        let token = take(&b, shard(0), "b", LONG).await;
        grown(token);
        b.release(shard(0), token, None, None).await.unwrap();
        let token = take(&b, shard(0), "b", LONG).await;
        grown(token);
        b.release(shard(0), token, None, None).await.unwrap();
        // Time passes as it does whenever data is lost.
        sleep(Duration::from_millis(5)).await;
        b.forget(16).await.unwrap();
    }
}

async fn an_old_token_does_nothing(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let old = take(&a, shard(0), "a", Duration::ZERO).await;
    let new = take(&b, shard(0), "b", LONG).await;
    let sessions = [(shard(0), new, Some(session("new", 2)))];
    assert_eq!(b.save(&sessions).await.unwrap(), []);

    let sessions = [(shard(0), old, Some(session("old", 1)))];
    assert_eq!(a.save(&sessions).await.unwrap(), [shard(0)]);
    let gone = [(shard(0), old, None)];
    assert_eq!(a.save(&gone).await.unwrap(), [shard(0)]);
    let saved = session("old", 1);
    let released = a.release(shard(0), old, Some(&saved), None).await.unwrap();
    assert_eq!(released, Written::Fenced);
    let left = a.put_tail(shard(0), old, b"tail", LONG).await.unwrap();
    assert_eq!(left, Written::Fenced);
    assert_eq!(a.tails(16).await.unwrap().len(), 0);
    let fleet = a.beat(&replica("a"), LONG, &[held(shard(0), old)]).await;
    assert_eq!(fleet.unwrap().lost, [shard(0)]);

    let lease = lease_of(&a, shard(0)).await.unwrap();
    assert_eq!((lease.replica.as_str(), lease.token), ("b", new));
    let Acquired::Taken { session: saved, .. } = b.acquire(shard(0), "b", LONG).await.unwrap()
    else {
        panic!("b holds the shard");
    };
    assert_eq!(saved, store::Saved::Some(session("new", 2)));
}

async fn a_token_that_was_given_back_is_spent(bench: Bench) {
    let a = bench.application();
    let token = take(&a, shard(0), "a", LONG).await;
    let saved = session("s", 1);
    a.release(shard(0), token, Some(&saved), None)
        .await
        .unwrap();
    let late = [(shard(0), token, None)];
    assert_eq!(a.save(&late).await.unwrap(), [shard(0)]);
    let fleet = a.beat(&replica("a"), LONG, &[held(shard(0), token)]).await;
    assert_eq!(fleet.unwrap().lost, [shard(0)]);
    assert_eq!(lease_of(&a, shard(0)).await, None);
}

async fn a_shard_is_released_once_more_without_harm(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let token = take(&a, shard(0), "a", LONG).await;
    let saved = session("s", 1);
    for _ in 0..2 {
        let released = a
            .release(shard(0), token, Some(&saved), None)
            .await
            .unwrap();
        assert_eq!(released, Written::Done);
    }
    let new = take(&b, shard(0), "b", LONG).await;
    let released = a
        .release(shard(0), token, Some(&saved), None)
        .await
        .unwrap();
    assert_eq!(released, Written::Fenced);
    assert_eq!(lease_of(&a, shard(0)).await.unwrap().token, new);
}

async fn the_owner_can_acquire_again(bench: Bench) {
    let a = bench.application();
    let lost = take(&a, shard(0), "a", LONG).await;
    let token = take(&a, shard(0), "a", LONG).await;
    assert!(token > lost);
    let mine = [held(shard(0), lost), held(shard(0), token)];
    let fleet = a.beat(&replica("a"), LONG, &mine).await.unwrap();
    assert_eq!(fleet.lost, [shard(0)], "the first token only");
}

async fn everybody_sees_the_leases(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let mut tokens = Vec::new();
    for id in 0..4 {
        tokens.push(take(&a, shard(id), "a b", LONG).await);
    }
    assert_eq!(look(&b).await.leases[3].status, Status::Connecting);
    let statuses = [
        Status::Away,
        Status::Connecting,
        Status::Live,
        Status::Standby,
    ];
    let mine = [0, 1, 2, 3].map(|id| store::Held {
        status: statuses[id],
        ..held(shard(u32::try_from(id).unwrap()), tokens[id])
    });
    a.beat(&replica("a b"), LONG, &mine).await.unwrap();
    a.release(shard(1), tokens[1], None, None).await.unwrap();
    let leases = look(&b).await.leases;
    let seen: Vec<_> = leases
        .iter()
        .map(|lease| {
            (
                lease.shard.id,
                lease.replica.as_str(),
                lease.token,
                lease.status,
            )
        })
        .collect();
    let expected = [0, 2, 3].map(|id| {
        let number = u32::try_from(id).unwrap();
        (number, "a b", tokens[id], statuses[id])
    });
    assert_eq!(seen, expected, "not the one that was given back");
    for lease in leases {
        let remaining = lease.remaining.unwrap();
        assert!(remaining <= LONG && remaining > LONG / 2, "{remaining:?}");
    }
}
