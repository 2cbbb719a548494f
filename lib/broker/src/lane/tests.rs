//! Lanes over a queue whose publisher is the test itself: no sockets, paused time.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use boot::metrics::Counter;
use bytes::Bytes;
use tokio::time;

use super::Lane;
use crate::{
    Closed, Exchange, Message,
    queue::{Counts, Queue},
};

fn message(size: usize) -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: String::new(),
        message_id: String::new(),
        type_name: "gateway.v1.Event",
        app_id: "1".into(),
        timestamp: 0,
        headers: Vec::new(),
        body: Bytes::from(vec![0; size]),
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
    }
}

/// A queue whose window holds this many empty messages.
fn queue(messages: usize) -> Arc<Queue> {
    let window = messages * message(0).cost();
    Arc::new(Queue::new(window, true, Counts::default()))
}

fn write_all(queue: &Queue) -> usize {
    let mut ring = queue.ring();
    let mut count = 0;
    while ring.take().is_some() {
        count += 1;
    }
    count
}

/// Whether somebody was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether the future is still waiting after an hour of the test's time.
async fn waits<T>(future: impl Future<Output = T>) -> bool {
    time::timeout(Duration::from_secs(3_600), future)
        .await
        .is_err()
}

#[tokio::test(start_paused = true)]
async fn publish_waits_while_the_window_is_full() {
    let queue = queue(2);
    let mut lane = Lane::new(&queue);
    lane.publish(1, message(0)).await.unwrap();
    assert!(lane.has_room());
    lane.publish(2, message(0)).await.unwrap();
    assert!(!lane.has_room());
    assert!(waits(lane.publish(3, message(0))).await);
    assert!(waits(lane.room()).await);

    assert_eq!(write_all(&queue), 2, "what was cancelled was not published");
    let (published, ()) = tokio::join!(lane.publish(3, message(0)), async {
        time::sleep(Duration::from_secs(1)).await;
        queue.confirm(1);
    });
    assert_eq!(published, Ok(()));
    assert_eq!(write_all(&queue), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_not_woken_for_each_confirm() {
    let queue = queue(128);
    let mut lane = Lane::new(&queue);
    for sequence in 1..=128 {
        lane.publish(sequence, message(0)).await.unwrap();
    }
    assert_eq!(write_all(&queue), 128);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut published = pin!(lane.publish(129, message(0)));
    assert!(published.as_mut().poll(&mut context).is_pending());
    queue.confirm(2);
    assert!(!woken.0.load(Ordering::Relaxed), "126 of 128");
    queue.confirm(1);
    assert!(woken.0.load(Ordering::Relaxed), "125 of 128");
    assert!(published.as_mut().poll(&mut context).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_lane_is_confirmed_up_to_its_last_confirmed_message() {
    let queue = queue(10);
    let (mut one, mut two) = (Lane::new(&queue), Lane::new(&queue));
    one.publish(5, message(0)).await.unwrap();
    two.publish(70, message(0)).await.unwrap();
    one.publish(9, message(0)).await.unwrap();
    assert_eq!(write_all(&queue), 3);
    assert_eq!((one.confirmed(), two.confirmed()), (0, 0));

    queue.confirm(1);
    assert_eq!((one.confirmed(), two.confirmed()), (5, 0));
    one.confirmed_past(5).await;
    assert!(waits(one.confirmed_past(6)).await);

    let ((), ()) = tokio::join!(one.confirmed_past(9), async { queue.confirm(2) });
    assert_eq!((one.confirmed(), two.confirmed()), (9, 70));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_broker_that_has_ended() {
    let queue = queue(1);
    let (mut one, two) = (Lane::new(&queue), Lane::new(&queue));
    one.publish(1, message(0)).await.unwrap();
    let (published, (), (), (), ()) = tokio::join!(
        one.publish(2, message(0)),
        two.room(),
        two.confirmed_past(1),
        queue.drained(),
        async {
            time::sleep(Duration::from_secs(1)).await;
            queue.close();
        },
    );
    assert_eq!(published, Err(Closed));
    assert_eq!(one.publish(3, message(0)).await, Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn the_broker_is_finished_when_lanes_are_gone_and_all_is_confirmed() {
    let queue = queue(4);
    let mut lane = Lane::new(&queue);
    lane.publish(1, message(0)).await.unwrap();
    assert!(waits(queue.drained()).await);
    assert_eq!(write_all(&queue), 1);
    queue.confirm(1);
    queue.drained().await;
    assert!(waits(queue.finished()).await);
    drop(lane);
    queue.finished().await;
}

#[tokio::test(start_paused = true)]
async fn a_huge_message_passes_alone() {
    let queue = queue(2);
    let mut lane = Lane::new(&queue);
    lane.publish(1, message(0)).await.unwrap();
    assert!(waits(lane.publish(2, message(1_000_000))).await);
    assert_eq!(write_all(&queue), 1);
    queue.confirm(1);
    lane.publish(2, message(1_000_000)).await.unwrap();
    assert!(!lane.has_room());
}

#[tokio::test(start_paused = true)]
async fn many_lanes_share_one_window_without_losing_anything() {
    let queue = queue(3);
    let publishers = (0..8_u64).map(|_| {
        let mut lane = Lane::new(&queue);
        async move {
            for sequence in 1..=100 {
                lane.publish(sequence, message(0)).await.unwrap();
            }
            lane.confirmed_past(100).await;
            assert_eq!(lane.confirmed(), 100);
        }
    });
    let confirmer = async {
        let mut confirmed = 0;
        while confirmed < 800 {
            queue.work().await;
            let written = write_all(&queue);
            assert!(queue.ring().used() <= 4 * message(0).cost());
            queue.confirm(written);
            confirmed += written;
        }
    };
    tokio::join!(futures_util::future::join_all(publishers), confirmer);
}

#[tokio::test(start_paused = true)]
async fn confirms_are_counted_and_timed() {
    let queue = queue(10);
    let counter = Counter::default();
    let mut lane = Lane::counting(&queue, counter.clone());
    assert_eq!(lane.lag(), None);
    lane.publish(1, message(0)).await.unwrap();
    time::advance(Duration::from_secs(3)).await;
    assert_eq!(lane.lag(), Some(Duration::from_secs(3)), "so far");
    lane.publish(2, message(0)).await.unwrap();
    write_all(&queue);
    queue.confirm(1);
    assert_eq!(lane.lag(), Some(Duration::from_secs(3)));
    lane.publish(3, message(0)).await.unwrap();
    time::advance(Duration::from_secs(1)).await;
    write_all(&queue);
    queue.confirm(2);
    assert_eq!(lane.lag(), Some(Duration::from_secs(1)));
    assert_eq!(counter.get(), 3);
}
