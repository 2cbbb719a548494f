//! The store, and the part of it that belongs to one application.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use discord::limit::{Member, Reply, Report};

use crate::{
    Acquired, Config, Error, Fleet, Held, Limit, Permit, Place, Plan, Replica, Session, Shard,
    Written,
    calls::{Calls, CallsKind},
    memory::Memory,
    redis::Redis,
};

/// Where state outlives a process.
#[derive(Clone, Debug)]
pub struct Store {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Memory(Arc<Memory>),
    Redis(Arc<Redis>),
}

impl Store {
    /// Opens the store. Redis is connected when it is first used, and again whenever it was away.
    ///
    /// # Errors
    /// When the file cannot be read or the URL cannot be used.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let memory = |path| Memory::open(path, config.pace).map(|it| Kind::Memory(Arc::new(it)));
        let kind = match &config.place {
            Place::File(path) => memory(Some(path.clone()))?,
            Place::Memory => memory(None)?,
            Place::Redis(url) => {
                let redis = Redis::open(url, &config.tls, &config.prefix, config.pace)?;
                Kind::Redis(Arc::new(redis))
            }
        };
        Ok(Self { kind })
    }

    /// The state of one application.
    #[must_use]
    pub fn application(&self, id: u64) -> Application {
        Application {
            id,
            kind: self.kind.clone(),
        }
    }

    /// The voice calls of one application.
    #[must_use]
    pub fn calls(&self, id: u64) -> Calls {
        let kind = match &self.kind {
            Kind::Memory(memory) => CallsKind::Memory(Arc::clone(memory)),
            Kind::Redis(redis) => CallsKind::Redis(Arc::clone(redis)),
        };
        Calls { id, kind }
    }

    /// Counts so many more invalid requests of an egress address, and for how long Discord has banned it; how many there were
    /// in the last ten minutes, and for how long it is banned, as far as anybody knows.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn address(
        &self,
        name: &str,
        invalid: u32,
        banned: Duration,
    ) -> Result<(u32, Duration), Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.address(name, invalid, banned)),
            Kind::Redis(redis) => redis.address(name, invalid, banned).await,
        }
    }

    /// Whether what is saved here is still there after a restart.
    #[must_use]
    pub fn outlives_us(&self) -> bool {
        match &self.kind {
            Kind::Memory(memory) => memory.outlives_us(),
            Kind::Redis(_) => true,
        }
    }

    /// Whether other processes can have the same state. If not, nobody else holds leases.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        match &self.kind {
            Kind::Memory(_) => false,
            Kind::Redis(_) => true,
        }
    }
}

/// The state of one application.
///
/// Every call ends within two seconds. One that fails may have been carried out all the same, but
/// not twice, and all of them can be made again: what must not happen twice shows a token.
#[derive(Clone, Debug)]
pub struct Application {
    id: u64,
    kind: Kind,
}

