//! Times in buckets that grow with the time: small, and exact to a sixteenth.

use std::time::Duration;

/// Buckets for each doubling.
const STEPS: u64 = 16;

/// How often which time occurred.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    /// Adds a time in microseconds.
    pub fn record(&mut self, micros: u64) {
        let index = index(micros);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        self.buckets[index] += 1;
        self.count += 1;
    }

    /// The time that so large a part of all stays below; nothing when there is none.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        let index = self.buckets.iter().position(|bucket| {
            seen += bucket;
            *bucket > 0 && seen >= wanted
        })?;
        Some(Duration::from_micros(floor(index as u64 + 1)))
    }
}

/// The bucket of a time: below [`STEPS`] each number has its own, then each doubling has so many.
fn index(micros: u64) -> usize {
    let doublings = u64::from(micros.max(STEPS).ilog2() - STEPS.ilog2());
    let index = doublings * STEPS + (micros >> doublings);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The smallest time of a bucket.
fn floor(index: u64) -> u64 {
    let doublings = (index / STEPS).saturating_sub(1);
    (index - doublings * STEPS) << doublings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, floor, index};

    #[test]
    fn buckets_follow_each_other() {
        for micros in (0..2000).chain([1 << 20, (1 << 30) + 12345, u64::MAX / 2]) {
            let bucket = index(micros) as u64;
            assert!(floor(bucket) <= micros, "{micros}");
            assert!(floor(bucket + 1) > micros, "{micros}");
        }
    }

    #[test]
    fn quantiles_are_close() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=1000).for_each(|micros| histogram.record(micros));
        let [half, nearly_all] = [0.5, 0.99].map(|part| histogram.quantile(part).unwrap());
        assert!((500..=532).contains(&half.as_micros()), "{half:?}");
        assert!((990..=1053).contains(&nearly_all.as_micros()));
        histogram.record(0);
        assert!(histogram.quantile(0.0).unwrap() <= Duration::from_micros(1));
    }
}
