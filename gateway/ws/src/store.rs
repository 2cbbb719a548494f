//! Where sessions outlive the process: in a file, in Redis, or nowhere.

mod file;
mod redis;

use crate::{Error, session::Session};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf};

use self::{file::File, redis::Redis};

/// The sessions of an application's shards, by shard id.
pub(crate) type Sessions = BTreeMap<u32, Session>;

/// Where to keep sessions.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In a file of this machine.
    File(PathBuf),
    /// Nowhere: a restart identifies anew.
    Memory,
    /// In Redis or Valkey.
    Redis(SecretString),
}

/// A store of sessions.
#[derive(Debug)]
pub(crate) enum Store {
    /// In a file of this machine.
    File(File),
    /// Nowhere.
    Memory,
    /// In Redis or Valkey.
    Redis(Box<Redis>),
}

impl Store {
    /// Opens the store of an application's sessions.
    pub(crate) fn open(place: &Place, application_id: u64) -> Result<Self, Error> {
        Ok(match place {
            Place::File(path) => Self::File(File::new(path.clone(), application_id)),
            Place::Memory => Self::Memory,
            Place::Redis(url) => Self::Redis(Box::new(Redis::new(url, application_id)?)),
        })
    }

    /// Whether what is saved here is still there after a restart.
    pub(crate) const fn outlives_us(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// Reads every session.
    pub(crate) async fn load(&mut self) -> Result<Sessions, Error> {
        match self {
            Self::File(file) => file.load().await,
            Self::Memory => Ok(Sessions::new()),
            Self::Redis(redis) => redis.load().await,
        }
    }

    /// Replaces what is saved by these sessions.
    pub(crate) async fn save(&mut self, sessions: &Sessions) -> Result<(), Error> {
        match self {
            Self::File(file) => file.save(sessions).await,
            Self::Memory => Ok(()),
            Self::Redis(redis) => redis.save(sessions).await,
        }
    }
}
