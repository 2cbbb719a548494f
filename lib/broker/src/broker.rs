//! The handle that a service holds.

use std::{sync::Arc, time::Duration};

use boot::{CancellationToken, Context, Health, Tasks, metrics::Counter};
use tokio::sync::mpsc;

use crate::{
    Answers, Bindings, Client, Config, Events, Exchange, Kind, Lane, Live, Owned, Questions,
    Requests,
    amqp::{self, Caller, Consumer, Links, Questioner, Shots, Whose},
    client::ASKS,
    live,
    metrics::{Metrics, SpoolMetrics},
    questions::{ANSWERS, ORDERS},
    queue::{Queue, User},
    requests::Source,
    spool,
    stdio::{self, Stdio},
};

/// How many requests a service has in hand at once, unless it says otherwise. Some wait long, for Discord's limits or
/// its answers; they must not keep the urgent ones in the queue.
const AT_ONCE: u16 = 256;

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
    persistent: bool,
    window: usize,
    health: Health,
    tasks: Tasks,
    shutdown: CancellationToken,
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
        let (prefix, persistent, window) =
            (config.prefix.clone(), config.persistent, config.window);
        let transport = match config.kind {
            Kind::Amqp => Transport::Amqp(amqp::start(config, &queue, metrics, context)),
            Kind::Stdio => Transport::Stdio(stdio::start(config, &queue, metrics, context)),
        };
        Self {
            queue,
            prefix,
            persistent,
            window,
            health: context.health.clone(),
            tasks: context.tasks.clone(),
            shutdown: context.shutdown.clone(),
            transport,
        }
    }

    /// A new lane. It keeps the broker open until it is dropped.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane_counting(Counter::default())
    }

    /// A new lane that counts here what is confirmed of it.
    #[must_use]
    pub fn lane_counting(&self, confirmed: Counter) -> Lane {
        Lane::counting(&self.queue, confirmed)
    }

    /// The requests to a service, such as `ws`, of one application; the check `requests of
    /// application <id>` of `/readyz` says why none are taken. It keeps the broker open until it is dropped.
    ///
    /// Over stdio there is one stdin: the first consumer reads it, and others get nothing.
    #[must_use]
    pub fn requests(&self, service: &str, application_id: u64) -> Requests {
        self.requests_of(&[service], application_id, AT_ONCE)
    }

    /// The same for several services that are carried out by one, with so many requests in hand at once; their queue
    /// has the name of the first.
    #[must_use]
    pub fn requests_of(&self, services: &[&str], application_id: u64, at_once: u16) -> Requests {
        let source = match &self.transport {
            Transport::Amqp(links) => {
                let check = self
                    .health
                    .check(format!("requests of application {application_id}"));
                let service = services.first().copied().unwrap_or_default();
                let queue = format!("{}.requests.{service}.{application_id}", self.prefix);
                let bindings = Bindings::new();
                for service in services {
                    bindings.bind(format!("{service}.*.{application_id}.#"));
                }
                let queue = amqp::Source::Shared(queue);
                let consumer =
                    Consumer::new(links.clone(), check, queue, at_once, bindings.watch());
                Source::Amqp(Box::new(consumer))
            }
            Transport::Stdio(stdio) => match stdio.input(services, application_id) {
                Some(input) => Source::Stdio(input),
                None => Source::Nothing,
            },
        };
        Requests::new(source, User::new(&self.queue))
    }

    /// The requests to a service that are for this replica of it alone, by the routing keys that are
    /// bound; the check `owned requests of application <id>` of `/readyz` says why none are taken. Over stdio there are
    /// none. It keeps the broker open until it is dropped.
    #[must_use]
    pub fn owned(&self, service: &str, application_id: u64, replica: &str) -> Owned {
        let bindings = Bindings::new();
        let source = match &self.transport {
            Transport::Amqp(links) => {
                let check = self
                    .health
                    .check(format!("owned requests of application {application_id}"));
                let prefix = &self.prefix;
                let stem = format!("{prefix}.requests.{service}.{application_id}.{replica}");
                let queue = amqp::Source::Owned(stem);
                let consumer =
                    Consumer::new(links.clone(), check, queue, AT_ONCE, bindings.watch());
                Source::Amqp(Box::new(consumer))
            }
            Transport::Stdio(_) => Source::Nothing,
        };
        let requests = Requests::new(source, User::new(&self.queue));
        Owned::new(requests, bindings)
    }

    /// Events of these names of one application, from a queue of this process alone, which goes with its connection: what is
    /// published while there is none, is not heard. The check `events of application <id>` of `/readyz` says why none are
    /// taken. Over stdio there are none.
    #[must_use]
    pub fn events(&self, service: &str, application_id: u64, names: &[&str]) -> Events {
        let Transport::Amqp(links) = &self.transport else {
            return Events::new(None);
        };
        let check = self
            .health
            .check(format!("events of application {application_id}"));
        let bindings = Bindings::new();
        for name in names {
            bindings.bind(format!("{application_id}.{name}.#"));
        }
        let stem = format!("{}.events.{service}.{application_id}", self.prefix);
        let queue = amqp::Source::Owned(stem);
        let consumer = Consumer::new(links.clone(), check, queue, AT_ONCE, bindings.watch());
        Events::new(Some(Box::new(consumer.of_events())))
    }

    /// A way to ask other services, as the application `name`, until the shutdown. Over stdio there is nobody to ask.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        self.client_until(name, self.shutdown.clone())
    }

    /// The same until this token is cancelled, for a service that asks others while it stops. It does not keep the broker
    /// open.
    #[must_use]
    pub fn client_until(&self, name: &str, end: CancellationToken) -> Client {
        let Transport::Amqp(links) = &self.transport else {
            return Client::new(None);
        };
        let (asks, asked) = mpsc::channel(ASKS);
        let caller = Caller::new(links.clone(), asked, name);
        self.tasks.spawn("client", caller.run(end));
        Client::new(Some(asks))
    }

    /// A way to publish to this exchange what is worth something at once or never; in a queue it lives for so long. As much
    /// may be under way as in all lanes together. Over stdio nobody takes it.
    #[must_use]
    pub fn live(&self, exchange: Exchange, lifetime: Duration) -> Live {
        let Transport::Amqp(links) = &self.transport else {
            return Live::nowhere();
        };
        let (orders, ordered) = mpsc::channel(live::ORDERS);
        let shots = Shots {
            links: links.clone(),
            exchange,
            lifetime,
            orders: ordered,
            sent: 0,
        };
        self.tasks.spawn("live", shots.run());
        Live::new(orders, self.window)
    }

    /// A way to publish events that want an answer, and the answers: for this replica alone of the service `service`. Both
    /// work through the shutdown, until nobody can ask any more; the check `answers` of `/readyz` says why none are taken.
    /// `None` over stdio, where nobody could answer.
    #[must_use]
    pub fn questions(&self, service: &str) -> Option<(Questions, Answers)> {
        let (prefix, replica) = (&self.prefix, fastrand::u64(..));
        let queue = format!("{prefix}.replies.{service}.{replica:016x}");
        self.questioning(queue, "answers".to_owned(), Whose::Own)
    }

    /// The answers to events of an application that others publish, and copies of those events, which are known by their
    /// type: from one queue for all replicas of a service, of which one takes them until it ends, and then another. The check
    /// `answers of application <id>` of `/readyz` says why none are taken. `None` over stdio.
    #[must_use]
    pub fn shared_questions(
        &self,
        service: &str,
        application_id: u64,
    ) -> Option<(Questions, Answers)> {
        let queue = self.shared_replies(service, application_id);
        let check = format!("answers of application {application_id}");
        self.questioning(queue, check, Whose::Shared(Arc::default()))
    }

    /// The queue of [`Broker::shared_questions`].
    #[must_use]
    pub fn shared_replies(&self, service: &str, application_id: u64) -> String {
        format!("{}.replies.{service}.{application_id}", self.prefix)
    }

    fn questioning(
        &self,
        queue: String,
        check: String,
        whose: Whose,
    ) -> Option<(Questions, Answers)> {
        let Transport::Amqp(links) = &self.transport else {
            return None;
        };
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (answers, answered) = mpsc::channel(ANSWERS);
        let end = CancellationToken::new();
        let user = User::new(&self.queue);
        let is_closed = match &whose {
            Whose::Own => Arc::default(),
            Whose::Shared(is_closed) => Arc::clone(is_closed),
        };
        let questions = Questions::new(orders, &queue, user, end.clone());
        let questioner = Questioner {
            links: links.clone(),
            check: self.health.check(check),
            queue,
            whose,
            persistent: self.persistent,
            orders: ordered,
            answers,
        };
        self.tasks.spawn("questions", questioner.run(end));
        Some((questions, Answers::new(answered, is_closed)))
    }

    /// Returns when everything that was published is confirmed, or the broker has ended.
    pub async fn drained(&self) {
        self.queue.drained().await;
    }
}
