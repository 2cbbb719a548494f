//! Permits to identify.

use std::time::Duration;

use store::{Limit, Pace, Permit};
use tokio::time::{Instant, advance, sleep};

use crate::bench::{Bench, LONG, SHORT, limit};

crate::contract! {
    a_bucket_lets_one_through_at_a_time
    buckets_do_not_wait_for_each_other
    the_ledger_counts_what_was_in_its_window
    the_reserve_is_never_used
    what_discord_counted_counts
    what_discord_counted_and_we_did_too_counts_once
    what_discord_counted_no_longer_counts_after_its_reset
    what_one_replica_was_told_counts_for_all
    odd_limits_do_no_harm
}

async fn a_bucket_lets_one_through_at_a_time(bench: Bench) {
    let bench = bench.paced(SHORT, LONG);
    let (a, b) = (bench.application(), bench.application());
    let limit = limit(1_000);
    let mut before = Vec::new();
    let mut after = Vec::new();
    let mut left = Vec::new();
    for shard in 0..4 {
        let application = if shard % 2 == 0 { &a } else { &b };
        loop {
            let asked = Instant::now();
            match application.identify(shard, &limit).await.unwrap() {
                Permit::Granted { left: now } => {
                    before.push(asked);
                    after.push(Instant::now());
                    left.push(now);
                    break;
                }
                Permit::Wait(wait) => {
                    assert!(wait <= SHORT && !wait.is_zero(), "{wait:?}");
                    sleep(wait).await;
                }
                Permit::Exhausted { .. } => panic!("there are 1,000"),
            }
        }
    }
    assert_eq!(left, [999, 998, 997, 996]);
    for pair in 0..3 {
        // A millisecond for rounding.
        let between = after[pair + 1] - before[pair] + Duration::from_millis(1);
        assert!(between >= SHORT, "{between:?}");
    }
}

async fn buckets_do_not_wait_for_each_other(bench: Bench) {
    let bench = bench.paced(LONG, LONG);
    let a = bench.application();
    let limit = Limit {
        max_concurrency: 16,
        ..limit(1_000)
    };
    for shard in 0..16 {
        let permit = a.identify(shard, &limit).await.unwrap();
        assert!(matches!(permit, Permit::Granted { .. }), "{shard}");
    }
    for shard in 16..48 {
        let permit = a.identify(shard, &limit).await.unwrap();
        let Permit::Wait(wait) = permit else {
            panic!("{permit:?}")
        };
        assert!(wait <= LONG && wait > LONG / 2, "{wait:?}");
    }
}

async fn the_ledger_counts_what_was_in_its_window(bench: Bench) {
    let window = SHORT * 2;
    let bench = bench.paced(Duration::ZERO, window);
    let a = bench.application();
    let limit = Limit {
        total: 3,
        remaining: 3,
        ..limit(3)
    };
    let mut before = Vec::new();
    let mut after = Vec::new();
    while before.len() < 9 {
        let asked = Instant::now();
        match a.identify(0, &limit).await.unwrap() {
            Permit::Granted { .. } => {
                before.push(asked);
                after.push(Instant::now());
            }
            Permit::Exhausted {
                used,
                total,
                retry_after,
            } => {
                assert_eq!((used, total), (3, 3));
                assert!(retry_after <= window, "{retry_after:?}");
                sleep(retry_after).await;
            }
            Permit::Wait(_) => panic!("nothing is to be waited for"),
        }
    }
    for fourth in 3..9 {
        let between = after[fourth] - before[fourth - 3] + Duration::from_millis(1);
        assert!(between >= window, "{between:?}");
    }
}

async fn the_reserve_is_never_used(bench: Bench) {
    let a = bench.application();
    let limit = Limit {
        total: 10,
        reserve: 8,
        ..limit(10)
    };
    let limit = Limit {
        told: Instant::now(),
        ..limit
    };
    for left in [1, 0] {
        let permit = a.identify(0, &limit).await.unwrap();
        assert_eq!(permit, Permit::Granted { left });
    }
    let permit = a.identify(0, &limit).await.unwrap();
    let Permit::Exhausted {
        used,
        total,
        retry_after,
    } = permit
    else {
        panic!("{permit:?}")
    };
    assert_eq!((used, total), (2, 10));
    assert!(retry_after <= LONG && retry_after > LONG / 2);
}

