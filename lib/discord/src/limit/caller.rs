//! Who asks, and whose turn it is.

use std::sync::Arc;

/// From how many callers on those that wait for nothing are forgotten.
const MANY: usize = 1024;

/// Shares turns between callers: each turn costs one unit of the caller's time, and the caller with the least time
/// behind it is next. Who comes back after a pause starts at the present, so that nobody saves turns up.
#[derive(Debug, Default)]
pub(super) struct Turns {
    present: u64,
    /// By caller, in their order. There is one of these for each bucket, and few callers, so it has to be small.
    spent: Vec<(Arc<str>, u64)>,
}

impl Turns {
    /// How much the caller has had; less is sooner.
    pub(super) fn spent(&self, caller: &str) -> u64 {
        let place = self.place(caller);
        let spent = place.map_or(0, |place| self.spent[place].1);
        spent.max(self.present)
    }

    /// Where the caller stands, or would.
    fn place(&self, caller: &str) -> Result<usize, usize> {
        self.spent
            .binary_search_by(|(name, _)| (**name).cmp(caller))
    }

    /// The caller has had a turn.
    pub(super) fn take(&mut self, caller: &Arc<str>) {
        let spent = self.spent(caller);
        self.present = spent;
        match self.place(caller) {
            Ok(place) => self.spent[place].1 = spent + 1,
            Err(place) => {
                if self.spent.is_empty() {
                    self.spent.reserve_exact(1);
                }
                self.spent.insert(place, (Arc::clone(caller), spent + 1));
            }
        }
        if self.spent.len() > MANY {
            self.spent.retain(|(_, had)| *had > spent);
        }
        // So many that all wait for something: those with the least behind them are treated as if they had a turn less.
        while self.spent.len() > 2 * MANY {
            self.present += 1;
            let present = self.present;
            self.spent.retain(|(_, had)| *had > present);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{MANY, Turns};

    #[test]
    fn names_that_are_never_used_again_do_not_pile_up() {
        let mut turns = Turns::default();
        let busy: Arc<str> = "busy".into();
        for number in 0..10 * MANY {
            turns.take(&Arc::from(format!("{number}")));
            if number % 100 == 0 {
                turns.take(&busy);
            }
            assert!(turns.spent.len() <= 2 * MANY);
        }
        assert!(turns.spent("new") <= turns.spent(&busy));
    }
}
