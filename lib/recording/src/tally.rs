//! What is counted of a recording, while it goes on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Frames of a recording. Those of messages are settled by whoever gets the messages.
#[derive(Debug, Default)]
pub struct Tally {
    frames: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
}

impl Tally {
    /// Those that were heard.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Those of them that were delivered: to a file, or to a worker.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Those of them that never will be.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// So many were heard.
    pub(crate) fn hear(&self, frames: u64) {
        self.frames.fetch_add(frames, Ordering::Relaxed);
    }

    /// So many were delivered, or never will be.
    pub fn settle(&self, frames: u64, is_delivered: bool) {
        let count = match is_delivered {
            true => &self.delivered,
            false => &self.dropped,
        };
        count.fetch_add(frames, Ordering::Relaxed);
    }
}
