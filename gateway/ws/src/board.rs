//! Which shards are connected, for `/readyz`.

use boot::Check;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How many shards that are down are named.
const NAMED: usize = 5;

/// The state of all shards in one check: ready when every one is connected.
#[derive(Debug)]
pub(crate) struct Board {
    /// Why a shard is down, by shard id.
    down: Mutex<BTreeMap<u32, String>>,
    /// How many shards there are.
    total: usize,
    /// Where it shows.
    check: Check,
}

impl Board {
    /// A board of these shards, none of them connected.
    pub(crate) fn new(shards: &[u32], check: Check) -> Self {
        let down = shards.iter().map(|shard| (*shard, "connecting".to_owned()));
        let board = Self {
            down: Mutex::new(down.collect()),
            total: shards.len(),
            check,
        };
        board.change(|_| ());
        board
    }

    /// A shard has a session and gets events.
    pub(crate) fn up(&self, shard: u32) {
        self.change(|down| {
            down.remove(&shard);
        });
    }

    /// A shard is not connected, and why.
    pub(crate) fn down(&self, shard: u32, reason: impl Into<String>) {
        self.change(|down| {
            down.insert(shard, reason.into());
        });
    }

    /// Changes the list and shows it.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<u32, String>)) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut down);
        if down.is_empty() {
            self.check.up();
            return;
        }
        let named = down
            .iter()
            .take(NAMED)
            .map(|(shard, reason)| format!("shard {shard}: {reason}"));
        let named: Vec<String> = named.collect();
        self.check.down(format!(
            "{} of {} shards connected ({})",
            self.total - down.len(),
            self.total,
            named.join("; ")
        ));
    }
}
