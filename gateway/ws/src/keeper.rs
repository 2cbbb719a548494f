//! The task that writes sessions to the store, so that no shard ever waits for it.

use crate::{
    Error,
    session::Session,
    store::{Sessions, Store},
};
use boot::{Check, chain};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{self, MissedTickBehavior},
};

/// How often what changed is written. A crash costs what came in this time once more, as
/// duplicates; it loses nothing.
const INTERVAL: Duration = Duration::from_millis(500);

/// What a shard tells of its session; `None` is a session that is gone.
pub(crate) type Report = (u32, Option<Session>);

/// The task's state.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Where sessions are kept.
    store: Store,
    /// What the store should hold.
    sessions: Sessions,
    /// Whether it differs from what the store holds.
    changed: bool,
    /// What `/readyz` says of the store.
    check: Check,
    /// Whether the last write failed: the first failure is logged, not each.
    failing: bool,
}

impl Keeper {
    /// Keeps these sessions, which the store holds already.
    pub(crate) const fn new(store: Store, sessions: Sessions, check: Check) -> Self {
        Self {
            store,
            sessions,
            changed: false,
            check,
            failing: false,
        }
    }

    /// Runs until the last shard has gone, then writes once more.
    ///
    /// # Errors
    ///
    /// None while it runs: a store that is away is retried. At the end, what could not be saved.
    pub(crate) async fn run(mut self, mut reports: mpsc::Receiver<Report>) -> Result<(), Error> {
        let mut tick = time::interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => self.take(report),
                    None => break,
                },
                _ = tick.tick(), if self.changed => self.write().await,
            }
        }
        self.store.save(&self.sessions).await
    }

    /// Notes what a shard reported.
    fn take(&mut self, (shard, session): Report) {
        let before = match session {
            Some(session) => self.sessions.insert(shard, session),
            None => self.sessions.remove(&shard),
        };
        self.changed |= before.as_ref() != self.sessions.get(&shard);
    }

    /// Writes what changed, and says how it went where it shows.
    async fn write(&mut self) {
        match self.store.save(&self.sessions).await {
            Ok(()) => {
                self.changed = false;
                self.failing = false;
                self.check.up();
            }
            Err(error) => {
                let error = chain(&error);
                if !self.failing {
                    tracing::warn!(%error, "sessions cannot be saved; trying on");
                }
                self.failing = true;
                self.check.down(error);
            }
        }
    }
}
