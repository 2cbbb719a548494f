//! What waits to be sent over a connection, the most urgent first: pure, without I/O or clock.
//!
//! Discord takes 120 payloads in 60 seconds from a connection, so payloads may have to wait. Voice comes
//! before presences, and those before all else; among equals the caller's priority decides, then the
//! order in which they came. Each class has room of its own: a flood of one keeps out no other.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// How many payloads of a class may wait; one more is refused.
pub(super) const WAITING: usize = 32;

/// How many presences Discord takes within [`PRESENCE_WINDOW`].
///
/// See [Discord Docs/Update Presence](https://docs.discord.com/developers/events/gateway-events#update-presence).
const PRESENCES: usize = 5;

/// See [`PRESENCES`]; a little longer than Discord says, because its clock starts when the payload comes.
const PRESENCE_WINDOW: Duration = Duration::from_millis(20_500);

/// How long it takes until there is room for one payload more, about.
const PACE: Duration = Duration::from_millis(500);

/// What a payload is about, the most urgent first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Class {
    /// Joins, moves within or leaves a guild's voice.
    Voice,
    /// The bot's status.
    Presence,
    /// Asks for something.
    Question,
}

/// There is no room for one more.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Full {
    /// When there may be some.
    pub(super) retry_after: Duration,
}

/// What comes first, comes first here: class, priority, number.
type Rank = (Class, Reverse<u8>, u64);

/// The payloads that wait, and when the last presences went.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: BTreeMap<Rank, T>,
    /// How many there were.
    count: u64,
    /// When the last presences were sent, the oldest first.
    presences: VecDeque<Instant>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            count: 0,
            presences: VecDeque::new(),
        }
    }
}

impl<T> Outbox<T> {
    /// Lets one more wait.
    pub(super) fn push(&mut self, class: Class, priority: u8, item: T) -> Result<(), Full> {
        let waiting = self.waiting.keys().filter(|rank| rank.0 == class).count();
        if waiting >= WAITING {
            let pace = match class {
                Class::Voice | Class::Question => PACE,
                Class::Presence => PRESENCE_WINDOW / 5,
            };
            return Err(Full { retry_after: pace });
        }
        self.count += 1;
        let rank = (class, Reverse(priority), self.count);
        self.waiting.insert(rank, item);
        Ok(())
    }

    /// Takes what is to be sent now. What nobody wants any longer is handed to `drop` instead.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        is_wanted: impl Fn(&T) -> bool,
        mut drop: impl FnMut(T),
    ) -> Option<T> {
        loop {
            let may_show = self.presence_at(now).is_none();
            let rank = *self
                .waiting
                .keys()
                .find(|rank| may_show || rank.0 != Class::Presence)?;
            let item = self.waiting.remove(&rank)?;
            if !is_wanted(&item) {
                drop(item);
                continue;
            }
            if rank.0 == Class::Presence {
                if self.presences.len() == PRESENCES {
                    self.presences.pop_front();
                }
                self.presences.push_back(now);
            }
            return Some(item);
        }
    }

    /// When to look again, if something waits that may not be sent yet.
    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        let waits = self.waiting.keys().any(|rank| rank.0 == Class::Presence);
        self.presence_at(now).filter(|_| waits)
    }

    /// Takes out all that waits.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.waiting).into_values()
    }

    /// When the next presence may be sent, if that is not now.
    fn presence_at(&self, now: Instant) -> Option<Instant> {
        let oldest = self.presences.front()?;
        let free = *oldest + PRESENCE_WINDOW;
        (self.presences.len() == PRESENCES && free > now).then_some(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(outbox: &mut Outbox<&'static str>, now: Instant) -> Option<&'static str> {
        outbox.pop(now, |_| true, |_| ())
    }

    #[tokio::test(start_paused = true)]
    async fn voice_comes_before_presences_and_those_before_questions() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for (class, priority, item) in [
            (Class::Question, 0, "question"),
            (Class::Question, 9, "urgent question"),
            (Class::Presence, 0, "presence"),
            (Class::Voice, 0, "voice"),
            (Class::Voice, 0, "second voice"),
            (Class::Voice, 1, "urgent voice"),
        ] {
            outbox.push(class, priority, item).unwrap();
        }
        let order: Vec<_> = std::iter::from_fn(|| take(&mut outbox, now)).collect();
        assert_eq!(
            order,
            [
                "urgent voice",
                "voice",
                "second voice",
                "presence",
                "urgent question",
                "question"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn five_presences_go_in_twenty_seconds_and_hold_up_nothing_else() {
        let mut outbox = Outbox::default();
        let start = Instant::now();
        for _ in 0..7 {
            outbox.push(Class::Presence, 0, "presence").unwrap();
        }
        outbox.push(Class::Question, 0, "question").unwrap();
        for _ in 0..5 {
            assert_eq!(take(&mut outbox, start), Some("presence"));
        }
        assert_eq!(take(&mut outbox, start), Some("question"));
        assert_eq!(take(&mut outbox, start), None);
        assert_eq!(outbox.next_at(start), Some(start + PRESENCE_WINDOW));
        let later = start + Duration::from_secs(20);
        assert_eq!(take(&mut outbox, later), None);
        let free = start + PRESENCE_WINDOW;
        assert_eq!(take(&mut outbox, free), Some("presence"));
        assert_eq!(take(&mut outbox, free), Some("presence"));
        assert_eq!(outbox.next_at(free), None, "nothing waits any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_is_not_sent_and_does_not_count() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for _ in 0..20 {
            outbox.push(Class::Presence, 0, "unwanted").unwrap();
        }
        outbox.push(Class::Presence, 0, "presence").unwrap();
        let mut dropped = 0;
        let popped = outbox.pop(now, |item| *item != "unwanted", |_| dropped += 1);
        assert_eq!((popped, dropped), (Some("presence"), 20));
        assert_eq!(outbox.presences.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_class_that_is_full_keeps_out_no_other() {
        let mut outbox = Outbox::default();
        for _ in 0..WAITING {
            outbox.push(Class::Question, 0, "question").unwrap();
        }
        assert!(outbox.push(Class::Question, 9, "one more").is_err());
        outbox.push(Class::Voice, 0, "voice").unwrap();
        assert_eq!(outbox.drain().count(), WAITING + 1);
        assert_eq!(outbox.drain().count(), 0);
    }
}
