//! A broker as a service has it, and a queue as a worker has it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use boot::Context;
use broker::{Broker, Config, Exchange, Kind, Lane, Message, Spool, Value};
use futures_util::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use tests::rabbitmq::Rabbit;
use tokio::time::{self, Instant};

/// Nothing here takes longer, even on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A broker with its context.
pub(crate) struct Service {
    pub(crate) context: Context,
    pub(crate) broker: Broker,
}

impl Service {
    pub(crate) fn start(url: String, prefix: &str, window: usize) -> Self {
        Self::with_spool(url, prefix, window, None)
    }

    /// A broker whose messages wait in this folder when the window is full.
    pub(crate) fn with_spool(
        url: String,
        prefix: &str,
        window: usize,
        spool: Option<Spool>,
    ) -> Self {
        let context = Context::new();
        let config = Config {
            kind: Kind::Amqp,
            url: url.into(),
            tls: Default::default(),
            prefix: prefix.to_owned(),
            window,
            persistent: true,
            spool,
        };
        let broker = Broker::start(config, &context);
        Self { context, broker }
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.context.metrics.text().unwrap_or_default();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(f64::NAN)
    }

    /// Waits until the service says that it is not ready.
    pub(crate) async fn not_ready(&self) -> Result<()> {
        until("the service not to be ready", || {
            !self.context.health.is_ready()
        })
        .await
    }

    /// Waits until a metric fulfils the condition.
    pub(crate) async fn metric_is(
        &self,
        name: &str,
        condition: impl Fn(f64) -> bool,
    ) -> Result<()> {
        until(name, || condition(self.metric(name))).await
    }

    pub(crate) async fn ready(&self) -> Result<()> {
        until("the service to be ready", || self.context.health.is_ready()).await
    }

    /// Stops as a service does: publishers are gone already.
    pub(crate) async fn stop(self) -> Result<()> {
        self.context.shutdown.cancel();
        Ok(self.context.tasks.join(Duration::from_secs(20)).await?)
    }
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            bail!("waited {PATIENCE:?} in vain for {what}");
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// An event with this sequence and about this many bytes of body.
pub(crate) fn event(sequence: u64, size: usize) -> Message {
    let mut body = sequence.to_be_bytes().to_vec();
    body.resize(size.max(8), 7);
    Message {
        exchange: Exchange::Events,
        routing_key: "1.MESSAGE_CREATE.2.3".to_owned(),
        message_id: id(sequence),
        type_name: "gateway.v1.Event",
        app_id: Arc::from("1"),
        timestamp: 1_700_000_000,
        headers: vec![
            ("event", Value::Text("MESSAGE_CREATE".to_owned())),
            ("shard", Value::Number(0)),
            ("sequence", Value::Number(sequence.cast_signed())),
        ],
        body: body.into(),
        group: 0,
        batch: None,
        trace: None,
        wanted: None,
    }
}

pub(crate) fn id(sequence: u64) -> String {
    format!("session:{sequence}")
}

/// Publishes the events with these sequences, waiting for room as a shard does.
pub(crate) async fn publish(
    lane: &mut Lane,
    sequences: impl Iterator<Item = u64>,
    size: usize,
) -> Result<()> {
    for sequence in sequences {
        lane.room().await;
        lane.publish(sequence, event(sequence, size)).await?;
    }
    Ok(())
}

/// A worker: a durable queue that gets all events.
pub(crate) struct Worker {
    connection: Connection,
    channel: Channel,
    queue: String,
}

impl Worker {
    pub(crate) async fn connect(rabbit: &Rabbit, queue: &str) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&rabbit.url(), properties).await?;
        let channel = connection.create_channel().await?;
        Ok(Self {
            connection,
            channel,
            queue: queue.to_owned(),
        })
    }

    /// Declares the queue and binds it, which needs the exchange to be there.
    pub(crate) async fn bind(&self, exchange: &str, routing_key: &str) -> Result<()> {
        self.bind_with(exchange, routing_key, FieldTable::default())
            .await
    }

    /// Like [`Worker::bind`], with arguments for the queue.
    pub(crate) async fn bind_with(
        &self,
        exchange: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<()> {
        let options = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let queue = self.queue.as_str();
        self.channel
            .queue_declare(queue.into(), options, arguments)
            .await?;
        let options = QueueBindOptions::default();
        let arguments = FieldTable::default();
        self.channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                routing_key.into(),
                options,
                arguments,
            )
            .await?;
        Ok(())
    }

    /// Takes messages until `enough` says so.
    pub(crate) async fn take_until(
        &self,
        mut enough: impl FnMut(&Delivery) -> bool,
    ) -> Result<Vec<Delivery>> {
        self.channel
            .basic_qos(500, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions::default();
        let arguments = FieldTable::default();
        let queue = self.queue.as_str();
        let mut consumer = self
            .channel
            .basic_consume(queue.into(), "".into(), options, arguments)
            .await?;
        let mut taken = Vec::new();
        loop {
            let next = time::timeout(PATIENCE, consumer.next()).await;
            let next = next.with_context(|| format!("only {} messages came", taken.len()))?;
            let delivery = next.context("the consumer was cancelled")??;
            delivery.ack(BasicAckOptions::default()).await?;
            let last = enough(&delivery);
            taken.push(delivery);
            if last {
                return Ok(taken);
            }
        }
    }

    /// Takes all events up to this sequence, and checks that none is missing and that first
    /// occurrences are in order. Returns how many came twice.
    pub(crate) async fn take_all(&self, last: u64) -> Result<usize> {
        let (mut next, mut repeated) = (1, 0);
        let mut disorder = None;
        self.take_until(|delivery| {
            let sequence = sequence(delivery);
            if sequence == next {
                next += 1;
            } else if sequence < next {
                repeated += 1;
            } else {
                disorder.get_or_insert((next, sequence));
            }
            next > last || disorder.is_some()
        })
        .await?;
        match disorder {
            None => Ok(repeated),
            Some((expected, came)) => bail!("{came} came, but {expected} has not come yet"),
        }
    }

    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

/// The sequence in a delivery, which its id must agree with.
fn sequence(delivery: &Delivery) -> u64 {
    let sequence = delivery
        .data
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first));
    let message_id = delivery
        .properties
        .message_id()
        .as_ref()
        .map(ToString::to_string);
    assert_eq!(message_id, Some(id(sequence)));
    sequence
}
