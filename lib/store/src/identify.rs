//! How often may be identified.

use std::time::Duration;

use tokio::time::Instant;

use crate::millis;

/// What Discord said of identifying, in its answer to `GET /gateway/bot`, and what we keep back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many identifies there may be in 24 hours.
    pub total: u32,
    /// How many of them were left.
    pub remaining: u32,
    /// How long it was until Discord counts from zero again.
    pub reset_after: Duration,
    /// How many shards may identify at once.
    pub max_concurrency: u16,
    /// When Discord said so.
    pub told: Instant,
    /// How many identifies we never use.
    pub reserve: u32,
}

impl Limit {
    /// How many milliseconds ago Discord said so. Rounded up: what we counted in between is then
    /// rather counted twice than not at all.
    pub(crate) fn told_ago(&self) -> u64 {
        millis(self.told.elapsed()) + 1
    }
}

/// Whether a shard may identify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// No: it is too many for today.
    Exhausted {
        /// How many there were in the last 24 hours.
        used: u32,
        /// How many Discord allows.
        total: u32,
        /// When the first of them no longer counts.
        retry_after: Duration,
    },
    /// Yes, now.
    Granted {
        /// How many more there may be today.
        left: u32,
    },
    /// Not yet: another shard of the same bucket has just identified.
    Wait(Duration),
}

/// How Discord counts identifies. Only tests have a use for another pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two identifies of one bucket.
    pub bucket: Duration,
    /// How long an identify counts.
    pub ledger: Duration,
}

impl Default for Pace {
    /// Discord's, with some time in which its clock and ours may differ.
    fn default() -> Self {
        Self {
            bucket: Duration::from_millis(5_100),
            ledger: Duration::from_hours(24),
        }
    }
}
