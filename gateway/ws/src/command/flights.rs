//! The requests that wait for Discord's answers on one session: pure, without I/O or clock.
//!
//! - Who asks for what is asked for already joins: one payload is sent, and everybody reads all answers.
//! - Chunks of members carry our nonce, and are complete when each of `chunk_count` was seen. A RESUME may
//!   bring one twice; it counts once.
//! - All members of a guild may be asked for once in 30 seconds.

use super::{
    answers::{Answers, Read},
    failure::{exhausted, failure},
};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};
use tokio::time::Instant;
use wire::gateway::v1::{Code, Error as Failure};

/// How long all members of a guild may not be asked for again; a little longer than Discord says, because
/// its clock starts when the payload comes.
///
/// See [Discord Docs/Request Guild Members](https://docs.discord.com/developers/events/gateway-events#request-guild-members).
const PAUSE: Duration = Duration::from_millis(30_500);

/// The longest pause that we believe Discord to want.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How many requests for members may wait for answers at once, which may be large; how many in all.
const AT_ONCE: (usize, usize) = (32, 256);

/// What is asked for; equal ones have the same answer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Topic {
    /// What is known of a guild's channels.
    ChannelInfo(u64),
    /// Members of a guild, by the payload that asks for them.
    Members {
        /// The guild.
        guild_id: u64,
        /// Whether all of its members are asked for.
        all: bool,
        /// The payload without a nonce.
        payload: String,
    },
    /// A guild's soundboard.
    Sounds(u64),
}

/// What Discord said that somebody may wait for.
#[derive(Debug)]
pub(super) enum Heard {
    /// CHANNEL_INFO.
    ChannelInfo {
        /// The guild.
        guild_id: u64,
        /// The answer.
        body: Bytes,
    },
    /// GUILD_MEMBERS_CHUNK.
    Chunk {
        /// The guild.
        guild_id: u64,
        /// The nonce that we or somebody else chose.
        nonce: String,
        /// Which part it is.
        index: u32,
        /// How many there are.
        count: u32,
        /// The part.
        body: Bytes,
    },
    /// RATE_LIMITED, for opcode 8.
    Limited {
        /// The guild whose members were asked for.
        guild_id: u64,
        /// The nonce of the request.
        nonce: Option<String>,
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// SOUNDBOARD_SOUNDS.
    Sounds {
        /// The guild.
        guild_id: u64,
        /// The answer.
        body: Bytes,
    },
}

/// A place among those who wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Joined {
    /// The flight.
    pub(super) id: u64,
    /// Whether nobody has asked yet: the payload must be sent.
    pub(super) is_new: bool,
}

#[derive(Debug)]
struct Flight {
    topic: Topic,
    answers: Answers,
    /// How many wait.
    callers: usize,
    /// The chunks that were seen.
    chunks: BTreeSet<u32>,
    is_sent: bool,
}

/// All requests that wait for answers.
#[derive(Debug)]
pub(super) struct Flights {
    open: HashMap<u64, Flight>,
    /// Those that can be joined.
    topics: HashMap<Topic, u64>,
    /// Until when all members of a guild may not be asked for.
    pauses: HashMap<u64, Instant>,
    /// How many there were.
    count: u64,
    /// What our nonces begin with, so that those of workers' own requests are not taken for ours.
    prefix: String,
}

impl Flights {
    /// None yet; nonces will begin with `prefix`, at most 15 bytes.
    pub(super) fn new(prefix: String) -> Self {
        Self {
            open: HashMap::new(),
            topics: HashMap::new(),
            pauses: HashMap::new(),
            count: 0,
            prefix,
        }
    }