async fn what_discord_counted_counts(bench: Bench) {
    let a = bench.application();
    let limit = limit(2);
    for left in [1, 0] {
        let permit = a.identify(0, &limit).await.unwrap();
        assert_eq!(permit, Permit::Granted { left });
    }
    let permit = a.identify(0, &limit).await.unwrap();
    assert!(
        matches!(permit, Permit::Exhausted { used: 1_000, .. }),
        "{permit:?}"
    );
}

async fn what_discord_counted_and_we_did_too_counts_once(bench: Bench) {
    let a = bench.application();
    for _ in 0..5 {
        a.identify(0, &limit(1_000)).await.unwrap();
    }
    // Asked after these five, and three of somebody else's.
    sleep(Duration::from_millis(5)).await;
    let later = limit(992);
    sleep(Duration::from_millis(5)).await;
    for left in [991, 990, 989] {
        let permit = a.identify(0, &later).await.unwrap();
        assert_eq!(permit, Permit::Granted { left });
    }
}

async fn what_discord_counted_no_longer_counts_after_its_reset(bench: Bench) {
    let a = bench.application();
    let limit = Limit {
        reset_after: SHORT,
        ..limit(0)
    };
    let left = loop {
        match a.identify(0, &limit).await.unwrap() {
            Permit::Granted { left } => break left,
            Permit::Exhausted { retry_after, .. } => sleep(retry_after).await,
            Permit::Wait(_) => panic!("nothing is to be waited for"),
        }
    };
    assert_eq!(left, 999);
    assert!(limit.told.elapsed() + Duration::from_millis(2) >= SHORT);
}

async fn what_one_replica_was_told_counts_for_all(bench: Bench) {
    let (a, b) = (bench.application(), bench.application());
    let before = limit(1_000);
    let permit = a.identify(0, &limit(101)).await.unwrap();
    assert_eq!(permit, Permit::Granted { left: 100 });
    let permit = b.identify(0, &before).await.unwrap();
    assert_eq!(permit, Permit::Granted { left: 99 });
}

async fn odd_limits_do_no_harm(bench: Bench) {
    let a = bench.application();
    for (total, remaining, reserve, max_concurrency) in [
        (0, 0, 0, 0),
        (0, 5, 0, 1),
        (10, 20, 20, 1),
        (u32::MAX, 0, 0, u16::MAX),
    ] {
        let limit = Limit {
            total,
            remaining,
            reset_after: Duration::MAX,
            max_concurrency,
            told: Instant::now(),
            reserve,
        };
        let permit = a.identify(u32::MAX, &limit).await.unwrap();
        let Permit::Exhausted { retry_after, .. } = permit else {
            panic!("{permit:?} {limit:?}")
        };
        assert!(!retry_after.is_zero());
    }
}

/// With Discord's own numbers; only the clock of the store in memory can be made to run.
#[tokio::test(start_paused = true)]
async fn a_day_has_24_hours_and_a_bucket_5_seconds() {
    let pace = Pace::default();
    let bench = Bench::memory().paced(pace.bucket, pace.ledger);
    let a = bench.application();
    let limit = Limit {
        total: 3,
        ..limit(3)
    };
    assert_eq!(
        a.identify(0, &limit).await.unwrap(),
        Permit::Granted { left: 2 }
    );
    advance(Duration::from_secs(5)).await;
    let wait = Permit::Wait(Duration::from_millis(100));
    assert_eq!(a.identify(1, &limit).await.unwrap(), wait);
    advance(Duration::from_millis(100)).await;
    assert_eq!(
        a.identify(1, &limit).await.unwrap(),
        Permit::Granted { left: 1 }
    );
    advance(Duration::from_secs(3_600)).await;
    assert_eq!(
        a.identify(2, &limit).await.unwrap(),
        Permit::Granted { left: 0 }
    );
    advance(Duration::from_secs(3_600)).await;
    let exhausted = Permit::Exhausted {
        used: 3,
        total: 3,
        retry_after: Duration::from_secs(22 * 3_600) - Duration::from_millis(5_100),
    };
    assert_eq!(a.identify(0, &limit).await.unwrap(), exhausted);
    advance(Duration::from_secs(22 * 3_600)).await;
    assert_eq!(
        a.identify(0, &limit).await.unwrap(),
        Permit::Granted { left: 1 }
    );
}
