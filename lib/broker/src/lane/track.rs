//! Which of a lane's sequences are not confirmed yet, and up to where all are: a sparse bitset.
//!
//! Messages and batches of a lane may be confirmed in any order. What is outstanding may be
//! millions of events (on disk), so each takes a bit or two, not an entry. Words without events
//! take nothing: a sequence that jumps, as a peer may make it, costs one word.

use std::collections::{BTreeMap, VecDeque};

/// The published sequences that are not behind us yet.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// Words that hold something, by growing index.
    words: VecDeque<Word>,
    /// Sequences that were published again while they were outstanding, and how often.
    repeats: BTreeMap<u64, u32>,
    /// The highest published sequence up to which everything is confirmed.
    settled: u64,
}

/// What is known of 64 sequences in a row.
#[derive(Debug)]
struct Word {
    /// The first of the sequences, divided by 64.
    index: u64,
    /// Those that were published and are not settled.
    published: u64,
    /// Those of them that are not confirmed.
    pending: u64,
}

impl Track {
    /// Notes that a message with this sequence was published. Sequences usually grow.
    pub(crate) fn publish(&mut self, sequence: u64) {
        let (index, bit) = place(sequence);
        let word = self.word(index);
        if word.pending & bit != 0 {
            *self.repeats.entry(sequence).or_default() += 1;
            return;
        }
        word.published |= bit;
        word.pending |= bit;
    }

    /// Notes that such a message was confirmed. Returns the highest published sequence up to
    /// which everything is confirmed; 0 if there is none.
    pub(crate) fn confirm(&mut self, sequence: u64) -> u64 {
        if !self.is_repeat(sequence) {
            let (index, bit) = place(sequence);
            if let Some(word) = self.find(index).ok().and_then(|at| self.words.get_mut(at)) {
                word.pending &= !bit;
            }
            self.settle();
        }
        self.settled
    }

    /// Takes away one of several publications of the same sequence.
    fn is_repeat(&mut self, sequence: u64) -> bool {
        if self.repeats.is_empty() {
            return false;
        }
        let Some(count) = self.repeats.get_mut(&sequence) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.repeats.remove(&sequence);
        }
        true
    }

    /// The word with this index, which is nearly always the last one.
    fn word(&mut self, index: u64) -> &mut Word {
        let at = match self.words.back() {
            Some(last) if last.index == index => self.words.len() - 1,
            Some(last) if last.index > index => match self.find(index) {
                Ok(at) => at,
                Err(at) => self.insert(at, index),
            },
            _ => self.insert(self.words.len(), index),
        };
        &mut self.words[at]
    }

    fn insert(&mut self, at: usize, index: u64) -> usize {
        let (published, pending) = (0, 0);
        let word = Word {
            index,
            published,
            pending,
        };
        self.words.insert(at, word);
        at
    }

    /// Where the word with this index is, or belongs. Without gaps the first look finds it.
    fn find(&self, index: u64) -> Result<usize, usize> {
        let first = self.words.front().map_or(0, |word| word.index);
        if let Ok(guess) = usize::try_from(index.saturating_sub(first))
            && self
                .words
                .get(guess)
                .is_some_and(|word| word.index == index)
        {
            return Ok(guess);
        }
        self.words.binary_search_by_key(&index, |word| word.index)
    }

    /// Moves the front over everything that is confirmed.
    fn settle(&mut self) {
        while let Some(word) = self.words.front_mut() {
            // All below the lowest pending bit; everything when there is none.
            let below = match word.pending.trailing_zeros() {
                u64::BITS => u64::MAX,
                lowest => (1 << lowest) - 1,
            };
            if let Some(highest) = (word.published & below).checked_ilog2() {
                self.settled = self.settled.max(word.index * 64 + u64::from(highest));
            }
            word.published &= !below;
            if word.pending != 0 {
                return;
            }
            self.words.pop_front();
        }
    }
}

/// The word of a sequence, and its bit there.
fn place(sequence: u64) -> (u64, u64) {
    (sequence / 64, 1 << (sequence % 64))
}

#[cfg(test)]
mod tests {
    use super::Track;

    /// The same by definition: every publication, and whether it is confirmed.
    #[derive(Default)]
    struct Oracle {
        published: Vec<(u64, bool)>,
        settled: u64,
    }

    impl Oracle {
        fn confirm(&mut self, sequence: u64) -> u64 {
            let found = self
                .published
                .iter_mut()
                .find(|entry| **entry == (sequence, false));
            found.unwrap().1 = true;
            let open = self.published.iter().filter(|entry| !entry.1);
            let lowest = open.map(|entry| entry.0).min().unwrap_or(u64::MAX);
            let behind = self.published.iter().map(|entry| entry.0);
            let highest = behind.filter(|sequence| *sequence < lowest).max();
            self.settled = self.settled.max(highest.unwrap_or(0));
            self.settled
        }
    }

    /// Publishes 120 sequences `step` by `step`, and confirms some open one now and then.
    fn walk(seed: u64, step: impl Fn(&mut fastrand::Rng, u64) -> u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut track, mut oracle) = (Track::default(), Oracle::default());
        let (mut last, mut open) = (0, Vec::new());
        for _ in 0..120 {
            last = step(&mut random, last);
            track.publish(last);
            oracle.published.push((last, false));
            open.push(last);
            while random.u8(0..5) > 1 && !open.is_empty() {
                let confirmed = open.swap_remove(random.usize(0..open.len()));
                assert_eq!(track.confirm(confirmed), oracle.confirm(confirmed));
            }
        }
        for confirmed in open {
            assert_eq!(track.confirm(confirmed), oracle.confirm(confirmed));
        }
        assert!(track.words.is_empty() && track.repeats.is_empty());
    }

    #[test]
    fn confirms_in_any_order_agree_with_the_definition() {
        for seed in 0..300 {
            walk(seed, |_, last| last + 1);
            walk(seed, |random, last| last + random.u64(1..5));
            walk(seed, |random, last| last + random.u64(1..1_000));
        }
    }

    #[test]
    fn sequences_that_do_not_grow_are_tracked_all_the_same() {
        for seed in 0..300 {
            walk(seed, |random, _| random.u64(0..200));
        }
    }

    #[test]
    fn sequences_that_jump_cost_no_memory() {
        let mut track = Track::default();
        for sequence in [1, u64::MAX / 2, u64::MAX] {
            track.publish(sequence);
        }
        assert_eq!(track.words.len(), 3);
        assert_eq!(track.confirm(u64::MAX), 0);
        assert_eq!(track.confirm(1), 1);
        assert_eq!(track.confirm(u64::MAX / 2), u64::MAX);
    }

    #[test]
    fn a_million_outstanding_events_take_less_than_half_a_megabyte() {
        let mut track = Track::default();
        (1..=1_000_000).for_each(|sequence| track.publish(sequence));
        let bytes = track.words.capacity() * size_of::<super::Word>();
        assert!(bytes < 500_000, "{bytes}");
        assert_eq!(track.confirm(2), 0);
        assert_eq!(track.confirm(1), 2);
    }

    #[test]
    fn what_was_never_published_confirms_nothing() {
        let mut track = Track::default();
        assert_eq!(track.confirm(7), 0);
        track.publish(3);
        assert_eq!(track.confirm(7), 0);
        assert_eq!(track.confirm(3), 3);
        assert_eq!(track.confirm(3), 3);
    }
}
