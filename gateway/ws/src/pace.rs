//! When a shard's next connection may begin.

use boot::Backoff;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that had a session for this long was a good one: the next may begin at once. Discord
/// asks for a new connection now and then, and sometimes twice in a row.
const HEALTHY: Duration = Duration::from_secs(5);

/// How many connections in a row have to come to nothing before that is no accident.
const FAILING: u32 = 3;

/// The longest wait between two connections.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How a shard's connections followed each other.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How long to wait after a connection that was no good.
    backoff: Backoff,
    /// When the present connection was identified or resumed.
    connected_at: Option<Instant>,
    /// When the next may begin.
    next: Instant,
    /// How many in a row never had a session.
    failures: u32,
}

impl Pace {
    /// The first connection may begin at once.
    pub(crate) fn new() -> Self {
        Self {
            backoff: Backoff::new(Duration::from_secs(1), MAX_WAIT),
            connected_at: None,
            next: Instant::now(),
            failures: 0,
        }
    }

    /// Whether several connections in a row came to nothing.
    pub(crate) const fn is_failing(&self) -> bool {
        self.failures >= FAILING
    }

    /// When the next connection may begin.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// The connection has a session.
    pub(crate) fn connected(&mut self) {
        self.failures = 0;
        self.connected_at = Some(Instant::now());
    }

    /// The connection was lost; returns how long to wait. A connection of a shard that may be another
    /// replica's by now is never a good one: it may have ended because that one has resumed, and both would
    /// take the session from each other without end.
    pub(crate) fn lost(&mut self, in_doubt: bool) -> Duration {
        let lasted = self.connected_at.take().map(|since| since.elapsed());
        if lasted.is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        let wait = if !in_doubt && lasted.is_some_and(|lasted| lasted >= HEALTHY) {
            self.backoff.reset();
            Duration::ZERO
        } else {
            self.backoff.next()
        };
        self.next = Instant::now() + wait;
        wait
    }

    /// The connection was given up by us: it says nothing of the next.
    pub(crate) fn given_up(&mut self) {
        self.connected_at = None;
        self.next = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::{HEALTHY, MAX_WAIT, Pace};
    use std::time::Duration;
    use tokio::time;

    #[tokio::test(start_paused = true)]
    async fn bad_connections_follow_slower_and_slower_and_a_good_one_at_once() {
        let mut pace = Pace::new();
        let waits: Vec<Duration> = (0..20).map(|_| pace.lost(false)).collect();
        assert!(
            waits[0] > Duration::ZERO && waits[19] > waits[0],
            "{waits:?}"
        );
        assert!(waits.iter().all(|wait| *wait <= MAX_WAIT), "{waits:?}");
        assert!(pace.is_failing());
        pace.connected();
        assert!(!pace.is_failing());
        time::advance(HEALTHY).await;
        assert_eq!(pace.lost(false), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_not_own_the_shard_any_more_resumes_it_twice_a_minute_at_most() {
        let mut pace = Pace::new();
        let mut waits = Vec::new();
        for _ in 0..20 {
            pace.connected();
            time::advance(HEALTHY).await;
            waits.push(pace.lost(true));
        }
        assert!(waits[0] > Duration::ZERO, "{waits:?}");
        let settled = &waits[6..];
        assert!(
            settled.iter().all(|wait| *wait >= MAX_WAIT / 2),
            "{waits:?}"
        );
        pace.connected();
        time::advance(HEALTHY).await;
        assert_eq!(pace.lost(false), Duration::ZERO, "the store is back");
    }
}
