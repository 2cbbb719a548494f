//! From the configuration to running shards.

use crate::{
    Config, Error,
    board::Board,
    command::{Commands, WAITING},
    config::Application,
    connection::{Dialer, is_gateway_url},
    event::Encoder,
    keeper::{Keeper, Report},
    metrics::Metrics,
    once::Once,
    session::Session,
    shard::Shard,
    shared::Shared,
    store::{Sessions, Store},
};
use boot::{Backoff, Check, Context, chain};
use broker::Broker;
use discord::rest::{GatewayBot, Rest, SessionStartLimit};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time};
use transcode::Transcoder;
use twilight_gateway::ShardId;
use twilight_gateway_queue::InMemoryQueue;

/// How many reports of shards may wait for the keeper; a shard whose report finds no place
/// reports again soon.
const REPORTS: usize = 64;

/// The waits between two tries of something that the start needs.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Runs the service until its shutdown.
///
/// # Errors
///
/// What a person has to change: the token, the intents, the shards.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let broker = Broker::start(config.broker.clone(), &context);
    let discord = context.health.check("discord");
    let Some(application) = config.applications.first() else {
        return Ok(());
    };
    let rest = Rest::new(&config.api_url, &application.token)?;
    let starting = async {
        let gateway = insist("ask Discord for the gateway", &discord, || {
            rest.gateway_bot()
        })
        .await?;
        let id = match application.id {
            Some(id) => id,
            None => {
                insist("ask Discord for the application", &discord, || {
                    rest.application()
                })
                .await?
                .id
            }
        };
        discord.up();
        Ok::<_, Error>((gateway, id))
    };
    let Some(started) = context.shutdown.run_until_cancelled(starting).await else {
        return Ok(());
    };
    let (gateway, application_id) = started?;
    let plan = Plan::new(application, &gateway)?;
    let saved = context.health.check("sessions");
    let mut store = Store::open(&config.sessions, application_id)?;
    let Some(loaded) = context
        .shutdown
        .run_until_cancelled(load(&mut store, &saved))
        .await
    else {
        return Ok(());
    };
    let keeper = Keeper::new(store, loaded.clone(), saved);
    let shared = Arc::new(Shared {
        application_id,
        broker,
        board: Board::new(&plan.ids, context.health.check("shards")),
        dialer: Dialer::new(
            &gateway.url,
            application,
            queue(&gateway.session_start_limit),
        ),
        intents: application.intents,
        logged: Once::default(),
        metrics: Metrics::new(&context.metrics),
        rest,
        stall_timeout: config.stall_timeout,
    });
    plan.spawn(application, &loaded, keeper, &shared, &context);
    drop(shared);
    context.shutdown.cancelled().await;
    Ok(())
}

/// Which shards run, of how many.
struct Plan {
    /// The shards of this process.
    ids: Vec<u32>,
    /// How many there are in all.
    count: u32,
}

impl Plan {
    /// Decides, from what the operator and Discord say.
    fn new(application: &Application, gateway: &GatewayBot) -> Result<Self, Error> {
        if !is_gateway_url(&gateway.url) {
            return Err(Error::GatewayUrl(gateway.url.clone()));
        }
        let count = application.shard_count.unwrap_or(gateway.shards).max(1);
        let ids = application
            .shard_ids
            .clone()
            .unwrap_or_else(|| (0..count).collect::<BTreeSet<_>>());
        if let Some(id) = ids.iter().copied().find(|id| *id >= count) {
            return Err(Error::NoSuchShard { id, count });
        }
        let ids: Vec<u32> = ids.into_iter().collect();
        let limit = &gateway.session_start_limit;
        tracing::info!(
            shards = ids.len(),
            shard_count = count,
            max_concurrency = limit.max_concurrency,
            identifies_left = limit.remaining,
            "starting shards"
        );
        Ok(Self { ids, count })
    }

    /// Starts the shards, and the keeper that outlives them.
    fn spawn(
        &self,
        application: &Application,
        loaded: &Sessions,
        keeper: Keeper,
        shared: &Arc<Shared>,
        context: &Context,
    ) {
        let (reports, received) = mpsc::channel::<Report>(REPORTS);
        context.tasks.spawn("sessions", keeper.run(received));
        let transcoder = Arc::new(Transcoder::new());
        let mut commands = BTreeMap::new();
        for id in &self.ids {
            let fits = |session: &&Session| session.shard_count == self.count;
            let session = loaded.get(id).filter(fits).cloned();
            let shard_id = ShardId::new(*id, self.count);
            let encoder = Encoder::new(shard_id, shared.application_id, application, &transcoder);
            let (tx, rx) = mpsc::channel(WAITING);
            commands.insert(*id, tx);
            let shard = Shard::new(
                shard_id,
                session,
                encoder,
                reports.clone(),
                rx,
                Arc::clone(shared),
            );
            context
                .tasks
                .spawn("shard", shard.run(context.shutdown.clone()));
        }
        let commands = Commands::new(commands, self.count, transcoder);
        let (broker, shutdown) = (shared.broker.clone(), context.shutdown.clone());
        context.tasks.spawn(
            "commands",
            commands.run(broker, shared.application_id, shutdown),
        );
    }
}

/// The identify queue of this process, within the limits that Discord told.
fn queue(limit: &SessionStartLimit) -> InMemoryQueue {
    InMemoryQueue::new(
        limit.max_concurrency.max(1),
        limit.remaining,
        Duration::from_millis(limit.reset_after),
        limit.total.max(limit.remaining),
    )
}

/// Reads the saved sessions. It goes on trying while the store is away: to start without them
/// would throw every session away.
async fn load(store: &mut Store, check: &Check) -> Sessions {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        match store.load().await {
            Ok(sessions) => {
                check.up();
                if !store.outlives_us() {
                    tracing::info!(
                        "sessions are kept in memory: set REDIS_URL or WS_SESSION_FILE to resume \
                         them after a restart"
                    );
                }
                return sessions;
            }
            Err(error) => {
                let wait = backoff.next();
                waiting("load the sessions", check, &chain(&error), wait);
                time::sleep(wait).await;
            }
        }
    }
}

/// Asks Discord until it answers, or refuses for good.
async fn insist<T, F>(what: &str, check: &Check, ask: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, discord::Error>>,
{
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if !error.is_transient() => return Err(error.into()),
            Err(error) => {
                let wait = error.retry_after().unwrap_or_else(|| backoff.next());
                waiting(what, check, &chain(&error), wait);
                time::sleep(wait).await;
            }
        }
    }
}

/// Says that something the start needs is not there yet.
fn waiting(what: &str, check: &Check, reason: &str, wait: Duration) {
    check.down(format!("cannot {what}: {reason}"));
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    tracing::warn!(reason, wait_ms, "cannot {what}; trying again");
}
