//! Everything that is not confirmed: lingering in a batch, or in the ring.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::{
    Item, Origin,
    ledger::{Drop, Ledger},
};
use crate::{
    Message,
    batch::Batches,
    lane::Confirmed,
    ring::{Entry, Ring},
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
    ledger: Ledger,
}

impl State {
    pub(super) fn new(window: usize, batching: bool, ledger: Ledger) -> Self {
        Self {
            ring: Ring::new(window),
            batches: Batches::default(),
            batching,
            ready: Vec::new(),
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
        if !self.ring.admits(message.cost()) {
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
        self.ring.take()
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
        self.ring
            .push(item.origin, item.sequence, item.message, item.cost);
    }

    /// Removes the `count` oldest messages and tells their lanes.
    pub(super) fn confirm(&mut self, count: usize) {
        for entry in (0..count).map_while(|_| self.ring.confirm()) {
            entry.origin.confirm(entry.sequence);
            if !entry.origin.replaced {
                self.ledger.confirmed(entry.origin.events());
            }
        }
        self.observe();
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
                ledger.dropped(Drop::Oversized, origin.events());
            }
            replaced.push(old.message_id);
            Some(cost)
        });
        self.observe();
        replaced
    }

    /// Whether everything is confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.batches.is_empty()
    }

    /// Whether the window has room.
    pub(super) fn has_room(&self) -> bool {
        self.ring.has_room()
    }

    /// Bytes of the window that are in use.
    pub(crate) fn used(&self) -> usize {
        self.ring.used()
    }

    /// Accounts for what waits beside the ring, and shows how much of the window is in use.
    fn observe(&mut self) {
        self.ring.beside(self.batches.held());
        self.ledger.used(self.used());
    }
}
