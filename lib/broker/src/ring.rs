//! Every message that is not confirmed yet, in the order in which it was published.
//!
//! The ring knows neither sockets nor clocks. Messages enter at the back, are handed out for
//! writing in order, and leave at the front when they are confirmed. A lost connection rewinds
//! it, so that the next one begins with the oldest unconfirmed message: nothing is lost, and
//! first occurrences stay in order.

use std::collections::VecDeque;

/// The part of a full window that has to become free before there is room: small, so that many lanes get
/// their turns even when the broker is slow.
const FREED: usize = 64;

/// Unconfirmed messages under a limit of bytes. `T` is the message, `L` tells where it came from.
#[derive(Debug)]
pub(crate) struct Ring<T, L> {
    entries: VecDeque<Entry<T, L>>,
    /// How many entries, from the front, were handed out since the last rewind.
    taken: usize,
    /// The sum of all costs.
    costs: usize,
    /// What waits elsewhere, but within the same window.
    beside: usize,
    /// How much both may take.
    window: usize,
    /// Whether the window was full, and too little has left since.
    full: bool,
}

/// A message in the ring.
#[derive(Debug)]
pub(crate) struct Entry<T, L> {
    /// The message itself.
    pub(crate) message: T,
    /// Where it came from.
    pub(crate) origin: L,
    /// Its sequence there.
    pub(crate) sequence: u64,
    /// Whether it was handed out before the last rewind.
    pub(crate) repeated: bool,
    /// What it takes of the window.
    cost: usize,
}

impl<T, L> Ring<T, L> {
    /// An empty ring that holds about `window` bytes.
    pub(crate) fn new(window: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            taken: 0,
            costs: 0,
            beside: 0,
            window,
            full: false,
        }
    }

    /// Whether the window has room. Once it was full, a small part has to become free first: so whoever
    /// waits is woken for many messages, and not for each confirm. What comes next is then admitted at
    /// once, unless it is huge.
    pub(crate) fn has_room(&self) -> bool {
        !self.full
    }

    /// Whether a message of this cost may enter now.
    ///
    /// The last one in may exceed the window by a quarter, so that whoever saw room need not
    /// wait. A message bigger than that waits until it is alone.
    pub(crate) fn admits(&self, cost: usize) -> bool {
        let limit = self.window.saturating_add(self.window / 4);
        self.used() == 0 || (self.has_room() && self.used().saturating_add(cost) <= limit)
    }

    /// Puts a message at the back.
    pub(crate) fn push(&mut self, origin: L, sequence: u64, message: T, cost: usize) {
        self.costs = self.costs.saturating_add(cost);
        self.entries.push_back(Entry {
            message,
            origin,
            sequence,
            repeated: false,
            cost,
        });
        self.weigh();
    }

    /// The oldest message that was not handed out yet.
    pub(crate) fn take(&mut self) -> Option<&Entry<T, L>> {
        let entry = self.entries.get(self.taken)?;
        self.taken += 1;
        Some(entry)
    }

    /// Removes the oldest message, which must have been handed out: it is confirmed.
    pub(crate) fn confirm(&mut self) -> Option<Entry<T, L>> {
        self.taken = self.taken.checked_sub(1)?;
        let entry = self.entries.pop_front()?;
        self.costs = self.costs.saturating_sub(entry.cost);
        self.weigh();
        Some(entry)
    }

    /// Forgets what was handed out: all of it will be handed out again, in order.
    pub(crate) fn rewind(&mut self) {
        for entry in self.entries.iter_mut().take(self.taken) {
            entry.repeated = true;
        }
        self.taken = 0;
    }

    /// Lets `revise` change each message; it returns the new cost of those that it changed.
    pub(crate) fn revise(&mut self, mut revise: impl FnMut(&mut T, &mut L) -> Option<usize>) {
        for entry in &mut self.entries {
            if let Some(cost) = revise(&mut entry.message, &mut entry.origin) {
                self.costs = self.costs.saturating_sub(entry.cost).saturating_add(cost);
                entry.cost = cost;
            }
        }
        self.weigh();
    }

    /// Whether everything is confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether everything was handed out.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.taken == self.entries.len()
    }

    /// Bytes that the messages in the ring take.
    pub(crate) fn costs(&self) -> usize {
        self.costs
    }

    /// Bytes of the window that are in use.
    pub(crate) fn used(&self) -> usize {
        self.costs.saturating_add(self.beside)
    }

    /// Says how many bytes of the window wait elsewhere.
    pub(crate) fn beside(&mut self, bytes: usize) {
        self.beside = bytes;
        self.weigh();
    }

    /// Notes whether there is room.
    fn weigh(&mut self) {
        let limit = match self.full {
            true => self.window - self.window / FREED,
            false => self.window,
        };
        self.full = self.used() >= limit;
    }
}

#[cfg(test)]
mod tests;
