//! The queue as the spool's task uses it.

use std::sync::Arc;

use super::{Item, Queue};
use crate::spool::{Overflow, Reading};

impl Queue {
    /// The same queue with a spool of this many bytes, whose folder is not open yet.
    pub(crate) fn spooling(mut self, window: usize, limit: u64) -> Self {
        let overflow = Overflow::new(window, limit, Arc::clone(&self.spool));
        self.state
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .overflow = Some(overflow);
        self
    }

    /// Returns when the spool's task may have something to do. Cancel safe.
    pub(crate) async fn spool_work(&self) {
        self.spool.notified().await;
    }

    /// The folder is open; it may hold messages, which go first.
    pub(crate) fn spool_opened(&self, unread: bool, bytes: u64) {
        self.change_spool(|overflow| overflow.opened(unread, bytes));
    }

    /// The folder takes nothing. What was not written comes back.
    pub(crate) fn spool_failed(&self, items: Vec<Item>, unread: bool) {
        self.change_spool(|overflow| overflow.failed(items, unread));
    }

    /// The folder takes messages again.
    pub(crate) fn spool_recovered(&self) {
        self.change_spool(Overflow::recovered);
    }

    /// The files have this size now.
    pub(crate) fn spool_size(&self, bytes: u64) {
        self.change_spool(|overflow| overflow.sized(bytes));
    }

    /// Moves what need not wait for the disk into the ring, and returns what is to be written
    /// next, if anything may be written now.
    pub(crate) fn spool_chunk(&self, may_write: bool) -> Vec<Item> {
        let mut state = self.ring();
        let moved = state.refill();
        let items = match &mut state.overflow {
            Some(overflow) if may_write => overflow.chunk(),
            _ => Vec::new(),
        };
        state.observe();
        if moved {
            self.work.notify_one();
            self.changed(state);
        }
        items
    }

    /// The chunk is on disk.
    pub(crate) fn spool_written(&self, items: &[Item], bytes: u64) {
        let mut state = self.ring();
        state.ledger.spooled(items.iter().map(Item::events).sum());
        if let Some(overflow) = &mut state.overflow {
            overflow.written(bytes);
        }
        state.observe();
        self.changed(state);
    }

    /// Messages came back from disk.
    pub(crate) fn spool_read(&self, reading: Reading, unread: bool, bytes: u64) {
        let mut state = self.ring();
        state.restore(reading);
        if let Some(overflow) = &mut state.overflow {
            overflow.stored(unread, bytes);
        }
        state.observe();
        self.work.notify_one();
        self.changed(state);
    }

    fn change_spool(&self, change: impl FnOnce(&mut Overflow)) {
        let mut state = self.ring();
        if let Some(overflow) = &mut state.overflow {
            change(overflow);
        }
        state.observe();
        self.changed(state);
    }
}
