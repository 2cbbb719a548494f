//! What became of a shard's events, so that none is missing from the ledger.

use crate::metrics::{Metrics, OfShard, Step};
use std::sync::Arc;
use store::Shard;

/// A shard's part of the ledger.
#[derive(Debug)]
pub(super) struct Account {
    metrics: Arc<Metrics>,
    of_shard: OfShard,
    /// How many events are held back, or were and are to be published.
    held: u64,
}

impl Account {
    /// Nothing has come yet.
    pub(super) fn new(metrics: &Arc<Metrics>, shard: Shard) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            of_shard: metrics.shard(shard),
            held: 0,
        }
    }

    /// Discord sent an event.
    pub(super) fn received(&self) {
        self.metrics.ledger.received.inc();
        self.of_shard.count(Step::Received);
    }

    /// Nobody wants it.
    pub(super) fn filtered(&self) {
        self.metrics.ledger.filtered.inc();
        self.of_shard.count(Step::Filtered);
    }

    /// Another set publishes it.
    pub(super) fn suppressed(&self) {
        self.metrics.ledger.suppressed.inc();
    }

    /// There is no session that it belongs to.
    pub(super) fn sessionless(&self) {
        self.metrics.ledger.sessionless.inc();
    }

    /// The broker has it.
    fn published(&self) {
        self.metrics.ledger.published.inc();
        self.of_shard.count(Step::Published);
    }

    /// The broker was offered it, and has it; if not, the connection is given up.
    pub(super) fn offered(&self, is_taken: bool) {
        match is_taken {
            true => self.published(),
            false => {
                self.metrics.ledger.returned.inc();
            }
        }
    }

    /// It is held back.
    pub(super) fn held(&mut self) {
        self.held += 1;
        self.metrics.ledger.held.inc();
    }

    /// The broker has one that was held back.
    pub(super) fn released(&mut self) {
        self.let_go(1);
        self.published();
    }

    /// So many are still held back; the set before has published what is missing.
    pub(super) fn settle(&mut self, still: usize) {
        let gone = self.held.saturating_sub(still as u64);
        self.let_go(gone);
        self.metrics.ledger.suppressed.inc_by(gone);
    }

    /// The shard ends: what it holds back comes again to whoever takes it up.
    pub(super) fn close(&mut self) {
        self.metrics.ledger.returned.inc_by(self.held);
        self.let_go(self.held);
    }

    fn let_go(&mut self, events: u64) {
        self.held = self.held.saturating_sub(events);
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.metrics.ledger.held.dec_by(events);
    }
}

#[cfg(test)]
mod tests {
    use super::Account;
    use crate::metrics::Metrics;
    use std::sync::Arc;
    use store::Shard;

    #[test]
    fn what_was_held_back_is_published_suppressed_or_returned() {
        let metrics = Arc::new(Metrics::new(&boot::Metrics::new()).of(1));
        let mut account = Account::new(&metrics, Shard { count: 1, id: 0 });
        for _ in 0..10 {
            account.received();
            account.held();
        }
        account.settle(7);
        account.released();
        account.settle(6);
        account.close();
        let ledger = &metrics.ledger;
        assert_eq!(ledger.received.get(), 10);
        assert_eq!(ledger.suppressed.get(), 3);
        assert_eq!(ledger.published.get(), 1);
        assert_eq!(ledger.returned.get(), 6);
        assert_eq!(ledger.held.get(), 0);
    }

    #[test]
    fn whatever_becomes_of_an_event_is_counted_once() {
        let metrics = Arc::new(Metrics::new(&boot::Metrics::new()).of(1));
        let account = Account::new(&metrics, Shard { count: 1, id: 0 });
        let ends: [fn(&Account); 5] = [
            Account::filtered,
            Account::suppressed,
            Account::sessionless,
            |account| account.offered(true),
            |account| account.offered(false),
        ];
        for (number, end) in (1..).zip(ends) {
            account.received();
            end(&account);
            let ledger = &metrics.ledger;
            let counters = [
                &ledger.filtered,
                &ledger.suppressed,
                &ledger.sessionless,
                &ledger.published,
                &ledger.returned,
            ];
            let counted: Vec<u64> = counters.iter().map(|counter| counter.get()).collect();
            let expected: Vec<u64> = (1..=5).map(|index| u64::from(index <= number)).collect();
            assert_eq!(counted, expected);
            assert_eq!(ledger.received.get(), number);
        }
    }
}
