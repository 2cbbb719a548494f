//! Publishing with confirms: messages a second, and what each costs this process in CPU time.
//!
//! `make bench` gives it a private RabbitMQ; by hand: `cargo bench -p bench --bench publish -- URL`.

use anyhow::{Context as _, Result};
use boot::{Context, SecretString};
use broker::{Batch, Broker, Config, Exchange, Kind, Message};
use bytes::Bytes;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Messages of a run.
const MESSAGES: u64 = 100_000;

/// How often the ways that are compared take turns.
const ROUNDS: usize = 3;

/// How many messages the pipelined publisher leaves unconfirmed.
const UNCONFIRMED: usize = 2_000;

/// Messages of the run that waits for every confirm: it is slow.
const ALONE: u64 = 5_000;

/// The body of a typical event.
const BODY: usize = 450;

/// How long a run may take before something is wrong.
const LIMIT: Duration = Duration::from_secs(300);

/// The kernel's clock ticks a second, in which /proc counts CPU time.
const TICKS: f64 = 100.0;

/// Exchanges of these runs.
const PREFIX: &str = "bench";

/// The queue that gets every message, and keeps the last thousand.
const QUEUE: &str = "bench.sink";

#[tokio::main]
async fn main() -> Result<()> {
    let Some(url) = std::env::args()
        .skip(1)
        .find(|argument| argument.starts_with("amqp"))
    else {
        println!("publish: no AMQP URL given, nothing measured (make bench gives one)");
        return Ok(());
    };
    let sink = Sink::open(&url).await?;
    let (mut ours, mut lapin) = (Run::default(), Run::default());
    for _ in 0..ROUNDS {
        ours.add(&publish(&url, &sink, None).await?);
        lapin.add(&pipelined(&sink).await?);
    }
    let batch = Batch {
        count: 64,
        linger: Duration::from_millis(5),
    };
    let batched = publish(&url, &sink, Some(batch)).await?;
    let alone = alone(&sink).await?;
    sink.close().await?;
    println!("\npublish with confirms, {BODY} byte bodies, one queue bound");
    println!(
        "{:<44} {:>10} {:>14}",
        "way", "messages/s", "CPU µs/message"
    );
    for (way, run) in [
        ("lib/broker", &ours),
        ("lib/broker, in batches of 64", &batched),
        ("lapin, pipelined", &lapin),
        ("lapin, each confirm awaited", &alone),
    ] {
        println!("{way:<44} {:>10.0} {:>14.1}", run.rate(), run.cpu());
    }
    println!(
        "CPU, ours to lapin pipelined: {:.2}; batched, {:.1} times as many a second",
        ours.cpu() / lapin.cpu(),
        batched.rate() / ours.rate(),
    );
    Ok(())
}

/// What a run took, or several.
#[derive(Default)]
struct Run {
    messages: u64,
    wall: Duration,
    ticks: u64,
}

impl Run {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.wall += other.wall;
        self.ticks += other.ticks;
    }

    /// Messages a second.
    fn rate(&self) -> f64 {
        self.messages as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of CPU time for a message.
    fn cpu(&self) -> f64 {
        self.ticks as f64 / TICKS * 1e6 / self.messages as f64
    }
}

/// Measures one run.
async fn measure(messages: u64, work: impl Future<Output = Result<()>>) -> Result<Run> {
    let (start, ticks) = (Instant::now(), cpu_ticks()?);
    tokio::time::timeout(LIMIT, work)
        .await
        .context("the run took too long")??;
    Ok(Run {
        messages,
        wall: start.elapsed(),
        ticks: cpu_ticks()? - ticks,
    })
}

/// CPU time of this process, user and system.
fn cpu_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |index: usize| {
        fields
            .get(index)
            .context("/proc/self/stat is short")?
            .parse::<u64>()
            .context("a number")
    };
    Ok(field(11)? + field(12)?)
}

