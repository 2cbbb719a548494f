//! When to prove that we are alive, and when the broker has been silent for too long.

use std::time::Duration;

use tokio::time::Instant;

/// Both sides of the silence on a connection.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// How long either side may be silent; nothing is watched without it.
    interval: Option<Duration>,
    said: Instant,
    heard: Instant,
}

/// What a look at the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// All is well.
    Fine,
    /// It is time to say something.
    Due,
    /// Nothing was heard for this long: nobody is there.
    Silent(Duration),
}

impl Heartbeat {
    /// Watches from now on; an interval of 0 seconds means never.
    pub(super) fn new(seconds: u16, now: Instant) -> Self {
        let interval = Duration::from_secs(seconds.into());
        Self {
            interval: (seconds > 0).then_some(interval),
            said: now,
            heard: now,
        }
    }

    /// Something was written.
    pub(super) fn said(&mut self, now: Instant) {
        self.said = now;
    }

    /// Something was read.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// What is to be done; to be asked a few times within each interval.
    pub(super) fn look(&self, now: Instant) -> Beat {
        let Some(interval) = self.interval else {
            return Beat::Fine;
        };
        let silence = now - self.heard;
        if silence >= interval * 2 {
            return Beat::Silent(silence);
        }
        if now - self.said >= interval / 2 {
            return Beat::Due;
        }
        Beat::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn we_speak_after_half_an_interval_of_silence() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(10, start);
        assert_eq!(heartbeat.look(start + 4 * SECOND), Beat::Fine);
        assert_eq!(heartbeat.look(start + 5 * SECOND), Beat::Due);
        heartbeat.said(start + 5 * SECOND);
        assert_eq!(heartbeat.look(start + 6 * SECOND), Beat::Fine);
    }

    #[test]
    fn a_broker_that_is_silent_for_two_intervals_is_gone() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(10, start);
        heartbeat.said(start + 19 * SECOND);
        assert_eq!(heartbeat.look(start + 19 * SECOND), Beat::Fine);
        let silence = 20 * SECOND;
        assert_eq!(heartbeat.look(start + silence), Beat::Silent(silence));
        heartbeat.heard(start + 20 * SECOND);
        assert_eq!(heartbeat.look(start + 21 * SECOND), Beat::Fine);
    }

    #[test]
    fn without_an_interval_nothing_is_watched() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(0, start);
        assert_eq!(heartbeat.look(start + 9_999 * SECOND), Beat::Fine);
    }
}
