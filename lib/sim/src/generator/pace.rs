//! The pace of a run: so many events per second, or none.

use std::time::Duration;

use tokio::time::Instant;

/// How far a paced run may fall behind before it lets the lost time go.
const LARGEST_DEBT: Duration = Duration::from_secs(1);
/// The longest wait for the next event.
const FAR: Duration = Duration::from_secs(86_400);

/// How many events are due by now.
pub(super) struct Pace {
    start: Instant,
    rate: Option<f64>,
    emitted: f64,
}

impl Pace {
    pub(super) fn new(start: Instant, rate: Option<f64>) -> Self {
        Self {
            start,
            rate,
            emitted: 0.0,
        }
    }

    /// The number of events that are due, or when the next one is.
    pub(super) fn due(&mut self, now: Instant) -> Result<u64, Instant> {
        let Some(rate) = self.rate else {
            return Ok(u64::MAX);
        };
        let mut owed =
            now.saturating_duration_since(self.start).as_secs_f64() * rate - self.emitted;
        let largest = LARGEST_DEBT.as_secs_f64() * rate;
        if owed > largest.max(1.0) {
            self.emitted += owed - largest.max(1.0);
            owed = largest.max(1.0);
        }
        if owed >= 1.0 {
            // A number of events per second fits into 64 bits.
            return Ok(owed as u64);
        }
        let next = Duration::try_from_secs_f64((self.emitted + 1.0) / rate);
        Err(now.max(self.start + next.unwrap_or(FAR).min(FAR)))
    }

    pub(super) fn emitted(&mut self) {
        self.emitted += 1.0;
    }

    /// Time in which nobody listened is not made up for.
    pub(super) fn forgive(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            let due = now.saturating_duration_since(self.start).as_secs_f64() * rate;
            self.emitted = self.emitted.max(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Pace;

    #[test]
    fn a_pace_makes_up_for_at_most_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start, Some(100.0));
        assert_eq!(pace.due(start), Err(start + Duration::from_millis(10)));
        assert_eq!(pace.due(start + Duration::from_millis(55)), Ok(5));
        for _ in 0..5 {
            pace.emitted();
        }
        assert_eq!(
            pace.due(start + Duration::from_millis(55)),
            Err(start + Duration::from_millis(60))
        );
        assert_eq!(pace.due(start + Duration::from_secs(60)), Ok(100));
    }

    #[test]
    fn full_speed_is_always_due() {
        let start = Instant::now();
        assert_eq!(Pace::new(start, None).due(start), Ok(u64::MAX));
    }
}
