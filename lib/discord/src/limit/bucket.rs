//! One of Discord's buckets for one channel, guild or webhook.

use std::time::Duration;

use super::{Quota, Window};

/// What rounding may take off a time in a header.
pub(super) const ROUNDING: Duration = Duration::from_millis(2);

/// A bucket whose limit is known.
///
/// The limit and its window are learned from the headers: the longest `Reset-After` is the window. What the headers count beyond
/// our own requests was sent by somebody else: then no more goes before the reset than they say to be left.
///
/// `Reset-After` may also be the time to the next permit alone, and then the window is longer than it seems. So until it was seen
/// once that a whole window's permits come back as expected, one request goes ahead whenever some have come back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    window: Window,
    /// What Discord says to be left until the reset, as it has counted more than we have.
    left: u32,
    left_until: Duration,
    blocked_until: Duration,
    /// Whether an answer has told what the bucket has counted so far.
    confirmed: bool,
    /// Until when an answer has shown the headers to agree with what we count.
    agreed_at: Duration,
    /// Whether permits were seen to come back after the window.
    proven: bool,
    /// For the one request that goes ahead: when it was sent, and how many permits had just come back.
    trial: Option<(Duration, u32)>,
    /// Whether a store counts for all replicas: then nothing is guessed here.
    together: bool,
}

impl Bucket {
    /// A bucket that is known from elsewhere: until its first answer one request goes at a time.
    pub const fn new(limit: u32, length: Duration) -> Self {
        Self {
            window: Window::remembering(limit, length),
            left: 0,
            left_until: Duration::ZERO,
            blocked_until: Duration::ZERO,
            confirmed: false,
            agreed_at: Duration::ZERO,
            proven: false,
            trial: None,
            together: false,
        }
    }

    /// Limit and length of the window.
    pub const fn shape(&self) -> (u32, Duration) {
        (self.window.limit(), self.window.length())
    }

    /// Takes over what others have learned of the limit.
    pub(super) fn reshape(&mut self, limit: u32, length: Duration) {
        self.window.set(limit, length);
    }

    /// Whether a store counts for all replicas. If not, each of so many keeps to its part, and looks first what the others have used.
    pub(super) fn join(&mut self, together: bool, replicas: u32) {
        self.together = together;
        self.confirmed = together;
        self.proven = false;
        self.left_until = Duration::ZERO;
        self.window.divide(replicas);
    }

    /// Requests that may be sent at this moment.
    pub fn free(&self, now: Duration) -> u32 {
        if now < self.blocked_until {
            return 0;
        }
        let mut free = self.window.free(now);
        if now < self.left_until {
            free = free.min(self.left);
        }
        if self.one_goes_ahead(now) {
            return u32::from(self.window.in_flight() == 0).min(free);
        }
        free
    }

    /// Takes a permit, if there is one.
    #[must_use]
    pub fn take(&mut self, now: Duration) -> bool {
        if self.free(now) == 0 {
            return false;
        }
        self.trial = self
            .one_goes_ahead(now)
            .then(|| (now, self.window.returned(now)));
        self.left = self.left.saturating_sub(1);
        self.window.take(now, 1) == 1
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

    /// So many more requests are in flight that were sent before the bucket was known.
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
        if self.together {
            // Whoever has used it: before the reset there is nothing.
            if quota.remaining == 0 {
                self.block(now + reset_after);
            }
            return;
        }
        let counted = quota.limit.saturating_sub(quota.remaining);
        let used = self.window.used(now);
        let trial = self.trial.take();
        if counted > used {
            // Before the reset nothing comes back, also of what is ours.
            self.left = quota.remaining.saturating_sub(self.window.in_flight());
            self.left_until = self.left_until.max(now + reset_after);
            self.proven = false;
            return;
        }
        if let Some((sent, returned)) = trial {
            self.agreed_at = sent;
            // Had they not been back, this one would have been one too many. That one is back proves nothing.
            let whole = returned > 1 || quota.limit == 1;
            self.proven |= whole && returned + used > quota.limit;
        }
    }

    /// Sends nothing before that moment.
    pub fn block(&mut self, until: Duration) {
        self.blocked_until = self.blocked_until.max(until);
        self.proven = false;
    }

