//! A worker that answers at once, so that all others have the machine.

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use prost::Message as _;
use tokio::task::JoinSet;
use wire::{
    discord::v1::{
        InteractionCallbackDataParams, InteractionCallbackParams, InteractionCallbackType,
    },
    gateway::v1::InteractionResponse,
};

/// What the names of exchanges begin with.
pub(crate) const PREFIX: &str = "bench-http";

/// What stands in every answer of a worker.
pub(crate) const SAID: &str = "said by the worker";

/// A running worker.
pub(crate) struct Worker {
    connection: Connection,
    _task: JoinSet<Result<()>>,
}

impl Worker {
    /// Begins to answer.
    pub(crate) async fn start(amqp: &str) -> Result<Self> {
        let connection = Connection::connect(amqp, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let events = format!("{PREFIX}.events");
        let (options, none) = (
            ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            },
            FieldTable::default,
        );
        let kind = ExchangeKind::Topic;
        let declaring = channel.exchange_declare(events.clone().into(), kind, options, none());
        declaring.await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            ..Default::default()
        };
        let queue = channel.queue_declare("".into(), options, none()).await?;
        let queue = queue.name().clone();
        let (key, options) = ("*.INTERACTION_CREATE.#", QueueBindOptions::default());
        let binding = channel.queue_bind(queue.clone(), events.into(), key.into(), options, none());
        binding.await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let mut consumer = channel
            .basic_consume(queue, "".into(), options, none())
            .await?;
        let body = response().encode_to_vec();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(delivery) = consumer.next().await {
                answer(&channel, &delivery?, &body).await?;
            }
            Ok(())
        });
        Ok(Self {
            connection,
            _task: task,
        })
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        Ok(self.connection.close(200, "done".into()).await?)
    }
}

async fn answer(channel: &Channel, delivery: &Delivery, body: &[u8]) -> Result<()> {
    let asked = &delivery.properties;
    let id = asked.correlation_id().clone().context("what it answers")?;
    let key = asked.reply_to().clone().context("where to reply to")?;
    let properties = BasicProperties::default()
        .with_type("gateway.v1.InteractionResponse".into())
        .with_message_id(id.clone())
        .with_correlation_id(id);
    let (exchange, options) = (format!("{PREFIX}.replies"), BasicPublishOptions::default());
    channel
        .basic_publish(exchange.into(), key, options, body, properties)
        .await?;
    Ok(())
}

fn response() -> InteractionResponse {
    let data = InteractionCallbackDataParams {
        content: Some(SAID.to_owned()),
        ..InteractionCallbackDataParams::default()
    };
    InteractionResponse {
        callback: Some(InteractionCallbackParams {
            r#type: Some(InteractionCallbackType::ChannelMessageWithSource.into()),
            data: Some(data),
            ..InteractionCallbackParams::default()
        }),
        files: Vec::new(),
    }
}
