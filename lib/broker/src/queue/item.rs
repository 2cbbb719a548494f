//! What passes from a lane to the ring, and what its confirm settles.

use std::sync::Arc;

use crate::{Message, lane::Confirmed, spool::Segment};

/// A message on its way into the ring.
#[derive(Debug)]
pub(crate) struct Item {
    /// The message; of a batch, the first event until it is finished.
    pub(crate) message: Message,
    /// The sequence of the first event.
    pub(crate) sequence: u64,
    /// Whom its confirm concerns.
    pub(crate) origin: Origin,
    /// What it takes of the window.
    pub(crate) cost: usize,
}

/// Whom the confirm of a message concerns.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The lane that it came by.
    pub(crate) lane: Arc<Confirmed>,
    /// The sequences of the events behind the first, in a batch.
    pub(crate) more: Vec<u64>,
    /// The file that it was read from: it stays until all of it is confirmed.
    pub(crate) segment: Option<Arc<Segment>>,
    /// Whether a notice stands in its place: the events themselves are dropped.
    pub(crate) replaced: bool,
}

impl Item {
    pub(crate) fn new(lane: &Arc<Confirmed>, sequence: u64, message: Message) -> Self {
        let cost = message.cost();
        Self {
            message,
            sequence,
            origin: Origin {
                lane: Arc::clone(lane),
                more: Vec::new(),
                segment: None,
                replaced: false,
            },
            cost,
        }
    }

    /// How many events it carries.
    pub(crate) fn events(&self) -> usize {
        self.origin.events()
    }
}

impl Origin {
    /// How many events came this way.
    pub(crate) fn events(&self) -> usize {
        1 + self.more.len()
    }

    /// Tells the lane that everything is confirmed.
    pub(crate) fn confirm(&self, sequence: u64) {
        self.lane.confirm(sequence);
        for sequence in &self.more {
            self.lane.confirm(*sequence);
        }
    }
}