    /// Until when nothing is sent.
    pub(super) const fn blocked_until(&self) -> Duration {
        self.blocked_until
    }

    /// When so many more can have been sent at the earliest; absent: not before an answer.
    pub fn when(&self, now: Duration, wanted: u32) -> Option<Duration> {
        let mut earliest = self.window.when(now, wanted)?.max(self.blocked_until);
        if now < self.left_until && self.left < wanted {
            earliest = earliest.max(self.left_until);
        }
        let waits = self.one_goes_ahead(now) && self.window.in_flight() > 0;
        (!waits).then_some(earliest)
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
        self.window.is_idle(now) && now >= self.blocked_until.max(self.left_until)
    }

    /// Whether permits have come back that no answer has shown to be there, or nothing was shown so far.
    fn one_goes_ahead(&self, now: Duration) -> bool {
        if self.together || self.proven {
            return false;
        }
        let reset = Some(self.left_until).filter(|until| *until <= now);
        let back = self.window.last_return(now).max(reset);
        !self.confirmed || back.is_some_and(|back| back > self.agreed_at)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, time::Duration};

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
        assert_eq!(bucket.free(ms(401)), 0);
        // One was answered at 20, one is in flight; that the three others are free again its answer has to show.
        assert_eq!((bucket.free(ms(425)), bucket.when(ms(425), 1)), (0, None));
        bucket.answered(ms(430), Some(&quota(0, 100)));
        assert_eq!(bucket.free(ms(533)), 1);
        assert!(bucket.take(ms(533)));
        bucket.answered(ms(540), Some(&quota(2, 900)));
        assert_eq!(bucket.free(ms(540)), 2);
    }

    /// Sends whatever may be sent to a bucket of five tokens, one of which comes back each 200 ms, and whose headers name
    /// the time to the next token; how many pass, and how many do not.
    fn next_token(seconds: u64, round_trip: u64) -> (u32, u32) {
        let mut bucket = Bucket::new(5, ms(1));
        let (mut level, mut at) = (0, 0);
        let (mut passed, mut refused) = (0, 0);
        let mut answers = VecDeque::new();
        for now in 0..seconds * 1000 {
            while let Some((due, remaining, reset)) = answers.front().copied()
                && due <= now
            {
                answers.pop_front();
                bucket.answered(ms(now), Some(&quota(remaining, reset)));
            }
            // Two seconds of rest now and then.
            while now % 10_000 < 8_000 && bucket.take(ms(now)) {
                (level, at) = (u64::saturating_sub(level, now - at), now);
                if level <= 800 {
                    (level, passed) = (level + 200, passed + 1);
                } else {
                    refused += 1;
                }
                let (left, next) = ((1000 - level) / 200, 200 - (1000 - level) % 200);
                answers.push_back((now + round_trip, u32::try_from(left).unwrap(), next));
            }
        }
        (passed, refused)
    }

    #[test]
    fn a_reset_that_is_only_the_next_permit_is_found_out() {
        let (passed, refused) = next_token(60, 20);
        // Four permits a second and what has gathered in each pause.
        assert!(passed >= 180, "{passed}");
        assert_eq!(refused, 0);
    }

    #[test]
    fn a_window_that_is_one_is_used_to_the_full_once_it_was_seen() {
        let mut bucket = Bucket::new(5, ms(1000));
        assert!(bucket.take(ms(0)));
        bucket.answered(ms(20), Some(&quota(4, 1000)));
        for left in [3, 2, 1, 0] {
            assert!(bucket.take(ms(20)));
            bucket.answered(ms(40), Some(&quota(left, 960)));
        }
        // All are back, and one goes ahead.
        assert_eq!(bucket.free(ms(1050)), 1);
        assert!(bucket.take(ms(1050)));
        assert_eq!(bucket.free(ms(1050)), 0);
        bucket.answered(ms(1070), Some(&quota(4, 1000)));
        assert_eq!(bucket.free(ms(1070)), 4);
        for left in [3, 2, 1, 0] {
            assert!(bucket.take(ms(1070)));
            bucket.answered(ms(1090), Some(&quota(left, 960)));
        }
        assert_eq!(bucket.free(ms(2100)), 5);
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
