//! From the configuration to running applications.

use crate::{
    Config, Error,
    application::{Application, Common},
    metrics::Metrics,
};
use boot::{Context, chain};
use broker::Broker;
use std::{panic, sync::Arc};
use store::Store;
use tokio::task::JoinSet;
use tokio_websockets::Connector;
use transcode::Transcoder;

/// Runs the service until its shutdown, or until none of its applications can go on.
///
/// # Errors
///
/// What a person has to change: the token, the intents, the shards, the store.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let config = Arc::new(config);
    let common = Common {
        broker: Broker::start(config.broker.clone(), &context),
        store: Store::open(&config.store)?,
        metrics: Metrics::new(&context.metrics),
        tls: Arc::new(Connector::new().map_err(Error::Certificates)?),
        transcoder: Arc::new(Transcoder::new()),
        running: Arc::default(),
        context: context.clone(),
        config: Arc::clone(&config),
    };
    let is_alone = config.applications.len() == 1;
    let mut running = JoinSet::new();
    for (index, application) in config.applications.iter().enumerate() {
        let name = (!is_alone).then(|| {
            let name = |id: u64| format!("application {id}");
            let nameless = || format!("applications[{index}]");
            application.id.map_or_else(nameless, name)
        });
        let application = Application::new(application.clone(), name.clone(), common.clone());
        running.spawn(async move { (name, application.run().await, application) });
    }
    drop(common);
    let mut failure = None;
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok((_, Ok(()), _)) => {}
            Ok((None, Err(error), _)) => return Err(error),
            Ok((Some(name), Err(error), application)) => {
                let reason = chain(&error);
                tracing::error!(
                    application = name,
                    reason,
                    "an application was given up; the others go on"
                );
                application.check("shards").down(reason);
                failure = Some(error);
            }
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    match failure {
        Some(error) if !context.shutdown.is_cancelled() => Err(error),
        _ => Ok(()),
    }
}
