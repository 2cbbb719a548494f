//! Takes requests from their queue, over as many connections as it needs.

use std::{collections::BTreeSet, fmt, time::Duration};

use boot::{Backoff, Check};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use lapin::{
    Channel,
    message::Delivery as Taken,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use rabbitmq::{Channels, Down, Returns, Stage, answer, settled};
use tokio::{select, sync::watch, time};

use super::{
    Links,
    delivery::{Delivery, Way},
    not_taken,
    topology::{Names, classic},
};
use crate::{Exchange, message::short, requests::Call};

/// The highest priority that a request can have.
pub(super) const PRIORITY: u8 = 9;
/// The waits between attempts to consume on a connection that is there.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// The requests in one queue.
pub(crate) struct Consumer {
    links: Links,
    check: Check,
    queue: Queue,
    /// What the queue is bound to. A shared one is always bound to that of requests.
    exchange: Exchange,
    /// How many messages may be in hand at once.
    at_once: u16,
    /// The routing keys to bind.
    keys: watch::Receiver<BTreeSet<String>>,
    backoff: Backoff,
    /// What is being consumed, while there is a connection.
    open: Option<Open>,
    /// The attempt to begin, which outlives a cancelled `next`.
    opening: Option<BoxFuture<'static, Result<Open, Down>>>,
    /// The same for a change of what is bound.
    binding: Option<BoxFuture<'static, Result<Change, Down>>>,
}

/// The queue to take from.
#[derive(Clone, Debug)]
pub(crate) enum Queue {
    /// Of this process alone; it goes with its connection. Each connection has one of its own, for
    /// the former one may not have ended for the broker yet: this is what their names begin with.
    Owned(String),
    /// Of all replicas, by its name; it stays.
    Shared(String),
}

/// A binding that is made or, if there is one already, removed.
#[derive(Clone, Debug)]
struct Change {
    key: String,
    bind: bool,
}

#[derive(Debug)]
struct Open {
    channel: Channel,
    returns: Returns,
    deliveries: lapin::Consumer,
    queue: ShortString,
    bound: BTreeSet<String>,
}

impl Open {
    fn way(&self) -> Way {
        Way {
            channel: self.channel.clone(),
            returns: self.returns.clone(),
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Consumer {
    /// A consumer of this queue, which is bound to the exchange of requests by these keys.
    pub(crate) fn new(
        links: Links,
        check: Check,
        queue: Queue,
        at_once: u16,
        keys: watch::Receiver<BTreeSet<String>>,
    ) -> Self {
        Self {
            links,
            check,
            queue,
            exchange: Exchange::Requests,
            at_once,
            keys,
            backoff: Backoff::new(WAIT.0, WAIT.1),
            open: None,
            opening: None,
            binding: None,
        }
    }

    /// The same for events.
    pub(crate) fn of_events(self) -> Self {
        Self {
            exchange: Exchange::Events,
            ..self
        }
    }

    /// The next message: a call, or why it is none. Cancel safe.
    pub(crate) async fn next(&mut self) -> (Result<Call, String>, Delivery) {
        let (taken, way) = self.take().await;
        let open = self.open.as_ref();
        let keys = open.and_then(|open| open.shared_keys(&self.queue));
        Delivery::new(taken, way, &self.links, keys)
    }

    /// The next message as it is: its type and its body. It is settled already.
    pub(crate) async fn heard(&mut self) -> (String, Bytes) {
        let (taken, _) = self.take().await;
        let acking = taken.acker.ack(BasicAckOptions::default());
        // With its connection the queue is gone as well.
        if let Err(down) = settled(acking).await {
            tracing::debug!(?down, "an event was not acknowledged");
        }
        let kind = taken.properties.kind().as_ref();
        let type_name = kind.map(ToString::to_string).unwrap_or_default();
        (type_name, taken.data.into())
    }

    /// The next message. Cancel safe.
    async fn take(&mut self) -> (Taken, Way) {
        loop {
            let Some(open) = &mut self.open else {
                self.connect().await;
                continue;
            };
            if self.binding.is_some() {
                self.bind().await;
                continue;
            }
            if let Some(change) = open.change(&self.keys.borrow_and_update()) {
                let exchange = self.links.names.of(self.exchange).clone();
                self.binding = Some(open.binding(change, exchange));
                continue;
            }
            let taken = select! {
                biased;
                Ok(()) = self.keys.changed() => continue,
                taken = open.deliveries.next() => taken,
            };
            match taken {
                Some(Ok(taken)) => return (taken, open.way()),
                Some(Err(error)) => self.lost(&Down::from_error(&error, Stage::Run)),
                None => self.lost(&Down::Lost("the consumer was cancelled".to_owned())),
            }
        }
    }

    /// Takes no more messages; those that have come already, but were not asked for.
    pub(crate) async fn close(&mut self) -> Vec<(Result<Call, String>, Delivery)> {
        let mut left = Vec::new();
        let Some(mut open) = self.open.take() else {
            return left;
        };
        let options = BasicCancelOptions::default();
        let cancelling = open.channel.basic_cancel(open.deliveries.tag(), options);
        if let Err(down) = answer("ending a consumer", Stage::Run, cancelling).await {
            tracing::debug!(?down, "the consumer did not end; what it has comes again");
            return left;
        }
        while let Some(Ok(taken)) = open.deliveries.next().await {
            let keys = open.shared_keys(&self.queue);
            left.push(Delivery::new(taken, open.way(), &self.links, keys));
        }
        left
    }

    /// Begins to consume, or prepares for another attempt.
    async fn connect(&mut self) {
        let opening = match &mut self.opening {
            Some(opening) => opening,
            None => self.opening.insert(self.open(Duration::ZERO)),
        };
        let result = opening.await;
        self.opening = None;
        match result {
            Ok(open) => {
                self.open = Some(open);
                self.opened();
            }
            Err(down) => self.lost(&down),
        }
    }

    /// It works as soon as all is bound.
    fn opened(&mut self) {
        let open = self.open.as_ref();
        if open.is_some_and(|open| open.change(&self.keys.borrow()).is_none()) {
            self.backoff.reset();
            self.check.up();
        }
    }

    /// Finishes the change of a binding.
    async fn bind(&mut self) {
        let Some(binding) = &mut self.binding else {
            return;
        };
        let result = binding.await;
        self.binding = None;
        match (result, &mut self.open) {
            (Ok(change), Some(open)) => {
                open.bind(change);
                self.opened();
            }
            (Err(down), _) => self.lost(&down),
            (Ok(_), None) => {}
        }
    }

    /// Opens a consumer after this wait, as soon as there is a connection.
    fn open(&self, wait: Duration) -> BoxFuture<'static, Result<Open, Down>> {
        let (mut links, queue) = (self.links.clone(), self.queue.clone());
        let at_once = self.at_once;
        let keys = self.keys.borrow().clone();
        Box::pin(async move {
            time::sleep(wait).await;
            let channels = links.channels().await;
            consume(&channels, &links.names, &queue, at_once, keys).await
        })
    }

    fn lost(&mut self, down: &Down) {
        self.open = None;
        self.binding = None;
        let wait = self.backoff.next();
        self.opening = Some(self.open(wait));
        let queue = match &self.queue {
            Queue::Owned(name) | Queue::Shared(name) => name,
        };
        not_taken(&self.check, self.exchange.suffix(), queue, down);
    }
}

impl Links {
    /// The connection of the moment; waits until there is one, for ever when the broker has ended.
    pub(super) async fn channels(&mut self) -> Channels {
        loop {
            if let Some(channels) = self.current.borrow_and_update().clone() {
                return channels;
            }
            if self.current.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Open {
    /// What a shared queue is bound by. An owned one may hold what came by a binding that is gone.
    fn shared_keys(&self, queue: &Queue) -> Option<&BTreeSet<String>> {
        matches!(queue, Queue::Shared(_)).then_some(&self.bound)
    }

    /// The first difference between what should be bound and what is.
    fn change(&self, keys: &BTreeSet<String>) -> Option<Change> {
        let of = |key: &String, bind| Change {
            key: key.clone(),
            bind,
        };
        let missing = keys.difference(&self.bound).next();
        let stale = || self.bound.difference(keys).next();
        missing
            .map(|key| of(key, true))
            .or_else(|| stale().map(|key| of(key, false)))
    }

    /// A change was made.
    fn bind(&mut self, change: Change) {
        if change.bind {
            self.bound.insert(change.key);
        } else {
            self.bound.remove(&change.key);
        }
    }

    /// Makes a change.
    fn binding(
        &self,
        change: Change,
        exchange: ShortString,
    ) -> BoxFuture<'static, Result<Change, Down>> {
        let (channel, queue) = (self.channel.clone(), self.queue.clone());
        Box::pin(async move {
            let key = ShortString::from(short(&change.key));
            let arguments = FieldTable::default();
            if change.bind {
                let options = QueueBindOptions::default();
                let binding = channel.queue_bind(queue, exchange, key, options, arguments);
                answer("binding a queue", Stage::Declare, binding).await?;
            } else {
                let unbinding = channel.queue_unbind(queue, exchange, key, arguments);
                answer("unbinding a queue", Stage::Declare, unbinding).await?;
            }
            Ok(change)
        })
    }
}

async fn consume(
    channels: &Channels,
    names: &Names,
    queue: &Queue,
    at_once: u16,
    keys: BTreeSet<String>,
) -> Result<Open, Down> {
    let (name, bound) = match queue {
        Queue::Owned(stem) => (format!("{stem}.{:08x}", fastrand::u32(..)), BTreeSet::new()),
        Queue::Shared(name) => (name.clone(), keys),
    };
    let name = ShortString::from(short(&name));
    let is_shared = matches!(queue, Queue::Shared(_));
    if is_shared {
        match declare(channels, names, &name, &bound).await {
            // The operator may have declared it for a user that may not.
            Err(Down::Forbidden(_)) => {}
            result => result?,
        }
    }
    let channel = channels.open().await?;
    let qos = channel.basic_qos(at_once, BasicQosOptions::default());
    answer("limiting deliveries", Stage::Declare, qos).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    answer("switching confirms on", Stage::Declare, confirms).await?;
    if !is_shared {
        declare_one(&channel, &name, true).await?;
    }
    let options = BasicConsumeOptions::default();
    let arguments = FieldTable::default();
    let consuming = channel.basic_consume(name.clone(), "".into(), options, arguments);
    let deliveries = answer("consuming", Stage::Declare, consuming).await?;
    Ok(Open {
        channel,
        returns: Returns::default(),
        deliveries,
        queue: name,
        bound,
    })
}

async fn declare(
    channels: &Channels,
    names: &Names,
    queue: &ShortString,
    keys: &BTreeSet<String>,
) -> Result<(), Down> {
    let channel = channels.open().await?;
    declare_one(&channel, queue, false).await?;
    for key in keys {
        let binding = channel.queue_bind(
            queue.clone(),
            names.of(Exchange::Requests).clone(),
            short(key).into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        answer("binding a queue", Stage::Declare, binding).await?;
    }
    answer(
        "closing a channel",
        Stage::Declare,
        channel.close(200, "done".into()),
    )
    .await
}

async fn declare_one(channel: &Channel, queue: &ShortString, owned: bool) -> Result<(), Down> {
    let options = QueueDeclareOptions {
        durable: !owned,
        exclusive: owned,
        auto_delete: owned,
        ..Default::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-priority".into(), AMQPValue::LongInt(PRIORITY.into()));
    let (name, classic) = classic();
    // Whatever the default of the virtual host is: others have no priorities.
    arguments.insert(name, classic);
    let declaring = channel.queue_declare(queue.clone(), options, arguments);
    answer("declaring a queue", Stage::Declare, declaring).await?;
    Ok(())
}