impl Application {
    /// Sends a heartbeat, which counts for the time `ttl`, renews the leases of all shards held,
    /// also of those that ran out and that nobody took, and tells how things are.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn beat(
        &self,
        replica: &Replica,
        ttl: Duration,
        held: &[Held],
    ) -> Result<Fleet, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.beat(self.id, replica, ttl, held)),
            Kind::Redis(redis) => redis.beat(self.id, replica, ttl, held).await,
        }
    }

    /// Takes the replica out of the list. Its leases stay until they are given back or run out.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn leave(&self, replica: &str) -> Result<(), Error> {
        match &self.kind {
            Kind::Memory(memory) => {
                memory.leave(self.id, replica);
                Ok(())
            }
            Kind::Redis(redis) => redis.leave(self.id, replica).await,
        }
    }

    /// A number that changes when everybody should beat now: a lease was given back, a replica
    /// came, went or said something new of itself, or the plan changed. Asking costs little.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn version(&self) -> Result<u64, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.version(self.id)),
            Kind::Redis(redis) => redis.version(self.id).await,
        }
    }

    /// Takes a shard that nobody holds, for the time `ttl`. A replica that holds it already gets a
    /// new token, and the old one is worth nothing any more: its answer may have been lost.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn acquire(
        &self,
        shard: Shard,
        replica: &str,
        ttl: Duration,
    ) -> Result<Acquired, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.acquire(self.id, shard, replica, ttl)),
            Kind::Redis(redis) => redis.acquire(self.id, shard, replica, ttl).await,
        }
    }

    /// Saves the session, or deletes it (`None`), and gives the shard back: both or nothing. While
    /// the next set of shards takes over, `switching` is saved instead, if there is one. The token is
    /// spent then; to release it once more does no harm.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn release(
        &self,
        shard: Shard,
        token: u64,
        session: Option<&Session>,
        switching: Option<&Session>,
    ) -> Result<Written, Error> {
        let sessions = (session, switching);
        match &self.kind {
            Kind::Memory(memory) => memory.release(self.id, shard, token, sessions).await,
            Kind::Redis(redis) => redis.release(self.id, shard, token, sessions).await,
        }
    }

    /// Saves sessions, or deletes those that are gone (`None`). Returns the shards that were
    /// refused, since they have a newer owner or were given back.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn save(
        &self,
        sessions: &[(Shard, u64, Option<Session>)],
    ) -> Result<Vec<Shard>, Error> {
        match &self.kind {
            Kind::Memory(memory) => memory.save(self.id, sessions).await,
            Kind::Redis(redis) => redis.save(self.id, sessions).await,
        }
    }

    /// Asks whether a shard may identify now. If so, it counts from now on, also if it does not.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours: do not identify then.
    pub async fn identify(&self, shard_id: u32, limit: &Limit) -> Result<Permit, Error> {
        match &self.kind {
            Kind::Memory(memory) => memory.identify(self.id, shard_id, limit).await,
            Kind::Redis(redis) => redis.identify(self.id, shard_id, limit).await,
        }
    }

    /// Replaces the plan if nothing has changed since the heartbeat that told of `fleet`: nobody made
    /// a plan, no replica came or went, and no lease was given back. Returns it with its new revision.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn plan(&self, fleet: &Fleet, plan: &Plan) -> Result<Option<Plan>, Error> {
        match &self.kind {
            Kind::Memory(memory) => memory.plan(self.id, fleet, plan).await,
            Kind::Redis(redis) => redis.plan(self.id, fleet, plan).await,
        }
    }

    /// Leaves the end of a shard's stream of events to the set that takes over.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn put_tail(
        &self,
        shard: Shard,
        token: u64,
        tail: &[u8],
        ttl: Duration,
    ) -> Result<Written, Error> {
        match &self.kind {
            Kind::Memory(memory) => memory.put_tail(self.id, shard, token, tail, ttl).await,
            Kind::Redis(redis) => redis.put_tail(self.id, shard, token, tail, ttl).await,
        }
    }

    /// The tails that the shards of a set have left, by shard id.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn tails(&self, count: u32) -> Result<BTreeMap<u32, Bytes>, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.tails(self.id, count)),
            Kind::Redis(redis) => redis.tails(self.id, count).await,
        }
    }

    /// Reports what one replica of `gateway-api` has done within Discord's limits, and takes the permits that it asks for.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn limits(&self, member: &Member, report: &Report) -> Result<Reply, Error> {
        match &self.kind {
            Kind::Memory(memory) => Ok(memory.limits(self.id, member, report)),
            Kind::Redis(redis) => redis.limits(self.id, member, report).await,
        }
    }

    /// Forgets a set that is closed: its sessions, leases and tails.
    ///
    /// # Errors
    /// When the store is away or holds something that is not ours.
    pub async fn forget(&self, count: u32) -> Result<(), Error> {
        match &self.kind {
            Kind::Memory(memory) => memory.forget(self.id, count).await,
            Kind::Redis(redis) => redis.forget(self.id, count).await,
        }
    }
}
