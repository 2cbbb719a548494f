//! A limit that no header shows, known only by its 429s.

use std::{collections::VecDeque, time::Duration};

use super::Window;

/// How many successes are remembered to learn from.
const REMEMBERED: usize = 64;
/// The shortest time without any request after which a hidden limit is forgotten.
const KEPT: Duration = Duration::from_secs(3600);
/// The longest time until a learned limit is put to the test again.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// Holds back the requests that one hidden limit covers.
///
/// When a 429 comes, the requests that went through before it, as long ago as its wait or the window known so far, are what
/// the limit allows, and the time from the first of them to the end of the wait is its window. That can be too little, if
/// somebody else has used it too. So after a while in which the limit was kept and used up, one more goes; if that meets a
/// 429, the next attempt is made after twice the time.
#[derive(Debug, Default)]
pub(super) struct Hold {
    until: Duration,
    passed: VecDeque<Duration>,
    learned: Option<Window>,
    grow_at: Duration,
    patience: Duration,
}

impl Hold {
    /// When the next may go; absent: not before an answer.
    pub(super) fn when(&self, now: Duration) -> Option<Duration> {
        let free = self
            .learned
            .as_ref()
            .map_or(Some(now), |window| window.when(now, 1));
        free.map(|free| free.max(self.until))
    }

    /// One is sent.
    pub(super) fn take(&mut self, now: Duration) {
        if let Some(window) = &mut self.learned {
            // It was asked before whether there is one.
            let taken = window.take(now, 1);
            debug_assert_eq!(taken, 1, "a hold is asked before it is taken");
        }
    }

    /// One was answered, and not by a 429 of this limit.
    pub(super) fn passed(&mut self, now: Duration) {
        if let Some(window) = &mut self.learned {
            window.answered(now);
            if now >= self.grow_at && window.free(now) == 0 {
                window.set(window.limit().saturating_add(1), window.length());
                self.grow_at = now + self.patience;
            }
        }
        self.passed.push_back(now);
        if self.passed.len() > REMEMBERED {
            self.passed.pop_front();
        }
    }

    /// One did not count after all.
    pub(super) fn unsent(&mut self) {
        if let Some(window) = &mut self.learned {
            window.unsent();
        }
    }

    /// One was answered by a 429 of this limit.
    pub(super) fn refused(&mut self, now: Duration, wait: Duration) {
        self.unsent();
        self.block(now + wait);
        let known = self.learned.as_ref();
        let horizon = known.map_or(wait, |window| window.length().max(wait));
        while self
            .passed
            .front()
            .is_some_and(|then| *then + horizon <= now)
        {
            self.passed.pop_front();
        }
        let Some(first) = self.passed.front() else {
            return;
        };
        let limit = u32::try_from(self.passed.len()).unwrap_or(u32::MAX);
        let mut window = Window::new(limit, self.until.saturating_sub(*first));
        for then in &self.passed {
            window.answered(*then);
        }
        window.expect(known.map_or(0, Window::in_flight));
        self.patience = (self.patience * 2)
            .max(window.length() * 2)
            .min(PATIENCE.max(window.length()));
        self.grow_at = now + self.patience;
        self.learned = Some(window);
    }

    /// Lets nothing go before that moment.
    pub(super) fn block(&mut self, until: Duration) {
        self.until = self.until.max(until);
    }

    /// Until when nothing goes.
    pub(super) const fn until(&self) -> Duration {
        self.until
    }

    /// Whether hardly anything is lost when it is forgotten: at most one 429.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let length = self.learned.as_ref().map_or(KEPT, Window::length);
        let last = self.passed.back().copied().unwrap_or_default();
        let flying = self.learned.as_ref().map_or(0, Window::in_flight);
        now >= self.until.max(last) + KEPT.max(length) && flying == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Hold;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pass(hold: &mut Hold, at: u64) {
        assert_eq!(hold.when(s(at)), Some(s(at)));
        hold.take(s(at));
        hold.passed(s(at));
    }

    fn refuse(hold: &mut Hold, at: u64, wait: u64) {
        assert_eq!(hold.when(s(at)), Some(s(at)));
        hold.take(s(at));
        hold.refused(s(at), s(wait));
    }

    #[test]
    fn a_hidden_limit_is_learned_from_its_first_429() {
        let mut hold = Hold::default();
        pass(&mut hold, 0);
        pass(&mut hold, 10);
        refuse(&mut hold, 20, 580);
        assert_eq!(hold.when(s(20)), Some(s(600)));
        // Two in 600 s, from then on without another 429.
        pass(&mut hold, 600);
        pass(&mut hold, 610);
        assert_eq!(hold.when(s(620)), Some(s(1200)));
    }

    #[test]
    fn what_went_through_long_before_teaches_nothing() {
        let mut hold = Hold::default();
        for at in [0, 3600, 3610] {
            pass(&mut hold, at);
        }
        refuse(&mut hold, 3620, 580);
        pass(&mut hold, 4200);
        pass(&mut hold, 4210);
        assert_eq!(hold.when(s(4220)), Some(s(4800)));
    }

    #[test]
    fn a_limit_that_was_learned_too_small_grows_back_and_a_true_one_is_tried_ever_more_seldom() {
        let mut hold = Hold::default();
        // Somebody else has used the other one of two in 100 s.
        pass(&mut hold, 0);
        refuse(&mut hold, 10, 90);
        let (mut sent, mut refused) = (vec![0_u64], vec![10_u64]);
        let mut now = s(10);
        while now < s(20_000) {
            let when = hold.when(now).unwrap();
            now = when.max(now + s(1));
            hold.take(now);
            let at = now.as_secs();
            let recent: Vec<u64> = sent
                .iter()
                .copied()
                .filter(|then| then + 100 > at)
                .collect();
            if recent.len() >= 2 {
                refused.push(at);
                hold.refused(now, s(recent[0] + 100 - at));
            } else {
                sent.push(at);
                hold.passed(now);
            }
        }
        let late = sent.iter().filter(|at| **at >= 10_000).count();
        assert!(late >= 195, "{late} of 200");
        assert!(refused.len() <= 9, "{refused:?}");
        let pauses: Vec<u64> = refused.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.last() > pauses.first(), "{pauses:?}");
    }

    #[test]
    fn what_was_learned_is_forgotten_after_a_long_silence() {
        let mut hold = Hold::default();
        pass(&mut hold, 0);
        refuse(&mut hold, 10, 90);
        assert!(!hold.is_idle(s(3000)));
        assert!(hold.is_idle(s(3700)));
    }
}
