//! Discord's limits, as the requests of one process use them up.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use discord::limit::{Address, Ledger, Member, Reply, Report};

use super::Memory;

/// What counts for each application, and for each egress address.
#[derive(Debug, Default)]
pub(super) struct Limits {
    applications: BTreeMap<u64, Ledger>,
    addresses: BTreeMap<String, Address>,
}

impl Memory {
    pub(crate) fn limits(&self, id: u64, member: &Member, report: &Report) -> Reply {
        let mut limits = self.lock_limits();
        let now = self.clock.started.elapsed();
        let ledger = limits.applications.entry(id).or_default();
        ledger.report(now, member, report)
    }

    pub(crate) fn address(&self, name: &str, invalid: u32, banned: Duration) -> (u32, Duration) {
        let mut limits = self.lock_limits();
        let now = self.clock.started.elapsed();
        let address = limits.addresses.entry(name.to_owned());
        let address = address.or_insert_with(|| Address::new(u32::MAX));
        address.count(now, invalid);
        address.ban(now + banned);
        let until = address.banned(now);
        let banned = until.map_or(Duration::ZERO, |until| until - now);
        (address.invalid(now), banned)
    }

    fn lock_limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
