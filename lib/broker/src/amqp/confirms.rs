//! What was published on one channel and is not confirmed yet, oldest first.
//!
//! The broker counts the messages of a channel from 1 and answers by that number: one message, or all
//! up to it. It may answer out of order; an answer counts when all messages before it are confirmed.

use std::{collections::VecDeque, ops::Range};

use tokio::time::Instant;

/// The messages of a channel that wait for their confirms.
#[derive(Debug)]
pub(super) struct Confirms {
    /// The number of the oldest that waits.
    first: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    answer: Option<Answer>,
}

/// What the broker says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it.
    Confirmed,
    /// It cannot keep it (a nack).
    Refused,
}

/// The broker speaks of a message that was never published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it answered to message {0} of a channel that has not carried so many")]
pub(super) struct Unknown(pub(super) u64);

impl Confirms {
    pub(super) fn new() -> Self {
        Self {
            first: 1,
            waiting: VecDeque::new(),
        }
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Another message was published.
    pub(super) fn published(&mut self, now: Instant) {
        self.waiting.push_back(Waiting {
            since: now,
            answer: None,
        });
    }

    /// Whether the oldest is refused: all that was confirmed before it is done.
    pub(super) fn is_refused(&self) -> bool {
        let oldest = self.waiting.front();
        oldest.is_some_and(|oldest| oldest.answer == Some(Answer::Refused))
    }

    /// Takes the answer to the message with this number, or to all up to it (0: to all). Adds to `done`
    /// when each message that is done was published.
    pub(super) fn answered(
        &mut self,
        number: u64,
        all: bool,
        answer: Answer,
        done: &mut Vec<Instant>,
    ) -> Result<(), Unknown> {
        let meant = meant(self.first, self.waiting.len(), number, all)?;
        for waiting in self.waiting.range_mut(meant) {
            waiting.answer.get_or_insert(answer);
        }
        let confirmed = |waiting: &mut Waiting| waiting.answer == Some(Answer::Confirmed);
        while let Some(oldest) = self.waiting.pop_front_if(confirmed) {
            done.push(oldest.since);
            self.first += 1;
        }
        Ok(())
    }
}

/// The places of the messages that an answer means: the one with this number, or all up to it (0: all). So many wait,
/// and `first` is the number of the oldest.
pub(super) fn meant(
    first: u64,
    waiting: usize,
    number: u64,
    all: bool,
) -> Result<Range<usize>, Unknown> {
    let end = first + waiting as u64;
    let number = if all && number == 0 { end - 1 } else { number };
    if number >= end {
        return Err(Unknown(number));
    }
    // What is answered twice is before the first, and needs nothing.
    let until = usize::try_from((number + 1).saturating_sub(first)).unwrap_or(waiting);
    let from = if all { 0 } else { until.saturating_sub(1) };
    Ok(from..until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirms(count: u64) -> Confirms {
        let mut confirms = Confirms::new();
        for _ in 0..count {
            confirms.published(Instant::now());
        }
        confirms
    }

    /// How many messages a confirm finishes.
    fn finished(confirms: &mut Confirms, number: u64, all: bool) -> usize {
        let mut done = Vec::new();
        let answer = Answer::Confirmed;
        confirms.answered(number, all, answer, &mut done).unwrap();
        done.len()
    }

    #[test]
    fn a_message_is_done_when_all_before_it_are() {
        let mut confirms = confirms(5);
        assert_eq!(finished(&mut confirms, 2, false), 0);
        assert_eq!(finished(&mut confirms, 3, false), 0);
        assert_eq!(finished(&mut confirms, 1, false), 3);
        assert_eq!(finished(&mut confirms, 5, true), 2);
        assert_eq!(confirms.len(), 0);
    }

    #[test]
    fn a_refusal_counts_when_all_before_it_is_confirmed() {
        let mut confirms = confirms(5);
        let mut done = Vec::new();
        let refusal = confirms.answered(4, false, Answer::Refused, &mut done);
        assert_eq!((refusal, confirms.is_refused()), (Ok(()), false));
        assert_eq!(finished(&mut confirms, 2, true), 2);
        assert!(!confirms.is_refused());
        assert_eq!(finished(&mut confirms, 0, true), 1);
        assert!(confirms.is_refused());
        assert_eq!(confirms.len(), 2);
    }

    #[test]
    fn zero_means_all() {
        let mut confirms = confirms(3);
        assert_eq!(finished(&mut confirms, 0, true), 3);
        assert_eq!(finished(&mut confirms, 0, true), 0);
        confirms.published(Instant::now());
        assert_eq!(finished(&mut confirms, 4, false), 1);
    }

    #[test]
    fn what_is_confirmed_twice_counts_once() {
        let mut confirms = confirms(3);
        assert_eq!(finished(&mut confirms, 1, false), 1);
        assert_eq!(finished(&mut confirms, 1, false), 0);
        assert_eq!(finished(&mut confirms, 1, true), 0);
        assert_eq!(finished(&mut confirms, 0, false), 0);
        assert_eq!(confirms.len(), 2);
    }

    #[test]
    fn what_was_never_published_cannot_be_confirmed() {
        let mut confirms = confirms(3);
        let mut done = Vec::new();
        for number in [4, 5, u64::MAX] {
            for all in [false, true] {
                let result = confirms.answered(number, all, Answer::Refused, &mut done);
                assert_eq!(result, Err(Unknown(number)));
            }
        }
        assert_eq!((done.len(), confirms.len()), (0, 3));
    }
}
