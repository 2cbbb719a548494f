//! A worker that counts: it takes all events from a queue of its own, whatever happens to the broker.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::tally::{Incoming, Tally};

/// How many deliveries may be on their way.
const PREFETCH: u16 = 2000;
/// How many are acknowledged at once.
const CHUNK: usize = 256;
/// How long it waits before it connects anew.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which kind of queue events are taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Queue {
    /// A durable queue.
    Classic,
    /// A queue on several nodes of a cluster.
    Quorum,
}

/// The worker; it ends when this is dropped.
#[derive(Debug)]
pub struct Counter {
    tally: Arc<Mutex<Tally>>,
    _task: JoinSet<()>,
}

/// Where the worker's events are.
#[derive(Clone, Debug)]
struct Place {
    url: String,
    exchange: String,
    name: String,
    queue: Queue,
}

impl Counter {
    /// Declares exchange and queue, so that no event can come too early, and begins to take events.
    pub async fn start(url: &str, prefix: &str, queue: Queue) -> Result<Self> {
        let place = Place {
            url: url.to_owned(),
            exchange: format!("{prefix}.events"),
            name: prefix.to_owned(),
            queue,
        };
        let (connection, _channel) = declare(&place).await?;
        connection.close(200, "declared".into()).await?;
        let tally = Arc::<Mutex<Tally>>::default();
        let mut task = JoinSet::new();
        task.spawn(run(place, Arc::clone(&tally)));
        Ok(Self { tally, _task: task })
    }

    /// What has come so far.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(place: Place, tally: Arc<Mutex<Tally>>) {
    loop {
        if let Err(error) = consume(&place, &tally).await {
            tracing::debug!(%error, "the counting worker connects anew");
        }
        sleep(PAUSE).await;
    }
}

/// Connects, and declares what the worker needs.
async fn declare(place: &Place) -> Result<(Connection, Channel)> {
    let declared = async {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&place.url, properties).await?;
        let channel = connection.create_channel().await?;
        let (exchange, name) = (place.exchange.as_str(), place.name.as_str());
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let none = FieldTable::default();
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, none.clone())
            .await?;
        let durable = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .queue_declare(name.into(), durable, arguments(place.queue))
            .await?;
        let options = QueueBindOptions::default();
        channel
            .queue_bind(name.into(), exchange.into(), "#".into(), options, none)
            .await?;
        Ok::<_, lapin::Error>((connection, channel))
    };
    Ok(timeout(PATIENCE, declared)
        .await
        .context("RabbitMQ does not answer")??)
}

fn arguments(queue: Queue) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue == Queue::Quorum {
        let kind = AMQPValue::LongString("quorum".into());
        arguments.insert("x-queue-type".into(), kind);
    }
    arguments
}

/// Takes events until the connection is lost.
async fn consume(place: &Place, tally: &Mutex<Tally>) -> Result<()> {
    let (_connection, channel) = declare(place).await?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let none = FieldTable::default();
    let consumer = channel
        .basic_consume(place.name.as_str().into(), "".into(), options, none)
        .await?;
    let mut chunks = consumer.ready_chunks(CHUNK);
    while let Some(chunk) = chunks.next().await {
        let deliveries = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
        let now_us = unix_micros();
        {
            let mut tally = lock(tally);
            for delivery in &deliveries {
                tally.record(incoming(delivery), now_us);
            }
        }
        if let Some(last) = deliveries.last() {
            last.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    bail!("the consumer was cancelled")
}

fn incoming(delivery: &Delivery) -> Incoming<'_> {
    let properties = &delivery.properties;
    let kind = properties.kind().as_ref();
    let id = properties.message_id().as_ref();
    Incoming {
        kind: kind.map(|it| it.as_str()).unwrap_or_default(),
        id: id.map(|it| it.as_str()).unwrap_or_default(),
        sequence: header(delivery, "sequence"),
        count: header(delivery, "count"),
        redelivered: delivery.redelivered,
        body: &delivery.data,
    }
}

fn header(delivery: &Delivery, name: &str) -> Option<u64> {
    let headers = delivery.properties.headers().as_ref()?;
    let value = headers.inner().get(name)?;
    value.as_long_long_int()?.try_into().ok()
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
