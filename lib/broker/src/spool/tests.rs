//! The spool behind a queue whose publisher is the test itself.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use boot::Context;
use tempfile::TempDir;
use tokio::time;

use crate::{
    Lane, Spool,
    metrics::SpoolMetrics,
    queue::{Counts, Queue, tests::imbalance, tests::message},
};

const WINDOW: usize = 256 * 1024;

struct Setup {
    context: Context,
    queue: Arc<Queue>,
    counts: Counts,
    dir: PathBuf,
    /// What may be in memory.
    bound: usize,
}

impl Setup {
    fn start(folder: &TempDir, limit: u64) -> Self {
        let (context, counts) = (Context::new(), Counts::default());
        let queue = Queue::new(WINDOW, true, counts.clone()).spooling(WINDOW, limit);
        let queue = Arc::new(queue);
        let dir = folder.path().join("spool");
        let spool = Spool {
            dir: dir.clone(),
            limit,
        };
        super::start(spool, &queue, SpoolMetrics::new(&context.metrics), &context);
        Self {
            context,
            queue,
            counts,
            dir,
            bound: WINDOW + WINDOW / 4,
        }
    }

    /// Publishes these, as long as there is room within a moment; returns the last one.
    async fn publish(&self, lane: &mut Lane, first: u64, last: u64) -> u64 {
        for number in first..=last {
            let room = time::timeout(Duration::from_millis(500), lane.room());
            if room.await.is_err() {
                return number - 1;
            }
            let message = message(number, number % 3 == 0, 200);
            lane.publish(number, message).await.unwrap();
            let used = self.queue.ring().used();
            assert!(used <= self.bound, "{used}");
            assert_eq!(imbalance(&self.counts), 0);
        }
        last
    }

    /// Takes and confirms everything until this one; returns how many events there were.
    async fn drain(&self, last: u64) -> u64 {
        let mut next = 1;
        while next <= last {
            let taken = {
                let mut ring = self.queue.ring();
                let mut taken = 0;
                while taken < 50
                    && let Some(entry) = ring.take()
                {
                    assert_eq!(entry.sequence, next);
                    next += entry.origin.events() as u64;
                    taken += 1;
                }
                taken
            };
            if taken == 0 {
                self.queue.work().await;
            }
            self.queue.confirm(taken);
            assert_eq!(imbalance(&self.counts), 0);
        }
        next - 1
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        while !condition(self) {
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn files(&self) -> usize {
        let entries = fs::read_dir(&self.dir).unwrap();
        entries
            .filter(|entry| {
                let path = entry.as_ref().unwrap().path();
                path.extension().is_some_and(|found| found == "spool")
            })
            .count()
    }

    async fn stop(self) {
        self.context.shutdown.cancel();
        let grace = Duration::from_secs(10);
        self.context.tasks.join(grace).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_window_cannot_hold_goes_to_disk_and_comes_back_in_order() {
    let folder = TempDir::new().unwrap();
    let setup = Setup::start(&folder, 1 << 30);
    let mut lane = Lane::new(&setup.queue);
    assert_eq!(setup.publish(&mut lane, 1, 100_000).await, 100_000);
    assert!(setup.counts.spooled.get() > 90_000);
    assert!(setup.files() > 1);
    assert_eq!(lane.confirmed(), 0);

    let user = async {
        lane.confirmed_past(100_000).await;
        lane
    };
    let (last, lane) = tokio::join!(setup.drain(100_000), user);
    assert_eq!((last, lane.confirmed()), (100_000, 100_000));
    drop(lane);
    setup.until(|setup| setup.files() == 0).await;
    assert_eq!(setup.counts.spooled.get(), 0);
    setup.stop().await;
}

#[tokio::test]
async fn a_full_spool_has_no_room_until_messages_are_confirmed() {
    let folder = TempDir::new().unwrap();
    let setup = Setup::start(&folder, 1 << 20);
    let mut lane = Lane::new(&setup.queue);
    let last = setup.publish(&mut lane, 1, u64::MAX).await;
    assert!(!lane.has_room());
    let bytes: u64 = fs::read_dir(&setup.dir)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(bytes > 1 << 19, "{bytes}");
    setup.queue.hurry(None);
    setup.drain(last).await;
    lane.room().await;
    drop(lane);
    setup.stop().await;
}

#[tokio::test]
async fn what_a_former_process_left_is_published_first() {
    let folder = TempDir::new().unwrap();
    let setup = Setup::start(&folder, 1 << 30);
    let mut lane = Lane::new(&setup.queue);
    assert_eq!(setup.publish(&mut lane, 1, 5_000).await, 5_000);
    let counts = setup.counts.clone();
    // As if it was killed: nothing is confirmed, and the task ends without cleaning up.
    setup.queue.close();
    setup.stop().await;
    let left = counts.spooled.get();
    assert!(left > 1_000);

    let setup = Setup::start(&folder, 1 << 30);
    let mut lane = Lane::new(&setup.queue);
    lane.publish(1, message(9_999_999, false, 10))
        .await
        .unwrap();
    let mut ids = Vec::new();
    while ids.last().is_none_or(|last| last != "9999999") {
        setup.queue.work().await;
        let before = ids.len();
        {
            let mut ring = setup.queue.ring();
            while let Some(entry) = ring.take() {
                ids.push(entry.message.message_id.clone());
            }
        }
        setup.queue.confirm(ids.len() - before);
        assert_eq!(imbalance(&setup.counts), 0);
    }
    let found = setup.counts.given.get().cast_signed() - 1;
    assert_eq!(found, left);
    lane.confirmed_past(1).await;
    drop(lane);
    setup.until(|setup| setup.files() == 0).await;
    setup.stop().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_as_no_folder_until_it_can() {
    let folder = TempDir::new().unwrap();
    let other = Setup::start(&folder, 1 << 30);
    other.until(|other| other.dir.join("lock").exists()).await;
    other.until(|other| other.queue.ring().is_empty()).await;
    let mut setup = Setup::start(&folder, 1 << 30);
    let mut lane = Lane::new(&setup.queue);
    let last = setup.publish(&mut lane, 1, u64::MAX).await;
    assert!((200..600).contains(&last), "{last}: what the window holds");
    assert_eq!(setup.counts.spooled.get(), 0);
    // The ring is full, and keeps what it has: only what comes now goes to disk.
    setup.bound = WINDOW + WINDOW * 3 / 4;
    other.stop().await;
    setup.until(|_| lane.has_room()).await;
    assert_eq!(setup.publish(&mut lane, last + 1, 3_000).await, 3_000);
    setup.queue.hurry(None);
    setup.drain(3_000).await;
    assert_eq!(lane.confirmed(), 3_000);
    drop(lane);
    setup.stop().await;
}
