//! What Discord recommends, asked now and then: how many shards, and how many identifies are left.

use crate::outage::Outage;
use boot::chain;
use discord::rest::{GatewayBot, Rest};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

/// The shortest time between two questions.
const PAUSE: Duration = Duration::from_secs(5);

/// Asks Discord; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Adviser(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rest: Rest,
    /// Whether Discord's HTTP API is away.
    outage: Arc<Outage>,
    /// How often it asks by itself.
    every: Duration,
    said: Mutex<Said>,
    ask: Notify,
    /// When Discord refused a shard because it has too many guilds.
    refused_at: Mutex<Option<Instant>>,
}

/// What Discord said last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// How many shards it recommends.
    pub(crate) shards: u32,
    /// How many identifies are left.
    pub(crate) identifies: u32,
    /// When.
    pub(crate) at: Instant,
}

impl Said {
    fn of(gateway: &GatewayBot) -> Self {
        Self {
            shards: gateway.shards.max(1),
            identifies: gateway.session_start_limit.remaining,
            at: Instant::now(),
        }
    }
}

impl Adviser {
    /// One that has just heard this, and asks again in such intervals.
    pub(crate) fn new(
        rest: Rest,
        gateway: &GatewayBot,
        outage: Arc<Outage>,
        every: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            rest,
            outage,
            every,
            said: Mutex::new(Said::of(gateway)),
            ask: Notify::new(),
            refused_at: Mutex::default(),
        }))
    }

    /// Runs until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let inner = &self.0;
        loop {
            let waited = async {
                let asked = time::timeout(inner.every, inner.ask.notified()).await;
                tracing::debug!(by_itself = asked.is_err(), "asking Discord for the gateway");
                inner.rest.gateway_bot().await
            };
            match stop.run_until_cancelled(waited).await {
                None => return,
                Some(Ok(gateway)) => {
                    inner.outage.is_over();
                    *lock(&inner.said) = Said::of(&gateway);
                }
                Some(Err(error)) => {
                    let error = chain(&error);
                    tracing::debug!(
                        error,
                        "how many shards there should be is not known; trying on"
                    );
                    inner.outage.began(&error);
                }
            }
            let pause = time::sleep(PAUSE.min(inner.every));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// What Discord said last.
    pub(crate) fn said(&self) -> Said {
        *lock(&self.0.said)
    }

    /// Asks soon.
    pub(crate) fn ask(&self) {
        self.0.ask.notify_one();
    }

    /// Discord refused a shard because it has too many guilds.
    pub(crate) fn refused(&self) {
        *lock(&self.0.refused_at) = Some(Instant::now());
        self.ask();
    }

    /// When that was.
    pub(crate) fn refused_at(&self) -> Option<Instant> {
        *lock(&self.0.refused_at)
    }

    /// The shards that were refused are not wanted any more.
    pub(crate) fn relieved(&self) {
        *lock(&self.0.refused_at) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
