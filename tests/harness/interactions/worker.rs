//! A worker that does what an interaction is called.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use prost::Message as _;
use tokio::{
    task::JoinSet,
    time::{self, Instant},
};
use wire::{
    discord::v1::{
        ApplicationCommandOptionChoice, Component, Embed, Interaction,
        InteractionCallbackDataParams as Data, InteractionCallbackParams,
    },
    gateway::v1::{Error, Event, File, InteractionResponse, event},
};

use super::stage::{DEFER, PATIENCE};
use crate::rabbitmq::Rabbit;

const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// A worker with a login to RabbitMQ, and what it has seen.
#[derive(Debug)]
pub struct Worker {
    connection: Connection,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    events: Vec<Seeing>,
    errors: Vec<Error>,
}

/// An event as the worker got it.
#[derive(Clone, Debug)]
pub struct Seeing {
    /// Its body.
    pub body: Vec<u8>,
    /// Its properties.
    pub properties: BasicProperties,
    /// Its routing key.
    pub routing_key: String,
}

fn look(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that the worker says to an interaction.
struct Say {
    after: Duration,
    kind: &'static str,
    body: Vec<u8>,
    /// A name for it, that makes a second one the same.
    id: Option<&'static str>,
    /// Whether it goes to the queue itself, as AMQP libraries do it, and not by the exchange of replies.
    is_direct: bool,
}

impl Worker {
    /// Begins to answer interactions, by what they are called. What is late comes soon after the interaction was deferred.
    pub async fn start(rabbit: &Rabbit, prefix: &str) -> Result<Self> {
        Self::connect(&rabbit.url(), prefix, DEFER + Duration::from_millis(400)).await
    }

    /// Begins to answer these commands alone: for others no queue is bound.
    pub async fn of(commands: &[&str], rabbit: &Rabbit, prefix: &str) -> Result<Self> {
        let key = |name: &&str| format!("*.INTERACTION_CREATE.*.*.command.{name}");
        let keys: Vec<_> = commands.iter().map(key).collect();
        Self::bound(&keys, &rabbit.url(), prefix, DEFER).await
    }

    /// Begins to answer interactions, and what is late comes so late.
    pub async fn connect(url: &str, prefix: &str, late: Duration) -> Result<Self> {
        let all = "*.INTERACTION_CREATE.#".to_owned();
        Self::bound(&[all], url, prefix, late).await
    }

    async fn bound(keys: &[String], url: &str, prefix: &str, late: Duration) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(url, properties).await?;
        let channel = connection.create_channel().await?;
        let (errors, events) = consume(&channel, prefix, keys).await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(errors, Arc::clone(&seen)));
        let working = Working {
            channel,
            replies: format!("{prefix}.replies"),
            late,
            seen: Arc::clone(&seen),
        };
        tasks.spawn(working.run(events));
        Ok(Self {
            connection,
            seen,
            _tasks: tasks,
        })
    }

    /// The events that have come.
    pub fn events(&self) -> Vec<Seeing> {
        look(&self.seen).events.clone()
    }

    /// Waits until it has so many events.
    pub async fn has(&self, count: usize) -> Result<Vec<Seeing>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.events();
            if events.len() >= count {
                return Ok(events);
            }
            ensure!(Instant::now() < deadline, "there are {}", events.len());
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it was told of something with these words.
    pub async fn told(&self, words: &str) -> Result<Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let errors = look(&self.seen).errors.clone();
            if let Some(error) = errors.iter().find(|it| it.message.contains(words)) {
                return Ok(error.clone());
            }
            ensure!(Instant::now() < deadline, "{words}: {errors:?}");
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it.
    pub async fn close(self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

/// What is wrong with its replies, and the interactions.
async fn consume(channel: &Channel, prefix: &str, keys: &[String]) -> Result<(Consumer, Consumer)> {
    let (queue, none) = (format!("{prefix}.worker"), FieldTable::default);
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let name = queue.as_str();
    channel.queue_declare(name.into(), options, none()).await?;
    let exchange = format!("{prefix}.events");
    for key in keys {
        let (exchange, key) = (exchange.as_str().into(), key.as_str().into());
        let options = QueueBindOptions::default();
        let binding = channel.queue_bind(name.into(), exchange, key, options, none());
        binding.await?;
    }
    let options = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let errors = channel.basic_consume(DIRECT_REPLY.into(), "".into(), options, none());
    let events = channel.basic_consume(name.into(), "".into(), options, none());
    Ok((errors.await?, events.await?))
}

/// Takes down what was wrong with replies.
async fn listen(mut errors: Consumer, seen: Arc<Mutex<Seen>>) {
    while let Some(Ok(delivery)) = errors.next().await {
        if let Ok(error) = Error::decode(delivery.data.as_slice()) {
            look(&seen).errors.push(error);
        }
    }
}

/// What answers interactions.
struct Working {
    channel: Channel,
    replies: String,
    late: Duration,
    seen: Arc<Mutex<Seen>>,
}

impl Working {
    /// Answers interactions, each in its own time.
    async fn run(self, mut events: Consumer) {
        let mut saying = JoinSet::new();
        while let Some(Ok(delivery)) = events.next().await {
            while saying.try_join_next().is_some() {}
            for say in answer(&delivery, self.late) {
                let properties = delivery.properties.clone();
                let (channel, replies) = (self.channel.clone(), self.replies.clone());
                saying.spawn(async move {
                    publish(&channel, &replies, &properties, say).await.ok();
                });
            }
            look(&self.seen).events.push(Seeing {
                body: delivery.data,
                properties: delivery.properties,
                routing_key: delivery.routing_key.to_string(),
            });
        }
    }
}

async fn publish(
    channel: &Channel,
    replies: &str,
    properties: &BasicProperties,
    say: Say,
) -> Result<()> {
    time::sleep(say.after).await;
    let key = properties.reply_to().clone().context("where to reply to")?;
    let id = properties
        .correlation_id()
        .clone()
        .context("what to reply to")?;
    let mut properties = BasicProperties::default()
        .with_type(say.kind.into())
        .with_correlation_id(id)
        .with_reply_to(DIRECT_REPLY.into());
    if let Some(id) = say.id {
        properties = properties.with_message_id(id.into());
    }
    let options = BasicPublishOptions::default();
    let exchange = if say.is_direct { "" } else { replies };
    channel
        .basic_publish(exchange.into(), key, options, &say.body, properties)
        .await?
        .await?;
    Ok(())
}

/// What the worker says: an interaction is called by that, and a colon and anything may follow.
fn answer(delivery: &Delivery, late: Duration) -> Vec<Say> {
    let event = Event::decode(delivery.data.as_slice()).unwrap_or_default();
    let Some(event::Data::InteractionCreate(interaction)) = event.data else {
        return Vec::new();
    };
    let name = name(&interaction);
    let first = |number| vec![say(&response(number))];
    let after = |number| {
        let mut all = first(number);
        all[0].after = late;
        all
    };
    match name.split(':').next().unwrap_or_default() {
        "never" => Vec::new(),
        "late4" => after(4),
        "late7" => after(7),
        "late8" => after(8),
        "late9" => after(9),
        "twice" => first(4).into_iter().chain(after(4)).collect(),
        "again" => (0..3)
            .map(|_| Say {
                id: Some("the same"),
                ..say(&response(4))
            })
            .collect(),
        "direct" => vec![Say {
            is_direct: true,
            ..say(&response(4))
        }],
        "file" => vec![say(&with_file(response(4)))],
        "latefile" => vec![Say {
            after: late,
            ..say(&with_file(response(4)))
        }],
        "embeds" => vec![say(&with(4, |data| {
            data.embeds = vec![Embed::default(); 11]
        }))],
        "lateembeds" => vec![Say {
            after: late,
            ..say(&with(4, |data| data.embeds = vec![Embed::default(); 11]))
        }],
        "garbage" => vec![Say {
            body: b"\xff\xff\xff".to_vec(),
            ..say(&response(4))
        }],
        "failure" => vec![Say {
            kind: "gateway.v1.Error",
            body: Error::default().encode_to_vec(),
            ..say(&response(4))
        }],
        number => first(number.trim_start_matches('n').parse().unwrap_or(4)),
    }
}

fn name(interaction: &Interaction) -> String {
    let data = interaction.data.clone().unwrap_or_default();
    match data.custom_id {
        Some(custom_id) => custom_id,
        // An interaction about a purchase has no name.
        None => data.name.unwrap_or_else(|| "n13".to_owned()),
    }
}

fn say(response: &InteractionResponse) -> Say {
    Say {
        after: Duration::ZERO,
        kind: "gateway.v1.InteractionResponse",
        body: response.encode_to_vec(),
        id: None,
        is_direct: false,
    }
}

/// An answer of this type with what it needs.
fn response(number: i32) -> InteractionResponse {
    with(number, |data| match number {
        4 | 7 => data.content = Some("said by the worker".to_owned()),
        8 => {
            data.choices = vec![ApplicationCommandOptionChoice {
                name: Some("one".to_owned()),
                ..ApplicationCommandOptionChoice::default()
            }];
        }
        9 => {
            data.custom_id = Some("modal:1".to_owned());
            data.title = Some("A modal".to_owned());
            data.components = vec![<Component as Default>::default()];
        }
        13 => data.eligible = Some(true),
        _ => {}
    })
}

fn with(number: i32, change: impl FnOnce(&mut Data)) -> InteractionResponse {
    let mut data = Data::default();
    change(&mut data);
    InteractionResponse {
        callback: Some(InteractionCallbackParams {
            r#type: Some(number),
            data: (data != Data::default()).then_some(data),
            ..InteractionCallbackParams::default()
        }),
        files: Vec::new(),
    }
}

fn with_file(mut response: InteractionResponse) -> InteractionResponse {
    response.files = vec![File {
        filename: "a.txt".to_owned(),
        data: b"hello".to_vec(),
        ..File::default()
    }];
    response
}
