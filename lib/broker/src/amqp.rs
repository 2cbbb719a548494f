//! The task that keeps a connection to RabbitMQ and publishes over it.

mod arriving;
mod asked;
mod caller;
mod channel;
mod confirms;
mod consumer;
mod content;
mod delivery;
#[cfg(test)]
mod fake;
mod frames;
mod heartbeat;
mod link;
mod pipe;
mod questioner;
mod session;
mod shots;
mod topology;

use std::{mem::Discriminant, sync::Arc, time::Duration};

use boot::{Backoff, CancellationToken, Check, Context, metrics::Counter};
use rabbitmq::{Channels, Down, Place};
use tokio::{
    select,
    sync::watch,
    time::{self, Instant},
};

use self::{session::Session, topology::Names};
use crate::{Config, Error, message::notice, metrics::Metrics, queue::Queue};

pub(crate) use self::{
    caller::Caller,
    consumer::{Consumer, Queue as Source},
    delivery::Delivery,
    frames::Word,
    questioner::{Questioner, Whose},
    shots::Shots,
};

/// The shortest and the longest wait before another attempt to connect.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// A connection that held this long was a good one: the next wait is a short one again.
const GOOD: Duration = Duration::from_secs(60);

/// Starts the publisher's task, and returns what consumers need of it.
pub(crate) fn start(
    config: Config,
    queue: &Arc<Queue>,
    metrics: Metrics,
    context: &Context,
) -> Links {
    let queue = Arc::clone(queue);
    let names = Names::new(&config.prefix);
    let (sender, receiver) = watch::channel(None);
    let links = Links {
        current: receiver,
        names: names.clone(),
        unclaimed: metrics.unclaimed.clone(),
    };
    let check = context.health.check("broker");
    let shutdown = context.shutdown.clone();
    context.tasks.spawn("broker", async move {
        let _closing = queue.closing();
        let place = Place::parse(&config.url).map_err(Error::Url)?;
        let place = place.with_tls(config.tls.clone());
        let publisher = Publisher {
            place,
            names,
            links: sender,
            persistent: config.persistent,
            queue: Arc::clone(&queue),
            metrics,
            check,
            backoff: Backoff::new(WAIT.0, WAIT.1),
            trouble: None,
            refused: false,
            connections: 0,
        };
        publisher.run(&shutdown).await;
        Ok::<(), Error>(())
    });
    links
}

/// Where consumers find the connection of the moment.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    current: watch::Receiver<Option<Channels>>,
    names: Names,
    /// Replies that nobody was there to take.
    unclaimed: Counter,
}

/// What outlives the single connection.
struct Publisher {
    place: Place,
    names: Names,
    /// Tells consumers of each new connection, and of its end.
    links: watch::Sender<Option<Channels>>,
    persistent: bool,
    queue: Arc<Queue>,
    metrics: Metrics,
    check: Check,
    backoff: Backoff,
    /// The kind of reason for which the last connection failed.
    trouble: Option<Discriminant<Down>>,
    /// Whether the last connection failed because a message was refused.
    refused: bool,
    /// How many connections there were.
    connections: u64,
}

/// Says in a check why nothing is taken from a queue. A lost connection is the publisher's to report, and it is back soon.
fn not_taken(check: &Check, what: &str, queue: &str, down: &Down) {
    let reason = |why: &str| format!("no {what} are taken from the queue {queue}: {why}");
    match down {
        Down::Forbidden(text) | Down::Gone(text) | Down::Topology(text) => {
            check.refused(reason(text));
        }
        _ => check.down(reason("there is no connection to RabbitMQ")),
    }
}

impl Publisher {
    async fn run(mut self, shutdown: &CancellationToken) {
        loop {
            let began = Instant::now();
            let Err(down) = self.session(shutdown).await else {
                return;
            };
            if began.elapsed() > GOOD {
                self.backoff.reset();
            }
            self.report(&down);
            let wait = self.backoff.next();
            tracing::debug!(?wait, "waiting before the next connection to RabbitMQ");
            select! {
                biased;
                () = finished(&self.queue, shutdown) => return,
                () = time::sleep(wait) => {}
            }
        }
    }

    /// One connection from its beginning to its end; `Ok` when nothing is left to do.
    async fn session(&mut self, shutdown: &CancellationToken) -> Result<(), Down> {
        let queue = Arc::clone(&self.queue);
        let opening = Session::open(&self.place, &self.names, self.persistent);
        let mut session = select! {
            biased;
            () = finished(&queue, shutdown) => return Ok(()),
            session = opening => session?,
        };
        self.connected();
        self.links.send_replace(Some(session.channels()));
        let result = select! {
            biased;
            () = finished(&queue, shutdown) => Ok(()),
            down = session.publish(self) => Err(down),
        };
        self.links.send_replace(None);
        if result.is_ok() {
            session.close().await;
        }
        self.metrics.connected.set(0);
        self.metrics.blocked.set(0);
        result
    }

    /// Begins a new connection with the oldest message that is not confirmed.
    fn connected(&mut self) {
        self.queue.ring().rewind();
        self.metrics.connected.set(1);
        if self.connections > 0 {
            self.metrics.reconnects.inc();
        }
        self.connections += 1;
        tracing::debug!(place = %self.place, "connected to RabbitMQ");
        // When a message was refused, only its confirm proves that all is well again.
        if !self.refused || self.queue.ring().is_empty() {
            self.trouble = None;
            self.check.up();
        }
    }

    /// The broker wants no messages for now.
    fn blocked(&self, reason: &str) {
        self.metrics.blocked.set(1);
        self.check.down(format!(
            "RabbitMQ at {} takes no messages for now ({reason}); \
             rabbitmq-diagnostics alarms says more",
            self.place,
        ));
    }

    /// The broker takes messages again.
    fn unblocked(&self) {
        self.metrics.blocked.set(0);
        self.check.up();
    }

    /// Messages were confirmed: all is well.
    fn confirmed(&mut self, since: &[Instant]) {
        if since.is_empty() {
            return;
        }
        self.queue.confirm(since.len());
        self.metrics.confirmed.inc_by(since.len() as u64);
        let now = Instant::now();
        for since in since {
            self.metrics.latency.observe((now - *since).as_secs_f64());
        }
        self.backoff.reset();
        self.refused = false;
        if self.trouble.take().is_some() {
            self.check.up();
        }
    }

    /// Says why there is no connection: once for each kind of reason, not at each attempt.
    fn report(&mut self, down: &Down) {
        self.refused = matches!(down, Down::Forbidden(_) | Down::Nacked);
        match down {
            Down::Nacked => {
                self.metrics.nacked.inc();
            }
            Down::TooLarge(limit) => self.replace_oversized(*limit),
            _ => {}
        }
        let before = self.trouble.replace(down.kind());
        if before == Some(down.kind()) {
            return;
        }
        let reason = down.explain(&self.place);
        if self.connections == 0 || before.is_some() {
            // Otherwise the check was up, and logs the change itself.
            tracing::warn!(reason, "messages cannot be published for now");
        }
        self.check.down(reason);
    }

    /// Puts a notice into the place of each message that the broker will never take: waiting
    /// for them would stop everything for good.
    fn replace_oversized(&self, limit: usize) {
        let notices = self.queue.revise(|message| notice(message, limit));
        for message_id in notices {
            self.metrics.oversized.inc();
            tracing::error!(
                message_id,
                limit,
                "a message is larger than RabbitMQ allows and was replaced by a dead-letter notice"
            );
        }
    }
}

/// Returns when the service stops, nobody can publish any more, and everything is confirmed.
async fn finished(queue: &Queue, shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    queue.finished().await;
}
