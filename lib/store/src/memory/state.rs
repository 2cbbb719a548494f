//! What is known of one application, and how it changes: the rules without any I/O.
//!
//! The scripts in `redis/` follow the same rules; the contract suite runs on both.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::ledger::Ledger;
use crate::{
    Acquired, Fleet, Held, Lease, Phase, Plan, Replica, Saved, Session, Shard, Status, Written,
    millis,
};

/// An application's state. Times are in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct State {
    /// When the application was first heard of.
    pub(super) born: u64,
    version: u64,
    /// Each with the time when its heartbeat is overdue.
    replicas: BTreeMap<String, (Replica, u64)>,
    records: BTreeMap<Shard, Record>,
    pub(super) sessions: BTreeMap<Shard, Session>,
    pub(super) ledger: Ledger,
    pub(super) plan: Option<Plan>,
    /// Each with the time when it is of no use any more.
    pub(super) tails: BTreeMap<Shard, (Bytes, u64)>,
}

/// A lease, or what is left of one: the token is never forgotten.
#[derive(Debug)]
struct Record {
    token: u64,
    until: u64,
    /// `None`: it was given back.
    status: Option<Status>,
    replica: String,
}

impl Record {
    /// Whether this is a newer lease than the token's, or the token's own one, given back.
    fn fences(&self, token: u64) -> bool {
        self.token > token || (self.token == token && self.status.is_none())
    }
}

impl State {
    /// What is known of an application that is heard of for the first time.
    pub(super) fn new(now: u64) -> Self {
        Self {
            born: now,
            ..Self::default()
        }
    }

    pub(super) fn beat(
        &mut self,
        replica: &Replica,
        ttl: Duration,
        held: &[Held],
        now: u64,
    ) -> Fleet {
        let until = now.saturating_add(millis(ttl));
        let before = self.replicas.len();
        self.replicas.retain(|_, (_, until)| *until > now);
        let gone = self.replicas.len() < before;
        let known = self
            .replicas
            .insert(replica.id.clone(), (replica.clone(), until));
        if gone || known.is_none_or(|(known, _)| known != *replica) {
            self.bump(now);
        }
        let mut lost = Vec::new();
        for Held {
            shard,
            token,
            status,
        } in held
        {
            if self.fenced(*shard, *token) {
                lost.push(*shard);
                continue;
            }
            let record = Record {
                token: *token,
                until,
                status: Some(*status),
                replica: replica.id.clone(),
            };
            self.records.insert(*shard, record);
        }
        Fleet {
            version: self.version,
            replicas: self
                .replicas
                .values()
                .map(|(replica, _)| replica.clone())
                .collect(),
            leases: self.leases(now),
            plan: self.plan.clone(),
            age: Duration::from_millis(now.saturating_sub(self.born)),
            lost,
            corrupt: Vec::new(),
        }
    }

    pub(super) fn leave(&mut self, replica: &str, now: u64) {
        if self.replicas.remove(replica).is_some() {
            self.bump(now);
        }
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn acquire(
        &mut self,
        shard: Shard,
        replica: &str,
        ttl: Duration,
        now: u64,
    ) -> Acquired {
        let mut token = now;
        if let Some(record) = self.records.get(&shard) {
            if record.status.is_some() && record.until > now && record.replica != replica {
                return Acquired::Held {
                    by: record.replica.clone(),
                };
            }
            token = token.max(record.token.saturating_add(1));
        }
        let record = Record {
            token,
            until: now.saturating_add(millis(ttl)),
            status: Some(Status::Connecting),
            replica: replica.to_owned(),
        };
        self.records.insert(shard, record);
        let session = self.sessions.get(&shard).cloned();
        Acquired::Taken {
            token,
            session: session.map_or(Saved::None, Saved::Some),
        }
    }

    pub(super) fn release(
        &mut self,
        shard: Shard,
        token: u64,
        (session, switching): (Option<&Session>, Option<&Session>),
        now: u64,
    ) -> Written {
        let replica = match self.records.get(&shard) {
            Some(record) if record.token > token => return Written::Fenced,
            // Once more: the first answer may have been lost.
            Some(record) if record.fences(token) => return Written::Done,
            Some(record) => record.replica.clone(),
            None => String::new(),
        };
        let record = Record {
            token,
            until: 0,
            status: None,
            replica,
        };
        self.records.insert(shard, record);
        let plan = self.plan.as_ref();
        let is_switching = plan.is_some_and(|plan| plan.phase == Phase::Switching);
        self.put_session(shard, switching.filter(|_| is_switching).or(session));
        self.bump(now);
        Written::Done
    }

    pub(super) fn save(&mut self, sessions: &[(Shard, u64, Option<Session>)]) -> Vec<Shard> {
        let mut refused = Vec::new();
        for (shard, token, session) in sessions {
            if self.fenced(*shard, *token) {
                refused.push(*shard);
                continue;
            }
            self.put_session(*shard, session.as_ref());
        }
        refused
    }

    pub(super) fn plan(&mut self, fleet: &Fleet, plan: &Plan, now: u64) -> Option<Plan> {
        if self.version != fleet.version || self.plan != fleet.plan {
            return None;
        }
        let before = self.plan.as_ref().map_or(0, |plan| plan.revision);
        let revision = now.max(before.saturating_add(1));
        self.plan = Some(Plan {
            revision,
            ..plan.clone()
        });
        self.bump(now);
        self.plan.clone()
    }

    pub(super) fn put_tail(
        &mut self,
        shard: Shard,
        token: u64,
        tail: Bytes,
        ttl: Duration,
        now: u64,
    ) -> Written {
        if self.fenced(shard, token) {
            return Written::Fenced;
        }
        self.tails.retain(|_, (_, until)| *until > now);
        let until = now.saturating_add(millis(ttl));
        self.tails.insert(shard, (tail, until));
        Written::Done
    }

    pub(super) fn tails(&self, count: u32, now: u64) -> BTreeMap<u32, Bytes> {
        let tails = self.tails.iter();
        let fresh = tails.filter(|(shard, (_, until))| shard.count == count && *until > now);
        fresh
            .map(|(shard, (tail, _))| (shard.id, tail.clone()))
            .collect()
    }

    pub(super) fn forget(&mut self, count: u32) {
        self.records.retain(|shard, _| shard.count != count);
        self.sessions.retain(|shard, _| shard.count != count);
        self.tails.retain(|shard, _| shard.count != count);
    }

    fn put_session(&mut self, shard: Shard, session: Option<&Session>) {
        match session {
            Some(session) => self.sessions.insert(shard, session.clone()),
            None => self.sessions.remove(&shard),
        };
    }

    /// Whether what shows this token for the shard is refused.
    fn fenced(&self, shard: Shard, token: u64) -> bool {
        self.records
            .get(&shard)
            .is_some_and(|record| record.fences(token))
    }

    fn leases(&self, now: u64) -> Vec<Lease> {
        let lease = |(shard, record): (&Shard, &Record)| {
            let left = record.until.saturating_sub(now);
            Some(Lease {
                shard: *shard,
                replica: record.replica.clone(),
                token: record.token,
                status: record.status?,
                remaining: (left > 0).then(|| Duration::from_millis(left)),
            })
        };
        self.records.iter().filter_map(lease).collect()
    }

    /// Tells everybody to beat.
    fn bump(&mut self, now: u64) {
        self.version = now.max(self.version.saturating_add(1));
    }
}