    /// Waits for the answers to this, together with those who do already.
    pub(super) fn join(&mut self, topic: Topic, now: Instant) -> Result<Joined, Failure> {
        if let Some(id) = self.topics.get(&topic).copied()
            && let Some(flight) = self.open.get_mut(&id)
            && flight.answers.is_whole()
        {
            flight.callers += 1;
            return Ok(Joined { id, is_new: false });
        }
        self.check_room(&topic)?;
        if let Topic::Members {
            guild_id,
            all: true,
            ..
        } = topic
        {
            self.pause(guild_id, now)?;
        }
        self.count += 1;
        let id = self.count;
        self.topics.insert(topic.clone(), id);
        let flight = Flight {
            topic,
            answers: Answers::default(),
            callers: 1,
            chunks: BTreeSet::new(),
            is_sent: false,
        };
        self.open.insert(id, flight);
        Ok(Joined { id, is_new: true })
    }

    fn check_room(&self, topic: &Topic) -> Result<(), Failure> {
        let is_members = |topic: &Topic| matches!(topic, Topic::Members { .. });
        let flights = self.open.values();
        let members = flights.filter(|flight| is_members(&flight.topic)).count();
        if self.open.len() >= AT_ONCE.1 || (is_members(topic) && members >= AT_ONCE.0) {
            let text = "too many requests wait for Discord's answers already: send fewer at once";
            return Err(exhausted(text, Duration::from_secs(1)));
        }
        Ok(())
    }

    /// Begins the time in which all members of a guild are not asked for again.
    pub(super) fn pause(&mut self, guild_id: u64, now: Instant) -> Result<(), Failure> {
        self.pauses.retain(|_, until| *until > now);
        if let Some(until) = self.pauses.get(&guild_id) {
            let text = format!(
                "all members of the guild {guild_id} were asked for a moment ago; Discord answers once \
                 in 30 seconds"
            );
            return Err(exhausted(text, *until - now));
        }
        self.pauses.insert(guild_id, now + PAUSE);
        Ok(())
    }

    /// The members of this guild were not asked for after all.
    pub(super) fn unpause(&mut self, guild_id: u64) {
        self.pauses.remove(&guild_id);
    }

    /// What Discord is to put into the answers to a flight.
    pub(super) fn nonce(&self, id: u64) -> String {
        format!("{}{id:x}", self.prefix)
    }

    /// Whether somebody waits for this.
    pub(super) fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// Whether nobody waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The payload was sent.
    pub(super) fn sent(&mut self, id: u64, now: Instant) {
        let Some(flight) = self.open.get_mut(&id) else {
            return;
        };
        flight.is_sent = true;
        if let Some(guild_id) = flight.topic.paused() {
            self.asked(guild_id, now);
        }
    }

    /// All members of this guild were asked for just now.
    pub(super) fn asked(&mut self, guild_id: u64, now: Instant) {
        self.pauses.insert(guild_id, now + PAUSE);
    }

    /// One of those who wait reads on.
    pub(super) fn read(&self, id: u64, read: usize) -> Read {
        self.open
            .get(&id)
            .map_or(Read::Wait, |flight| flight.answers.read(read))
    }

    /// One of those who wait has gone.
    pub(super) fn leave(&mut self, id: u64) {
        let Some(flight) = self.open.get_mut(&id) else {
            return;
        };
        flight.callers = flight.callers.saturating_sub(1);
        if flight.callers > 0 {
            return;
        }
        self.close(id);
        self.open.remove(&id);
    }

    /// Nothing will come for this flight.
    pub(super) fn fail(&mut self, id: u64, why: Failure) {
        if let Some(flight) = self.open.get_mut(&id) {
            flight.answers.end(Err(why));
        }
        self.close(id);
    }

