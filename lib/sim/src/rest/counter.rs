//! One counter of one limit, in each of the ways in which limits count.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::config::Window;

/// What the rate limit headers say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quota {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_after: Duration,
}

/// Requests that were let through.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// Sliding: each request. Fixed: the window's first, `used` times.
    hits: VecDeque<Instant>,
    used: u32,
    /// Token bucket: how much had been taken at that moment, in tokens.
    taken: f64,
    taken_at: Option<Instant>,
    /// When a client could read that nothing is left.
    pub(crate) empty_since: Option<Instant>,
    /// When a 429 was answered, and until when it asked to wait.
    pub(crate) refused: Option<(Instant, Instant)>,
}

impl Counter {
    /// Takes one request; what is left, or how long until one is free.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        kind: Window,
        limit: u32,
        window: Duration,
    ) -> Result<Quota, Duration> {
        let quota = match kind {
            Window::Fixed => self.fixed(now, limit, window),
            Window::Sliding => self.sliding(now, limit, window),
            Window::TokenBucket => self.tokens(now, limit, window),
        }?;
        self.empty_since = (quota.remaining == 0).then_some(now);
        Ok(quota)
    }

    /// Whether nothing counts any more.
    pub(crate) fn is_idle(&self, now: Instant, window: Duration) -> bool {
        let last = self.hits.back().copied().max(self.taken_at);
        last.is_none_or(|last| now >= last + window)
            && self.refused.is_none_or(|(_, until)| now >= until)
    }

    fn fixed(&mut self, now: Instant, limit: u32, window: Duration) -> Result<Quota, Duration> {
        let opened = match self.hits.front() {
            Some(opened) if now < *opened + window => *opened,
            _ => {
                self.hits = VecDeque::from([now]);
                self.used = 0;
                now
            }
        };
        let reset_after = opened + window - now;
        if self.used >= limit {
            return Err(reset_after);
        }
        self.used += 1;
        Ok(Quota {
            limit,
            remaining: limit - self.used,
            reset_after,
        })
    }

    fn sliding(&mut self, now: Instant, limit: u32, window: Duration) -> Result<Quota, Duration> {
        while self.hits.front().is_some_and(|hit| now >= *hit + window) {
            self.hits.pop_front();
        }
        let used = u32::try_from(self.hits.len()).unwrap_or(u32::MAX);
        let oldest = self.hits.front().copied().unwrap_or(now);
        let reset_after = oldest + window - now;
        if used >= limit {
            return Err(reset_after);
        }
        self.hits.push_back(now);
        Ok(Quota {
            limit,
            remaining: limit - used - 1,
            reset_after,
        })
    }

    fn tokens(&mut self, now: Instant, limit: u32, window: Duration) -> Result<Quota, Duration> {
        let per_token = window.as_secs_f64() / f64::from(limit.max(1));
        let passed = self.taken_at.map_or(0.0, |then| (now - then).as_secs_f64());
        let taken = (self.taken - passed / per_token).max(0.0);
        // A nanosecond of rounding is no request too many.
        let over = taken + 1.0 - f64::from(limit);
        if over > 1e-6 {
            return Err(Duration::from_secs_f64(over * per_token));
        }
        (self.taken, self.taken_at) = (taken + 1.0, Some(now));
        let left = (f64::from(limit) - self.taken).max(0.0);
        // Whole tokens: the fraction is not there yet.
        let remaining = (0..limit).take_while(|count| f64::from(count + 1) <= left + 1e-6);
        Ok(Quota {
            limit,
            remaining: u32::try_from(remaining.count()).unwrap_or(limit),
            reset_after: Duration::from_secs_f64(self.taken * per_token),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Counter, Window};

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of requests at these milliseconds are let through.
    fn passed(kind: Window, at_ms: &[u64]) -> Vec<bool> {
        let start = Instant::now();
        let mut counter = Counter::default();
        let mut take = |&ms: &u64| {
            let now = start + Duration::from_millis(ms);
            counter.take(now, kind, 2, SECOND).is_ok()
        };
        at_ms.iter().map(&mut take).collect()
    }

    #[test]
    fn each_kind_of_window_gives_back_in_its_own_way() {
        let at = [0, 900, 950, 1000, 1001, 1500, 1901];
        assert_eq!(
            passed(Window::Fixed, &at),
            [true, true, false, true, true, false, false]
        );
        assert_eq!(
            passed(Window::Sliding, &at),
            [true, true, false, true, false, false, true]
        );
        assert_eq!(
            passed(Window::TokenBucket, &at),
            [true, true, true, false, false, true, true]
        );
    }

    #[test]
    fn the_headers_count_down() {
        for kind in [Window::Fixed, Window::Sliding, Window::TokenBucket] {
            let now = Instant::now();
            let mut counter = Counter::default();
            let first = counter.take(now, kind, 2, SECOND).unwrap();
            let second = counter.take(now, kind, 2, SECOND).unwrap();
            assert_eq!((first.limit, first.remaining, second.remaining), (2, 1, 0));
            assert_eq!(second.reset_after, SECOND, "{kind:?}");
            let wait = counter.take(now, kind, 2, SECOND).unwrap_err();
            assert!(
                counter.take(now + wait, kind, 2, SECOND).is_ok(),
                "{kind:?}"
            );
        }
    }
}
