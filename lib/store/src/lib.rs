#![doc = include_str!("../README.md")]

mod application;
mod calls;
mod config;
mod error;
mod fleet;
mod identify;
mod memory;
mod redis;
mod shard;

use std::time::Duration;

pub use application::{Application, Store};
pub use calls::{AcquiredCall, Calls, HeldCall, Node, Nodes, share};
pub use config::{Config, KEYS, Place};
pub use error::Error;
pub use fleet::{Fleet, Held, Lease, Phase, Plan, Replica};
pub use identify::{Limit, Pace, Permit};
pub use shard::{Acquired, Saved, Session, Shard, Status, Written};

/// A duration in whole milliseconds, at most some 300 years: times remain numbers that Lua can
/// count with exactly.
fn millis(duration: Duration) -> u64 {
    const LONGEST: u64 = 10_000_000_000_000;
    u64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}
