//! What stands for the workers: an exchange and a queue that keeps the last thousand messages.

use anyhow::Result;
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

/// What the names of exchanges begin with.
pub(crate) const PREFIX: &str = "bench-service";

/// The exchange of events.
pub(crate) const EXCHANGE: &str = "bench-service.events";

const QUEUE: &str = "bench-service.sink";

/// The queue that gets everything.
pub(crate) struct Sink {
    connection: Connection,
    channel: Channel,
}

impl Sink {
    /// Declares exchange and queue.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let arguments = FieldTable::default();
        channel
            .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, arguments)
            .await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(1000));
        channel
            .queue_declare(QUEUE.into(), QueueDeclareOptions::default(), arguments)
            .await?;
        let sink = Self {
            connection,
            channel,
        };
        sink.bind(QUEUE).await?;
        Ok(sink)
    }

    /// Binds a queue to everything.
    pub(crate) async fn bind(&self, queue: &str) -> Result<()> {
        let options = QueueBindOptions::default();
        let arguments = FieldTable::default();
        self.channel
            .queue_bind(
                queue.into(),
                EXCHANGE.into(),
                "#".into(),
                options,
                arguments,
            )
            .await?;
        Ok(())
    }

    /// Deletes both.
    pub(crate) async fn close(self) -> Result<()> {
        self.channel
            .queue_delete(QUEUE.into(), QueueDeleteOptions::default())
            .await?;
        self.channel
            .exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default())
            .await?;
        self.connection.close(200, "done".into()).await?;
        Ok(())
    }
}
