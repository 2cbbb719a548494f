//! An ordered stream of messages whose confirms are tracked together.

mod track;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use std::time::Duration;

use boot::metrics::Counter;
use tokio::time::Instant;

use self::track::Track;
use crate::{
    Closed, Message,
    queue::{Queue, User},
};

/// An ordered stream of messages: a shard has one.
///
/// Messages reach the broker in the order in which they were published. Sequences must grow
/// within a lane; whoever starts to count anew takes a new lane. While a lane exists, the broker
/// stays open: drop it when nothing more comes.
#[derive(Debug)]
pub struct Lane {
    user: User,
    confirmed: Arc<Confirmed>,
}

/// How far a lane is confirmed.
#[derive(Debug, Default)]
pub(crate) struct Confirmed {
    /// The lane's number, by which the queue knows it.
    pub(crate) number: u64,
    sequence: AtomicU64,
    track: Mutex<Track>,
    /// Counts the confirmed events.
    counter: Counter,
    /// The event whose confirm is timed, or one of [`NONE`] and [`NEXT`].
    timed: AtomicU64,
    timing: Mutex<Timing>,
}

/// No event is timed.
const NONE: u64 = 0;

/// The next event is.
const NEXT: u64 = u64::MAX;

/// How long confirms take, looked at now and then.
#[derive(Debug, Default)]
struct Timing {
    /// When the event that is timed was published.
    since: Option<Instant>,
    /// What the last one took.
    took: Option<Duration>,
}

impl Confirmed {
    /// The lane with this number; nothing was published on it yet.
    #[cfg(test)]
    pub(crate) fn new(number: u64) -> Self {
        Self::counting(number, Counter::default())
    }

    /// The same, and what counts what is confirmed of it.
    fn counting(number: u64, counter: Counter) -> Self {
        Self {
            number,
            counter,
            timed: AtomicU64::new(NEXT),
            ..Self::default()
        }
    }

    /// A message with this sequence was published.
    pub(crate) fn publish(&self, sequence: u64) {
        self.track().publish(sequence);
        if self.timed.load(Ordering::Relaxed) == NEXT {
            self.timing().since = Some(Instant::now());
            self.timed.store(sequence, Ordering::Relaxed);
        }
    }

    /// Such a message is confirmed.
    pub(crate) fn confirm(&self, sequence: u64) {
        let settled = self.track().confirm(sequence);
        self.sequence.fetch_max(settled, Ordering::Release);
        self.counter.inc();
        if self.timed.load(Ordering::Relaxed) == sequence {
            self.timed.store(NONE, Ordering::Relaxed);
            let mut timing = self.timing();
            timing.took = timing.since.take().map(|since| since.elapsed());
        }
    }

    /// See [`Lane::lag`].
    fn lag(&self) -> Option<Duration> {
        let timing = self.timing();
        match timing.since {
            Some(since) => Some(timing.took.unwrap_or_default().max(since.elapsed())),
            None => {
                self.timed.store(NEXT, Ordering::Relaxed);
                timing.took
            }
        }
    }

    fn timing(&self) -> MutexGuard<'_, Timing> {
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    #[cfg(test)]
    pub(crate) fn new(queue: &Arc<Queue>) -> Self {
        Self::counting(queue, Counter::default())
    }

    /// A new lane, and what counts its confirmed events.
    pub(crate) fn counting(queue: &Arc<Queue>, counter: Counter) -> Self {
        Self {
            user: User::new(queue),
            confirmed: Arc::new(Confirmed::counting(queue.next_lane(), counter)),
        }
    }

    /// Hands a message to the broker. Waits while the window is full.
    ///
    /// After [`Lane::has_room`] it waits only when another lane took the room in between, or
    /// when the message alone is bigger than a quarter of the window. Not cancel safe: a message
    /// whose `publish` is dropped while it waits was not published.
    ///
    /// # Errors
    ///
    /// The broker has ended, and the message was not published.
    pub async fn publish(&mut self, sequence: u64, message: Message) -> Result<(), Closed> {
        let mut message = message;
        loop {
            let room = self.queue().room();
            match self.queue().offer(&self.confirmed, sequence, message)? {
                None => return Ok(()),
                Some(refused) => message = refused,
            }
            room.await;
        }
    }

    /// Hands a message to the broker, or gives it back when the window is full: then
    /// [`Lane::publish`] waits.
    ///
    /// # Errors
    ///
    /// The broker has ended, and the message was not published.
    pub fn offer(&mut self, sequence: u64, message: Message) -> Result<Option<Message>, Closed> {
        self.queue().offer(&self.confirmed, sequence, message)
    }

    /// Whether the window has room.
    pub fn has_room(&self) -> bool {
        self.queue().has_room()
    }

    /// Returns when the window has room, or the broker has ended. Cancel safe.
    pub async fn room(&self) {
        self.queue().roomy().await;
    }

    /// The highest published sequence such that it and everything below it that was published on
    /// this lane is confirmed, in whatever order that happened; 0 if there is none.
    pub fn confirmed(&self) -> u64 {
        self.confirmed.sequence.load(Ordering::Acquire)
    }

    /// Returns when [`Lane::confirmed`] has reached this sequence, or the broker has ended, after
    /// which nothing more will be confirmed: look at `confirmed` to know which. Events of the lane
    /// do not wait any longer to be batched with others. Cancel safe.
    pub async fn confirmed_past(&self, sequence: u64) {
        if self.confirmed() < sequence {
            self.queue().hurry(Some(self.confirmed.number));
        }
        self.queue().until(|| self.confirmed() >= sequence).await;
    }

    /// How long the event that was looked at last has waited for its confirm; at each call another
    /// one is chosen, if that is over. `None` while there was none.
    pub fn lag(&self) -> Option<Duration> {
        self.confirmed.lag()
    }

    fn queue(&self) -> &Arc<Queue> {
        self.user.queue()
    }
}

#[cfg(test)]
mod tests;