    /// Nothing will come for any flight: the session is gone.
    pub(super) fn fail_all(&mut self, why: &Failure) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        for id in ids {
            self.fail(id, why.clone());
        }
    }

    /// Nobody can join any more.
    fn close(&mut self, id: u64) {
        let Some(flight) = self.open.get(&id) else {
            return;
        };
        if self.topics.get(&flight.topic) == Some(&id) {
            self.topics.remove(&flight.topic);
        }
        if let (false, Some(guild_id)) = (flight.is_sent, flight.topic.paused()) {
            self.unpause(guild_id);
        }
    }

    /// Discord said something; whether somebody waited for it.
    pub(super) fn hear(&mut self, heard: Heard, now: Instant) -> bool {
        match heard {
            Heard::ChannelInfo { guild_id, body } => {
                self.whole(&Topic::ChannelInfo(guild_id), body)
            }
            Heard::Sounds { guild_id, body } => self.whole(&Topic::Sounds(guild_id), body),
            Heard::Chunk {
                guild_id,
                nonce,
                index,
                count,
                body,
            } => {
                let id = self.id(&nonce);
                id.is_some_and(|id| self.chunk(id, guild_id, (index, count), body))
            }
            Heard::Limited {
                guild_id,
                nonce,
                retry_after,
            } => {
                let retry_after = retry_after.min(LONGEST_PAUSE);
                self.limited(guild_id, nonce.as_deref(), retry_after, now)
            }
        }
    }

    /// An answer that comes in one piece.
    fn whole(&mut self, topic: &Topic, body: Bytes) -> bool {
        let Some(id) = self.topics.get(topic).copied() else {
            return false;
        };
        self.push(id, body, true);
        true
    }

    fn chunk(&mut self, id: u64, guild: u64, (index, count): (u32, u32), body: Bytes) -> bool {
        let Some(flight) = self.open.get_mut(&id) else {
            return false;
        };
        let fits = matches!(flight.topic, Topic::Members { guild_id, .. } if guild_id == guild);
        if !fits || flight.answers.is_ended() || !flight.chunks.insert(index) {
            return false;
        }
        let seen = u32::try_from(flight.chunks.len()).unwrap_or(u32::MAX);
        self.push(id, body, seen >= count);
        true
    }

    fn push(&mut self, id: u64, body: Bytes, is_last: bool) {
        if let Some(flight) = self.open.get_mut(&id) {
            flight.is_sent = true;
            flight.answers.push(body);
            if is_last {
                flight.answers.end(Ok(()));
            }
        }
        if is_last {
            self.close(id);
        }
    }

    /// Discord refused a request for all members.
    fn limited(
        &mut self,
        guild_id: u64,
        nonce: Option<&str>,
        retry_after: Duration,
        now: Instant,
    ) -> bool {
        self.pauses.insert(guild_id, now + retry_after);
        let ids: Vec<u64> = match nonce {
            Some(nonce) => self.id(nonce).into_iter().collect(),
            None => self
                .open
                .iter()
                .filter(|(_, flight)| flight.is_sent && flight.topic.paused() == Some(guild_id))
                .map(|(id, _)| *id)
                .collect(),
        };
        let text = format!("Discord refused to tell the members of the guild {guild_id} for now");
        let why = exhausted(text, retry_after);
        for id in &ids {
            self.fail(*id, why.clone());
        }
        !ids.is_empty()
    }

    /// The flight whose nonce this is.
    fn id(&self, nonce: &str) -> Option<u64> {
        let id = nonce.strip_prefix(self.prefix.as_str())?;
        let id = u64::from_str_radix(id, 16).ok()?;
        self.is_open(id).then_some(id)
    }
}

impl Topic {
    /// The guild that may not be asked again for a while.
    fn paused(&self) -> Option<u64> {
        match self {
            Self::Members {
                guild_id,
                all: true,
                ..
            } => Some(*guild_id),
            Self::ChannelInfo(_) | Self::Members { .. } | Self::Sounds(_) => None,
        }
    }
}

/// The session is gone, and with it what was asked.
pub(super) fn session_lost(shard_id: u32) -> Failure {
    let text =
        format!("shard {shard_id} has lost its session, and with it what was asked; try again");
    failure(Code::Unavailable, text)
}

#[cfg(test)]
mod tests;
