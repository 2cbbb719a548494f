//! How one set of shards takes over from another at one moment, with nothing lost and nothing
//! twice: pure, without I/O; the time is passed in.
//!
//! Both sets are connected and get the same events, each in sessions and sequences of its own. What
//! they have in common is what Discord says happened, so an event is known by a fingerprint of its
//! name and data. The old set publishes and remembers the fingerprints of its last seconds
//! ([`Tail`]). The new set holds back the events of a longer time ([`Hold`]). When the old set has
//! stopped for good, the new one strikes from what it holds what the tails have ([`Struck`]), and
//! publishes the rest: exactly what the old set did not get to. Events that reach the new set later
//! than they reached the old one are struck for some time more.
//!
//! What the new set got long before the switch began was published by the old set, in a tail or
//! not. Equal events, such as a voice state that is switched back and forth, are counted, and a
//! doubt is always decided in favour of publishing.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

/// How far the two sets may be apart in when they get an event.
const LAG: Duration = Duration::from_secs(10);

/// How far back a tail reaches: everything that the new set got in the last [`LAG`] and the old set
/// got before it stopped. Who takes over a shard of the old set gets that much again, so that its
/// tail is whole.
const TAIL: Duration = Duration::from_secs(20);

/// How far back a hold reaches until the switch begins: every event of a tail is in it, or comes.
const HOLD: Duration = Duration::from_secs(30);

/// How long after the switch events are still looked for in the tails.
pub(crate) const LATE: Duration = Duration::from_secs(30);

/// How many events a tail remembers; the oldest are forgotten first, which costs duplicates.
const LONGEST: usize = 200_000;

/// How long a fingerprint is in a tail that is stored.
const WIDTH: usize = size_of::<u64>();

/// What an event is known by in both sets. It is the same in every build of this program.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of an event, from its name and its data as Discord sent it.
    pub(crate) fn of(name: &str, data: &[u8]) -> Self {
        let mut hash = Xxh3::new();
        hash.update(name.as_bytes());
        hash.update(&[0]);
        hash.update(data);
        Self(hash.digest())
    }
}

/// What a shard of the old set published in the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<Published>);

#[derive(Debug)]
struct Published {
    at: Instant,
    event: Fingerprint,
    /// Its sequence, if it is one of the present session.
    sequence: Option<u64>,
}

impl Tail {
    /// An event was published. `as_of` is the last moment of which it is known that the switch had
    /// not begun: from there the tail reaches back.
    pub(crate) fn note(
        &mut self,
        now: Instant,
        as_of: Option<Instant>,
        sequence: u64,
        event: Fingerprint,
    ) {
        self.prune(as_of);
        if self.0.len() == LONGEST {
            self.0.pop_front();
        }
        self.0.push_back(Published {
            at: now,
            event,
            sequence: Some(sequence),
        });
    }

    /// The session is another one now.
    pub(crate) fn session_lost(&mut self) {
        for published in &mut self.0 {
            published.sequence = None;
        }
    }

    /// The sequence to resume from in order to get all of the tail again.
    pub(crate) fn floor(&self) -> Option<u64> {
        let oldest = self.0.iter().find_map(|published| published.sequence);
        oldest.map(|sequence| sequence.saturating_sub(1))
    }

    /// The tail as it is stored for the new set.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let events = self.0.iter();
        events
            .flat_map(|published| published.event.0.to_le_bytes())
            .collect()
    }

    /// Forgets what is too old to matter.
    pub(crate) fn prune(&mut self, as_of: Option<Instant>) {
        while let (Some(oldest), Some(as_of)) = (self.0.front(), as_of)
            && as_of.saturating_duration_since(oldest.at) > TAIL
        {
            self.0.pop_front();
        }
    }
}

/// A stored tail that is none.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("the tail of shard {shard} has {length} bytes, which is no multiple of {WIDTH}")]
pub(crate) struct Odd {
    /// Whose tail it is.
    pub(crate) shard: u32,
    /// How long it is.
    pub(crate) length: usize,
}

/// The events that the old set has published, as far as the new set may still come across them.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    /// Where each is: the shard of the old set, and the place in its tail.
    events: HashMap<Fingerprint, VecDeque<(u32, usize)>>,
    /// Up to which place each tail was come across.
    reached: BTreeMap<u32, usize>,
}

