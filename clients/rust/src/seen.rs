//! Remembers which events were dealt with: the latest ones, a bounded number.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The ids of the latest events that were dealt with; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    limit: usize,
    ids: Arc<Mutex<Ids>>,
}

#[derive(Debug, Default)]
struct Ids {
    known: HashSet<Arc<str>>,
    /// The same, oldest first.
    order: VecDeque<Arc<str>>,
}

impl Seen {
    /// Remembers this many ids; with 0 it remembers nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            ids: Arc::default(),
        }
    }

    /// Whether the event was dealt with. Events without an id are all new.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.limit > 0 && self.ids().known.contains(id)
    }

    /// The event was dealt with.
    pub(crate) fn add(&self, id: &str) {
        if self.limit == 0 || id.is_empty() {
            return;
        }
        let id: Arc<str> = id.into();
        let mut ids = self.ids();
        if !ids.known.insert(Arc::clone(&id)) {
            return;
        }
        ids.order.push_back(id);
        if ids.order.len() > self.limit
            && let Some(oldest) = ids.order.pop_front()
        {
            ids.known.remove(&oldest);
        }
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_ids_are_known_and_the_number_is_bounded() {
        let seen = Seen::new(2);
        for id in ["a", "b", "b", "c"] {
            seen.add(id);
        }
        let known = ["a", "b", "c"].map(|id| seen.contains(id));
        assert_eq!(known, [false, true, true]);
        assert_eq!(seen.ids().known.len(), 2);
    }

    #[test]
    fn what_has_no_id_is_always_new() {
        let seen = Seen::new(2);
        seen.add("");
        assert!(!seen.contains(""));
    }

    #[test]
    fn nothing_is_remembered_unless_asked_for() {
        let seen = Seen::new(0);
        seen.add("a");
        assert!(!seen.contains("a"));
    }
}
