//! The stores that the contract is tried on.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use store::{
    Acquired, Application, Config, Fleet, Held, Limit, Pace, Place, Replica, Session, Shard,
    Status, Store,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::server::Server;

/// Longer than any test runs.
pub(crate) const LONG: Duration = Duration::from_secs(600);
/// So short that a test can wait for its end.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

pub(crate) const APPLICATION: u64 = 42;

/// A place for state, empty at first.
pub(crate) struct Bench {
    pub(crate) config: Config,
    store: Option<Store>,
    /// Kept until the test ends.
    pub(crate) folder: Option<TempDir>,
}

impl Bench {
    pub(crate) fn memory() -> Self {
        let mut bench = Self::at(Place::Memory);
        bench.store = Some(Store::open(&bench.config).unwrap());
        bench
    }

    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Self::at(Place::File(folder.path().join("state.json")));
        bench.folder = Some(folder);
        bench.store = Some(Store::open(&bench.config).unwrap());
        bench
    }

    pub(crate) fn redis() -> Self {
        Self::at(Place::Redis(Server::shared().url().into()))
    }

    /// A place with a prefix of its own.
    pub(crate) fn at(place: Place) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let config = Config {
            place,
            tls: Default::default(),
            prefix: format!("test{number}"),
            pace: Pace {
                bucket: Duration::ZERO,
                ledger: LONG,
            },
        };
        Self {
            config,
            store: None,
            folder: None,
        }
    }

    /// The same place with another pace of identifies, and empty again.
    pub(crate) fn paced(mut self, bucket: Duration, ledger: Duration) -> Self {
        self.config.pace = Pace { bucket, ledger };
        if self.store.is_some() {
            self.store = Some(Store::open(&self.config).unwrap());
        }
        self
    }

    /// A store there: with Redis a connection of its own.
    pub(crate) fn store(&self) -> Store {
        match &self.store {
            Some(store) => store.clone(),
            None => Store::open(&self.config).unwrap(),
        }
    }

    /// What one process sees of the application.
    pub(crate) fn application(&self) -> Application {
        self.store().application(APPLICATION)
    }

    /// The name of a key in Redis.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}:{{{APPLICATION}}}:{name}", self.config.prefix)
    }
}

pub(crate) const fn shard(id: u32) -> Shard {
    Shard { count: 16, id }
}

pub(crate) fn session(id: &str, sequence: u64) -> Session {
    Session {
        id: id.to_owned(),
        resume_url: "wss://gateway-us-east1-b.discord.gg".to_owned(),
        sequence,
    }
}

pub(crate) fn replica(id: &str) -> Replica {
    Replica {
        id: id.to_owned(),
        started_at_ms: 7,
        ..Replica::default()
    }
}

pub(crate) const fn held(shard: Shard, token: u64) -> Held {
    Held {
        shard,
        token,
        status: Status::Live,
    }
}

/// What Discord allows: `remaining` of 1,000, said just now.
pub(crate) fn limit(remaining: u32) -> Limit {
    Limit {
        total: 1_000,
        remaining,
        reset_after: LONG,
        max_concurrency: 1,
        told: Instant::now(),
        reserve: 0,
    }
}

/// Takes a shard that nobody holds, and returns the token.
pub(crate) async fn take(
    application: &Application,
    shard: Shard,
    replica: &str,
    ttl: Duration,
) -> u64 {
    match application.acquire(shard, replica, ttl).await.unwrap() {
        Acquired::Taken { token, .. } => token,
        Acquired::Held { by } => panic!("{shard} is held by {by}"),
    }
}

/// Takes a shard as soon as nobody holds it any more, and returns the token.
pub(crate) async fn wait_for(application: &Application, shard: Shard, replica: &str) -> u64 {
    loop {
        match application.acquire(shard, replica, LONG).await.unwrap() {
            Acquired::Taken { token, .. } => return token,
            Acquired::Held { .. } => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A heartbeat of a replica that holds nothing: how things are.
pub(crate) async fn look(application: &Application) -> Fleet {
    application
        .beat(&replica("looker"), LONG, &[])
        .await
        .unwrap()
}

/// The lease of a shard.
pub(crate) async fn lease_of(application: &Application, shard: Shard) -> Option<store::Lease> {
    let leases = look(application).await.leases;
    leases.into_iter().find(|lease| lease.shard == shard)
}
