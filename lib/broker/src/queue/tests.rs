//! Batches and the ledger in a queue whose publisher is the test itself: paused time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{self, Instant};

use super::{Counts, Queue};
use crate::{Batch, Exchange, Lane, Message};

const LINGER: Duration = Duration::from_millis(50);

pub(crate) fn message(number: u64, batched: bool, size: usize) -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: "1.TYPING_START.7.-".to_owned(),
        message_id: number.to_string(),
        type_name: "gateway.v1.Event",
        app_id: "1".into(),
        timestamp: 0,
        headers: Vec::new(),
        body: Bytes::from(vec![7; size]),
        group: 7,
        trace: None,
        wanted: None,
        batch: batched.then_some(Batch {
            count: 10,
            linger: LINGER,
        }),
    }
}

fn queue(window: usize, counts: &Counts) -> Arc<Queue> {
    Arc::new(Queue::new(window, true, counts.clone()))
}

/// Takes what there is; the ids.
fn take_all(queue: &Queue) -> Vec<String> {
    let mut ring = queue.ring();
    let mut ids = Vec::new();
    while let Some(entry) = ring.take() {
        ids.push(entry.message.message_id.clone());
    }
    ids
}

/// The difference between the two sides of the ledger.
pub(crate) fn imbalance(counts: &Counts) -> i64 {
    let dropped = ["corrupt", "oversized"].map(|reason| {
        let counter = counts.dropped.get_or_create(&[("reason", reason)]);
        counter.get()
    });
    let gone = counts.confirmed.get() + dropped.iter().sum::<u64>();
    let waiting = counts.waiting.get() + counts.spooled.get();
    counts.given.get().cast_signed() - gone.cast_signed() - waiting
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_when_its_time_has_come() {
    let queue = queue(100_000, &Counts::default());
    let mut lane = Lane::new(&queue);
    let began = Instant::now();
    lane.publish(1, message(1, true, 10)).await.unwrap();
    lane.publish(2, message(2, true, 10)).await.unwrap();
    let mut taken = take_all(&queue);
    while taken.is_empty() {
        queue.work().await;
        taken = take_all(&queue);
    }
    assert_eq!(taken, ["1+1"]);
    assert_eq!(began.elapsed(), LINGER);
    assert_eq!(lane.confirmed(), 0);
    queue.confirm(1);
    assert_eq!(lane.confirmed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lane_is_not_confirmed_past_an_event_that_lingers() {
    let queue = queue(100_000, &Counts::default());
    let mut lane = Lane::new(&queue);
    lane.publish(1, message(1, true, 10)).await.unwrap();
    let elsewhere = Message {
        group: 8,
        ..message(2, false, 10)
    };
    lane.publish(2, elsewhere).await.unwrap();
    assert_eq!(take_all(&queue), ["2"]);
    queue.confirm(1);
    assert_eq!(lane.confirmed(), 0, "the first still lingers");
    assert!(!queue.ring().is_empty());
    time::sleep(LINGER).await;
    assert_eq!(take_all(&queue), ["1"]);
    queue.confirm(1);
    assert_eq!(lane.confirmed(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_lingers_when_somebody_waits_for_it() {
    let queue = queue(100_000, &Counts::default());
    let mut lane = Lane::new(&queue);
    let began = Instant::now();
    let publisher = async {
        let mut taken = Vec::new();
        while taken.len() < 3 {
            queue.work().await;
            let more = take_all(&queue);
            queue.confirm(more.len());
            taken.extend(more);
        }
        taken
    };
    let user = async {
        lane.publish(1, message(1, true, 10)).await.unwrap();
        lane.confirmed_past(1).await;
        lane.publish(2, message(2, true, 10)).await.unwrap();
        queue.drained().await;
        lane.publish(3, message(3, true, 10)).await.unwrap();
        drop(lane);
        queue.finished().await;
    };
    let (taken, ()) = tokio::join!(publisher, user);
    assert_eq!(taken, ["1", "2", "3"]);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_window_counts_what_lingers() {
    let queue = queue(2 * message(0, true, 10).cost() - 100, &Counts::default());
    let mut lane = Lane::new(&queue);
    let mut number = 0;
    while lane.has_room() {
        number += 1;
        let other = Message {
            group: number,
            ..message(number, true, 10)
        };
        lane.publish(number, other).await.unwrap();
    }
    assert_eq!(number, 2);
    assert!(queue.ring().used() >= 2 * message(0, true, 10).cost());
    time::sleep(LINGER).await;
    assert_eq!(take_all(&queue), ["1", "2"]);
    queue.confirm(2);
    assert_eq!(queue.ring().used(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_balances_whatever_happens() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let counts = Counts::default();
        let queue = queue(20_000, &counts);
        let mut lane = Lane::new(&queue);
        let (mut next, mut taken) = (1, 0);
        for _ in 0..300 {
            match random.u8(0..10) {
                0..5 if lane.has_room() => {
                    let size = random.usize(0..500);
                    let message = message(next, random.bool(), size);
                    lane.publish(next, message).await.unwrap();
                    next += 1;
                }
                5..7 => taken += take_all(&queue).len(),
                7 => {
                    let count = random.usize(0..=taken);
                    queue.confirm(count);
                    taken -= count;
                }
                8 => drop(queue.revise(|message| crate::message::notice(message, 450))),
                _ => time::sleep(LINGER / 4).await,
            }
            assert_eq!(imbalance(&counts), 0);
        }
        queue.hurry(None);
        taken += take_all(&queue).len();
        queue.confirm(taken);
        assert_eq!(imbalance(&counts), 0);
        assert_eq!((counts.waiting.get(), counts.used.get()), (0, 0));
        assert_eq!(lane.confirmed(), next - 1);
    }
}
