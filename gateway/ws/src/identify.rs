//! Permission to IDENTIFY, out of the budget that all replicas share.
//!
//! A connection asks for it when Discord has said HELLO, so that nothing slow comes between the permit
//! and the payload. While the store is away, whoever needs a permit waits on its open connection;
//! when the day's budget is used up, connections that could not identify are given up instead.

#[cfg(test)]
mod tests;

use crate::{metrics::Metrics, outage::Outage, pulse::Pulse};
use boot::chain;
use discord::rest::{Rest, SessionStartLimit};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use store::{Limit, Permit, Shard};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, oneshot},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

/// How old Discord's word of what is left may be.
const FRESH: Duration = Duration::from_secs(120);

/// When the store is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// When it is asked again, at the latest, after it said that nothing is left.
const LOOK: Duration = Duration::from_secs(60);

/// How long after its permit a connection may wait for READY before it counts as lost.
const READY: Duration = Duration::from_secs(5);

/// Where the shards of an application wait for permits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// One request at most for each shard: a newer one takes the place of the older.
    waiting: Mutex<BTreeMap<Shard, Waiting>>,
    news: Notify,
    exhausted: Mutex<Option<Exhausted>>,
}

/// A connection that waits for its permit.
#[derive(Debug)]
struct Waiting {
    granted: Arc<OnceLock<Instant>>,
    permit: oneshot::Sender<()>,
}

/// Nothing is left of the budget.
#[derive(Clone, Debug)]
struct Exhausted {
    until: Instant,
    reason: String,
}

impl Permits {
    /// The queue of one connection of this shard.
    pub(crate) fn queue(&self, shard: Shard) -> Ticket {
        Ticket {
            shard,
            permits: self.clone(),
            granted: Arc::default(),
        }
    }

    /// Why nobody may identify, if so.
    pub(crate) fn exhausted(&self) -> Option<String> {
        let exhausted = lock(&self.0.exhausted);
        let valid = exhausted.as_ref().filter(|one| one.until > Instant::now());
        valid.map(|exhausted| exhausted.reason.clone())
    }

