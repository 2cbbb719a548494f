//! How the shards of this replica are, for `/readyz` and for the other replicas.

use boot::Check;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use store::{Shard, Status};

/// How many shards that are down are named.
const NAMED: usize = 5;

/// The state of all shards in one check: ready when every one that runs here is connected, and
/// none waits to be taken.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// Where it shows.
    check: Check,
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
    pub(crate) fn new(check: Check) -> Self {
        let state = State {
            shards: BTreeMap::new(),
            beside: None,
            obstacle: Some("starting".to_owned()),
        };
        Self {
            state: Mutex::new(state),
            check,
        }
    }

    /// A shard runs here from now on.
    pub(crate) fn add(&self, shard: Shard) {
        self.set(shard, Status::Connecting, "connecting".to_owned());
    }

    /// A shard no longer runs here.
    pub(crate) fn remove(&self, shard: Shard) {
        self.change(|state| {
            state.shards.remove(&shard);
        });
    }

    /// A shard has a session and gets events.
    pub(crate) fn up(&self, shard: Shard) {
        self.set(shard, Status::Live, String::new());
    }

    /// A shard has a session, and holds its events back.
    pub(crate) fn standby(&self, shard: Shard) {
        self.set(shard, Status::Standby, String::new());
    }

    /// The shards of a set of this size do not count yet, if there is one.
    pub(crate) fn beside(&self, count: Option<u32>) {
        self.change(|state| state.beside = count);
    }

    /// A shard is not connected, and why.
    pub(crate) fn down(&self, shard: Shard, reason: impl Into<String>) {
        self.set(shard, Status::Away, reason.into());
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

    fn set(&self, shard: Shard, status: Status, reason: String) {
        self.change(|state| {
            state.shards.insert(shard, Entry { status, reason });
        });
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
