//! When this process last learned whether its leases hold.
//!
//! A process that was paused does not notice. It wakes up with shards that another replica has
//! taken long ago, and the first thing that it sees may be their broken connections: to resume or
//! identify them would take the sessions away from the new owner. So before either of them a shard
//! waits for a word of the store that is younger than a lease. "The store does not answer" is such
//! a word: while it is away nobody can take a shard over. Events that are read in between need no
//! such care: they carry the ids under which the new owner publishes them.

use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// The moment of the last word, for everybody to wait for.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    last: watch::Sender<Instant>,
    ttl: Duration,
}

impl Pulse {
    /// A word is good for the time of a lease.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            last: watch::Sender::new(Instant::now()),
            ttl,
        }
    }

    /// The store has answered, or was found to be away; whoever lost a shard knows by now.
    pub(crate) fn beat(&self) {
        self.last.send_replace(Instant::now());
    }

    /// Returns when there is a word that is young enough. Cancel safe.
    pub(crate) async fn fresh(&self) {
        let mut last = self.last.subscribe();
        let young = last.wait_for(|at| at.elapsed() < self.ttl).await;
        debug_assert!(young.is_ok(), "the sender is in `self`");
    }
}

#[cfg(test)]
mod tests {
    use super::Pulse;
    use std::time::Duration;
    use tokio::time;

    #[tokio::test(start_paused = true)]
    async fn an_old_word_is_waited_out() {
        let pulse = Pulse::new(Duration::from_secs(10));
        pulse.fresh().await;
        time::advance(Duration::from_secs(11)).await;
        let waiting = pulse.fresh();
        tokio::pin!(waiting);
        let early = time::timeout(Duration::from_secs(60), &mut waiting).await;
        assert!(early.is_err(), "it went on without a word");
        pulse.beat();
        waiting.await;
    }
}
