#![doc = include_str!("../README.md")]

use std::time::Duration;

/// How long to wait before the next attempt.
///
/// The n-th wait lies at random between half and all of `min * 2^n`, but never below `min` and
/// never above `max`: replicas that lost the same peer at the same moment do not return together.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    /// The upper end of the next wait.
    ceiling: Duration,
}

impl Backoff {
    /// Waits from `min` to `max`; if `max` is the smaller one, always `min`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let max = max.max(min);
        let mut backoff = Self {
            min,
            max,
            ceiling: min,
        };
        backoff.reset();
        backoff
    }

    /// The next wait, longer than the one before it until the limit is reached.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, and an iterator would make every caller handle the end"
    )]
    pub fn next(&mut self) -> Duration {
        let ceiling = self.ceiling;
        let floor = (ceiling / 2).max(self.min);
        self.ceiling = ceiling.saturating_mul(2).min(self.max);
        floor + (ceiling - floor).mul_f64(fastrand::f64())
    }

    /// Starts again from the shortest wait; to be called when an attempt has succeeded.
    pub fn reset(&mut self) {
        self.ceiling = self.min.saturating_mul(2).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(10);

    #[test]
    fn grows_within_its_bounds() {
        for _ in 0..100 {
            let mut backoff = Backoff::new(MIN, MAX);
            let mut ceiling = MIN * 2;
            for _ in 0..20 {
                let wait = backoff.next();
                assert!(
                    wait >= ceiling / 2 && wait <= ceiling,
                    "{wait:?} {ceiling:?}"
                );
                assert!(wait >= MIN && wait <= MAX);
                ceiling = (ceiling * 2).min(MAX);
            }
        }
    }

    #[test]
    fn reset_starts_again() {
        let mut backoff = Backoff::new(MIN, MAX);
        while backoff.next() < MAX / 2 {}
        backoff.reset();
        assert!(backoff.next() <= MIN * 2);
    }

    #[test]
    fn waits_differ() {
        let waits: Vec<_> = (0..8).map(|_| Backoff::new(MIN, MAX).next()).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }

    #[test]
    fn odd_bounds_are_kept() {
        assert_eq!(Backoff::new(MAX, MIN).next(), MAX);
        assert_eq!(Backoff::new(MIN, MIN).next(), MIN);
        assert_eq!(Backoff::new(Duration::ZERO, MAX).next(), Duration::ZERO);
        let mut forever = Backoff::new(MIN, Duration::MAX);
        for _ in 0..200 {
            assert!(forever.next() >= MIN);
        }
    }
}
