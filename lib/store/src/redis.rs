//! State in Redis or Valkey, for any number of replicas.

mod calls;
mod limits;
mod link;
mod read;
mod script;

use std::{collections::BTreeMap, time::Duration};

use ::redis::{
    AsyncTypedCommands as _, FromRedisValue, ScriptInvocation, aio::MultiplexedConnection,
};
use boot::{SecretString, config::Certificates};
use bytes::Bytes;

use crate::{
    Acquired, Error, Fleet, Held, Limit, Pace, Permit, Plan, Replica, Session, Shard, Written,
    millis,
};
use link::Link;
use read::{Beat, json};
use script::Scripts;

pub(crate) use link::client;

/// The states of all applications.
#[derive(Debug)]
pub(crate) struct Redis {
    link: Link,
    scripts: Scripts,
    prefix: String,
    pace: Pace,
}

impl Redis {
    /// Names the server; nothing is connected yet.
    pub(crate) fn open(
        url: &SecretString,
        tls: &Certificates,
        prefix: &str,
        pace: Pace,
    ) -> Result<Self, Error> {
        Ok(Self {
            link: Link::new(url, tls)?,
            scripts: Scripts::new(),
            prefix: prefix.to_owned(),
            pace,
        })
    }

    pub(crate) async fn beat(
        &self,
        id: u64,
        replica: &Replica,
        ttl: Duration,
        held: &[Held],
    ) -> Result<Fleet, Error> {
        let mut script = self.scripts.beat.prepare_invoke();
        self.keys(&mut script, id, &["meta", "leases", "replicas"]);
        script.arg(&replica.id).arg(json(replica)).arg(millis(ttl));
        for held in held {
            script.arg(held.shard.to_string());
            script.arg(held.token).arg(held.status.name());
        }
        let beat: Beat = self.run(&script).await?;
        Ok(read::fleet(beat, |name| self.key(id, name)))
    }

    pub(crate) async fn leave(&self, id: u64, replica: &str) -> Result<(), Error> {
        let mut script = self.scripts.leave.prepare_invoke();
        self.keys(&mut script, id, &["meta", "replicas"]);
        self.run(script.arg(replica)).await
    }

    pub(crate) async fn version(&self, id: u64) -> Result<u64, Error> {
        self.version_of(self.key(id, "meta")).await
    }

