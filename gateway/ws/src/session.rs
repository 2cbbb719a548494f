//! How far the events of a shard's session are safe: pure, without I/O or clock.

/// How far a session's events have come: read from Discord, given to the broker, confirmed.
///
/// Not every event is published (a filter may drop it), so "confirmed" alone does not tell the
/// sequence to resume from: events behind the last published one that nobody wants are safe too.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Progress {
    /// The sequence of the last event that was read.
    seen: u64,
    /// The sequence of the last event that was given to the broker.
    published: u64,
}

impl Progress {
    /// A session that is taken up behind `sequence`.
    pub(crate) const fn resumed_from(sequence: u64) -> Self {
        Self {
            seen: sequence,
            published: 0,
        }
    }

    /// An event was read that is not published.
    pub(crate) const fn skipped(&mut self, sequence: u64) {
        self.seen = sequence;
    }

    /// An event was given to the broker that was read just now, or before and held back.
    pub(crate) const fn published(&mut self, sequence: u64) {
        if self.seen < sequence {
            self.seen = sequence;
        }
        self.published = sequence;
    }

    /// The sequence of the last event that was read: where this process resumes from.
    pub(crate) const fn seen(self) -> u64 {
        self.seen
    }

    /// The sequence of the last event that was given to the broker; 0 when none was.
    pub(crate) const fn last_published(self) -> u64 {
        self.published
    }

    /// The sequence that another process may resume from: everything up to it is confirmed, or
    /// was not meant for anybody. `confirmed` is the highest contiguous confirmed sequence.
    ///
    /// `None` while nothing is known to be safe since this process took the session up.
    pub(crate) const fn settled(self, confirmed: u64) -> Option<u64> {
        if confirmed >= self.published {
            if self.seen == 0 {
                None
            } else {
                Some(self.seen)
            }
        } else if confirmed == 0 {
            None
        } else {
            Some(confirmed)
        }
    }
}

/// The shard that a guild belongs to, of `count`.
///
/// See [Discord Docs/Sharding](https://docs.discord.com/developers/events/gateway#sharding).
pub(crate) fn shard_of(guild_id: u64, count: u32) -> u32 {
    let shard = (guild_id >> 22) % u64::from(count.max(1));
    u32::try_from(shard).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Progress, shard_of};

    #[test]
    fn a_guild_belongs_to_one_shard() {
        assert_eq!(shard_of(81_384_788_765_712_384, 1), 0);
        assert_eq!(shard_of(7 << 22, 4), 3);
    }

    #[test]
    fn nothing_is_settled_before_the_first_event() {
        assert_eq!(Progress::default().settled(0), None);
    }

    #[test]
    fn what_is_published_is_settled_by_its_confirm_only() {
        let mut progress = Progress::default();
        progress.published(1);
        progress.published(2);
        assert_eq!(progress.settled(0), None);
        assert_eq!(progress.settled(1), Some(1));
        assert_eq!(progress.settled(2), Some(2));
    }

    #[test]
    fn events_that_nobody_wants_are_settled_once_all_before_them_are() {
        let mut progress = Progress::default();
        progress.published(1);
        progress.skipped(2);
        progress.skipped(3);
        assert_eq!(progress.settled(0), None);
        assert_eq!(progress.settled(1), Some(3));
        progress.published(4);
        assert_eq!(progress.settled(1), Some(1));
        assert_eq!(progress.settled(4), Some(4));
    }

    #[test]
    fn what_was_held_back_does_not_take_back_what_was_read() {
        let mut progress = Progress::default();
        progress.skipped(9);
        progress.published(4);
        assert_eq!(progress.seen(), 9);
        assert_eq!(progress.settled(4), Some(9));
    }

    #[test]
    fn a_resumed_session_is_settled_where_it_was_taken_up() {
        let mut progress = Progress::resumed_from(40);
        assert_eq!(progress.settled(0), Some(40));
        progress.published(41);
        assert_eq!(
            progress.settled(0),
            None,
            "the stored 40 stands until 41 is confirmed"
        );
        assert_eq!(progress.settled(41), Some(41));
    }
}
