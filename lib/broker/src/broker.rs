//! The handle that a service holds.

use std::sync::Arc;

use boot::{Context, Health};

use crate::{
    Config, Kind, Lane, Requests,
    amqp::{self, Consumer, Links},
    metrics::{Metrics, SpoolMetrics},
    queue::{Queue, User},
    requests::Source,
    spool,
    stdio::{self, Stdio},
};

/// The way out of a service, and in; cheap to clone.
///
/// # Stopping
///
/// When the context's shutdown token is cancelled, the broker goes on until every [`Lane`], every
/// [`Requests`] and every request in hand is dropped and everything is confirmed; then its task
/// ends. So a service stops its publishers first and lets `boot::Tasks` wait for the broker. When
/// the grace time is over, the task is aborted: what is not confirmed by then was never counted
/// as delivered, and comes again from Discord.
#[derive(Clone, Debug)]
pub struct Broker {
    queue: Arc<Queue>,
    prefix: String,
    health: Health,
    transport: Transport,
}

#[derive(Clone, Debug)]
enum Transport {
    Amqp(Links),
    Stdio(Stdio),
}

impl Broker {
    /// Starts the broker's task. It connects in the background and never gives up; the check
    /// `broker` of `/readyz` says why there is no connection.
    #[must_use]
    pub fn start(config: Config, context: &Context) -> Self {
        let metrics = Metrics::new(&context.metrics, config.window);
        // Over stdio a line is an event: there is nothing to gain by a batch.
        let batching = config.kind == Kind::Amqp;
        let mut queue = Queue::new(config.window, batching, metrics.counts.clone());
        if let Some(spool) = &config.spool {
            queue = queue.spooling(config.window, spool.limit);
        }
        let queue = Arc::new(queue);
        if let Some(spool) = config.spool.clone() {
            spool::start(spool, &queue, SpoolMetrics::new(&context.metrics), context);
        }
        let prefix = config.prefix.clone();
        let transport = match config.kind {
            Kind::Amqp => Transport::Amqp(amqp::start(config, &queue, metrics, context)),
            Kind::Stdio => Transport::Stdio(stdio::start(config, &queue, metrics, context)),
        };
        Self {
            queue,
            prefix,
            health: context.health.clone(),
            transport,
        }
    }

    /// A new lane. It keeps the broker open until it is dropped.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane::new(&self.queue)
    }

    /// The requests to a service, such as `ws`, of one application; the check `requests` of
    /// `/readyz` says why none are taken. It keeps the broker open until it is dropped.
    ///
    /// Over stdio there is one stdin: only one consumer can read it.
    #[must_use]
    pub fn requests(&self, service: &str, application_id: u64) -> Requests {
        let source = match &self.transport {
            Transport::Amqp(links) => {
                let check = self.health.check("requests");
                let links = links.clone();
                let consumer = Consumer::new(links, check, &self.prefix, service, application_id);
                Source::Amqp(Box::new(consumer))
            }
            Transport::Stdio(stdio) => Source::Stdio(stdio.input(service, application_id)),
        };
        Requests::new(source, User::new(&self.queue))
    }

    /// Returns when everything that was published is confirmed, or the broker has ended.
    pub async fn drained(&self) {
        self.queue.drained().await;
    }
}
