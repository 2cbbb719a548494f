//! When a connection's heart beats, and whether it is still alive; pure.
//!
//! See [Discord Docs/Sending Heartbeats](https://docs.discord.com/developers/events/gateway#sending-heartbeats).

use std::time::Duration;
use tokio::time::Instant;

/// The shortest interval that is believed, so that a mistake of Discord's is no flood of ours.
const SHORTEST: Duration = Duration::from_millis(20);

/// The longest: a day.
const LONGEST: Duration = Duration::from_hours(24);

/// The heartbeats of one connection.
#[derive(Debug)]
pub(super) struct Heart {
    interval: Duration,
    /// When it last beat, until that is answered.
    beaten: Option<Instant>,
    /// Whether it ever beat.
    has_begun: bool,
    /// Whether anything has come since.
    heard: bool,
    latency: Option<Duration>,
}

impl Heart {
    /// One that waits for HELLO.
    pub(super) const fn new() -> Self {
        Self {
            interval: LONGEST,
            beaten: None,
            has_begun: false,
            heard: false,
            latency: None,
        }
    }

    /// HELLO has come; when to beat first: after a part of the interval, from 0 to 1.
    pub(super) fn begin(&mut self, now: Instant, interval: Duration, part: f64) -> Instant {
        self.interval = interval.clamp(SHORTEST, LONGEST);
        now + self.interval.mul_f64(part.clamp(0.0, 1.0))
    }

    /// When to beat after a beat at this moment.
    pub(super) fn next(&self, now: Instant) -> Instant {
        now + self.interval
    }

    /// Whether anything has come since the last beat. An answer is not asked for: Discord's may be behind a flood of
    /// events.
    pub(super) const fn is_alive(&self) -> bool {
        self.heard || !self.has_begun
    }

    /// A heartbeat was sent.
    pub(super) const fn beaten(&mut self, now: Instant) {
        (self.beaten, self.has_begun, self.heard) = (Some(now), true, false);
    }

    /// A payload came.
    pub(super) const fn heard(&mut self) {
        self.heard = true;
    }

    /// A heartbeat was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        if let Some(beaten) = self.beaten.take() {
            self.latency = Some(now.saturating_duration_since(beaten));
        }
    }

    /// How long the last answer took.
    pub(super) const fn latency(&self) -> Option<Duration> {
        self.latency
    }
}

#[cfg(test)]
mod tests {
    use super::{Heart, LONGEST, SHORTEST};
    use std::time::Duration;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_beat_comes_after_a_part_of_the_interval() {
        let (mut heart, now) = (Heart::new(), Instant::now());
        assert_eq!(heart.begin(now, 40 * SECOND, 0.25), now + 10 * SECOND);
        assert_eq!(heart.next(now), now + 40 * SECOND);
    }

    #[test]
    fn it_is_dead_when_nothing_comes_between_two_beats() {
        let (mut heart, now) = (Heart::new(), Instant::now());
        assert!(heart.is_alive(), "it has never beaten");
        heart.beaten(now);
        assert!(!heart.is_alive());
        heart.heard();
        assert!(heart.is_alive());
        heart.beaten(now);
        assert!(!heart.is_alive());
    }

    #[test]
    fn the_answer_tells_the_latency() {
        let (mut heart, now) = (Heart::new(), Instant::now());
        heart.answered(now);
        assert_eq!(heart.latency(), None, "nothing was asked");
        heart.beaten(now);
        heart.answered(now + SECOND);
        heart.answered(now + 5 * SECOND);
        assert_eq!(heart.latency(), Some(SECOND));
    }

    #[test]
    fn odd_intervals_are_not_believed() {
        let (mut heart, now) = (Heart::new(), Instant::now());
        heart.begin(now, Duration::ZERO, 0.5);
        assert_eq!(heart.next(now), now + SHORTEST);
        heart.begin(now, Duration::MAX, f64::NAN.max(0.0));
        assert_eq!(heart.next(now), now + LONGEST);
    }
}
