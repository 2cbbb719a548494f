//! From the configuration to interactions that are answered.

use std::{sync::Arc, time::Duration};

use boot::{CancellationToken, Context};
use broker::Broker;
use interactions::{Clerk, Ledger, Office};
use listener::{Bodies, Listener, Protocols, Refusals, Signed};
use registration::{Kind, Registrar};
use tokio::time;
use transcode::Transcoder;

use crate::{Config, Error, endpoint::Endpoint, event::Encoder, metrics::Metrics};

/// Where interactions are sent.
const PATH: &str = "/interactions";
/// How long an interaction may take to come in: Discord waits for 3 s until all is done.
const TIME: Duration = Duration::from_secs(2);
/// How many of the largest interactions may be in hand at a time.
const ROOM: usize = 64;
/// How often the end looks whether something is owed.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the service until its shutdown.
///
/// # Errors
///
/// What a person has to change: the address, the configuration.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    if !context.orders.is_empty() {
        return Ok(order(config, &context).await?);
    }
    let (address, protocols) = (config.address, Protocols::Http1And2);
    let listener = Listener::bind(address, &config.open, protocols, &context).await?;
    let config = Arc::new(config);
    let metrics = Metrics::new(&context.metrics);
    let counts = interactions::Metrics::new(&context.metrics, "http");
    let broker = Broker::start(config.broker.clone(), &context);
    // What was put off is carried out after the shutdown, too.
    let end = CancellationToken::new();
    let client = broker.client_until("gateway-http", end.clone());
    let (questions, answers) = broker.questions("http").ok_or(Error::Stdio)?;
    drop(broker);
    let ledger = Arc::new(Ledger::new(config.settings.remembered, counts.clone()));
    let transcoder = Arc::new(Transcoder::new());
    let office = Arc::new(Office {
        ledger: Arc::clone(&ledger),
        questions,
        client,
        settings: Arc::new(config.settings.clone()),
        metrics: counts,
    });
    let clerk = Clerk {
        answers,
        office: Arc::clone(&office),
        transcoder: Arc::clone(&transcoder),
    };
    context.tasks.spawn("replies", clerk.run(end.clone()));
    let bodies = Bodies::new(config.max_body, config.max_body.saturating_mul(ROOM));
    let keys = config.applications.iter();
    let keys = keys.map(|one| (one.id, one.keys.clone())).collect();
    let endpoint = Endpoint {
        signed: Signed::new(PATH, keys, bodies, config.tolerance, TIME),
        proxies: config.proxies.clone(),
        encoder: Encoder::new(transcoder, context.traces.clone(), &config.applications),
        config: Arc::clone(&config),
        office: Arc::clone(&office),
        refusals: Refusals::default(),
        metrics,
    };
    tracing::info!(http = %listener.address(), "interactions are taken");
    listener.run(Arc::new(endpoint)).await;
    finish(&ledger, &office, config.linger).await;
    end.cancel();
    Ok(())
}

/// Does what was ordered in place of running.
async fn order(config: Config, context: &Context) -> Result<(), registration::Error> {
    let broker = Broker::start(config.broker, context);
    let applications = config.applications.into_iter();
    let registrar = Registrar {
        client: broker.client("gateway-http"),
        kind: Kind::Interactions,
        applications: applications.map(|one| (one.id, one.keys)).collect(),
    };
    registrar.carry_out(&context.orders).await
}

/// Waits for replies to what was put off; then the users hear that nothing will come.
async fn finish(ledger: &Ledger, office: &Arc<Office>, linger: Duration) {
    let paid = async {
        while ledger.owing() > 0 {
            time::sleep(LOOK).await;
        }
    };
    if time::timeout(linger, paid).await.is_err() {
        let owing = ledger.owing();
        tracing::warn!(
            owing,
            "no worker has replied to what was deferred; the users are told so"
        );
        office.part().await;
    }
}
