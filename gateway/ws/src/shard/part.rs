//! What becomes of a shard's events while the number of shards changes: pure, the time is passed in.

use crate::{
    command::{guild, guilds},
    reshard::{Place, Turn},
    switch::{Fingerprint, Hold, LATE, Struck, Tail},
};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};
use store::Shard;
use tokio::time::Instant;

/// How much a shard holds back, in bytes, before it stops reading.
const ROOM: usize = 16 << 20;

/// What an event costs in memory beside its body, about.
const OVERHEAD: usize = 1_024;

/// How long the next guild that READY announced may let wait for it.
const BACKFILL: Duration = Duration::from_secs(30);

/// What becomes of a shard's events.
#[derive(Debug)]
pub(super) enum Part<T> {
    /// They are published, unless the set before has.
    Late {
        /// What that set published.
        struck: Struck,
        /// Until when that is asked.
        until: Instant,
    },
    /// They are published.
    Live,
    /// They are published and remembered.
    Outgoing(Tail),
    /// They are held back.
    Standby {
        /// Here.
        hold: Hold<T>,
        /// The guilds that are still to come after READY, and when the last one came.
        backfill: Option<(BTreeSet<u64>, Instant)>,
    },
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Let it go: workers are not to get events of its name.
    Filter,
    /// Keep it until the switch.
    Hold(Fingerprint),
    /// Publish it, and note that if there is a fingerprint.
    Publish(Option<Fingerprint>),
    /// Let it go: another set publishes it, or did.
    Skip,
}

/// What a switch gives free.
#[derive(Debug)]
pub(super) struct Released<T> {
    /// What is to be published, with its sequences.
    pub(super) events: VecDeque<(u64, T)>,
    /// How much the set before has published.
    pub(super) suppressed: u64,
    /// Tails that could not be read.
    pub(super) odd: Vec<String>,
}

impl<T> Part<T> {
    /// Takes up the part that a shard has now. What was held back is given out at the moment when it
    /// is this set's turn.
    pub(super) fn follow(
        &mut self,
        turn: &Turn,
        shard: Shard,
        now: Instant,
    ) -> Option<Released<T>> {
        let as_of = turn.as_of;
        match (turn.place(shard), &mut *self) {
            (Place::Outgoing | Place::Ending, Self::Outgoing(tail)) => tail.prune(as_of),
            (Place::Outgoing | Place::Ending, _) => *self = Self::Outgoing(Tail::default()),
            (Place::Incoming, Self::Standby { hold, .. }) => hold.prune(as_of),
            (Place::Incoming, _) => *self = Self::standby(),
            (Place::Only, Self::Outgoing(_)) => *self = Self::Live,
            (Place::Only, Self::Standby { hold, .. }) => {
                // It never heard of the switch. Rather twice than never.
                let (events, suppressed) = hold.release(as_of, &mut Struck::default());
                *self = Self::Live;
                return Some(Released {
                    events,
                    suppressed,
                    odd: Vec::new(),
                });
            }
            (Place::TakingOver, Self::Late { .. }) => {}
            (Place::TakingOver, _) => {
                if !matches!(self, Self::Standby { .. }) {
                    *self = Self::standby();
                }
                return self.take_over(turn, shard, now);
            }
            (Place::Dismissed | Place::Only, _) => {}
        }
        None
    }

    fn standby() -> Self {
        let hold = Hold::new(ROOM);
        Self::Standby {
            hold,
            backfill: None,
        }
    }

    /// The set before has ended, if all tails are there.
    fn take_over(&mut self, turn: &Turn, shard: Shard, now: Instant) -> Option<Released<T>> {
        let Self::Standby { hold, .. } = self else {
            return None;
        };
        let mut struck = Struck::default();
        let mut odd = Vec::new();
        for (id, tail) in turn.tails_for(shard)? {
            odd.extend(struck.take(id, &tail).err().map(|error| error.to_string()));
        }
        let (events, suppressed) = hold.release(turn.as_of, &mut struck);
        let until = now + LATE;
        *self = Self::Late { struck, until };
        Some(Released {
            events,
            suppressed,
            odd,
        })
    }

