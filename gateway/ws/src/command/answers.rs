//! What Discord has answered to one request so far, for all who wait for it: pure, bounded.

use bytes::Bytes;
use std::collections::VecDeque;
use wire::gateway::v1::Error as Failure;

/// How many bytes of answers are kept for those who have not read them. All 250,000 members of a guild
/// are more than that: then the first parts are dropped, and nobody can join any more.
const KEPT: usize = 4 * 1024 * 1024;

/// The answers of one request, each read once by everybody who waits for them.
#[derive(Debug, Default)]
pub(super) struct Answers {
    parts: VecDeque<Bytes>,
    /// How many parts were dropped before those.
    dropped: usize,
    /// How many bytes the parts have.
    bytes: usize,
    /// How it ended.
    end: Option<Result<(), Failure>>,
}

/// What there is to read.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// It failed, and why.
    Failed(Failure),
    /// Parts were dropped before they were read.
    Missed,
    /// One part, and whether it is the last.
    Part(Bytes, bool),
    /// Nothing yet.
    Wait,
}

impl Answers {
    /// Another part came.
    pub(super) fn push(&mut self, part: Bytes) {
        self.bytes += part.len();
        self.parts.push_back(part);
        while self.bytes > KEPT
            && self.parts.len() > 1
            && let Some(oldest) = self.parts.pop_front()
        {
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, how: Result<(), Failure>) {
        self.end.get_or_insert(how);
    }

    /// Whether nothing more will come.
    pub(super) const fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether somebody who comes now can still read everything.
    pub(super) const fn is_whole(&self) -> bool {
        self.dropped == 0
    }

    /// Reads on behind the `read` parts that somebody has read.
    pub(super) fn read(&self, read: usize) -> Read {
        let Some(index) = read.checked_sub(self.dropped) else {
            return Read::Missed;
        };
        match (self.parts.get(index), &self.end) {
            (Some(part), end) => {
                let is_last = index + 1 == self.parts.len() && matches!(end, Some(Ok(())));
                Read::Part(part.clone(), is_last)
            }
            (None, Some(Err(failure))) => Read::Failed(failure.clone()),
            (None, _) => Read::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_reads_every_part_once_and_knows_the_last() {
        let mut answers = Answers::default();
        assert_eq!(answers.read(0), Read::Wait);
        answers.push("one".into());
        assert_eq!(answers.read(0), Read::Part("one".into(), false));
        answers.push("two".into());
        answers.end(Ok(()));
        assert_eq!(answers.read(0), Read::Part("one".into(), false));
        assert_eq!(answers.read(1), Read::Part("two".into(), true));
        answers.end(Err(Failure::default()));
        assert_eq!(answers.read(1), Read::Part("two".into(), true));
    }

    #[test]
    fn a_failure_comes_behind_what_came_before_it() {
        let mut answers = Answers::default();
        answers.push("one".into());
        answers.end(Err(Failure::default()));
        assert_eq!(answers.read(0), Read::Part("one".into(), false));
        assert_eq!(answers.read(1), Read::Failed(Failure::default()));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut answers = Answers::default();
        let part = Bytes::from(vec![0; KEPT / 4]);
        for _ in 0..4 {
            answers.push(part.clone());
        }
        assert!(answers.is_whole());
        answers.push(part.clone());
        assert!(!answers.is_whole());
        assert_eq!(answers.read(0), Read::Missed);
        assert_eq!(answers.read(1), Read::Part(part, false));
        assert!(answers.bytes <= KEPT);
        answers.push(vec![0; 2 * KEPT].into());
        assert_eq!(answers.parts.len(), 1, "one part is always kept");
    }
}
