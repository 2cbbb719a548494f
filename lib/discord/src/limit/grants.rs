//! The permits that a lane has of the store.

use std::{sync::Arc, time::Duration};

use super::{
    Bucket,
    lane::{Lane, Limit},
    share::{Line, Outcome, Shape, window},
};

/// After what time to ask again at the earliest.
const MOMENT: Duration = Duration::from_millis(1);

/// Permits of a store that counts for all replicas.
#[derive(Debug, Default)]
pub(super) struct Grants {
    /// Those that were not used so far.
    pub(super) have: u32,
    /// Before that moment there are none.
    pub(super) refused_until: Duration,
    /// Answers that were not reported so far.
    pub(super) answered: Vec<Duration>,
}

impl Grants {
    /// How long ago the answers were.
    pub(super) fn told(&mut self, now: Duration) -> Vec<Duration> {
        let answered = std::mem::take(&mut self.answered);
        let ages = answered.into_iter().map(|then| now.saturating_sub(then));
        ages.collect()
    }
}

impl Lane {
    /// From now on a store counts for all replicas, or each keeps to its part.
    pub(super) fn join(&mut self, now: Duration, together: bool, parts: u32) {
        self.parts = parts;
        self.grants = together.then(Grants::default);
        if let Limit::Known(bucket) = &mut self.limit {
            bucket.join(together, parts);
            if let Some(grants) = &mut self.grants {
                grants.answered = bucket.window().counted(now).collect();
            }
        }
    }

    /// The limit is divided among so many.
    pub(super) fn divide(&mut self, parts: u32) {
        self.parts = parts;
        if let Limit::Known(bucket) = &mut self.limit {
            bucket.join(self.grants.is_some(), parts);
        }
    }

    /// A bucket for this lane.
    pub(super) fn bucket(&self, limit: u32, length: Duration) -> Bucket {
        let mut bucket = Bucket::new(limit, length);
        bucket.join(self.grants.is_some(), self.parts);
        bucket
    }

    /// Whether the store thinks of this lane something else than is so.
    pub(super) fn has_to_tell(&self) -> bool {
        let Some(grants) = &self.grants else {
            return false;
        };
        let counts = !matches!(self.limit, Limit::Free) && self.in_flight > 0;
        grants.have > 0 || !grants.answered.is_empty() || counts
    }

    /// Whether it has permits that nothing waits for.
    pub(super) fn has_left_over(&self) -> bool {
        let left = self.grants.as_ref().is_some_and(|grants| grants.have > 0);
        left && self.waiting == 0
    }

    /// How many requests could be sent at once, if each had all permits.
    pub(super) fn ready(&self, now: Duration) -> u32 {
        let heads = self.heads();
        let mut ordered = 0;
        let mut others = 0_u32;
        for (head, waiting) in heads {
            if head.route.ordered {
                ordered = 1;
            } else {
                others = others.saturating_add(u32::try_from(waiting).unwrap_or(u32::MAX));
            }
        }
        let most = match &self.limit {
            Limit::Free => u32::MAX,
            Limit::Known(bucket) => bucket.free(now),
            Limit::Unknown => u32::from(self.in_flight == 0),
        };
        others.saturating_add(ordered).min(most)
    }

    /// What the store is told of this lane, and asked for if it asks: among how many replicas there are.
    pub(super) fn line(&mut self, now: Duration, asks: Option<u32>) -> Option<Line> {
        let ready = self.ready(now);
        let holds = self.holds.iter();
        let holds = holds.filter(|(_, hold)| hold.until() > now);
        let holds = holds.map(|(key, hold)| (Arc::clone(key), hold.until() - now));
        let holds = holds.collect();
        let grants = self.grants.as_mut()?;
        if self.waiting == 0 {
            grants.have = 0;
        }
        let (shape, wanted, blocked) = match &self.limit {
            Limit::Known(bucket) => {
                let (limit, length) = bucket.shape();
                let part = asks.map_or(0, |replicas| (limit / replicas.max(1)).max(1));
                let shape = Shape::Bucket(Arc::clone(&self.name), limit, length);
                (shape, ready.min(part), bucket.blocked_until())
            }
            Limit::Free | Limit::Unknown => {
                let shape = Shape::Route(Arc::clone(&self.name));
                // What was answered without a limit counts for nothing.
                grants.answered.clear();
                (shape, u32::from(asks.is_some()), Duration::ZERO)
            }
        };
        let counts = !matches!(self.limit, Limit::Free);
        let mut line = Line::new(window(&self.name, &self.major), shape);
        line.wanted = wanted;
        line.out = if counts {
            self.in_flight + grants.have
        } else {
            0
        };
        line.answered = grants.told(now);
        line.blocked = blocked.saturating_sub(now);
        line.holds = holds;
        Some(line)
    }

    /// The store has answered a line.
    pub(super) fn heard(&mut self, now: Duration, line: &Line, outcome: &Outcome) {
        let Some(grants) = &mut self.grants else {
            return;
        };
        grants.have += outcome.granted;
        if outcome.granted == 0 && line.wanted > 0 {
            grants.refused_until = now + outcome.wait.max(MOMENT).max(outcome.blocked);
        }
        if let Limit::Known(bucket) = &mut self.limit {
            if let Some((name, limit, length)) = &outcome.bucket
                && *name == self.name
                && bucket.shape() != (*limit, *length)
            {
                bucket.reshape(*limit, *length);
            }
            if !outcome.blocked.is_zero() {
                bucket.block(now + outcome.blocked);
            }
        }
        for (key, wait) in &outcome.holds {
            let hold = self.holds.entry(Arc::clone(key)).or_default();
            hold.block(now + *wait);
        }
    }
}