    /// Decides on an event. `is_wanted`: whether workers are to get events of its name. Its data is
    /// asked for only where it matters.
    pub(super) fn judge<'a>(
        &mut self,
        now: Instant,
        name: &str,
        is_wanted: bool,
        data: impl Fn() -> &'a str,
    ) -> Verdict {
        // They are about the session and not about what happened.
        let is_own = matches!(name, "READY" | "RESUMED");
        let event = || Fingerprint::of(name, data().as_bytes());
        if matches!(self, Self::Late { until, .. } if *until <= now) {
            *self = Self::Live;
        }
        // The session is ready when its guilds came, be they wanted or not.
        let is_known = match self {
            Self::Standby { backfill, .. } => is_own || fills(backfill, now, name, &data),
            Self::Late { .. } | Self::Live | Self::Outgoing(_) => false,
        };
        match self {
            _ if !is_wanted => Verdict::Filter,
            _ if is_known => Verdict::Skip,
            Self::Standby { .. } => Verdict::Hold(event()),
            Self::Live => Verdict::Publish(None),
            _ if is_own => Verdict::Publish(None),
            Self::Outgoing(_) => Verdict::Publish(Some(event())),
            Self::Late { struck, .. } => match struck.strike(event()) {
                true => Verdict::Skip,
                false => Verdict::Publish(None),
            },
        }
    }

    /// Holds an event back; whether there is room for more.
    pub(super) fn hold(
        &mut self,
        (now, as_of): (Instant, Option<Instant>),
        event: Fingerprint,
        length: usize,
        message: (u64, T),
    ) -> bool {
        if let Self::Standby { hold, .. } = self {
            hold.push(now, event, OVERHEAD + length, message);
            hold.prune(as_of);
        }
        !self.is_full()
    }

    /// An event was published.
    pub(super) fn published(
        &mut self,
        (now, as_of): (Instant, Option<Instant>),
        event: Fingerprint,
        sequence: u64,
    ) {
        if let Self::Outgoing(tail) = self {
            tail.note(now, as_of, sequence, event);
        }
    }

    /// A new session began with this READY. `tells_guilds`: whether its guilds follow one by one.
    pub(super) fn identified(&mut self, now: Instant, ready: &str, tells_guilds: bool) {
        match self {
            Self::Late { .. } | Self::Live => {}
            Self::Outgoing(tail) => tail.session_lost(),
            Self::Standby { hold, backfill } => {
                // What the session before brought is older than the wait that begins now.
                *hold = Hold::new(ROOM);
                let told = guilds(ready).filter(|_| tells_guilds).unwrap_or_default();
                *backfill = Some((told.into_iter().collect(), now));
            }
        }
    }

    /// The session was taken up again.
    pub(super) fn resumed(&mut self, now: Instant) {
        match self {
            Self::Late { struck, until } if *until > now => {
                // What was missed has come: what is equal to something before it is another one. A shard
                // that was taken over has not held back what would have struck that.
                struck.forget_passed();
                *until = now + LATE;
            }
            // Its guilds came to whoever had it before, or to nobody who needs them.
            Self::Standby { backfill, .. } if backfill.is_none() => {
                *backfill = Some((BTreeSet::new(), now));
            }
            _ => {}
        }
    }

    /// Whether a shard with a session is as ready as it can be; of those that hold events back, when
    /// they know their guilds.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let Self::Standby { backfill, .. } = self else {
            return true;
        };
        backfill.as_ref().is_some_and(|(guilds, since)| {
            guilds.is_empty() || now.duration_since(*since) >= BACKFILL
        })
    }

    /// How many events are held back.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Standby { hold, .. } => hold.len(),
            Self::Late { .. } | Self::Live | Self::Outgoing(_) => 0,
        }
    }

    /// Whether events are published, and nothing else.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Whether events are held back.
    pub(super) const fn is_standby(&self) -> bool {
        matches!(self, Self::Standby { .. })
    }

    /// Whether no further event can be held back.
    pub(super) const fn is_full(&self) -> bool {
        match self {
            Self::Standby { hold, .. } => !hold.has_room(),
            Self::Late { .. } | Self::Live | Self::Outgoing(_) => false,
        }
    }

    /// The highest sequence that another process may take the session up from, if there is a limit.
    pub(super) fn floor(&self, as_of: Option<Instant>) -> Option<u64> {
        match self {
            Self::Late { .. } | Self::Live => None,
            Self::Outgoing(tail) => tail.floor(),
            Self::Standby { hold, .. } => hold.floor(as_of),
        }
    }

    /// What a shard of a set that ends leaves to the next.
    pub(super) fn tail(&self) -> Vec<u8> {
        match self {
            Self::Outgoing(tail) => tail.encode(),
            Self::Late { .. } | Self::Live | Self::Standby { .. } => Vec::new(),
        }
    }
}

/// Whether an event is one of those that tell the guilds of a new session.
fn fills<'a>(
    backfill: &mut Option<(BTreeSet<u64>, Instant)>,
    now: Instant,
    name: &str,
    data: &impl Fn() -> &'a str,
) -> bool {
    let Some((guilds, since)) = backfill.as_mut().filter(|(guilds, _)| !guilds.is_empty()) else {
        return false;
    };
    if !matches!(name, "GUILD_CREATE" | "GUILD_DELETE") {
        return false;
    }
    let is_one = guild(data()).is_some_and(|(id, _)| guilds.remove(&id));
    if is_one {
        *since = now;
    }
    is_one
}

#[cfg(test)]
mod tests;
