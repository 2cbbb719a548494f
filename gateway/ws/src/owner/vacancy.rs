//! Which shards may be taken: those that are certain to have no owner.
//!
//! A lease that runs out says that its owner was not heard of, and so does a store that came back
//! after an outage, or with nothing in it, of everybody. Those who are alive renew their leases as
//! soon as they reach the store again, so that is waited for: a shard without an owner is taken
//! when the store has known it so for a while. One that was released in good order is taken at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{Lease, Shard};
use tokio::time::Instant;

/// What was seen of shards without an owner.
#[derive(Debug)]
pub(super) struct Vacancies {
    /// How long the owners have to come back.
    grace: Duration,
    /// Since when a lease was seen to have run out.
    ran_out: BTreeMap<Shard, Instant>,
    /// Shards with a lease, run out or not.
    leased: BTreeSet<Shard>,
    /// Whether the store has just begun to know anything.
    is_young: bool,
}

impl Vacancies {
    /// Nothing was seen yet.
    pub(super) const fn new(grace: Duration) -> Self {
        Self {
            grace,
            ran_out: BTreeMap::new(),
            leased: BTreeSet::new(),
            is_young: true,
        }
    }

    /// The store says who holds what, and for how long it has known anything.
    pub(super) fn note(&mut self, leases: &[Lease], age: Duration) {
        self.is_young = age < self.grace;
        self.leased = leases.iter().map(|lease| lease.shard).collect();
        let out = leases.iter().filter(|lease| lease.remaining.is_none());
        let out: BTreeSet<Shard> = out.map(|lease| lease.shard).collect();
        self.ran_out.retain(|shard, _| out.contains(shard));
        for shard in out {
            self.ran_out.entry(shard).or_insert_with(Instant::now);
        }
    }

    /// The store did not answer: what was seen before it went away says nothing about those who
    /// cannot reach it either.
    pub(super) fn forget(&mut self) {
        self.ran_out.clear();
    }

    /// Whether a shard that nobody holds may be taken.
    pub(super) fn is_free(&self, shard: Shard) -> bool {
        match self.ran_out.get(&shard) {
            Some(since) => since.elapsed() >= self.grace,
            None => !self.is_young && !self.leased.contains(&shard),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Vacancies;
    use std::time::Duration;
    use store::{Lease, Shard, Status};
    use tokio::time;

    const GRACE: Duration = Duration::from_secs(3);
    const OLD: Duration = Duration::from_secs(60);
    const SHARD: Shard = Shard { count: 1, id: 0 };

    fn lease(remaining: Option<Duration>) -> Lease {
        Lease {
            shard: SHARD,
            replica: "a".to_owned(),
            token: 1,
            status: Status::Live,
            remaining,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_released_shard_is_free_at_once() {
        let mut vacancies = Vacancies::new(GRACE);
        vacancies.note(&[lease(Some(GRACE))], OLD);
        assert!(!vacancies.is_free(SHARD));
        vacancies.note(&[], OLD);
        assert!(vacancies.is_free(SHARD));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_not_heard_of_has_time_to_come_back() {
        let mut vacancies = Vacancies::new(GRACE);
        vacancies.note(&[lease(None)], OLD);
        time::advance(GRACE / 2).await;
        assert!(!vacancies.is_free(SHARD));
        vacancies.note(&[lease(Some(GRACE))], OLD);
        vacancies.note(&[lease(None)], OLD);
        time::advance(GRACE / 2).await;
        vacancies.note(&[lease(None)], OLD);
        assert!(!vacancies.is_free(SHARD), "its owner came back in between");
        time::advance(GRACE / 2).await;
        assert!(vacancies.is_free(SHARD));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_the_store_is_no_time_to_come_back_in() {
        let mut vacancies = Vacancies::new(GRACE);
        vacancies.note(&[lease(None)], OLD);
        vacancies.forget();
        time::advance(GRACE).await;
        vacancies.note(&[lease(None)], OLD);
        assert!(!vacancies.is_free(SHARD));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_knows_nothing_yet_says_nothing() {
        let mut vacancies = Vacancies::new(GRACE);
        vacancies.note(&[], GRACE / 2);
        assert!(!vacancies.is_free(SHARD));
        vacancies.note(&[], GRACE);
        assert!(vacancies.is_free(SHARD));
    }
}
