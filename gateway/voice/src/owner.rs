//! Which calls this node holds, as the store has it: heartbeats, calls that others leave, calls that are others' by now.

use std::time::Duration;

use boot::{CancellationToken, Check};
use store::{AcquiredCall, Nodes, share};
use tokio::{select, time};

use crate::calls::Calls;

/// How often it is looked whether there are news. Asking costs little.
const LOOK: Duration = Duration::from_millis(250);

/// Keeps the leases of the calls of an application.
#[derive(Debug)]
pub(crate) struct Owner {
    calls: Calls,
    store: store::Calls,
    check: Check,
    ttl: Duration,
}

impl Owner {
    /// An owner of these calls, which says in this check why the store does not answer.
    pub(crate) fn new(calls: Calls, store: store::Calls, check: Check, ttl: Duration) -> Self {
        Self {
            calls,
            store,
            check,
            ttl,
        }
    }

    /// Runs until the shutdown; then nothing more is given to this node.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut version = 0;
        loop {
            version = self.beat().await.unwrap_or(version);
            let next = time::Instant::now() + self.ttl / 3;
            loop {
                select! {
                    biased;
                    () = shutdown.cancelled() => return self.leave().await,
                    () = time::sleep(LOOK) => {}
                }
                let known = self.store.version().await.unwrap_or(version);
                if known != version || time::Instant::now() >= next {
                    break;
                }
            }
        }
    }

    /// Sends a heartbeat, and does what follows from what it says; `None` while the store is away.
    async fn beat(&self) -> Option<u64> {
        let me = self.calls.node();
        let held = self.calls.held();
        let nodes = match self.store.beat(&me, self.ttl, &held).await {
            Ok(nodes) => nodes,
            Err(error) => {
                // Nobody can take a call over meanwhile.
                self.check
                    .down(format!("calls cannot be handed over: {error}"));
                return None;
            }
        };
        self.check.up();
        self.calls.confirm();
        for guild_id in &nodes.lost {
            self.calls.lose(*guild_id);
        }
        for guild_id in share(&nodes.free, &nodes.nodes, &me.id) {
            self.take_over(guild_id, &me.id).await;
        }
        let Nodes { version, nodes, .. } = nodes;
        self.calls.know(nodes);
        Some(version)
    }

    async fn take_over(&self, guild_id: u64, me: &str) {
        if self.calls.has(guild_id) {
            return;
        }
        match self.store.acquire(guild_id, me, self.ttl).await {
            Ok(AcquiredCall::Taken {
                token,
                saved: Some((saved, position)),
            }) => self.calls.take_over(guild_id, token, &saved, position),
            // It has ended meanwhile.
            Ok(AcquiredCall::Taken { token, saved: None }) => {
                self.forget(guild_id, token).await;
            }
            Ok(AcquiredCall::Held { .. }) => {}
            Err(error) => tracing::debug!(%error, guild = guild_id, "a call was not taken over"),
        }
    }

    async fn forget(&self, guild_id: u64, token: u64) {
        if let Err(error) = self.store.release(guild_id, token, None).await {
            tracing::debug!(%error, guild = guild_id, "a lease was not given back");
        }
    }

    async fn leave(&self) {
        if let Err(error) = self.store.leave(&self.calls.node().id).await {
            tracing::debug!(%error, "the others learn later that this node has gone");
        }
    }
}
