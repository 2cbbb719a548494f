//! The task that writes sessions to the store, so that no shard ever waits for it.

use crate::metrics::Metrics;
use boot::{Check, chain};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{Application, Session, Shard};
use tokio::{
    sync::{Notify, mpsc},
    time::{self, MissedTickBehavior},
};

/// How often what changed is written. A crash costs what came in this time once more, as
/// duplicates; it loses nothing.
const INTERVAL: Duration = Duration::from_millis(500);

/// What a shard tells of itself.
#[derive(Debug)]
pub(crate) struct Report {
    /// The shard.
    pub(crate) shard: Shard,
    /// The token of its lease.
    pub(crate) token: u64,
    /// What there is to save.
    pub(crate) news: News,
}

/// What there is to save of a shard.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing more: whoever releases the shard writes the last word.
    End,
    /// A session, as another process may take it up; `None` is one that is gone.
    Session(Option<Session>),
}

/// A shard whose lease has a newer owner, and the token that is worth nothing any more.
pub(crate) type Fenced = (Shard, u64);

/// The task's state.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Where sessions are kept.
    store: Application,
    /// What the store should hold.
    sessions: BTreeMap<Shard, Entry>,
    /// Told when the store has lost what it knew.
    again: Arc<Notify>,
    /// Told of shards whose sessions the store refused.
    fenced: mpsc::Sender<Fenced>,
    /// What `/readyz` says of the sessions.
    check: Check,
    /// Where it counts too.
    metrics: Arc<Metrics>,
    /// Whether the last write failed: the first failure is logged, not each.
    failing: bool,
}

/// The session of a shard.
#[derive(Debug)]
struct Entry {
    token: u64,
    session: Option<Session>,
    /// Whether the store holds something else.
    changed: bool,
}

impl Keeper {
    /// Keeps sessions in this store.
    pub(crate) fn new(
        store: Application,
        again: Arc<Notify>,
        fenced: mpsc::Sender<Fenced>,
        check: Check,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            sessions: BTreeMap::new(),
            again,
            fenced,
            check,
            metrics,
            failing: false,
        }
    }

    /// Runs until the last shard has gone.
    pub(crate) async fn run(mut self, mut reports: mpsc::Receiver<Report>) {
        let again = Arc::clone(&self.again);
        let mut tick = time::interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => self.take(report),
                    None => return,
                },
                () = again.notified() => {
                    self.sessions.values_mut().for_each(|entry| entry.changed = true);
                }
                _ = tick.tick() => self.write().await,
            }
        }
    }

    /// Notes what a shard reported.
    fn take(&mut self, report: Report) {
        let News::Session(session) = report.news else {
            self.sessions.remove(&report.shard);
            return;
        };
        let entry = self.sessions.entry(report.shard).or_insert(Entry {
            token: report.token,
            session: None,
            changed: false,
        });
        entry.changed |= entry.session != session;
        entry.token = report.token;
        entry.session = session;
    }

    /// Writes what changed, and says how it went where it shows.
    async fn write(&mut self) {
        let changed = self.sessions.iter().filter(|(_, entry)| entry.changed);
        let changed: Vec<(Shard, u64, Option<Session>)> = changed
            .map(|(shard, entry)| (*shard, entry.token, entry.session.clone()))
            .collect();
        if changed.is_empty() {
            return;
        }
        match self.store.save(&changed).await {
            Ok(refused) => {
                for (shard, _, _) in &changed {
                    if let Some(entry) = self.sessions.get_mut(shard) {
                        entry.changed = false;
                    }
                }
                self.refused(&refused);
                self.failing = false;
                self.check.up();
            }
            Err(error) => {
                let error = chain(&error);
                if !self.failing {
                    tracing::warn!(%error, "sessions cannot be saved; trying on");
                }
                self.failing = true;
                self.metrics.save_failed();
                self.check.down(error);
            }
        }
    }

    /// These shards have newer owners.
    fn refused(&mut self, shards: &[Shard]) {
        for shard in shards {
            let Some(entry) = self.sessions.remove(shard) else {
                continue;
            };
            // Without room the next heartbeat tells the same.
            if self.fenced.try_send((*shard, entry.token)).is_err() {
                tracing::debug!(shard = shard.id, "the owner of the shards is busy");
            }
        }
    }
}