    /// Returns when it is worth to ask for a permit. Cancel safe.
    pub(crate) async fn open(&self) {
        loop {
            let until = lock(&self.0.exhausted).as_ref().map(|one| one.until);
            match until {
                Some(until) if until > Instant::now() => time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// The next connection that wants a permit.
    async fn next(&self) -> (Shard, Waiting) {
        loop {
            let first = lock(&self.0.waiting).pop_first();
            match first {
                Some(waiting) => return waiting,
                None => self.0.news.notified().await,
            }
        }
    }
}

/// The place of one connection in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    shard: Shard,
    permits: Permits,
    granted: Arc<OnceLock<Instant>>,
}

impl Ticket {
    /// Whether the connection was told to identify, and its READY may still be on the way: to drop
    /// it now would waste an identify.
    pub(crate) fn is_spent(&self) -> bool {
        self.granted.get().is_some_and(|at| at.elapsed() < READY)
    }

    /// Joins the queue; what comes is the permit.
    pub(crate) fn enqueue(&self) -> oneshot::Receiver<()> {
        let (permit, received) = oneshot::channel();
        let granted = Arc::clone(&self.granted);
        lock(&self.permits.0.waiting).insert(self.shard, Waiting { granted, permit });
        self.permits.0.news.notify_one();
        received
    }
}

/// Discord's last word on the budget.
#[derive(Debug)]
struct Known {
    limit: Limit,
    /// When it was asked last, whether it answered or not.
    asked_at: Instant,
}

/// Gives out the permits.
#[derive(Debug)]
pub(crate) struct Issuer {
    permits: Permits,
    store: store::Application,
    rest: Rest,
    /// What Discord said last.
    known: AsyncMutex<Known>,
    pulse: Pulse,
    metrics: Arc<Metrics>,
    /// Whether Discord's HTTP API is away.
    outage: Arc<Outage>,
    /// Whether the store did not answer last: said once.
    is_store_away: Mutex<bool>,
}

impl Issuer {
    /// Permits within what Discord told, but for a reserve.
    pub(crate) fn new(
        permits: Permits,
        store: store::Application,
        rest: Rest,
        limit: Limit,
        pulse: Pulse,
        metrics: Arc<Metrics>,
        outage: Arc<Outage>,
    ) -> Self {
        Self {
            permits,
            store,
            rest,
            known: AsyncMutex::new(Known {
                limit,
                asked_at: Instant::now(),
            }),
            pulse,
            metrics,
            outage,
            is_store_away: Mutex::default(),
        }
    }

    /// Runs until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut asking = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(()) = asking.next() => {}
                (shard, waiting) = self.permits.next() => asking.push(self.serve(shard, waiting)),
            }
        }
    }

    /// Asks until there is a permit, or the connection has gone.
    async fn serve(&self, shard: Shard, mut waiting: Waiting) {
        tokio::select! {
            biased;
            () = waiting.permit.closed() => return,
            () = self.ask(shard) => {}
        }
        if waiting.granted.set(Instant::now()).is_err() || waiting.permit.send(()).is_err() {
            tracing::debug!(
                shard = shard.id,
                "a connection ended just when it might identify"
            );
        }
    }

    /// Asks the store until it grants.
    async fn ask(&self, shard: Shard) {
        loop {
            // A process that was paused may have lost the shard meanwhile.
            self.pulse.fresh().await;
            let limit = self.limit().await;
            match self.store.identify(shard.id, &limit).await {
                Ok(Permit::Granted { left }) => {
                    self.metrics.identifies_left(left);
                    self.answered(None);
                    return;
                }
                Ok(Permit::Wait(wait)) => {
                    self.answered(None);
                    time::sleep(wait).await;
                }
                Ok(Permit::Exhausted {
                    used,
                    total,
                    retry_after,
                }) => {
                    self.metrics.identifies_left(0);
                    self.exhausted(used, total, limit.reserve, retry_after);
                    time::sleep(retry_after.min(LOOK)).await;
                }
                Err(error) => {
                    self.answered(Some(&error));
                    time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// What Discord allows, asked again when its last word is old.
    async fn limit(&self) -> Limit {
        let mut known = self.known.lock().await;
        if known.asked_at.elapsed() > FRESH {
            known.asked_at = Instant::now();
            match self.rest.gateway_bot().await {
                Ok(gateway) => {
                    self.outage.is_over();
                    known.limit = limit(&gateway.session_start_limit, known.limit.reserve);
                }
                Err(error) => {
                    let error = chain(&error);
                    tracing::debug!(
                        error,
                        "how many identifies are left is not known: the last word counts"
                    );
                    self.outage.began(&error);
                }
            }
        }
        known.limit
    }

    /// Notes that nothing is left, and says so once.
    fn exhausted(&self, used: u32, total: u32, reserve: u32, retry_after: Duration) {
        let reason = format!(
            "{used} of {total} identifies of the day are used, and {reserve} are kept in reserve"
        );
        let until = Instant::now() + retry_after.min(LOOK);
        let before = lock(&self.permits.0.exhausted).replace(Exhausted { until, reason });
        if before.is_none() {
            tracing::error!(
                used,
                total,
                reserve,
                retry_after_s = retry_after.as_secs(),
                "no identify is left for today: shards without a session wait, because Discord \
                 resets the bot token after the last one (WS_IDENTIFY_RESERVE)"
            );
        }
    }

    /// The store said something other than that nothing is left; or nothing, and why.
    fn answered(&self, error: Option<&store::Error>) {
        let was_away = std::mem::replace(&mut *lock(&self.is_store_away), error.is_some());
        match error {
            Some(error) if !was_away => tracing::warn!(
                error = chain(error),
                "shards without a session wait until the store can say whether they may identify"
            ),
            Some(_) => {}
            None => *lock(&self.permits.0.exhausted) = None,
        }
    }
}

/// What Discord said of the budget, and what we keep back of it.
pub(crate) fn limit(told: &SessionStartLimit, reserve: u32) -> Limit {
    Limit {
        total: told.total.max(told.remaining),
        remaining: told.remaining,
        reset_after: Duration::from_millis(told.reset_after),
        max_concurrency: told.max_concurrency.max(1),
        told: Instant::now(),
        reserve,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
