//! Voice calls: which node holds which, and what another one needs to go on with it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, Written, memory::Memory, redis::Redis};

/// A process that holds calls of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Node {
    /// What no other process is called, not even this one after a restart.
    #[serde(skip)]
    pub id: String,
    /// How many calls it has.
    pub calls: u32,
    /// How many more it has room for; none, when it is about to stop.
    pub room: u32,
}

/// A call that the calling node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldCall {
    /// Its guild.
    pub guild_id: u64,
    /// The token that came with its lease.
    pub token: u64,
    /// How far its track is, in milliseconds.
    pub position: u64,
}

/// What a heartbeat tells the node that sent it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nodes {
    /// As [`Calls::version`] tells it.
    pub version: u64,
    /// The nodes that are alive, the calling one included.
    pub nodes: Vec<Node>,
    /// Guilds with a call that nobody holds any more, and that is to go on.
    pub free: Vec<u64>,
    /// Guilds whose calls belong to somebody else by now.
    pub lost: Vec<u64>,
}

/// Whether a call's lease is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcquiredCall {
    /// Another node holds it.
    Held {
        /// The node's id.
        by: String,
    },
    /// It is ours.
    Taken {
        /// What all writes for the call have to show; higher than that of every holder before us.
        token: u64,
        /// What the one before has saved, if there was one, and how far its track was, in milliseconds.
        saved: Option<(Bytes, u64)>,
    },
}

/// The voice calls of one application.
///
/// The rules are those of shards: a call has one holder, and what others write for it is refused. A lease that ran out is
/// good as long as nobody took it. In memory there is one node, and nothing outlives it.
#[derive(Clone, Debug)]
pub struct Calls {
    pub(crate) id: u64,
    pub(crate) kind: CallsKind,
}

#[derive(Clone, Debug)]
pub(crate) enum CallsKind {
    Memory(Arc<Memory>),
    Redis(Arc<Redis>),
}

impl Calls {
    /// Sends a heartbeat, which counts for the time `ttl`, renews the leases of all calls held, says how far their tracks
    /// are, and tells how things are.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn beat(
        &self,
        node: &Node,
        ttl: Duration,
        held: &[HeldCall],
    ) -> Result<Nodes, Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(Nodes {
                nodes: vec![node.clone()],
                ..Nodes::default()
            }),
            CallsKind::Redis(redis) => redis.beat_calls(self.id, node, ttl, held).await,
        }
    }

    /// Takes the node out of the list. Its leases stay until they are given back or run out.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn leave(&self, node: &str) -> Result<(), Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(()),
            CallsKind::Redis(redis) => redis.leave_calls(self.id, node).await,
        }
    }

    /// A number that changes when everybody should beat now: a call was given back, or a node came, went or said
    /// something new of itself. Asking costs little.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn version(&self) -> Result<u64, Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(0),
            CallsKind::Redis(redis) => redis.calls_version(self.id).await,
        }
    }

    /// Takes the call of a guild that nobody holds, for the time `ttl`.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn acquire(
        &self,
        guild_id: u64,
        node: &str,
        ttl: Duration,
    ) -> Result<AcquiredCall, Error> {
        match &self.kind {
            CallsKind::Memory(memory) => Ok(AcquiredCall::Taken {
                token: memory.call_token(),
                saved: None,
            }),
            CallsKind::Redis(redis) => redis.acquire_call(self.id, guild_id, node, ttl).await,
        }
    }

    /// Renews the lease of one call for the time `ttl`, as a heartbeat does for all: what only its holder may do is done after this.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn renew(
        &self,
        guild_id: u64,
        token: u64,
        node: &str,
        ttl: Duration,
    ) -> Result<Written, Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(Written::Done),
            CallsKind::Redis(redis) => redis.renew_call(self.id, guild_id, token, node, ttl).await,
        }
    }

    /// Saves what another node needs to go on with a call.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn save(&self, guild_id: u64, token: u64, state: &[u8]) -> Result<Written, Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(Written::Done),
            CallsKind::Redis(redis) => redis.save_call(self.id, guild_id, token, state).await,
        }
    }

    /// Gives a call back: with what another node needs to go on with it and how far its track is in milliseconds, or as
    /// one that has ended.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn release(
        &self,
        guild_id: u64,
        token: u64,
        state: Option<(&[u8], u64)>,
    ) -> Result<Written, Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(Written::Done),
            CallsKind::Redis(redis) => redis.release_call(self.id, guild_id, token, state).await,
        }
    }

    /// Whether the guild has a call, whoever holds it, or holds it no more.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn exists(&self, guild_id: u64) -> Result<bool, Error> {
        match &self.kind {
            CallsKind::Memory(_) => Ok(false),
            CallsKind::Redis(redis) => redis.call_exists(self.id, guild_id).await,
        }
    }

    /// Whether other nodes can take over what this one gives back.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match &self.kind {
            CallsKind::Memory(_) => false,
            CallsKind::Redis(_) => true,
        }
    }
}

/// Guilds that nobody cares for, each given to the node with the fewest calls that has room: which of them are this
/// node's. All nodes see the same, so all come to the same.
#[must_use]
pub fn share(free: &[u64], nodes: &[Node], me: &str) -> Vec<u64> {
    let mut load: BTreeMap<&str, (u32, u32)> = nodes
        .iter()
        .map(|node| (node.id.as_str(), (node.calls, node.room)))
        .collect();
    let mut mine = Vec::new();
    let mut free = free.to_vec();
    free.sort_unstable();
    for guild in free {
        let least = load
            .iter_mut()
            .filter(|(_, (_, room))| *room > 0)
            .min_by_key(|(id, (calls, _))| (*calls, **id));
        let Some((id, (calls, room))) = least else {
            break;
        };
        *calls += 1;
        *room -= 1;
        if *id == me {
            mine.push(guild);
        }
    }
    mine
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, calls: u32, room: u32) -> Node {
        Node {
            id: id.to_owned(),
            calls,
            room,
        }
    }

    #[test]
    fn each_call_goes_to_the_node_with_the_fewest() {
        let nodes = [node("a", 3, 10), node("b", 1, 10), node("c", 0, 0)];
        let shares = ["a", "b", "c"].map(|me| share(&[5, 1, 2, 4, 3], &nodes, me));
        assert_eq!(shares, [vec![3, 5], vec![1, 2, 4], vec![]]);
    }

    #[test]
    fn what_nobody_has_room_for_stays() {
        let nodes = [node("a", 0, 1)];
        assert_eq!(share(&[1, 2], &nodes, "a"), [1]);
        assert_eq!(share(&[1, 2], &[], "a"), [0; 0]);
    }
}
