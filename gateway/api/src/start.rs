//! From the configuration to applications that are served.

use crate::{Config, Error, Gateway, listener::Listener, service::Api};
use boot::Context;
use broker::Broker;
use interactions::{Callbacks, Metrics};
use store::Store;

/// Runs the service until its shutdown, or until none of its applications can go on.
///
/// # Errors
///
/// What a person has to change: the token, the configuration.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let store = Store::open(&config.store)?;
    let gateway = Gateway::start(&config.outbound, config.applications.len(), &context)?;
    if let Some(http) = &config.http {
        let listener = Listener::bind(http, &config, gateway.clone(), &context).await?;
        tracing::info!(http = %listener.address(), "requests are taken over HTTP");
        context.tasks.spawn("http", listener.run());
    }
    let metrics = Metrics::new(&context.metrics, "callback");
    let settings = config.interactions.clone();
    let callbacks = settings.map(|settings| Callbacks::new(settings, metrics));
    let Config {
        applications,
        outbound,
        broker,
        ..
    } = &config;
    let broker = Broker::start(broker.clone(), &context);
    let bus = (&store, broker);
    outbound::serve(
        Api { callbacks },
        &gateway,
        applications,
        outbound,
        bus,
        &context,
    )
    .await?;
    Ok(())
}
