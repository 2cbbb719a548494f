//! Waiting times between attempts: exponential, with jitter, never above a limit.

use std::time::Duration;

/// How long to wait before the next attempt: at random between half and all of a limit that
/// doubles each time, so that workers that lost the same broker do not return together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    /// The upper end of the next wait.
    ceiling: Duration,
}

impl Backoff {
    /// Waits from `min` to `max`; if `max` is the smaller one, always `min`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max: max.max(min),
            ceiling: min,
        }
    }

    /// The next wait, longer than the one before it until the limit is reached.
    pub(crate) fn wait(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.max);
        ceiling / 2 + (ceiling / 2).mul_f64(fastrand::f64())
    }

    /// Starts again from the shortest wait.
    pub(crate) fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_within_their_bounds() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        for ceiling in [100, 200, 400, 800, 1_000, 1_000] {
            let (wait, ceiling) = (backoff.wait(), Duration::from_millis(ceiling));
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= min);
    }

    #[test]
    fn odd_bounds_are_kept() {
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        assert!(Backoff::new(day, second).wait() <= day);
        let mut forever = Backoff::new(second, Duration::MAX);
        for _ in 0..200 {
            assert!(forever.wait() >= second / 2);
        }
    }
}
