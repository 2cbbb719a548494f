//! A shard, what its owner says of it, and what is saved of it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A shard of a set of `count` shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// How many shards the set has.
    pub count: u32,
    /// Which of them it is, from 0.
    pub id: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (id, count) = text.split_once('/')?;
            let shard = Self {
                count: count.parse().ok()?,
                id: id.parse().ok()?,
            };
            (shard.id < shard.count).then_some(shard)
        };
        parse().ok_or_else(|| format!("`{text}` is no shard such as 3/16"))
    }
}

/// What a RESUME needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Session {
    /// The session's id, from READY.
    pub id: String,
    /// Where to connect for the RESUME, from READY.
    pub resume_url: String,
    /// The highest sequence number up to which every event is confirmed.
    pub sequence: u64,
}

/// What the holder of a lease says of its shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not connected at the moment, and it cannot be told when it will be.
    Away,
    /// On the way to a session.
    #[default]
    Connecting,
    /// Connected, and its events are published.
    Live,
    /// Connected and caught up; its events are not published, since another set's are.
    Standby,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Standby => "standby",
        }
    }

    /// The status with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Away, Self::Connecting, Self::Live, Self::Standby];
        all.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a shard's lease is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// Another replica holds it.
    Held {
        /// The replica's id.
        by: String,
    },
    /// It is ours.
    Taken {
        /// What all writes for the shard have to show; higher than that of every owner before us.
        token: u64,
        /// The session to resume.
        session: Saved,
    },
}

/// What is saved of a shard's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Something that is no session. It stays as it is until it is saved over or deleted.
    Corrupt {
        /// The key that holds it.
        key: String,
        /// The field of the key.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing.
    None,
    /// A session.
    Some(Session),
}

/// Whether something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was.
    Done,
    /// It was not: the token is not the shard's newest, or was given back.
    Fenced,
}
