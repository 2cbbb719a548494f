//! Shards that ended here: their last sessions are saved and their leases released, in one step. A shard
//! of a set that ends leaves its tail before; then its connection is closed for good.

use super::crew::Finished;
use crate::{connection::Connection, metrics::Metrics};
use boot::chain;
use futures_util::future::join_all;
use std::{collections::BTreeMap, time::Duration};
use store::{Application, Error, Session, Shard, Written};

/// How long a tail is kept, should nobody forget it earlier.
const TAILS: Duration = Duration::from_mins(10);

/// What is still to be released. While the store is away it waits here.
#[derive(Debug, Default)]
pub(super) struct Partings(BTreeMap<Shard, Finished>);

impl Partings {
    /// A shard has ended.
    pub(super) fn add(&mut self, finished: Finished) {
        self.0.insert(finished.shard, finished);
    }

    /// Whether the shard is still to be released.
    pub(super) fn has(&self, shard: Shard) -> bool {
        self.0.contains_key(&shard)
    }

    /// Whether there is nothing to release.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Releases everything, as far as the store takes it.
    pub(super) async fn release(&mut self, store: &Application, metrics: &Metrics) {
        let releasing = self.0.values().map(|parting| {
            let (shard, token, left) = (parting.shard, parting.token, &parting.left);
            let sessions = (left.session.as_ref(), left.switching.as_ref());
            let tail = left.tail.as_deref();
            async move { (shard, release(store, (shard, token), sessions, tail).await) }
        });
        let mut ending = Vec::new();
        for (shard, released) in join_all(releasing).await {
            match released {
                Ok(written) => {
                    if let Some(parting) = self.0.remove(&shard) {
                        ending.extend(released_as(written, parting, metrics));
                    }
                }
                Err(error) if error.is_transient() => {
                    tracing::debug!(shard = shard.id, error = chain(&error), "not released yet");
                }
                Err(error) => {
                    self.0.remove(&shard);
                    tracing::error!(
                        shard = shard.id,
                        error = chain(&error),
                        "the last sequence cannot be saved: the next owner gets some events again"
                    );
                }
            }
        }
        join_all(ending.into_iter().map(Connection::end)).await;
    }

    /// There is no more time.
    pub(super) fn give_up(&mut self) {
        for shard in std::mem::take(&mut self.0).into_keys() {
            tracing::warn!(
                shard = shard.id,
                "the last sequence cannot be saved: the next owner gets some events again"
            );
        }
    }
}

/// Leaves the tail, if there is one, and then saves and releases.
async fn release(
    store: &Application,
    (shard, token): (Shard, u64),
    (session, switching): (Option<&Session>, Option<&Session>),
    tail: Option<&[u8]>,
) -> Result<Written, Error> {
    if let Some(tail) = tail
        && store.put_tail(shard, token, tail, TAILS).await? == Written::Fenced
    {
        return Ok(Written::Fenced);
    }
    store.release(shard, token, session, switching).await
}

/// A shard is no longer ours. Returns the connection that has to end now.
fn released_as(written: Written, parting: Finished, metrics: &Metrics) -> Option<Connection> {
    let (shard, took) = (parting.shard, parting.since.elapsed());
    if written == Written::Fenced {
        tracing::warn!(
            shard = shard.id,
            "released too late: another replica has taken the shard over"
        );
        return None;
    }
    metrics.released(took);
    tracing::info!(
        shard = shard.id,
        shard_count = shard.count,
        sequence = parting.left.session.map_or(0, |session| session.sequence),
        has_ended = parting.left.tail.is_some(),
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "released"
    );
    parting.left.connection
}
