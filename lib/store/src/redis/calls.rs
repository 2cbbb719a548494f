//! Voice calls in Redis: the scripts of shards over keys of their own.

use std::time::Duration;

use ::redis::{AsyncTypedCommands as _, aio::MultiplexedConnection};

use super::{
    Redis,
    read::{Fields, json, node},
};
use crate::{AcquiredCall, Error, HeldCall, Node, Nodes, Written, millis};

/// The keys: what all share, leases, what is saved, nodes, and how far tracks are.
const META: &str = "voice:meta";
const LEASES: &str = "voice:leases";
const CALLS: &str = "voice:calls";
const NODES: &str = "voice:nodes";
const POSITIONS: &str = "voice:positions";

/// For how long nobody who held an ended call before can bring it back.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What the script of a heartbeat returns.
type Beat = (u64, Vec<u64>, Vec<u64>, Fields);

impl Redis {
    pub(crate) async fn beat_calls(
        &self,
        id: u64,
        me: &Node,
        ttl: Duration,
        held: &[HeldCall],
    ) -> Result<Nodes, Error> {
        let mut script = self.scripts.beat_calls.prepare_invoke();
        self.keys(&mut script, id, &[META, LEASES, NODES, CALLS, POSITIONS]);
        script.arg(&me.id).arg(json(me)).arg(millis(ttl));
        for held in held {
            script.arg(held.guild_id).arg(held.token).arg(held.position);
        }
        let (version, lost, free, nodes): Beat = self.run(&script).await?;
        Ok(Nodes {
            version,
            nodes: nodes
                .iter()
                .filter_map(|(id, text)| node(id, text))
                .collect(),
            free,
            lost,
        })
    }

    pub(crate) async fn leave_calls(&self, id: u64, node: &str) -> Result<(), Error> {
        let mut script = self.scripts.leave.prepare_invoke();
        self.keys(&mut script, id, &[META, NODES]);
        self.run(script.arg(node)).await
    }

    pub(crate) async fn calls_version(&self, id: u64) -> Result<u64, Error> {
        self.version_of(self.key(id, META)).await
    }

    pub(crate) async fn acquire_call(
        &self,
        id: u64,
        guild_id: u64,
        node: &str,
        ttl: Duration,
    ) -> Result<AcquiredCall, Error> {
        let mut script = self.scripts.acquire.prepare_invoke();
        self.keys(&mut script, id, &[META, LEASES, CALLS]);
        script.arg(guild_id).arg(node).arg(millis(ttl));
        let (taken, token, text): (bool, u64, Option<Vec<u8>>) = self.run(&script).await?;
        if !taken {
            let by = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
            return Ok(AcquiredCall::Held { by });
        }
        let Some(state) = text else {
            return Ok(AcquiredCall::Taken { token, saved: None });
        };
        let key = self.key(id, POSITIONS);
        let get = async |mut connection: MultiplexedConnection| {
            connection.hget(&key, guild_id.to_string()).await
        };
        let position: Option<String> = self.link.call(get).await?;
        // Without one it begins anew.
        let position = position.and_then(|text| text.parse().ok());
        let saved = Some((state.into(), position.unwrap_or_default()));
        Ok(AcquiredCall::Taken { token, saved })
    }

    pub(crate) async fn renew_call(
        &self,
        id: u64,
        guild_id: u64,
        token: u64,
        node: &str,
        ttl: Duration,
    ) -> Result<Written, Error> {
        let mut script = self.scripts.renew_call.prepare_invoke();
        self.keys(&mut script, id, &[META, LEASES]);
        script.arg(guild_id).arg(token).arg(node).arg(millis(ttl));
        self.run(&script).await.map(super::written)
    }

    pub(crate) async fn save_call(
        &self,
        id: u64,
        guild_id: u64,
        token: u64,
        state: &[u8],
    ) -> Result<Written, Error> {
        let mut script = self.scripts.save.prepare_invoke();
        self.keys(&mut script, id, &[META, LEASES, CALLS]);
        script.arg(guild_id).arg(token).arg(state);
        let refused: Vec<String> = self.run(&script).await?;
        Ok(match refused.is_empty() {
            true => Written::Done,
            false => Written::Fenced,
        })
    }

    pub(crate) async fn release_call(
        &self,
        id: u64,
        guild_id: u64,
        token: u64,
        state: Option<(&[u8], u64)>,
    ) -> Result<Written, Error> {
        let mut script = self.scripts.release_call.prepare_invoke();
        self.keys(&mut script, id, &[META, LEASES, CALLS, POSITIONS]);
        let (state, position) = state.unwrap_or_default();
        script.arg(guild_id).arg(token).arg(state);
        script.arg(position).arg(millis(REMEMBERED));
        self.run(&script).await.map(super::written)
    }

    pub(crate) async fn call_exists(&self, id: u64, guild_id: u64) -> Result<bool, Error> {
        let key = self.key(id, CALLS);
        let get = async |mut connection: MultiplexedConnection| {
            connection.hexists(&key, guild_id.to_string()).await
        };
        self.link.call(get).await
    }
}
