//! What the queue knows of the spool: what is on its way there, and what came back.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::Notify;

use super::Found;
use crate::{
    lane::Confirmed,
    queue::{Item, Origin},
};

/// How much of the window goes to disk at once.
const CHUNKS: usize = 4;

/// Messages behind the ring.
///
/// With a folder that works, the ring takes half of the window, and what is on its way to disk
/// the other half. While the folder takes nothing, both share the window as they need it.
#[derive(Debug)]
pub(crate) struct Overflow {
    /// The newest messages, on their way to disk.
    fresh: VecDeque<Item>,
    /// What `fresh` costs, and what is being written.
    costs: usize,
    writing: usize,
    /// Whether older messages are on disk, or may be: what comes waits behind them.
    behind: bool,
    /// Whether the folder takes messages.
    working: bool,
    /// The size of the files, and the limit.
    bytes: u64,
    limit: u64,
    window: usize,
    /// The lanes that have messages on disk, and how many.
    lanes: HashMap<u64, (Arc<Confirmed>, usize)>,
    /// The lane of messages whose own has gone with its process.
    orphans: Arc<Confirmed>,
    /// Tells the task that there is something to do.
    pub(crate) work: Arc<Notify>,
}

impl Overflow {
    /// A folder that is not open yet.
    pub(crate) fn new(window: usize, limit: u64, work: Arc<Notify>) -> Self {
        Self {
            fresh: VecDeque::new(),
            costs: 0,
            writing: 0,
            behind: true,
            working: false,
            bytes: 0,
            limit,
            window,
            lanes: HashMap::new(),
            orphans: Arc::default(),
            work,
        }
    }

    /// Bytes of the window that are on their way to disk.
    pub(crate) fn held(&self) -> usize {
        self.costs + self.writing
    }

    /// Whether the folder decides if there is room.
    pub(crate) fn is_working(&self) -> bool {
        self.working
    }

    /// Whether there is room behind the ring, when this much lingers in batches.
    pub(crate) fn has_room(&self, lingering: usize) -> bool {
        let pending = self.held() + lingering;
        pending < self.share() && self.bytes.saturating_add(pending as u64) < self.limit
    }

    /// Whether a message of this cost may enter now; a huge one when it is alone.
    pub(crate) fn admits(&self, cost: usize, lingering: usize) -> bool {
        let pending = self.held() + lingering;
        let fits = pending.saturating_add(cost) <= self.share() + self.share() / 2;
        self.has_room(lingering) && (pending == 0 || fits)
    }

    /// Whether a message goes here and not to the ring, which holds this much.
    pub(crate) fn takes(&self, cost: usize, ring: usize) -> bool {
        let full = ring > 0 && ring.saturating_add(cost) > self.share();
        self.behind || !self.fresh.is_empty() || (self.working && full)
    }

    /// Takes a message for the disk.
    pub(crate) fn push(&mut self, item: Item) {
        self.costs += item.cost;
        self.fresh.push_back(item);
        self.work.notify_one();
    }

    /// Gives the oldest message back, if it need not wait for the disk, and the ring, which
    /// holds this much, has room.
    pub(crate) fn pop(&mut self, ring: usize) -> Option<Item> {
        let limit = if self.working {
            self.share()
        } else {
            self.window
        };
        if self.behind || ring >= limit {
            return None;
        }
        let item = self.fresh.pop_front()?;
        self.costs = self.costs.saturating_sub(item.cost);
        Some(item)
    }

    /// The next messages to write.
    pub(crate) fn chunk(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        while self.writing <= self.window / CHUNKS
            && let Some(item) = self.fresh.pop_front()
        {
            item.message.reached("spooled");
            self.costs = self.costs.saturating_sub(item.cost);
            self.writing += item.cost;
            let lane = &item.origin.lane;
            let known = self.lanes.entry(lane.number);
            known.or_insert_with(|| (Arc::clone(lane), 0)).1 += 1;
            items.push(item);
        }
        self.behind |= !items.is_empty();
        items
    }

    /// The chunk is on disk.
    pub(crate) fn written(&mut self, bytes: u64) {
        self.working = true;
        self.writing = 0;
        self.bytes = bytes;
    }

    /// The folder takes messages again.
    pub(crate) fn recovered(&mut self) {
        self.working = true;
    }

    /// The folder is open.
    pub(crate) fn opened(&mut self, unread: bool, bytes: u64) {
        self.working = true;
        self.behind = unread;
        self.bytes = bytes;
    }

    /// The folder takes nothing: here is the chunk again.
    pub(crate) fn failed(&mut self, items: Vec<Item>, unread: bool) {
        self.working = false;
        self.behind = unread;
        self.writing = 0;
        for item in items.into_iter().rev() {
            self.leave(item.origin.lane.number);
            self.costs += item.cost;
            self.fresh.push_front(item);
        }
    }

    /// A message as it comes from disk; whether it was this process that put it there.
    pub(crate) fn restore(&mut self, found: Found) -> (Item, bool) {
        let lane = match found.segment.is_old() {
            true => None,
            false => self.leave(found.lane),
        };
        let ours = lane.is_some();
        let cost = found.message.cost() + size_of_val(found.more.as_slice());
        let item = Item {
            message: found.message,
            sequence: found.sequence,
            origin: Origin {
                lane: lane.unwrap_or_else(|| Arc::clone(&self.orphans)),
                more: found.more,
                segment: Some(found.segment),
                replaced: false,
            },
            cost,
        };
        (item, ours)
    }

    /// What is on disk now.
    pub(crate) fn stored(&mut self, unread: bool, bytes: u64) {
        self.behind = unread;
        self.bytes = bytes;
        if !unread {
            self.lanes.clear();
        }
    }

    /// The files have this size.
    pub(crate) fn sized(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// How many bytes of messages may be read back into the ring, which holds this much.
    pub(crate) fn read_budget(&self, ring: usize) -> usize {
        if self.behind && ring < self.window / 4 {
            // In memory a message takes more than on disk.
            ((self.share() - ring) / 3).max(1)
        } else {
            0
        }
    }

    /// Whether the ring, which holds this much, is to be filled.
    pub(crate) fn is_waited_for(&self, ring: usize) -> bool {
        ring < self.window / 4 && (self.behind || !self.fresh.is_empty())
    }

    /// Whether nothing is here or on disk.
    pub(crate) fn is_empty(&self) -> bool {
        !self.behind && self.fresh.is_empty() && self.writing == 0
    }

    /// Takes one message of a lane off the books.
    fn leave(&mut self, number: u64) -> Option<Arc<Confirmed>> {
        let (lane, count) = self.lanes.get_mut(&number)?;
        let lane = Arc::clone(lane);
        *count -= 1;
        if *count == 0 {
            self.lanes.remove(&number);
        }
        Some(lane)
    }

    /// The ring's part of the window.
    fn share(&self) -> usize {
        self.window / 2
    }
}
