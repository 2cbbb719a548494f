//! One application: from its configuration to running shards.

use crate::{
    Config, Error,
    advice::Adviser,
    board::Board,
    command::Commands,
    config,
    connection::{Dialer, is_gateway_url},
    event::Replies,
    identify::{Issuer, Permits, limit},
    keeper::Keeper,
    metrics::Metrics,
    once::Once,
    outage::Outage,
    owner::{Crew, Owner, Parts, Policy},
    pulse::Pulse,
    shared::Shared,
    status,
};
use boot::{Backoff, Check, Context, chain};
use broker::Broker;
use discord::rest::{GatewayBot, Rest};
use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use store::{Replica, Store};
use tokio::{
    sync::{Notify, OnceCell, mpsc},
    time,
};
use tokio_util::sync::CancellationToken;
use tokio_websockets::Connector;
use transcode::Transcoder;

/// How many reports of shards may wait for the keeper; a shard whose report finds no place
/// reports again soon.
const REPORTS: usize = 64;

/// The waits between two tries of something that the start needs.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What the applications of a process share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// The configuration of the service.
    pub(crate) config: Arc<Config>,
    /// Where events go.
    pub(crate) broker: Broker,
    /// Where state outlives the process.
    pub(crate) store: Store,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// What connections to Discord are secured with.
    pub(crate) tls: Arc<Connector>,
    /// The mapping from JSON to protobuf.
    pub(crate) transcoder: Arc<Transcoder>,
    /// The ids of applications that run already.
    pub(crate) running: Arc<Mutex<BTreeSet<u64>>>,
    /// What the process gives.
    pub(crate) context: Context,
}

/// One application.
#[derive(Debug)]
pub(crate) struct Application {
    config: config::Application,
    /// What it is called beside others; `None` when it is alone.
    name: Option<String>,
    common: Common,
}

impl Application {
    /// An application that is called by `name` beside others.
    pub(crate) const fn new(
        config: config::Application,
        name: Option<String>,
        common: Common,
    ) -> Self {
        Self {
            config,
            name,
            common,
        }
    }

