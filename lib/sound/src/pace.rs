//! How the sound of a source stands against the clock. It is taken piece by piece, by the thread that mixes, and each piece has its
//! moment: the one at which those before it have been played.

use std::time::Duration;

use tokio::time::Instant;

use crate::stream::FRAME;

/// What comes later than this was not slow, but held: the next piece begins anew.
const REST: Duration = Duration::from_secs(1);
/// How fast a thread that has changed its beat for good is believed: by this part of what it is behind, with each piece.
const EASING: u32 = 64;

/// What was taken of a source since that was last asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Frames of 20 ms.
    pub frames: u64,
    /// Those of them whose moment had passed by more than a frame.
    pub late: u64,
    /// Those of them that are silence, in place of sound that had not come.
    pub missing: u64,
    /// How far behind its moment the latest was.
    pub behind: Duration,
}

/// The clock of one source.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    taken: Taken,
    /// When the next piece is to be taken; absent: whenever it is.
    due: Option<Instant>,
    /// Sound that is no whole frame yet.
    part: Duration,
}

impl Pace {
    /// A piece of this length is taken.
    pub(crate) fn take(&mut self, now: Instant, length: Duration) {
        if length.is_zero() {
            // Nobody knows when the next one is due.
            return self.rest();
        }
        let due = *self.due.get_or_insert(now);
        let behind = now.saturating_duration_since(due);
        let frames = self.whole(length);
        self.taken.frames += frames;
        self.taken.behind = self.taken.behind.max(behind);
        if behind > FRAME {
            self.taken.late += frames;
        }
        let next = match behind > REST {
            true => now,
            false => due + behind / EASING,
        };
        self.due = Some(next + length);
    }

    /// Silence of a frame is taken, as the piece has not come.
    pub(crate) fn miss(&mut self, now: Instant) {
        self.take(now, FRAME);
        self.taken.missing += 1;
    }

    /// What follows comes when it comes.
    pub(crate) fn rest(&mut self) {
        self.due = None;
    }

    /// What was taken since this was last asked.
    pub(crate) fn taken(&mut self) -> Taken {
        std::mem::take(&mut self.taken)
    }

    /// Whole frames; what is left over is part of the next one.
    fn whole(&mut self, length: Duration) -> u64 {
        let all = self.part + length;
        let frames = all.as_nanos() / FRAME.as_nanos();
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        self.part = all.saturating_sub(FRAME * frames);
        frames.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Takes a piece at each of these moments, in milliseconds.
    fn take(moments: impl IntoIterator<Item = u32>, length: Duration) -> Taken {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for moment in moments {
            pace.take(start + MS * moment, length);
        }
        pace.taken()
    }

    #[test]
    fn what_comes_in_time_is_not_late() {
        let taken = take((0..100).map(|frame| frame * 20 + frame % 7), FRAME);
        assert_eq!((taken.frames, taken.late, taken.missing), (100, 0, 0));
        assert!(taken.behind < MS * 7, "{taken:?}");
        // As songbird takes 24 ms of samples: whenever 20 ms are up and too little is left.
        let taken = take([0, 20, 40, 60, 80, 120], MS * 24);
        assert_eq!((taken.frames, taken.late), (7, 0));
    }

    #[test]
    fn what_a_stall_has_made_late_is_counted_until_it_is_caught_up() {
        let moments = [0, 20, 40, 160, 160, 160, 160, 160, 160, 180];
        let taken = take(moments, FRAME);
        // Of those that were due at 60, 80, 100, 120 and 140 ms the last is just in time.
        assert_eq!((taken.frames, taken.late), (10, 4));
        assert!(taken.behind >= MS * 100, "{taken:?}");
    }

    #[test]
    fn after_a_rest_it_begins_anew() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.take(start, FRAME);
        pace.rest();
        pace.take(start + MS * 700, FRAME);
        pace.take(start + MS * 720, FRAME);
        assert_eq!(pace.taken().late, 0);
        // A rest that nobody has told of is one late frame.
        pace.take(start + MS * 5000, FRAME);
        pace.take(start + MS * 5020, FRAME);
        let taken = pace.taken();
        assert_eq!((taken.frames, taken.late), (2, 1));
        assert_eq!(pace.taken(), Taken::default());
    }

    #[test]
    fn a_beat_that_has_moved_for_good_is_believed_after_a_while() {
        let moved = |frame: u32| frame * 20 + if frame < 10 { 0 } else { 30 };
        let taken = take((0..500).map(moved), FRAME);
        assert!((1..100).contains(&taken.late), "{taken:?}");
        // One that is too slow never is.
        let taken = take((0..500).map(|frame| frame * 21), FRAME);
        assert!(taken.late > 400, "{taken:?}");
    }

    #[test]
    fn pieces_without_a_length_have_no_moment() {
        let taken = take([0, 500, 900], Duration::ZERO);
        assert_eq!(taken, Taken::default());
    }

    #[test]
    fn silence_is_counted_and_takes_its_time() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        pace.take(start, FRAME);
        pace.miss(start + MS * 20);
        pace.take(start + MS * 40, FRAME);
        let taken = pace.taken();
        assert_eq!((taken.frames, taken.late, taken.missing), (3, 0, 1));
    }
}
