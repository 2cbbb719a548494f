//! A worker that steers calls.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions},
    types::FieldTable,
};
use prost::{Message, Name};
use tokio::time;
use wire::gateway::v1::Error;

/// What the names of exchanges begin with.
pub(crate) const PREFIX: &str = "bench-voice";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// A worker with a connection of its own.
pub(crate) struct Worker {
    _connection: Connection,
    channel: Channel,
    replies: Consumer,
    application_id: u64,
    /// How many requests it has sent.
    sent: u64,
    /// Answers that nobody has asked for yet, by their requests.
    came: HashMap<String, (String, Vec<u8>)>,
}

/// A request that was sent.
#[must_use]
pub(crate) struct Asked(String);

impl Worker {
    pub(crate) async fn connect(amqp: &str, application_id: u64) -> Result<Self> {
        let connection = Connection::connect(amqp, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let consuming = channel.basic_consume(
            DIRECT_REPLY.into(),
            "".into(),
            options,
            FieldTable::default(),
        );
        let replies = consuming.await?;
        Ok(Self {
            _connection: connection,
            channel,
            replies,
            application_id,
            sent: 0,
            came: HashMap::new(),
        })
    }

    /// Sends a request for a method of the service `voice`.
    pub(crate) async fn send(&mut self, method: &str, request: &impl Message) -> Result<Asked> {
        self.sent += 1;
        let id = self.sent.to_string();
        let properties = BasicProperties::default()
            .with_type(format!("gateway.v1.Voice/{method}").into())
            .with_reply_to(DIRECT_REPLY.into())
            .with_expiration(PATIENCE.as_millis().to_string().into())
            .with_correlation_id(id.as_str().into());
        let (exchange, options) = (format!("{PREFIX}.requests"), BasicPublishOptions::default());
        let key = format!("voice.{method}.{}", self.application_id);
        let body = request.encode_to_vec();
        self.channel
            .basic_publish(exchange.into(), key.into(), options, &body, properties)
            .await?;
        Ok(Asked(id))
    }

    /// Waits for an answer.
    pub(crate) async fn answer<R: Message + Name + Default>(&mut self, asked: Asked) -> Result<R> {
        let (kind, body) = loop {
            if let Some(came) = self.came.remove(&asked.0) {
                break came;
            }
            let next = time::timeout(PATIENCE, self.replies.next()).await;
            let reply = next
                .context("no answer came")?
                .context("no more answers")??;
            let text = |it: &Option<lapin::types::ShortString>| {
                it.as_ref().map(ToString::to_string).unwrap_or_default()
            };
            let properties = &reply.properties;
            let (id, kind) = (text(properties.correlation_id()), text(properties.kind()));
            self.came.insert(id, (kind, reply.data));
        };
        if kind == Error::full_name() {
            let error = Error::decode(body.as_slice())?;
            anyhow::bail!("{:?}: {}", error.code(), error.message);
        }
        ensure!(kind == R::full_name(), "{kind}");
        Ok(R::decode(body.as_slice())?)
    }

    /// Both.
    pub(crate) async fn ask<R: Message + Name + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
    ) -> Result<R> {
        let asked = self.send(method, request).await?;
        self.answer(asked).await
    }
}