impl Struck {
    /// Takes in the tail of a shard of the old set.
    pub(crate) fn take(&mut self, shard: u32, tail: &[u8]) -> Result<(), Odd> {
        let (events, rest) = tail.as_chunks::<WIDTH>();
        if !rest.is_empty() {
            let length = tail.len();
            return Err(Odd { shard, length });
        }
        for (place, event) in events.iter().enumerate() {
            let event = Fingerprint(u64::from_le_bytes(*event));
            self.events
                .entry(event)
                .or_default()
                .push_back((shard, place));
        }
        Ok(())
    }

    /// Whether the old set has published this event; each of its events counts once.
    pub(crate) fn strike(&mut self, event: Fingerprint) -> bool {
        let Some(places) = self.events.get_mut(&event) else {
            return false;
        };
        let Some((shard, place)) = places.pop_front() else {
            return false;
        };
        if places.is_empty() {
            self.events.remove(&event);
        }
        let reached = self.reached.entry(shard).or_default();
        *reached = place.max(*reached);
        true
    }

    /// Forgets what lies before the last event that was come across: an equal one that comes now is
    /// another.
    pub(crate) fn forget_passed(&mut self) {
        let reached = &self.reached;
        self.events.retain(|_, places| {
            places.retain(|(shard, place)| reached.get(shard).is_none_or(|last| place > last));
            !places.is_empty()
        });
    }
}

/// An event that a shard of the new set holds back.
#[derive(Debug)]
struct Held<T> {
    since: Instant,
    event: Fingerprint,
    cost: usize,
    sequence: u64,
    message: T,
}

/// What a shard of the new set holds back until the switch.
///
/// Wherever `as_of` is asked for, it is the last moment of which it is known that the switch had not
/// begun, so that the old set published until then at least; `None` when there is no such moment.
#[derive(Debug)]
pub(crate) struct Hold<T> {
    events: VecDeque<Held<T>>,
    /// The sum of the costs.
    used: usize,
    /// How much `used` may grow.
    room: usize,
}

impl<T> Hold<T> {
    /// An empty hold for about `room` bytes.
    pub(crate) const fn new(room: usize) -> Self {
        Self {
            events: VecDeque::new(),
            used: 0,
            room,
        }
    }

    /// Holds an event back.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        event: Fingerprint,
        cost: usize,
        (sequence, message): (u64, T),
    ) {
        self.used += cost;
        self.events.push_back(Held {
            since: now,
            event,
            cost,
            sequence,
            message,
        });
    }

    /// Forgets what the old set has published long ago; when there is no room, also what it must have
    /// published.
    pub(crate) fn prune(&mut self, as_of: Option<Instant>) {
        while let Some(oldest) = self.events.front()
            && (is_older(oldest.since, as_of, HOLD)
                || (self.used > self.room && is_older(oldest.since, as_of, LAG)))
        {
            self.used -= oldest.cost;
            self.events.pop_front();
        }
    }

    /// How many are held back.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether another event may come.
    pub(crate) const fn has_room(&self) -> bool {
        self.used < self.room
    }

    /// The sequence to resume from in order to get everything again that the old set may not have
    /// published.
    pub(crate) fn floor(&self, as_of: Option<Instant>) -> Option<u64> {
        let mut open = self.events.iter();
        let open = open.find(|held| !is_older(held.since, as_of, LAG))?;
        Some(open.sequence.saturating_sub(1))
    }

    /// Gives out, in order and with their sequences, what the old set did not publish, and says how
    /// many it did.
    pub(crate) fn release(
        &mut self,
        as_of: Option<Instant>,
        struck: &mut Struck,
    ) -> (VecDeque<(u64, T)>, u64) {
        let before = self.events.len();
        let kept = self.events.drain(..).filter_map(|held| {
            let published = struck.strike(held.event) || is_older(held.since, as_of, LAG);
            (!published).then_some((held.sequence, held.message))
        });
        let kept: VecDeque<_> = kept.collect();
        struck.forget_passed();
        self.used = 0;
        let suppressed = u64::try_from(before - kept.len()).unwrap_or(u64::MAX);
        (kept, suppressed)
    }
}

/// Whether something was so much older at that moment.
fn is_older(since: Instant, as_of: Option<Instant>, age: Duration) -> bool {
    as_of.is_some_and(|as_of| as_of.saturating_duration_since(since) > age)
}

#[cfg(test)]
mod tests;
