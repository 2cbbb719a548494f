//! Counts what became of every event: given = confirmed + waiting + spooled + dropped, always.

use boot::metrics::{Counter, Family, Gauge};

/// The word that a dropped event is counted under.
type Reason = [(&'static str, &'static str); 1];

/// The counters and gauges of the ledger, and of the memory that is in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Events that lanes gave, or that were found on disk.
    pub(crate) given: Counter,
    /// Those of them that were found on disk.
    pub(crate) found: Counter,
    /// Events that the broker has confirmed.
    pub(crate) confirmed: Counter,
    /// Events in memory that are not confirmed.
    pub(crate) waiting: Gauge,
    /// Events on disk.
    pub(crate) spooled: Gauge,
    /// Events that will never arrive, by reason.
    pub(crate) dropped: Family<Reason, Counter>,
    /// Bytes of the window in use.
    pub(crate) used: Gauge,
}

/// Moves events from one column to the other. Whoever looks while the queue is not locked sees
/// it in balance.
#[derive(Debug)]
pub(crate) struct Ledger(Counts);

impl Ledger {
    pub(crate) fn new(counts: Counts) -> Self {
        Self(counts)
    }

    /// A lane gave an event.
    pub(crate) fn given(&self, events: usize) {
        self.0.given.inc_by(events as u64);
        self.0.waiting.inc_by(signed(events));
    }

    /// The broker confirmed events.
    pub(crate) fn confirmed(&self, events: usize) {
        self.0.waiting.dec_by(signed(events));
        self.0.confirmed.inc_by(events as u64);
    }

    /// Events that wait in memory are larger than the broker allows.
    pub(crate) fn oversized(&self, events: usize) {
        self.0.waiting.dec_by(signed(events));
        self.dropped("oversized", events);
    }

    /// Events went to disk.
    pub(crate) fn spooled(&self, events: usize) {
        self.0.waiting.dec_by(signed(events));
        self.0.spooled.inc_by(signed(events));
    }

    /// Events came back from disk; those of a former process are new here.
    pub(crate) fn restored(&self, events: usize, ours: bool) {
        if ours {
            self.0.spooled.dec_by(signed(events));
        } else {
            self.0.given.inc_by(events as u64);
            self.0.found.inc_by(events as u64);
        }
        self.0.waiting.inc_by(signed(events));
    }

    /// Events on disk cannot be read back.
    pub(crate) fn lost(&self, events: usize) {
        if events > 0 {
            self.0.spooled.dec_by(signed(events));
            self.dropped("corrupt", events);
        }
    }

    fn dropped(&self, reason: &'static str, events: usize) {
        let counter = self.0.dropped.get_or_create(&[("reason", reason)]);
        counter.inc_by(events as u64);
    }

    /// Shows how much of the window is in use.
    pub(crate) fn used(&self, bytes: usize) {
        self.0.used.set(signed(bytes));
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
