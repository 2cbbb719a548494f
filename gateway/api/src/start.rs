//! From the configuration to applications that are served.

use crate::{
    Config, Error, Gateway,
    config::Application,
    listener::Listener,
    requests::Door,
    sharing::{Guard, Sharing, member},
};
use boot::{Backoff, Check, Context, ExposeSecret as _, chain};
use broker::Broker;
use discord::Rest;
use std::{panic, time::Duration};
use store::Store;
use tokio::{task::JoinSet, time};

/// The waits between two tries of something that the start needs.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Runs the service until its shutdown, or until none of its applications can go on.
///
/// # Errors
///
/// What a person has to change: the token, the configuration.
pub async fn run(config: Config, context: Context) -> Result<(), Error> {
    let store = Store::open(&config.store)?;
    let gateway = Gateway::start(&config, &context)?;
    guard(&config, &context, &gateway, &store);
    if let Some(http) = &config.http {
        let listener = Listener::bind(http, &config, gateway.clone(), &context).await?;
        tracing::info!(http = %listener.address(), "requests are taken over HTTP");
        context.tasks.spawn("http", listener.run());
    }
    let broker = Broker::start(config.broker.clone(), &context);
    let is_alone = config.applications.len() == 1;
    let mut running = JoinSet::new();
    for (index, application) in config.applications.iter().cloned().enumerate() {
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
        let service = Service {
            config: config.clone(),
            gateway: gateway.clone(),
            store: store.clone(),
            broker: broker.clone(),
            context: context.clone(),
            check,
        };
        running.spawn(async move { service.run(application).await });
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

/// Counts invalid requests, with all replicas if there is a store.
fn guard(config: &Config, context: &Context, gateway: &Gateway, store: &Store) {
    let shared = || (store.clone(), config.egress.clone());
    let guard = Guard {
        desk: gateway.desk().clone(),
        store: store.is_shared().then(shared),
        metrics: gateway.metrics().clone(),
        check: context.health.check("invalid requests"),
    };
    let shutdown = context.shutdown.clone();
    context.tasks.spawn("guard", guard.run(shutdown));
}

/// What it takes to serve an application.
struct Service {
    config: Config,
    gateway: Gateway,
    store: Store,
    broker: Broker,
    context: Context,
    /// Whether Discord knows the application.
    check: Check,
}

impl Service {
    /// Serves an application until the shutdown.
    async fn run(self, application: Application) -> Result<(), Error> {
        let shutdown = &self.context.shutdown;
        let asking = shutdown.run_until_cancelled(self.id(&application));
        let Some(id) = asking.await else {
            return Ok(());
        };
        let id = id.inspect_err(|error| self.check.down(chain(error)))?;
        let settings = self.config.settings(&application);
        let check = self.check.clone();
        if !self.gateway.serve(id, &application.token, settings, check) {
            return Err(Error::SameApplication { id });
        }
        self.share(id, &application);
        let door = Door::open(&self.broker, self.gateway.clone(), id, self.config.waiting);
        drop(self.broker);
        tracing::info!(application_id = id, "requests of an application are taken");
        door.run(shutdown.clone()).await;
        Ok(())
    }

    /// Keeps the limits together with the other replicas, if there can be any.
    fn share(&self, id: u64, application: &Application) {
        let metrics = self.gateway.metrics().of(id);
        metrics.store_up(true);
        metrics.replicas(1);
        if !self.store.is_shared() {
            return;
        }
        self.gateway.desk().share(id, true);
        let token = application.token.expose_secret();
        let sharing = Sharing {
            application_id: id,
            gateway: self.gateway.clone(),
            desk: self.gateway.desk().clone(),
            store: self.store.application(id),
            member: member(token, self.config.request_timeout),
            metrics,
            check: self.context.health.check(format!("limits of {id}")),
            shutdown: self.context.shutdown.clone(),
        };
        self.context
            .tasks
            .spawn(format!("limits of {id}"), sharing.run());
    }

    /// The application's id, from Discord if it is not configured.
    async fn id(&self, application: &Application) -> Result<u64, Error> {
        if let Some(id) = application.id {
            return Ok(id);
        }
        let rest = Rest::new(&self.config.api_url, &application.token)?;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let error = match rest.application().await {
                Ok(answer) => return Ok(answer.id),
                Err(error) if !error.is_transient() => return Err(error.into()),
                Err(error) => error,
            };
            let wait = error.retry_after().unwrap_or_else(|| backoff.next());
            let reason = chain(&error);
            let reason = format!("cannot ask Discord for the application: {reason}");
            self.check.down(reason);
            time::sleep(wait).await;
        }
    }
}
