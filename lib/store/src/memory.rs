//! State in the memory of one process, with or without a file.

mod file;
mod ledger;
mod limits;
mod state;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::{sync, task, time::Instant};

use crate::{
    Acquired, Error, Fleet, Held, Limit, Pace, Permit, Plan, Replica, Session, Shard, Written,
    millis,
};
use limits::Limits;
use state::State;

/// The states of all applications.
#[derive(Debug)]
pub(crate) struct Memory {
    states: Mutex<States>,
    /// Discord's limits: nothing of them outlives the process.
    limits: Mutex<Limits>,
    clock: Clock,
    pace: Pace,
    file: Option<File>,
    /// The token of the next call.
    tokens: AtomicU64,
}

#[derive(Debug)]
struct States {
    by_application: BTreeMap<u64, State>,
    /// How many changes there were that belong into the file.
    changes: u64,
}

/// The file, and how many of the changes it has; whoever holds the lock writes it.
#[derive(Debug)]
struct File {
    path: PathBuf,
    written: Arc<sync::Mutex<u64>>,
}

impl Memory {
    /// An empty store, or what the file holds.
    pub(crate) fn open(path: Option<PathBuf>, pace: Pace) -> Result<Self, Error> {
        let clock = Clock::new();
        let by_application = match &path {
            Some(path) => file::read(path, clock.now())?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            states: Mutex::new(States {
                by_application,
                changes: 0,
            }),
            limits: Mutex::default(),
            clock,
            pace,
            file: path.map(|path| File {
                path,
                written: Arc::default(),
            }),
            tokens: AtomicU64::new(1),
        })
    }

    /// A token that is higher than all before.
    pub(crate) fn call_token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether there is a file.
    pub(crate) const fn outlives_us(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn beat(&self, id: u64, replica: &Replica, ttl: Duration, held: &[Held]) -> Fleet {
        self.with(id, |state, now| state.beat(replica, ttl, held, now))
    }

    pub(crate) fn leave(&self, id: u64, replica: &str) {
        self.with(id, |state, now| state.leave(replica, now));
    }

    pub(crate) fn version(&self, id: u64) -> u64 {
        self.with(id, |state, _| state.version())
    }

    pub(crate) fn acquire(&self, id: u64, shard: Shard, replica: &str, ttl: Duration) -> Acquired {
        self.with(id, |state, now| state.acquire(shard, replica, ttl, now))
    }

    pub(crate) async fn release(
        &self,
        id: u64,
        shard: Shard,
        token: u64,
        sessions: (Option<&Session>, Option<&Session>),
    ) -> Result<Written, Error> {
        let written = self.with(id, |state, now| state.release(shard, token, sessions, now));
        self.keep().await?;
        Ok(written)
    }

    pub(crate) async fn save(
        &self,
        id: u64,
        sessions: &[(Shard, u64, Option<Session>)],
    ) -> Result<Vec<Shard>, Error> {
        let refused = self.with(id, |state, _| state.save(sessions));
        self.keep().await?;
        Ok(refused)
    }

    pub(crate) async fn identify(
        &self,
        id: u64,
        shard_id: u32,
        limit: &Limit,
    ) -> Result<Permit, Error> {
        let pace = self.pace;
        let permit = self.with(id, |state, now| {
            state.ledger.identify(shard_id, limit, pace, now)
        });
        if matches!(permit, Permit::Granted { .. }) {
            self.keep().await?;
        }
        Ok(permit)
    }

    pub(crate) async fn plan(
        &self,
        id: u64,
        fleet: &Fleet,
        plan: &Plan,
    ) -> Result<Option<Plan>, Error> {
        let plan = self.with(id, |state, now| state.plan(fleet, plan, now));
        self.keep().await?;
        Ok(plan)
    }

    pub(crate) async fn put_tail(
        &self,
        id: u64,
        shard: Shard,
        token: u64,
        tail: &[u8],
        ttl: Duration,
    ) -> Result<Written, Error> {
        let tail = Bytes::copy_from_slice(tail);
        let put = |state: &mut State, now| state.put_tail(shard, token, tail, ttl, now);
        let written = self.with(id, put);
        self.keep().await?;
        Ok(written)
    }

    pub(crate) fn tails(&self, id: u64, count: u32) -> BTreeMap<u32, Bytes> {
        self.with(id, |state, now| state.tails(count, now))
    }

    pub(crate) async fn forget(&self, id: u64, count: u32) -> Result<(), Error> {
        self.with(id, |state, _| state.forget(count));
        self.keep().await
    }

    /// Reads or changes the state of an application.
    fn with<T>(&self, id: u64, change: impl FnOnce(&mut State, u64) -> T) -> T {
        let now = self.clock.now();
        let mut states = self.states();
        let state = states.by_application.entry(id);
        change(state.or_insert_with(|| State::new(now)), now)
    }

    /// Waits until what was just changed is in the file, if there is one.
    async fn keep(&self) -> Result<(), Error> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let change = {
            let mut states = self.states();
            states.changes += 1;
            states.changes
        };
        self.write(file, change).await
    }

    /// Writes the file, unless somebody else has written it since this change.
    async fn write(&self, file: &File, change: u64) -> Result<(), Error> {
        let mut written = Arc::clone(&file.written).lock_owned().await;
        if *written >= change {
            return Ok(());
        }
        let (text, changes) = {
            let states = self.states();
            (file::text(&states.by_application), states.changes)
        };
        let path = file.path.clone();
        // The lock goes along: it is held to the end even if nobody waits for it any more.
        let write = task::spawn_blocking(move || {
            file::write(&path, &text)?;
            *written = changes;
            Ok(())
        });
        write.await.expect("writing a file does not panic")
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time in milliseconds since 1970; once started it does not jump, and tests can pause it.
#[derive(Debug)]
struct Clock {
    started: Instant,
    started_at: u64,
}

impl Clock {
    fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: Instant::now(),
            started_at: since_1970.map_or(0, millis),
        }
    }

    fn now(&self) -> u64 {
        self.started_at + millis(self.started.elapsed())
    }
}
