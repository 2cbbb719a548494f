//! Everything that is not confirmed: lingering in a batch, in the ring, or behind it on disk.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::{Item, Origin, ledger::Ledger};
use crate::{
    Message,
    batch::Batches,
    lane::Confirmed,
    ring::{Entry, Ring},
    spool::{Overflow, Reading},
};

/// The ring as the broker uses it.
type Messages = Ring<Message, Origin>;

/// What came of an offer.
#[derive(Debug)]
pub(crate) enum Offered {
    /// There is no room: here it is again.
    Back(Message),
    /// It was taken; whether the publisher has something to do that it does not know of.
    Taken(bool),
}

/// Unconfirmed messages, oldest first.
#[derive(Debug)]
pub(crate) struct State {
    ring: Messages,
    batches: Batches,
    /// Whether messages may wait for others; if not, each is published as it came.
    batching: bool,
    /// What has just left a batch: empty but for a moment.
    ready: Vec<Item>,
    /// What waits behind the ring, if there is a spool.
    pub(super) overflow: Option<Overflow>,
    pub(super) ledger: Ledger,
}

impl State {
    pub(super) fn new(window: usize, batching: bool, ledger: Ledger) -> Self {
        Self {
            ring: Ring::new(window),
            batches: Batches::default(),
            batching,
            ready: Vec::new(),
            overflow: None,
            ledger,
        }
    }

    /// Takes a message if there is room.
    pub(super) fn offer(
        &mut self,
        lane: &Arc<Confirmed>,
        sequence: u64,
        message: Message,
    ) -> Offered {
        if !self.admits(message.cost()) {
            return Offered::Back(message);
        }
        lane.publish(sequence);
        self.ledger.given(1);
        let batched = self.batching && message.batch.is_some();
        let item = Item::new(lane, sequence, message);
        let work = if batched || !self.batches.is_empty() {
            self.collect(item)
        } else {
            self.place(item);
            true
        };
        self.observe();
        Offered::Taken(work)
    }

    /// Lets a message pass through the batches. Returns whether something left them, or another
    /// one is due next.
    fn collect(&mut self, item: Item) -> bool {
        let (now, due) = (Instant::now(), self.batches.due());
        let mut ready = mem::take(&mut self.ready);
        self.batches.close_due(now, &mut ready);
        self.batches.add(now, item, &mut ready);
        self.place_all(ready) || self.batches.due() != due
    }

    /// The oldest message that was not handed out yet.
    pub(crate) fn take(&mut self) -> Option<&Entry<Message, Origin>> {
        if self.ring.is_exhausted() && self.batches.due().is_some() {
            self.close_due();
        }
        let entry = self.ring.take()?;
        entry.message.reached("published");
        Some(entry)
    }

    /// Closes the batches whose time has come.
    fn close_due(&mut self) {
        let mut ready = mem::take(&mut self.ready);
        self.batches.close_due(Instant::now(), &mut ready);
        self.place_all(ready);
        self.observe();
    }

    /// Closes the batches of a lane, or of all lanes, before their time. Returns whether there
    /// were any.
    pub(super) fn close_batches(&mut self, lane: Option<u64>) -> bool {
        if self.batches.is_empty() {
            return false;
        }
        let mut ready = mem::take(&mut self.ready);
        self.batches.close_all(lane, &mut ready);
        let any = self.place_all(ready);
        self.observe();
        any
    }