/// Our own publisher.
async fn publish(url: &str, sink: &Sink, batch: Option<Batch>) -> Result<Run> {
    let context = Context::new();
    let config = Config {
        kind: Kind::Amqp,
        url: SecretString::from(url),
        tls: Default::default(),
        prefix: PREFIX.to_owned(),
        window: 16 << 20,
        persistent: false,
        spool: None,
    };
    let broker = Broker::start(config, &context);
    let mut lane = broker.lane();
    let app_id: Arc<str> = Arc::from("1");
    let body = Bytes::from(vec![7; BODY]);
    let message = |sequence: u64| Message {
        exchange: Exchange::Events,
        routing_key: "1.PRESENCE_UPDATE.81384788765712384.-".to_owned(),
        message_id: format!("0123456789abcdef0123456789abcdef:{sequence}"),
        type_name: "gateway.v1.Event",
        app_id: Arc::clone(&app_id),
        timestamp: 1_700_000_000,
        headers: Vec::new(),
        body: body.clone(),
        group: 0,
        batch,
        trace: None,
        wanted: None,
    };
    lane.publish(1, message(1)).await?;
    lane.confirmed_past(1).await;
    sink.bind().await?;
    let run = measure(MESSAGES, async {
        for sequence in 2..2 + MESSAGES {
            lane.publish(sequence, message(sequence)).await?;
        }
        lane.confirmed_past(1 + MESSAGES).await;
        Ok(())
    })
    .await?;
    drop(lane);
    context.shutdown.cancel();
    context.tasks.join(Duration::from_secs(10)).await?;
    Ok(run)
}

/// The AMQP client, with many messages under way.
async fn pipelined(sink: &Sink) -> Result<Run> {
    let channel = sink.connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let body = vec![7; BODY];
    let run = measure(MESSAGES, async {
        let mut confirms = VecDeque::new();
        for number in 0..MESSAGES {
            let id = format!("0123456789abcdef0123456789abcdef:{number}");
            let properties = BasicProperties::default()
                .with_content_type("application/x-protobuf".into())
                .with_type("gateway.v1.Event".into())
                .with_message_id(id.into())
                .with_app_id("1".into())
                .with_delivery_mode(1);
            let publishing = channel.basic_publish(
                "bench.events".into(),
                "1.PRESENCE_UPDATE.81384788765712384.-".into(),
                BasicPublishOptions::default(),
                &body,
                properties,
            );
            confirms.push_back(publishing.await?);
            if confirms.len() > UNCONFIRMED
                && let Some(oldest) = confirms.pop_front()
            {
                oldest.await?;
            }
        }
        for confirm in confirms {
            confirm.await?;
        }
        Ok(())
    })
    .await?;
    channel.close(200, "done".into()).await?;
    Ok(run)
}

/// A publisher that waits for each confirm before the next message.
async fn alone(sink: &Sink) -> Result<Run> {
    let channel = sink.connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let body = vec![7; BODY];
    measure(ALONE, async {
        for _ in 0..ALONE {
            let confirm = channel
                .basic_publish(
                    "bench.events".into(),
                    "1.PRESENCE_UPDATE.81384788765712384.-".into(),
                    BasicPublishOptions::default(),
                    &body,
                    BasicProperties::default(),
                )
                .await?;
            confirm.await?;
        }
        Ok(())
    })
    .await
}

/// A queue that takes every message.
struct Sink {
    connection: Connection,
    channel: lapin::Channel,
}

impl Sink {
    /// Connects and declares the queue.
    async fn open(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(1000));
        channel
            .queue_declare(QUEUE.into(), QueueDeclareOptions::default(), arguments)
            .await?;
        Ok(Self {
            connection,
            channel,
        })
    }

    /// Binds the queue to everything; the exchange has to be there.
    async fn bind(&self) -> Result<()> {
        self.channel
            .queue_bind(
                QUEUE.into(),
                "bench.events".into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(())
    }

    /// Deletes the queue.
    async fn close(self) -> Result<()> {
        self.channel
            .queue_delete(QUEUE.into(), QueueDeleteOptions::default())
            .await?;
        self.connection.close(0, "done".into()).await?;
        Ok(())
    }
}
