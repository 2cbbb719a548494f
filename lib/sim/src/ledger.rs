//! The identify ledger: one Identify per bucket and window, and a budget per day.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::config::Config;

/// What a client's clock and the network may take off the window.
const SLACK: Duration = Duration::from_millis(50);

/// Counts identifies; takes the time as an argument, so that it has none of its own.
#[derive(Debug)]
pub(crate) struct Ledger {
    buckets: HashMap<u32, Instant>,
    remaining: u32,
    total: u32,
    resets_at: Instant,
    token_reset: bool,
}

/// Why an Identify was turned down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// Nothing left today.
    Budget,
    /// The bucket's window is not over; so much was missing.
    Concurrency(Duration),
}

impl Ledger {
    pub(crate) fn new(now: Instant, config: &Config) -> Self {
        Self {
            buckets: HashMap::new(),
            remaining: config.remaining,
            total: config.total,
            resets_at: now + Duration::from_millis(config.reset_after_ms),
            token_reset: false,
        }
    }

    /// Takes one Identify for the shard.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        shard: u32,
        config: &Config,
    ) -> Result<(), Refusal> {
        self.turn_over(now);
        if self.remaining == 0 {
            self.token_reset |= config.reset_token_on_exhaustion;
            return Err(Refusal::Budget);
        }
        let window = Duration::from_millis(config.identify_window_ms).saturating_sub(SLACK);
        let bucket = shard % config.max_concurrency.max(1);
        if let Some(last) = self.buckets.get(&bucket) {
            let passed = now.saturating_duration_since(*last);
            if passed < window {
                return Err(Refusal::Concurrency(window - passed));
            }
        }
        self.buckets.insert(bucket, now);
        self.remaining -= 1;
        Ok(())
    }

    /// What is left, and how long until it is filled up again.
    pub(crate) fn left(&mut self, now: Instant) -> (u32, Duration) {
        self.turn_over(now);
        (
            self.remaining,
            self.resets_at.saturating_duration_since(now),
        )
    }

    /// Whether the budget ran out, so that Discord took the token back.
    pub(crate) fn token_reset(&self) -> bool {
        self.token_reset
    }

    fn turn_over(&mut self, now: Instant) {
        if now >= self.resets_at {
            self.remaining = self.total;
            self.resets_at = now + Duration::from_secs(86_400);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Ledger, Refusal};
    use crate::config::Config;

    #[test]
    fn each_bucket_has_its_own_window() {
        let config = Config {
            max_concurrency: 2,
            ..Config::default()
        };
        let start = Instant::now();
        let mut ledger = Ledger::new(start, &config);
        assert_eq!(ledger.take(start, 0, &config), Ok(()));
        assert_eq!(ledger.take(start, 1, &config), Ok(()));
        let early = start + Duration::from_secs(2);
        assert!(matches!(
            ledger.take(early, 2, &config),
            Err(Refusal::Concurrency(_))
        ));
        let later = start + Duration::from_secs(5);
        assert_eq!(ledger.take(later, 2, &config), Ok(()));
        assert_eq!(ledger.left(later).0, 997);
    }

    #[test]
    fn an_empty_budget_resets_the_token_and_fills_up_with_the_day() {
        let config = Config {
            remaining: 1,
            reset_after_ms: 60_000,
            ..Config::default()
        };
        let start = Instant::now();
        let mut ledger = Ledger::new(start, &config);
        assert_eq!(ledger.take(start, 0, &config), Ok(()));
        let later = start + Duration::from_secs(10);
        assert_eq!(ledger.take(later, 0, &config), Err(Refusal::Budget));
        assert!(ledger.token_reset());
        assert_eq!(ledger.left(start + Duration::from_secs(61)).0, config.total);
    }
}