    /// Runs until the shutdown, or until a person has to change something.
    ///
    /// # Errors
    ///
    /// What a person has to change: the token, the intents, the shards.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let rest = Rest::new(&self.common.config.api_url, &self.config.token)?;
        let shutdown = &self.common.context.shutdown;
        let Some(asked) = shutdown.run_until_cancelled(self.ask(&rest)).await else {
            return Ok(());
        };
        let failed = |id: u64| self.common.metrics.of(id).failed();
        let (gateway, id) = asked.inspect_err(|error| {
            let id = self.config.id.unwrap_or_default();
            failed(id);
            if matches!(error, Error::Discord(discord::Error::Unauthorized { .. })) {
                self.common.metrics.of(id).refused("token");
            }
        })?;
        if !is_gateway_url(&gateway.url) {
            return Err(Error::GatewayUrl(gateway.url));
        }
        if !self.is_first(id) {
            return Err(Error::SameApplication { id });
        }
        let stop = CancellationToken::new();
        let outcome = self
            .owner(rest, &gateway, id, &stop)
            .run(shutdown.clone())
            .await;
        stop.cancel();
        outcome.inspect_err(|_| failed(id))
    }

    /// Whether no other application of this process has this id: two tokens can be of one bot.
    fn is_first(&self, id: u64) -> bool {
        let running = self.common.running.lock();
        running.unwrap_or_else(PoisonError::into_inner).insert(id)
    }

    /// A check of `/readyz`, named after the application when there are several.
    pub(crate) fn check(&self, what: &'static str) -> Check {
        let health = &self.common.context.health;
        match &self.name {
            None => health.check(what),
            Some(name) => health.check(format!("{what} of {name}")),
        }
    }

    /// Asks Discord what the start needs.
    async fn ask(&self, rest: &Rest) -> Result<(GatewayBot, u64), Error> {
        let check = self.check("discord");
        let metrics = self.common.metrics.of(self.config.id.unwrap_or_default());
        let outage = Outage::of_rest(Arc::new(metrics));
        let ask = || rest.gateway_bot();
        let gateway = insist("ask Discord for the gateway", &check, &outage, ask).await?;
        let id = match self.config.id {
            Some(id) => id,
            None => {
                let ask = || rest.application();
                let what = "ask Discord for the application";
                insist(what, &check, &outage, ask).await?.id
            }
        };
        check.up();
        Ok((gateway, id))
    }

    /// Puts everything together, and starts all tasks but the owner's. They end with `stop`, or
    /// when the last shard has gone.
    fn owner(&self, rest: Rest, gateway: &GatewayBot, id: u64, stop: &CancellationToken) -> Owner {
        let Common { context, .. } = &self.common;
        let store = self.common.store.application(id);
        let me = self.replica(gateway);
        let shared = Arc::new(self.shared(rest.clone(), gateway, &me.id, id));
        let issuer = self.issuer(rest, gateway, &store, &shared);
        context.tasks.spawn("identify", issuer.run(stop.clone()));
        let (commands, door) = Commands::open(
            &self.common.broker,
            id,
            self.config.intents,
            &me.id,
            Arc::clone(&self.common.transcoder),
            Arc::clone(&shared.metrics),
        );
        let (shutdown, stop_taking) = (context.shutdown.clone(), stop.clone());
        context.tasks.spawn("commands", async move {
            shutdown.run_until_cancelled(door.run(stop_taking)).await;
        });
        let (reports, received) = mpsc::channel(REPORTS);
        let (refused, fenced) = mpsc::channel(REPORTS);
        let again = Arc::new(Notify::new());
        let sessions = self.check("sessions");
        let keeper = Keeper::new(
            store.clone(),
            Arc::clone(&again),
            refused,
            sessions.clone(),
            Arc::clone(&shared.metrics),
        );
        context.tasks.spawn("sessions", keeper.run(received));
        let crew = Crew::new(
            self.config.clone(),
            Arc::clone(&shared),
            commands,
            reports,
            Arc::clone(&self.common.transcoder),
        );
        let policy = self.policy(shared.adviser.clone(), stop);
        let parts = Parts {
            store,
            is_shared: self.common.store.is_shared(),
            me,
            ttl: self.common.config.lease_ttl,
            crew,
            shared,
            fenced,
            again,
            leases: self.check("leases"),
            sessions,
        };
        Owner::new(parts, policy)
    }

    /// What a change of the number of shards depends on. Starts the task that asks Discord.
    fn policy(&self, adviser: Adviser, stop: &CancellationToken) -> Policy {
        let asking = adviser.clone().run(stop.clone());
        self.common.context.tasks.spawn("recommendation", asking);
        Policy {
            threshold: self.common.config.reshard_threshold,
            reserve: self.common.config.identify_reserve,
            adviser,
        }
    }

    /// What gives out permits to identify.
    fn issuer(
        &self,
        rest: Rest,
        gateway: &GatewayBot,
        store: &store::Application,
        shared: &Shared,
    ) -> Issuer {
        Issuer::new(
            shared.permits.clone(),
            store.clone(),
            rest,
            limit(
                &gateway.session_start_limit,
                self.common.config.identify_reserve,
            ),
            shared.pulse.clone(),
            Arc::clone(&shared.metrics),
            Arc::clone(&shared.rest_outage),
        )
    }

    /// What all shards share. Starts the task that tells workers of them.
    fn shared(&self, rest: Rest, gateway: &GatewayBot, replica: &str, id: u64) -> Shared {
        let metrics = Arc::new(self.common.metrics.of(id));
        let (broker, counted) = (&self.common.broker, Arc::clone(&metrics));
        let (herald, courier) = status::open(broker, id, replica, counted);
        self.common.context.tasks.spawn("status", courier.run());
        let config = &self.common.config;
        let permits = Permits::default();
        let rest_outage = Arc::new(Outage::of_rest(Arc::clone(&metrics)));
        Shared {
            application_id: id,
            adviser: Adviser::new(
                rest.clone(),
                gateway,
                Arc::clone(&rest_outage),
                config.reshard_interval,
            ),
            rest_outage,
            broker: self.common.broker.clone(),
            board: Board::new(self.check("shards"), herald),
            dialer: Dialer::new(
                &gateway.url,
                &self.config,
                permits.clone(),
                Arc::clone(&self.common.tls),
            ),
            intents: self.config.intents,
            is_auto: self.config.shard_count.is_none(),
            halted: CancellationToken::new(),
            disallowed: OnceCell::new(),
            gateway_outage: Outage::of_gateway(Arc::clone(&metrics)),
            logged: Once::default(),
            metrics,
            permits,
            pulse: Pulse::new(config.lease_ttl),
            rest,
            replies: config.replies.map(|wait| Replies::new(broker, id, wait)),
            stall_timeout: config.stall_timeout,
            traces: self.common.context.traces.clone(),
        }
    }

    /// This process as the others see it, under a name that no other has.
    fn replica(&self, gateway: &GatewayBot) -> Replica {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let replica = Replica {
            id: format!("{:012x}", fastrand::u64(..1 << 48)),
            started_at_ms: now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
            shard_ids: self.config.shard_ids.clone(),
            shard_count: self.config.shard_count,
            leaving: false,
        };
        let limit = &gateway.session_start_limit;
        tracing::info!(
            replica = replica.id,
            recommended_shards = gateway.shards,
            max_concurrency = limit.max_concurrency,
            identifies_left = limit.remaining,
            "starting"
        );
        if !self.common.store.outlives_us() {
            tracing::info!(
                "sessions are kept in memory: set REDIS_URL or WS_SESSION_FILE to resume them \
                 after a restart"
            );
        }
        replica
    }
}

/// Asks Discord until it answers, or refuses for good.
async fn insist<T, F>(
    what: &str,
    check: &Check,
    outage: &Outage,
    ask: impl Fn() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, discord::Error>>,
{
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        match ask().await {
            Ok(answer) => {
                outage.is_over();
                return Ok(answer);
            }
            Err(error) if !error.is_transient() => return Err(error.into()),
            Err(error) => {
                let wait = error.retry_after().unwrap_or_else(|| backoff.next());
                let reason = chain(&error);
                check.down(format!("cannot {what}: {reason}"));
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(reason, wait_ms, "cannot {what}; trying again");
                outage.began(&reason);
                time::sleep(wait).await;
            }
        }
    }
}
