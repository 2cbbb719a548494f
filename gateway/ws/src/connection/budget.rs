//! What may be sent on one connection: 120 payloads in 60 seconds.
//!
//! See [Discord Docs/Rate Limiting](https://docs.discord.com/developers/events/gateway#rate-limiting).

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Discord's limit.
const PAYLOADS: usize = 120;

/// Within so much time; a little more than Discord's, as the way to it takes now longer and now shorter.
const PERIOD: Duration = Duration::from_millis(60_500);

/// At most so many are left for heartbeats, however fast Discord wants them.
const MOST_HEARTBEATS: usize = 10;

/// Counts what is sent, but for heartbeats, for which it leaves room.
#[derive(Debug)]
pub(super) struct Budget {
    allowed: usize,
    /// When each of the last so many was sent.
    sent: VecDeque<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            allowed: PAYLOADS - MOST_HEARTBEATS,
            sent: VecDeque::new(),
        }
    }
}

impl Budget {
    /// Leaves room for a heartbeat in each interval, and one that Discord asks for.
    pub(super) fn beside(heartbeat_interval: Duration) -> Self {
        let most = MOST_HEARTBEATS as u128;
        let millis = heartbeat_interval.as_millis().max(1);
        let heartbeats = PERIOD.as_millis().div_ceil(millis).saturating_add(1);
        let heartbeats = usize::try_from(heartbeats.min(most)).unwrap_or(MOST_HEARTBEATS);
        Self {
            allowed: PAYLOADS - heartbeats,
            sent: VecDeque::new(),
        }
    }

    /// Whether one more may be sent.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let in_the_way = self.sent.len().checked_sub(self.allowed);
        let oldest = in_the_way.and_then(|place| self.sent.get(place));
        oldest.is_none_or(|sent| *sent + PERIOD <= now)
    }

    /// One was sent.
    pub(super) fn spend(&mut self, now: Instant) {
        if self.sent.len() == self.allowed {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, PERIOD};
    use std::time::Duration;
    use tokio::time::Instant;

    fn fill(budget: &mut Budget, now: Instant) -> usize {
        let mut count = 0;
        while budget.has_room(now) {
            budget.spend(now);
            count += 1;
        }
        count
    }

    #[test]
    fn there_is_always_room_for_heartbeats() {
        for (interval_ms, allowed) in [
            (u64::MAX, 118),
            (60_500, 118),
            (41_250, 117),
            (20_000, 115),
            (0, 110),
        ] {
            let mut budget = Budget::beside(Duration::from_millis(interval_ms));
            assert_eq!(fill(&mut budget, Instant::now()), allowed, "{interval_ms}");
        }
    }

    #[test]
    fn no_period_has_more_than_the_limit() {
        let mut budget = Budget::beside(Duration::from_millis(41_250));
        let mut now = Instant::now();
        let mut sent = Vec::new();
        for step in 0..2_000_u64 {
            if budget.has_room(now) {
                budget.spend(now);
                sent.push(now);
            }
            now += Duration::from_millis(step * 7 % 450);
        }
        assert!(sent.len() > 300, "{}", sent.len());
        for (first, last) in sent.iter().zip(sent.iter().skip(117)) {
            assert!(*last - *first >= PERIOD);
        }
    }
}
