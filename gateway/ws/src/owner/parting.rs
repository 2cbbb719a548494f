//! Shards that ended here: their last sessions are saved and their leases released, in one step.

use super::crew::Finished;
use crate::metrics::Metrics;
use boot::chain;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use store::{Application, Shard, Written};

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
        let releasing = self.0.values().map(|parting| async move {
            let session = parting.session.as_ref();
            let released = store.release(parting.shard, parting.token, session).await;
            (parting.shard, released)
        });
        for (shard, released) in join_all(releasing).await {
            match released {
                Ok(written) => self.released(shard, written, metrics),
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
    }

    /// A shard is no longer ours.
    fn released(&mut self, shard: Shard, written: Written, metrics: &Metrics) {
        let Some(parting) = self.0.remove(&shard) else {
            return;
        };
        let took = parting.since.elapsed();
        match written {
            Written::Done => {
                metrics.released(took);
                tracing::info!(
                    shard = shard.id,
                    sequence = parting.session.map_or(0, |session| session.sequence),
                    took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    "released"
                );
            }
            Written::Fenced => tracing::warn!(
                shard = shard.id,
                "released too late: another replica has taken the shard over"
            ),
        }
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
