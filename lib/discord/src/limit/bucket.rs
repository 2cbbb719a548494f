//! One of Discord's buckets for one channel, guild or webhook.

use std::time::Duration;

use super::{Quota, Window};

/// What rounding may take off a time in a header.
const ROUNDING: Duration = Duration::from_millis(2);

/// A bucket whose limit is known.
///
/// The limit and its window are learned from the headers: the longest `Reset-After` is the window. What the headers count beyond
/// our own requests was sent by somebody else, and is respected until the reset.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    window: Window,
    foreign: u32,
    foreign_until: Duration,
    blocked_until: Duration,
    confirmed: bool,
}

impl Bucket {
    /// A bucket that is known from elsewhere: until its first answer one request goes at a time.
    pub const fn new(limit: u32, length: Duration) -> Self {
        Self {
            window: Window::new(limit, length),
            foreign: 0,
            foreign_until: Duration::ZERO,
            blocked_until: Duration::ZERO,
            confirmed: false,
        }
    }

    /// Limit and length of the window.
    pub const fn shape(&self) -> (u32, Duration) {
        (self.window.limit(), self.window.length())
    }

    /// Requests that may be sent at this moment.
    pub fn free(&self, now: Duration) -> u32 {
        if now < self.blocked_until {
            return 0;
        }
        if !self.confirmed {
            return u32::from(self.window.in_flight() == 0).min(self.window.free(now));
        }
        self.window.free(now).saturating_sub(self.foreign(now))
    }

    /// Takes a permit, if there is one.
    #[must_use]
    pub fn take(&mut self, now: Duration) -> bool {
        self.free(now) > 0 && self.window.take(now, 1) == 1
    }

    /// A request was answered; without headers when there is no quota.
    pub fn answered(&mut self, now: Duration, quota: Option<&Quota>) {
        self.window.answered(now);
        if let Some(quota) = quota {
            self.learn(now, quota);
        }
    }

    /// The first headers came, while so many other requests were in flight.
    pub(super) fn found(&mut self, now: Duration, in_flight: u32, quota: &Quota) {
        self.window.restore(now, in_flight);
        self.learn(now, quota);
    }

    /// So many requests are in flight that were sent before the bucket was known.
    pub(super) fn expect(&mut self, in_flight: u32) {
        self.window.expect(in_flight);
    }

    /// Reads the headers of an answer that is counted already.
    fn learn(&mut self, now: Duration, quota: &Quota) {
        let reset_after = quota.reset_after + ROUNDING;
        let length = if quota.limit == self.window.limit() {
            self.window.length().max(reset_after)
        } else {
            reset_after
        };
        self.window.set(quota.limit, length);
        self.confirmed = true;
        let counted = quota.limit.saturating_sub(quota.remaining);
        let foreign = counted.saturating_sub(self.window.used(now));
        if foreign > 0 {
            self.foreign = foreign.max(self.foreign(now));
            self.foreign_until = self.foreign_until.max(now + reset_after);
        }
    }

    /// Sends nothing before that moment.
    pub fn block(&mut self, until: Duration) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// When so many more can have been sent at the earliest; absent: not before an answer.
    pub fn when(&self, now: Duration, wanted: u32) -> Option<Duration> {
        let mut earliest = self.window.when(now, wanted)?.max(self.blocked_until);
        if self.foreign(now) > 0 && self.window.free(now) < self.foreign(now) + wanted {
            earliest = earliest.max(self.foreign_until);
        }
        (self.confirmed || self.window.in_flight() == 0).then_some(earliest)
    }

    /// Takes over what was counted before the bucket was known.
    pub(super) fn absorb(&mut self, window: &Window) {
        self.window.absorb(window);
    }

    /// What it counts.
    pub(super) const fn window(&self) -> &Window {
        &self.window
    }

    /// Whether nothing is lost when it is forgotten.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.window.is_idle(now) && now >= self.blocked_until && self.foreign(now) == 0
    }

    fn foreign(&self, now: Duration) -> u32 {
        if now < self.foreign_until {
            self.foreign
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bucket, Quota};

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn quota(remaining: u32, reset_ms: u64) -> Quota {
        Quota {
            bucket: "b".into(),
            limit: 5,
            remaining,
            reset_after: ms(reset_ms),
        }
    }

    #[test]
    fn one_request_goes_ahead_until_its_answer_is_there() {
        let mut bucket = Bucket::new(5, ms(1000));
        assert!(bucket.take(ms(0)));
        assert!(!bucket.take(ms(0)));
        bucket.answered(ms(20), Some(&quota(4, 1000)));
        assert_eq!(bucket.free(ms(20)), 4);
    }

    #[test]
    fn what_somebody_else_has_used_is_respected_until_the_reset() {
        let mut bucket = Bucket::new(5, ms(1000));
        assert!(bucket.take(ms(0)));
        bucket.answered(ms(20), Some(&quota(1, 400)));
        assert_eq!(bucket.free(ms(20)), 1);
        assert!(bucket.take(ms(30)));
        // One was answered at 20, one is in flight; the three others are free again.
        assert_eq!(bucket.free(ms(425)), 3);
    }

    #[test]
    fn another_limit_is_believed_at_once() {
        let mut bucket = Bucket::new(50, ms(9000));
        assert!(bucket.take(ms(0)));
        bucket.answered(ms(20), Some(&quota(4, 1000)));
        assert_eq!(bucket.shape(), (5, ms(1002)));
    }

    #[test]
    fn a_block_ends_when_it_said() {
        let mut bucket = Bucket::new(5, ms(1000));
        bucket.block(ms(700));
        assert_eq!((bucket.free(ms(699)), bucket.free(ms(700))), (0, 1));
        assert_eq!(bucket.when(ms(0), 1), Some(ms(700)));
    }
}