    async fn version_of(&self, key: String) -> Result<u64, Error> {
        let get =
            async |mut connection: MultiplexedConnection| connection.hget(&key, "version").await;
        let corrupt = |reason: &str| Error::Corrupt {
            key: key.clone(),
            field: "version".to_owned(),
            reason: reason.to_owned(),
        };
        match self.link.call(get).await {
            Ok(None) => Ok(0),
            Ok(Some(version)) => version
                .parse()
                .map_err(|_| corrupt("it is no whole number")),
            Err(Error::Failed { source }) if source.code() == Some("WRONGTYPE") => {
                Err(corrupt("it is not in a hash"))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn acquire(
        &self,
        id: u64,
        shard: Shard,
        replica: &str,
        ttl: Duration,
    ) -> Result<Acquired, Error> {
        let mut script = self.scripts.acquire.prepare_invoke();
        self.keys(&mut script, id, &["meta", "leases", "sessions"]);
        script.arg(shard.to_string()).arg(replica).arg(millis(ttl));
        let (taken, token, text): (bool, u64, Option<Vec<u8>>) = self.run(&script).await?;
        if !taken {
            let by = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
            return Ok(Acquired::Held { by });
        }
        let session = read::session(self.key(id, "sessions"), shard, text.as_deref());
        Ok(Acquired::Taken { token, session })
    }

    pub(crate) async fn release(
        &self,
        id: u64,
        shard: Shard,
        token: u64,
        (session, switching): (Option<&Session>, Option<&Session>),
    ) -> Result<Written, Error> {
        let mut script = self.scripts.release.prepare_invoke();
        self.keys(&mut script, id, &["meta", "leases", "sessions"]);
        script.arg(shard.to_string()).arg(token);
        script.arg(session_text(session));
        self.run(script.arg(session_text(switching)))
            .await
            .map(written)
    }

    pub(crate) async fn save(
        &self,
        id: u64,
        sessions: &[(Shard, u64, Option<Session>)],
    ) -> Result<Vec<Shard>, Error> {
        let mut script = self.scripts.save.prepare_invoke();
        self.keys(&mut script, id, &["meta", "leases", "sessions"]);
        for (shard, token, session) in sessions {
            script.arg(shard.to_string()).arg(*token);
            script.arg(session_text(session.as_ref()));
        }
        let refused: Vec<String> = self.run(&script).await?;
        Ok(refused
            .iter()
            .filter_map(|shard| shard.parse().ok())
            .collect())
    }

    pub(crate) async fn identify(
        &self,
        id: u64,
        shard_id: u32,
        limit: &Limit,
    ) -> Result<Permit, Error> {
        let mut script = self.scripts.identify.prepare_invoke();
        self.keys(&mut script, id, &["meta", "identifies", "buckets"]);
        script.arg(shard_id).arg(limit.max_concurrency.max(1));
        script.arg(limit.total).arg(limit.reserve);
        script.arg(limit.total.saturating_sub(limit.remaining));
        script.arg(limit.told_ago());
        script.arg(millis(limit.reset_after));
        script
            .arg(millis(self.pace.bucket))
            .arg(millis(self.pace.ledger));
        let (kind, number, wait): (u8, u64, u64) = self.run(&script).await?;
        let count = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(match kind {
            0 => Permit::Granted { left: count },
            1 => Permit::Exhausted {
                used: count,
                total: limit.total,
                retry_after: Duration::from_millis(wait),
            },
            _ => Permit::Wait(Duration::from_millis(number)),
        })
    }

    pub(crate) async fn plan(
        &self,
        id: u64,
        fleet: &Fleet,
        plan: &Plan,
    ) -> Result<Option<Plan>, Error> {
        let mut script = self.scripts.plan.prepare_invoke();
        self.keys(&mut script, id, &["meta"]);
        let revision = fleet.plan.as_ref().map_or(0, |plan| plan.revision);
        script.arg(fleet.version).arg(revision);
        let (is_ours, text): (bool, Option<Vec<u8>>) =
            self.run(script.arg(read::plan_text(plan))).await?;
        let holds = text.as_deref().map(read::plan).transpose();
        let holds = holds.map_err(|reason| Error::Corrupt {
            key: self.key(id, "meta"),
            field: "plan".to_owned(),
            reason,
        })?;
        Ok(holds.filter(|_| is_ours))
    }

    pub(crate) async fn put_tail(
        &self,
        id: u64,
        shard: Shard,
        token: u64,
        tail: &[u8],
        ttl: Duration,
    ) -> Result<Written, Error> {
        let mut script = self.scripts.put_tail.prepare_invoke();
        self.keys(&mut script, id, &["meta", "leases", "tails"]);
        script.arg(shard.to_string()).arg(token);
        self.run(script.arg(tail).arg(millis(ttl)))
            .await
            .map(written)
    }

    pub(crate) async fn tails(&self, id: u64, count: u32) -> Result<BTreeMap<u32, Bytes>, Error> {
        let mut script = self.scripts.tails.prepare_invoke();
        self.keys(&mut script, id, &["meta", "tails"]);
        let tails: Vec<(u32, Vec<u8>)> = self.run(script.arg(count)).await?;
        Ok(tails
            .into_iter()
            .map(|(id, tail)| (id, tail.into()))
            .collect())
    }

    pub(crate) async fn forget(&self, id: u64, count: u32) -> Result<(), Error> {
        let mut script = self.scripts.forget.prepare_invoke();
        self.keys(&mut script, id, &["meta", "leases", "sessions", "tails"]);
        self.run(script.arg(count)).await
    }

    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Error> {
        let call = async |mut connection| script.invoke_async(&mut connection).await;
        self.link.call(call).await
    }

    fn keys(&self, script: &mut ScriptInvocation<'_>, id: u64, names: &[&str]) {
        for name in names {
            script.key(self.key(id, name));
        }
    }

    /// All keys of an application are on one node of a cluster: of a name in braces, only what is
    /// in the braces decides.
    fn key(&self, id: u64, name: &str) -> String {
        format!("{}:{{{id}}}:{name}", self.prefix)
    }
}

/// A session as its field holds it; empty if there is none.
fn session_text(session: Option<&Session>) -> String {
    session.map(json).unwrap_or_default()
}

const fn written(done: bool) -> Written {
    match done {
        true => Written::Done,
        false => Written::Fenced,
    }
}
