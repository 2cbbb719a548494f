//! How the shards of this replica are, for `/readyz`, for the other replicas and for workers.

use crate::status::{Herald, status};
use boot::Check;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use store::{Shard, Status};
use wire::gateway::v1::{Reshard, SessionStart, ShardReason, ShardState, ShardStatus};

/// How many shards that are down are named.
const NAMED: usize = 5;

/// The state of all shards in one check: ready when every one that runs here is connected, and
/// none waits to be taken.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// Where it shows.
    check: Check,
    /// Who tells workers.
    herald: Herald,
}

#[derive(Debug)]
struct State {
    /// The shards of this replica.
    shards: BTreeMap<Shard, Entry>,
    /// The size of a set that connects beside the one that publishes: nothing depends on it yet.
    beside: Option<u32>,
    /// Why it is not ready, whatever the shards say.
    obstacle: Option<String>,
}

/// How one shard is.
#[derive(Debug)]
struct Entry {
    status: Status,
    /// Why it is not connected.
    reason: String,
}

impl Board {
    /// A board without shards.
    pub(crate) fn new(check: Check, herald: Herald) -> Self {
        let state = State {
            shards: BTreeMap::new(),
            beside: None,
            obstacle: Some("starting".to_owned()),
        };
        Self {
            state: Mutex::new(state),
            check,
            herald,
        }
    }

    /// A shard runs here from now on.
    pub(crate) fn add(&self, shard: Shard, resumes: bool) {
        let detail = match resumes {
            true => "taken, to resume its session",
            false => "taken, to identify",
        };
        let taken = status(ShardState::Connecting, ShardReason::Taken, detail);
        self.set(shard, Status::Connecting, taken);
    }

    /// A shard no longer runs here.
    pub(crate) fn remove(&self, shard: Shard, reason: ShardReason, detail: &str) {
        self.change(|state| {
            state.shards.remove(&shard);
        });
        let stopped = status(ShardState::Stopped, reason, detail);
        self.herald.shard(shard, stopped);
    }

    /// A shard begins another connection. It stays down for the reason that it has.
    pub(crate) fn connecting(&self, shard: Shard, resumes: bool) {
        if self.status(shard) == Status::Connecting {
            return;
        }
        let detail = match resumes {
            true => "connecting, to resume its session",
            false => "connecting, to identify",
        };
        let reason = ShardReason::Unspecified;
        let connecting = status(ShardState::Connecting, reason, detail);
        self.herald.shard(shard, connecting);
    }

    /// A shard has a session, and its events are published. Said again, it is nothing new.
    pub(crate) fn up(&self, shard: Shard, start: SessionStart, sequence: Option<u64>) {
        let (reason, detail) = match self.status(shard) {
            Status::Live => return,
            Status::Standby => (ShardReason::Reshard, "its set of shards has taken over"),
            Status::Away | Status::Connecting => (ShardReason::Connected, "connected"),
        };
        let live = ShardStatus {
            session_start: start.into(),
            sequence,
            ..status(ShardState::Live, reason, detail)
        };
        self.set(shard, Status::Live, live);
    }

    /// A shard has a session, and holds its events back.
    pub(crate) fn standby(&self, shard: Shard, start: SessionStart, sequence: Option<u64>) {
        let detail = "connected, and waits for the set before to end";
        let standby = ShardStatus {
            session_start: start.into(),
            sequence,
            ..status(ShardState::Standby, ShardReason::Connected, detail)
        };
        self.set(shard, Status::Standby, standby);
    }

    /// The shards of a set of this size do not count yet, if there is one.
    pub(crate) fn beside(&self, count: Option<u32>) {
        self.change(|state| state.beside = count);
    }

    /// A shard is not connected: this is its status.
    pub(crate) fn down(&self, shard: Shard, away: ShardStatus) {
        self.set(shard, Status::Away, away);
    }

    /// A shard has closed its connection to end here; why is told when it is gone.
    pub(crate) fn ending(&self, shard: Shard) {
        self.change(|state| {
            let (status, reason) = (Status::Away, "stopped".to_owned());
            state.shards.insert(shard, Entry { status, reason });
        });
    }

    /// Workers are told how far a change of the number of shards is.
    pub(crate) fn reshard(&self, reshard: Reshard) {
        self.herald.reshard(reshard);
    }

    /// Why this replica is not ready even if all its shards are connected; `None` when nothing is
    /// in the way.
    pub(crate) fn obstacle(&self, reason: Option<String>) {
        self.change(|state| state.obstacle = reason);
    }

    /// What to say of a shard to the other replicas.
    pub(crate) fn status(&self, shard: Shard) -> Status {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = state.shards.get(&shard);
        entry.map_or(Status::Connecting, |entry| entry.status)
    }

    fn set(&self, shard: Shard, status: Status, told: ShardStatus) {
        let reason = told.detail.clone();
        self.change(|state| {
            state.shards.insert(shard, Entry { status, reason });
        });
        self.herald.shard(shard, told);
    }

    /// Changes the list and shows it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if let Some(obstacle) = &state.obstacle {
            self.check.down(obstacle.clone());
            return;
        }
        let counts = |shard: &&Shard| state.beside != Some(shard.count);
        let is_up = |status| matches!(status, Status::Live | Status::Standby);
        let down = state.shards.iter();
        let down = down.filter(|(shard, entry)| counts(shard) && !is_up(entry.status));
        let down: Vec<String> = down
            .map(|(shard, entry)| format!("shard {}: {}", shard.id, entry.reason))
            .collect();
        if down.is_empty() {
            self.check.up();
            return;
        }
        let total = state.shards.keys().filter(counts).count();
        self.check.down(format!(
            "{} of {total} shards connected ({})",
            total - down.len(),
            down.get(..NAMED).unwrap_or(&down).join("; ")
        ));
    }
}
