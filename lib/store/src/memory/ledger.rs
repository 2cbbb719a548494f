//! The identifies of the last 24 hours, and when each bucket is free again.

use std::{collections::BTreeMap, time::Duration};

use crate::{Limit, Pace, Permit, millis};

/// What of an application's identifies must not be forgotten.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// When each of them was, in milliseconds since 1970, oldest first.
    pub(super) identifies: Vec<u64>,
    /// When each bucket is free again.
    buckets: BTreeMap<u32, u64>,
    /// When an earlier process identified last: in which bucket is not known.
    before: Option<u64>,
    /// Identifies that Discord knew of and we did not, and until when they count.
    foreign: (u32, u64),
}

impl Ledger {
    /// The identifies that were written down. One from the future counts as one of now: the clock
    /// was set back.
    pub(super) fn restored(mut identifies: Vec<u64>, now: u64) -> Self {
        identifies.iter_mut().for_each(|at| *at = now.min(*at));
        identifies.sort_unstable();
        Self {
            before: identifies.last().copied(),
            identifies,
            ..Self::default()
        }
    }

    /// Whether this shard may identify now; if so, it counts as done.
    pub(super) fn identify(
        &mut self,
        shard_id: u32,
        limit: &Limit,
        pace: Pace,
        now: u64,
    ) -> Permit {
        self.forget(millis(pace.ledger), now);
        self.note_foreign(limit, now);
        let used = count(self.identifies.len()).saturating_add(self.foreign.0);
        let allowed = limit.total.saturating_sub(limit.reserve);
        if used >= allowed {
            return Permit::Exhausted {
                used,
                total: limit.total,
                retry_after: Duration::from_millis(self.next_end(limit, pace, now)),
            };
        }
        let bucket = shard_id % u32::from(limit.max_concurrency.max(1));
        let before = self.before.map(|at| at.saturating_add(millis(pace.bucket)));
        let free = self.buckets.get(&bucket).copied().max(before);
        let wait = free.map_or(0, |free| free.saturating_sub(now));
        let wait = wait.min(millis(pace.bucket));
        if wait > 0 {
            return Permit::Wait(Duration::from_millis(wait));
        }
        self.buckets.insert(bucket, now + millis(pace.bucket));
        self.identifies.push(now);
        Permit::Granted {
            left: allowed - used - 1,
        }
    }

    /// Drops what no longer counts.
    fn forget(&mut self, window: u64, now: u64) {
        self.identifies.retain(|at| at + window > now);
        self.buckets.retain(|_, free| *free > now);
        if self.foreign.1 <= now {
            self.foreign = (0, 0);
        }
    }

    /// Takes in what Discord counted when it was asked, less what of it we know.
    fn note_foreign(&mut self, limit: &Limit, now: u64) {
        let told_at = now.saturating_sub(limit.told_ago());
        let until = told_at.saturating_add(millis(limit.reset_after));
        let known = self.identifies.partition_point(|at| *at <= told_at);
        let told = limit.total.saturating_sub(limit.remaining);
        let foreign = told.saturating_sub(count(known));
        if until > now && foreign > self.foreign.0 {
            self.foreign = (foreign, until);
        }
    }

    /// How long until something no longer counts.
    fn next_end(&self, limit: &Limit, pace: Pace, now: u64) -> u64 {
        let own = self.identifies.first().map(|at| at + millis(pace.ledger));
        let foreign = (self.foreign.0 > 0).then_some(self.foreign.1);
        let end = own.into_iter().chain(foreign).min();
        end.map_or(millis(limit.reset_after), |end| end.saturating_sub(now))
            .max(1)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
