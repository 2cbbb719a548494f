//! From the configuration to applications that are served.

use crate::{Application, Config, Error, Gateway, Service, requests::Door};
use boot::{Check, Context, chain};
use broker::Broker;
use futures_util::future;
use std::panic;
use store::Store;
use tokio::task::JoinSet;

/// Takes requests of all applications and carries them out, until the shutdown, or until none of the applications can
/// go on.
///
/// # Errors
///
/// What a person has to change: a token, the configuration.
pub async fn serve<S: Service>(
    service: S,
    gateway: &Gateway,
    applications: &[Application],
    config: &Config,
    (store, broker): (&Store, Broker),
    context: &Context,
) -> Result<(), Error> {
    gateway.guard(config, store, context);
    let is_alone = applications.len() == 1;
    let mut running = JoinSet::new();
    for (index, application) in applications.iter().cloned().enumerate() {
        let check = match (is_alone, application.id) {
            (true, _) => context.health.check("discord"),
            (false, Some(id)) => context
                .health
                .check(format!("discord for application {id}")),
            (false, None) => {
                let name = format!("discord for applications[{index}]");
                context.health.check(name)
            }
        };
        let serving = Serving {
            service: service.clone(),
            config: config.clone(),
            gateway: gateway.clone(),
            store: store.clone(),
            broker: broker.clone(),
            context: context.clone(),
            check,
        };
        running.spawn(async move { serving.run(application).await });
    }
    drop(broker);
    let mut failure = None;
    while let Some(ended) = running.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) if is_alone => return Err(error),
            Ok(Err(error)) => {
                let reason = chain(&error);
                tracing::error!(reason, "an application was given up; the others go on");
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

/// What it takes to serve an application.
struct Serving<S> {
    service: S,
    config: Config,
    gateway: Gateway,
    store: Store,
    broker: Broker,
    context: Context,
    /// Whether Discord knows the application.
    check: Check,
}

impl<S: Service> Serving<S> {
    /// Serves an application until the shutdown.
    async fn run(self, application: Application) -> Result<(), Error> {
        let shutdown = &self.context.shutdown;
        let asking = application.find(&self.config.api_url, &self.check);
        let Some(id) = shutdown.run_until_cancelled(asking).await else {
            return Ok(());
        };
        let id = id.inspect_err(|error| self.check.down(chain(error)))?;
        let settings = self.config.settings(application.global_limit);
        let (token, check) = (application.token.as_ref(), self.check.clone());
        if !self.gateway.serve(id, token, settings, check) {
            return Err(Error::SameApplication { id });
        }
        self.gateway
            .share(id, token, &self.config, &self.store, &self.context);
        let door = Door::open::<S>(&self.broker, self.gateway.clone(), id, self.config.waiting);
        tracing::info!(application_id = id, "requests of an application are taken");
        let beside = self.service.beside(id, &self.broker, shutdown);
        future::join(door.run(self.service.clone(), shutdown.clone()), beside).await;
        Ok(())
    }
}
