//! When this process last learned whether its leases hold.
//!
//! A process that was paused does not notice. It wakes up with shards that another replica has
//! taken long ago, and the first thing that it sees may be their broken connections: to resume or
//! identify them would take the sessions away from the new owner. So before either of them a shard
//! waits for a word of the store that is younger than a lease. "The store does not answer" is such
//! a word: while it is away nobody can take a shard over. Events that are read in between need no
//! such care: they carry the ids under which the new owner publishes them.
//!
//! It may be away for this process alone, though, and the shards with the others by now. Nobody can tell
//! that from an outage, in which sessions have to be resumed; so once the store was silent for a lease a
//! shard is in doubt, and resumed ever more seldom.

use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// The moment of the last word, for everybody to wait for.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    last: watch::Sender<Word>,
    ttl: Duration,
}

/// What was heard last of the store.
#[derive(Clone, Copy, Debug)]
struct Word {
    /// When it was asked.
    asked: Instant,
    /// When it was asked what it answered.
    answered: Instant,
}

impl Pulse {
    /// A word is good for the time of a lease.
    pub(crate) fn new(ttl: Duration) -> Self {
        let now = Instant::now();
        Self {
            last: watch::Sender::new(Word {
                asked: now,
                answered: now,
            }),
            ttl,
        }
    }

    /// The store has answered what it was asked at this moment; whoever had lost a shard by then knows by now.
    /// When the answer came does not matter: the process may have been paused while it was on its way.
    pub(crate) fn beat(&self, asked: Instant) {
        self.last.send_replace(Word {
            asked,
            answered: asked,
        });
    }

    /// The store was asked at this moment, and found to be away.
    pub(crate) fn missed(&self, asked: Instant) {
        self.last.send_modify(|word| word.asked = asked);
    }

    /// Whether another replica may hold this one's shards: the store has not answered for a lease.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.last.borrow().answered.elapsed() >= self.ttl
    }

    /// Returns when there is a word that is young enough. Cancel safe.
    pub(crate) async fn fresh(&self) {
        let mut last = self.last.subscribe();
        let young = last.wait_for(|word| word.asked.elapsed() < self.ttl).await;
        debug_assert!(young.is_ok(), "the sender is in `self`");
    }
}

#[cfg(test)]
mod tests {
    use super::Pulse;
    use std::time::Duration;
    use tokio::time::{self, Instant};

    #[tokio::test(start_paused = true)]
    async fn an_old_word_is_waited_out() {
        let pulse = Pulse::new(Duration::from_secs(10));
        pulse.fresh().await;
        time::advance(Duration::from_secs(11)).await;
        let waiting = pulse.fresh();
        tokio::pin!(waiting);
        let early = time::timeout(Duration::from_secs(60), &mut waiting).await;
        assert!(early.is_err(), "it went on without a word");
        pulse.beat(Instant::now());
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_pause_is_no_young_word() {
        let pulse = Pulse::new(Duration::from_secs(10));
        let asked = Instant::now();
        time::advance(Duration::from_secs(11)).await;
        pulse.beat(asked);
        let early = time::timeout(Duration::from_secs(60), pulse.fresh()).await;
        assert!(early.is_err(), "it went on by what held before the pause");
    }
    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_lets_go_on_and_leaves_in_doubt() {
        let ttl = Duration::from_secs(10);
        let pulse = Pulse::new(ttl);
        time::advance(ttl / 2).await;
        pulse.missed(Instant::now());
        assert!(!pulse.is_in_doubt(), "the leases still hold");
        time::advance(ttl / 2).await;
        pulse.missed(Instant::now());
        pulse.fresh().await;
        assert!(pulse.is_in_doubt());
        pulse.beat(Instant::now());
        assert!(!pulse.is_in_doubt());
    }
}
