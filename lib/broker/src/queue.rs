//! What lanes and the task that publishes share: the ring, and who waits for what.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use boot::metrics::Gauge;
use tokio::sync::{Notify, futures::Notified};

use crate::{Closed, Message, lane::Confirmed, ring::Ring};

/// The ring as the broker uses it.
pub(crate) type Messages = Ring<Message, Arc<Confirmed>>;

/// The meeting place of those who publish and the task that does it.
#[derive(Debug)]
pub(crate) struct Queue {
    ring: Mutex<Messages>,
    /// Tells the task that messages wait, or that a user is gone.
    work: Notify,
    /// Tells everybody else that something was confirmed, or that the broker has ended.
    progress: Notify,
    /// How many lanes and consumers exist.
    users: AtomicUsize,
    /// The number of the next lane.
    lanes: AtomicU64,
    closed: AtomicBool,
    /// Shows how much of the window is in use.
    used: Gauge,
}

impl Queue {
    pub(crate) fn new(window: usize, used: Gauge) -> Self {
        Self {
            ring: Mutex::new(Ring::new(window)),
            work: Notify::new(),
            progress: Notify::new(),
            users: AtomicUsize::new(0),
            lanes: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            used,
        }
    }

    /// A number for a new lane.
    pub(crate) fn next_lane(&self) -> u64 {
        self.lanes.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts the message into the ring, or gives it back when the window is full.
    pub(crate) fn offer(
        &self,
        lane: &Arc<Confirmed>,
        sequence: u64,
        message: Message,
    ) -> Result<Option<Message>, Closed> {
        if self.is_closed() {
            return Err(Closed);
        }
        let cost = message.cost();
        let mut ring = self.ring();
        if !ring.admits(cost) {
            return Ok(Some(message));
        }
        lane.publish(sequence);
        ring.push(Arc::clone(lane), sequence, message, cost);
        self.observe(&ring);
        drop(ring);
        self.work.notify_one();
        Ok(None)
    }

    /// Removes the `count` oldest messages and tells their lanes.
    pub(crate) fn confirm(&self, count: usize) {
        let mut ring = self.ring();
        for entry in (0..count).map_while(|_| ring.confirm()) {
            entry.lane.confirm(entry.sequence);
        }
        self.observe(&ring);
        drop(ring);
        self.progress.notify_waiters();
    }

    /// Puts another message into the place of each for which `revise` has one. Returns the ids
    /// of those that were replaced.
    pub(crate) fn revise(&self, revise: impl Fn(&Message) -> Option<Message>) -> Vec<String> {
        let mut replaced = Vec::new();
        let mut ring = self.ring();
        ring.revise(|message| {
            let better = revise(message)?;
            let cost = better.cost();
            let old = mem::replace(message, better);
            replaced.push(old.message_id);
            Some(cost)
        });
        self.observe(&ring);
        drop(ring);
        self.progress.notify_waiters();
        replaced
    }

    /// Shows how much of the window is in use now.
    fn observe(&self, ring: &Messages) {
        self.used
            .set(i64::try_from(ring.used()).unwrap_or(i64::MAX));
    }

    /// The ring itself, for a moment.
    pub(crate) fn ring(&self) -> MutexGuard<'_, Messages> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the window has room.
    pub(crate) fn has_room(&self) -> bool {
        self.ring().has_room()
    }

    /// Returns when messages may wait to be published, or a user is gone.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// Resolves at the next progress after this call, whether or not it was polled by then.
    pub(crate) fn progress(&self) -> Notified<'_> {
        self.progress.notified()
    }

    /// Returns when the condition holds or the broker has ended.
    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            let progress = self.progress();
            if condition() || self.is_closed() {
                return;
            }
            progress.await;
        }
    }

    /// Returns when everything is confirmed, or the broker has ended.
    pub(crate) async fn drained(&self) {
        self.until(|| self.ring().is_empty()).await;
    }

    /// Returns when nobody can publish any more and everything is confirmed.
    pub(crate) async fn finished(&self) {
        self.until(|| self.users.load(Ordering::Acquire) == 0 && self.ring().is_empty())
            .await;
    }

    /// Closes the queue when it is dropped, however the broker's task ends.
    pub(crate) fn closing(self: &Arc<Self>) -> Closing {
        Closing(Arc::clone(self))
    }

    /// Lets nobody wait any longer: the broker has ended.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.progress.notify_waiters();
    }

    /// Whether the broker has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Keeps the broker open while somebody may still publish or answer.
#[derive(Debug)]
pub(crate) struct User(Arc<Queue>);

impl User {
    pub(crate) fn new(queue: &Arc<Queue>) -> Self {
        queue.users.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(queue))
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.0
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::AcqRel);
        self.0.progress.notify_waiters();
    }
}

/// Closes the queue when it is dropped.
#[derive(Debug)]
pub(crate) struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}
