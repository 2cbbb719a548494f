//! A limit that no header shows, known only by its 429s.

use std::{collections::VecDeque, time::Duration};

use super::Window;

/// How many successes are remembered to learn from.
const REMEMBERED: usize = 64;

/// Holds back the requests that one hidden limit covers.
///
/// When a 429 comes, the requests that went through before it are what the limit allows, and the time from the
/// first of them to the end of the wait is its window.
#[derive(Debug, Default)]
pub(super) struct Hold {
    until: Duration,
    passed: VecDeque<Duration>,
    learned: Option<Window>,
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
        self.until = self.until.max(now + wait);
        if let Some(first) = self.passed.front() {
            let limit = u32::try_from(self.passed.len()).unwrap_or(u32::MAX);
            let mut window = Window::new(limit, self.until.saturating_sub(*first));
            for then in &self.passed {
                window.answered(*then);
            }
            self.learned = Some(window);
        } else {
            self.unsent();
        }
        self.passed.clear();
    }

    /// Whether it holds nothing back and knows nothing.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.learned.is_none() && self.passed.is_empty() && now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Hold;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_hidden_limit_is_learned_from_its_first_429() {
        let mut hold = Hold::default();
        for at in [0, 10] {
            assert_eq!(hold.when(s(at)), Some(s(at)));
            hold.take(s(at));
            hold.passed(s(at));
        }
        hold.take(s(20));
        hold.refused(s(20), s(580));
        assert_eq!(hold.when(s(20)), Some(s(600)));
        // Two in 600 s, from then on without another 429.
        for at in [600, 610] {
            assert_eq!(hold.when(s(at)), Some(s(at)));
            hold.take(s(at));
            hold.passed(s(at));
        }
        assert_eq!(hold.when(s(620)), Some(s(1200)));
    }
}
