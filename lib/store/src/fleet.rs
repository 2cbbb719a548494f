//! All replicas of an application, and who of them holds what.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Shard, Status};

/// One process that runs shards of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Replica {
    /// What no other process is called, not even this one after a restart.
    #[serde(skip)]
    pub id: String,
    /// When it was started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// The shards that it may hold; `None` is all.
    pub shard_ids: Option<BTreeSet<u32>>,
    /// The shard count that it is configured with; `None` is what Discord recommends.
    pub shard_count: Option<u32>,
    /// Whether it is about to stop, and should be given nothing more.
    pub leaving: bool,
}

/// A shard that the calling replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The shard.
    pub shard: Shard,
    /// The token that came with its lease.
    pub token: u64,
    /// What the others are to know of it.
    pub status: Status,
}

/// The right to run a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// Who holds it, or held it last.
    pub replica: String,
    /// The token that came with it.
    pub token: u64,
    /// What the holder said of the shard.
    pub status: Status,
    /// How long it still holds; `None`: it has run out, and anyone may take it.
    pub remaining: Option<Duration>,
}

/// How far a change of the shard count is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// There is none.
    #[default]
    Steady,
    /// The next set takes over.
    Switching,
    /// The next set connects beside the current one.
    Warming,
}

/// Which set of shards is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The shard count of the set whose events are published.
    pub current: u32,
    /// The shard count of the set that is to replace it.
    pub next: Option<u32>,
    /// How far that is.
    pub phase: Phase,
    /// Which version of the plan it is; the store gives the number.
    pub revision: u64,
}

/// What a heartbeat tells the replica that sent it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    /// As [`crate::Application::version`] tells it.
    pub version: u64,
    /// The replicas that are alive, the calling one included.
    pub replicas: Vec<Replica>,
    /// All leases, also those that ran out, but not those that were given back.
    pub leases: Vec<Lease>,
    /// Which set of shards is to run, once somebody has said so.
    pub plan: Option<Plan>,
    /// How long the store has known of this application. When it lost its data, this is short:
    /// a shard without a lease may then well have an owner, who is about to renew it.
    pub age: Duration,
    /// Those of the shards given that belong to somebody else by now.
    pub lost: Vec<Shard>,
    /// What could not be read, and was left as it is: one message each, with key and field.
    pub corrupt: Vec<String>,
}
