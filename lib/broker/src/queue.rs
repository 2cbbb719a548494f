//! What lanes and the task that publishes share: what is not confirmed, and who waits for what.

mod item;
mod ledger;
mod spooling;
mod state;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use tokio::{
    select,
    sync::{Notify, futures::Notified},
    time,
};

pub(crate) use self::{
    item::{Item, Origin},
    ledger::Counts,
};
use self::{
    ledger::Ledger,
    state::{Offered, State},
};
use crate::{Closed, Message, lane::Confirmed};

/// The meeting place of those who publish and the task that does it.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Tells the task that messages wait, or that a user is gone.
    work: Notify,
    /// Tells those who wait for confirms that there were some, or that the broker has ended.
    progress: Notify,
    /// Tells those who want to publish that the window has room, or that the broker has ended.
    room: Notify,
    /// Tells the spool's task that there is something to move.
    spool: Arc<Notify>,
    /// How many lanes and consumers exist.
    users: AtomicUsize,
    /// The number of the next lane.
    lanes: AtomicU64,
    closed: AtomicBool,
}

impl Queue {
    /// A queue over a window of bytes. Without `batching` each event is a message of its own.
    pub(crate) fn new(window: usize, batching: bool, counts: Counts) -> Self {
        Self {
            state: Mutex::new(State::new(window, batching, Ledger::new(counts))),
            work: Notify::new(),
            progress: Notify::new(),
            room: Notify::new(),
            spool: Arc::default(),
            users: AtomicUsize::new(0),
            lanes: AtomicU64::new(1),
            closed: AtomicBool::new(false),
        }
    }

    /// A number for a new lane.
    pub(crate) fn next_lane(&self) -> u64 {
        self.lanes.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes the message, or gives it back when the window is full.
    pub(crate) fn offer(
        &self,
        lane: &Arc<Confirmed>,
        sequence: u64,
        message: Message,
    ) -> Result<Option<Message>, Closed> {
        if self.is_closed() {
            return Err(Closed);
        }
        let offered = self.ring().offer(lane, sequence, message);
        match offered {
            Offered::Back(message) => return Ok(Some(message)),
            Offered::Taken(true) => self.work.notify_one(),
            Offered::Taken(false) => {}
        }
        Ok(None)
    }

    /// Removes the `count` oldest messages and tells their lanes.
    pub(crate) fn confirm(&self, count: usize) {
        let mut state = self.ring();
        state.confirm(count);
        self.changed(state);
    }

    /// Puts another message into the place of each for which `revise` has one. Returns the ids
    /// of those that were replaced.
    pub(crate) fn revise(&self, revise: impl Fn(&Message) -> Option<Message>) -> Vec<String> {
        let mut state = self.ring();
        let replaced = state.revise(revise);
        self.changed(state);
        replaced
    }

    /// Wakes those for whom there may be something new.
    fn changed(&self, state: MutexGuard<'_, State>) {
        let has_room = state.has_room();
        drop(state);
        self.progress.notify_waiters();
        if has_room {
            self.room.notify_waiters();
        }
    }

    /// Lets the events of a lane, or of all, wait for no others: somebody waits for them.
    pub(crate) fn hurry(&self, lane: Option<u64>) {
        if self.ring().close_batches(lane) {
            self.work.notify_one();
        }
    }

    /// The messages themselves, for a moment.
    pub(crate) fn ring(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the window has room.
    pub(crate) fn has_room(&self) -> bool {
        self.ring().has_room()
    }

    /// Returns when messages may wait to be published, be it that a batch has waited for long
    /// enough. Cancel safe.
    pub(crate) async fn work(&self) {
        let Some(due) = self.ring().due() else {
            return self.work.notified().await;
        };
        select! {
            biased;
            () = self.work.notified() => {}
            () = time::sleep_until(due) => {}
        }
    }

    /// Resolves at the next change after this call with which the window has room, whether or not it
    /// was polled by then.
    pub(crate) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Returns when the window has room or the broker has ended.
    pub(crate) async fn roomy(&self) {
        until(&self.room, || self.has_room() || self.is_closed()).await;
    }

    /// Returns when the condition holds or the broker has ended.
    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        until(&self.progress, || condition() || self.is_closed()).await;
    }

    /// Returns when everything is confirmed, or the broker has ended.
    pub(crate) async fn drained(&self) {
        self.hurry(None);
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
        self.room.notify_waiters();
    }

    /// Whether the broker has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Returns when the condition holds, which may change with each notice.
async fn until(notice: &Notify, condition: impl Fn() -> bool) {
    loop {
        let next = notice.notified();
        if condition() {
            return;
        }
        next.await;
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
        if self.0.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.hurry(None);
        }
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

#[cfg(test)]
pub(crate) mod tests;
