//! What has been logged already, so that a flood of one kind makes one line.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// How many kinds are told apart; past that, a new kind is not logged either. The names come from
/// the network.
const KINDS: usize = 256;

/// A set of kinds, bounded.
#[derive(Debug, Default)]
pub(crate) struct Once(Mutex<HashSet<Cow<'static, str>>>);

impl Once {
    /// Whether this is the first of its kind.
    pub(crate) fn first(&self, kind: impl Into<Cow<'static, str>>) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.len() < KINDS && kinds.insert(kind.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Once};

    #[test]
    fn each_kind_comes_first_once_and_their_number_is_bounded() {
        let once = Once::default();
        assert!(once.first("a"));
        assert!(!once.first("a"));
        for kind in 0..KINDS * 2 {
            once.first(format!("kind {kind}"));
        }
        assert!(!once.first("one too many"));
    }
}
