//! So many requests in so much time, whichever way Discord counts them.
//!
//! A permit comes back one window after its answer: Discord counted the request at some moment between sending and
//! answer, so at no moment can more requests than the limit have been counted within one window. That satisfies fixed
//! windows, sliding windows and token buckets alike, without a common clock, at the price of one round trip per window.

use std::{collections::VecDeque, time::Duration};

/// The state of one limit: small, and made of plain numbers, so that a store can hold it for all replicas and give out
/// permits in lots.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    limit: u32,
    length: Duration,
    /// Among how many replicas the limit is divided.
    share: u32,
    in_flight: u32,
    answered: VecDeque<Duration>,
    /// How many of those have counted for long enough, as far as was looked; more may have since.
    over: usize,
    /// Whether what came back lately is remembered for half a window more.
    remembers: bool,
}

impl Window {
    /// A window in which nothing was sent yet.
    pub const fn new(limit: u32, length: Duration) -> Self {
        Self {
            limit,
            length,
            share: 1,
            in_flight: 0,
            answered: VecDeque::new(),
            over: 0,
            remembers: false,
        }
    }

    /// The same, which also knows what came back lately.
    pub(super) const fn remembering(limit: u32, length: Duration) -> Self {
        let mut window = Self::new(limit, length);
        window.remembers = true;
        window
    }

    /// How many requests it allows.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How long one request counts.
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// Requests without an answer so far.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Changes the limit; what was sent still counts.
    pub fn set(&mut self, limit: u32, length: Duration) {
        if length > self.length {
            self.over = 0;
        }
        (self.limit, self.length) = (limit, length);
    }

    /// Leaves the others their part: of so many replicas each keeps to an equal one, of at least one request.
    pub fn divide(&mut self, replicas: u32) {
        self.share = replicas.max(1);
    }

    /// Requests that Discord may count at this moment.
    pub fn used(&self, now: Duration) -> u32 {
        let counted = self.answered.len() - self.over(now);
        self.in_flight
            .saturating_add(u32::try_from(counted).unwrap_or(u32::MAX))
    }

    /// Requests that may be sent at this moment.
    pub fn free(&self, now: Duration) -> u32 {
        (self.limit / self.share)
            .max(1)
            .saturating_sub(self.used(now))
    }

    /// Takes up to so many permits; how many there were. Each is given back by [`Self::answered`] or
    /// [`Self::unsent`].
    #[must_use]
    pub fn take(&mut self, now: Duration, wanted: u32) -> u32 {
        self.forget(now);
        let taken = self.free(now).min(wanted);
        self.in_flight += taken;
        taken
    }

    /// One of the requests was answered, or will not be any more.
    pub fn answered(&mut self, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.answered.push_back(now);
        self.forget(now);
    }

    /// One of the permits was not used.
    pub fn unsent(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// When so many more permits will have been free, one after the other, at the earliest; absent: not before
    /// something in flight is answered.
    pub fn when(&self, now: Duration, wanted: u32) -> Option<Duration> {
        let free = self.free(now);
        if wanted <= free {
            return Some(now);
        }
        let coming = self.answered.iter().skip(self.over(now));
        let coming = coming.map(|then| *then + self.length);
        let place = (wanted - free - 1) as usize;
        if wanted == 1 && coming.len() == 0 {
            return None;
        }
        // What comes back in one round, in the order in which it does; then the same again.
        let others = (free + self.in_flight) as usize;
        let others = std::iter::repeat_n(now + self.length, others);
        let round: Vec<Duration> = coming.chain(others).collect();
        let rounds = u32::try_from(place.checked_div(round.len())?).unwrap_or(u32::MAX);
        let first = round.get(place % round.len())?;
        Some(first.saturating_add(self.length.saturating_mul(rounds)))
    }

    /// So many more are in flight, as it turns out.
    pub(super) const fn expect(&mut self, in_flight: u32) {
        self.in_flight += in_flight;
    }

    /// One was answered just now and others are in flight, as it turns out.
    pub(super) fn restore(&mut self, now: Duration, in_flight: u32) {
        self.expect(in_flight);
        self.answered.push_back(now);
    }

    /// When those were answered that may still count, oldest first.
    pub(super) fn counted(&self, now: Duration) -> impl Iterator<Item = Duration> {
        let counts = move |then: &&Duration| **then + self.length > now;
        self.answered.iter().filter(counts).copied()
    }

    /// When the last permit came back up to now, if it is still remembered.
    pub(super) fn last_return(&self, now: Duration) -> Option<Duration> {
        let over = self.over(now);
        let last = self.answered.get(over.checked_sub(1)?)?;
        Some(*last + self.length)
    }

    /// How many permits came back within the last half of a window.
    pub(super) fn returned(&self, now: Duration) -> u32 {
        let long_back = now.checked_sub(self.remembered());
        let is_long_back = |then: &Duration| long_back.is_some_and(|long_back| *then <= long_back);
        let long_back = self.answered.partition_point(is_long_back);
        let back = self.over(now).saturating_sub(long_back);
        u32::try_from(back).unwrap_or(u32::MAX)
    }

    /// Takes over what another window counted.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.in_flight += other.in_flight;
        self.answered.extend(&other.answered);
        self.answered.make_contiguous().sort_unstable();
        self.over = 0;
    }

    /// Whether nothing counts any more.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.used(now) == 0
    }

    /// How many of the answers do not count any more. Few more than when that was last looked at.
    fn over(&self, now: Duration) -> usize {
        let Some(then) = now.checked_sub(self.length) else {
            return self.over;
        };
        let later = self.answered.range(self.over..);
        self.over + later.take_while(|answered| **answered <= then).count()
    }

    /// What came back lately shows whether the window is as long as we think.
    fn remembered(&self) -> Duration {
        match self.remembers {
            true => self.length + self.length / 2,
            false => self.length,
        }
    }

    fn forget(&mut self, now: Duration) {
        self.over = self.over(now);
        let Some(then) = now.checked_sub(self.remembered()) else {
            return;
        };
        while self.answered.front().is_some_and(|first| *first <= then) {
            self.answered.pop_front();
            self.over = self.over.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Window;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_permit_comes_back_one_window_after_its_answer() {
        let mut window = Window::new(2, ms(1000));
        assert_eq!(window.take(ms(0), 5), 2);
        assert_eq!(window.when(ms(10), 1), None);
        window.answered(ms(50));
        assert_eq!((window.free(ms(1049)), window.free(ms(1050))), (0, 1));
        assert_eq!(window.when(ms(60), 1), Some(ms(1050)));
        window.answered(ms(70));
        assert_eq!(window.when(ms(80), 2), Some(ms(1070)));
        assert_eq!(window.when(ms(80), 3), Some(ms(2050)));
        assert_eq!(window.when(ms(1060), 3), Some(ms(2060)));
    }

    #[test]
    fn an_unused_permit_comes_back_at_once() {
        let mut window = Window::new(1, ms(1000));
        assert_eq!(window.take(ms(0), 1), 1);
        window.unsent();
        assert_eq!(window.free(ms(0)), 1);
    }
}