    /// When a batch is to be closed next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.batches.due()
    }

    /// Puts messages behind all others; whether there were any.
    fn place_all(&mut self, mut ready: Vec<Item>) -> bool {
        let any = !ready.is_empty();
        for item in ready.drain(..) {
            self.place(item);
        }
        self.ready = ready;
        any
    }

    /// Puts a message behind all others.
    fn place(&mut self, item: Item) {
        if let Some(overflow) = &mut self.overflow
            && overflow.takes(item.cost, self.ring.costs())
        {
            return overflow.push(item);
        }
        self.enter(item);
    }

    /// Puts a message at the back of the ring.
    fn enter(&mut self, item: Item) {
        self.ring
            .push(item.origin, item.sequence, item.message, item.cost);
    }

    /// Removes the `count` oldest messages and tells their lanes.
    pub(super) fn confirm(&mut self, count: usize) {
        for entry in (0..count).map_while(|_| self.ring.confirm()) {
            entry.origin.confirm(entry.sequence);
            entry.message.reached("confirmed");
            if let (Some(_), Some(overflow)) = (&entry.origin.segment, &self.overflow) {
                overflow.work.notify_one();
            }
            if !entry.origin.replaced {
                self.ledger.confirmed(entry.origin.events());
            }
        }
        if let Some(overflow) = &self.overflow
            && overflow.is_waited_for(self.ring.costs())
        {
            overflow.work.notify_one();
        }
        self.observe();
    }

    /// How many bytes of messages may be read back from disk.
    pub(crate) fn read_budget(&self) -> usize {
        let overflow = self.overflow.as_ref();
        overflow.map_or(0, |overflow| overflow.read_budget(self.ring.costs()))
    }

    /// Takes what was read back from disk.
    pub(super) fn restore(&mut self, reading: Reading) {
        for found in reading.found {
            let Some(overflow) = &mut self.overflow else {
                return;
            };
            let (item, ours) = overflow.restore(found);
            self.ledger.restored(item.events(), ours);
            self.enter(item);
        }
        self.ledger.lost(reading.lost);
    }

    /// Moves messages that need not wait for the disk into the ring; whether there were any.
    pub(super) fn refill(&mut self) -> bool {
        let mut any = false;
        while let Some(overflow) = &mut self.overflow
            && let Some(item) = overflow.pop(self.ring.costs())
        {
            self.enter(item);
            any = true;
        }
        any
    }

    /// Forgets what was handed out: all of it will be handed out again, in order.
    pub(crate) fn rewind(&mut self) {
        self.ring.rewind();
    }

    /// Puts another message into the place of each for which `revise` has one. Returns the ids
    /// of those that were replaced.
    pub(super) fn revise(&mut self, revise: impl Fn(&Message) -> Option<Message>) -> Vec<String> {
        let mut replaced = Vec::new();
        let ledger = &self.ledger;
        self.ring.revise(|message, origin| {
            let better = revise(message)?;
            let cost = better.cost();
            let old = mem::replace(message, better);
            if !mem::replace(&mut origin.replaced, true) {
                ledger.oversized(origin.events());
            }
            replaced.push(old.message_id);
            Some(cost)
        });
        self.observe();
        replaced
    }

    /// Whether everything is confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        let spooled = self.overflow.as_ref();
        self.ring.is_empty()
            && self.batches.is_empty()
            && spooled.is_none_or(|overflow| overflow.is_empty())
    }

    /// Whether the window has room.
    pub(super) fn has_room(&self) -> bool {
        match &self.overflow {
            Some(overflow) if overflow.is_working() => overflow.has_room(self.batches.held()),
            _ => self.ring.has_room(),
        }
    }

    /// Whether a message of this cost may enter now.
    fn admits(&self, cost: usize) -> bool {
        match &self.overflow {
            Some(overflow) if overflow.is_working() => overflow.admits(cost, self.batches.held()),
            _ => self.ring.admits(cost),
        }
    }

    /// Bytes of the window that are in use.
    pub(crate) fn used(&self) -> usize {
        self.ring.used()
    }

    /// Accounts for what waits beside the ring, and shows how much of the window is in use.
    pub(super) fn observe(&mut self) {
        let overflow = self.overflow.as_ref().map_or(0, Overflow::held);
        self.ring.beside(self.batches.held() + overflow);
        self.ledger.used(self.used());
    }
}
