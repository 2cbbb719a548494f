//! From the configuration to applications that are served.

use crate::{Config, Error, address::Hosts, inbound, metrics::Metrics, service::Webhook};
use boot::Context;
use broker::Broker;
use outbound::Gateway;
use registration::{Kind, Registrar};
use store::Store;

/// Runs the service until its shutdown, or until none of its applications can go on.
///
/// # Errors
///
/// What a person has to change: the configuration, or the token with which an application's id was asked for.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let Config {
        applications,
        outbound,
        inbound,
        store,
        broker,
    } = &config;
    if !context.orders.is_empty() {
        return order(&config, &context).await;
    }
    let store = Store::open(store)?;
    let gateway = Gateway::start(outbound, applications.len(), &context)?;
    let service = Webhook::new(Hosts::new(&outbound.api_url));
    let broker = Broker::start(broker.clone(), &context);
    let metrics = Metrics::new(&context.metrics);
    if let Some(inbound) = inbound {
        inbound::start(inbound, &broker, metrics, &context).await?;
    }
    let bus = (&store, broker);
    outbound::serve(service, &gateway, applications, outbound, bus, &context).await?;
    Ok(())
}

/// Does what was ordered in place of running.
async fn order(config: &Config, context: &Context) -> Result<(), Error> {
    let inbound = config.inbound.as_ref().ok_or(Error::NoEvents)?;
    let broker = Broker::start(config.broker.clone(), context);
    let applications = inbound.events.iter();
    let registrar = Registrar {
        client: broker.client("gateway-webhook"),
        kind: Kind::Events,
        applications: applications
            .map(|(id, events)| (*id, events.keys.clone()))
            .collect(),
    };
    Ok(registrar.carry_out(&context.orders).await?)
}

#[cfg(test)]
mod tests {
    use super::Gateway;
    use crate::{Config, KEYS, metrics::Metrics};
    use boot::Reader;
    use broker::Broker;

    #[tokio::test]
    async fn the_readme_lists_every_metric_and_no_other() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let context = boot::Context::new();
        let id = ("DISCORD_APPLICATION_ID".to_owned(), "7".to_owned());
        let mut reader = Reader::of("webhook", KEYS, [id], None);
        let config = Config::read(&mut reader);
        let config = reader.finish(config).unwrap();
        Gateway::start(&config.outbound, 1, &context).unwrap();
        Metrics::new(&context.metrics);
        let broker = Broker::start(config.broker, &context);
        let documented = boot::metrics::documented(include_str!("../README.md"));
        assert_eq!(documented, context.metrics.names());
        drop(broker);
        context.shutdown.cancel();
    }
}
