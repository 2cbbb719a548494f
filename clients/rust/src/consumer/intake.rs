//! One connection with its queue declared and its consumer started.

use lapin::{
    Channel,
    options::{
        BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
};
use rabbitmq::{Connection, Down, Place, Stage, answer};
use wire::routing;

use crate::{
    Options,
    amqp::{channel, close, declare_exchange},
    receipt::Graveyard,
};

/// What comes over one connection, until it breaks.
pub(super) struct Intake {
    connection: Connection,
    channel: Channel,
    pub(super) deliveries: lapin::Consumer,
    pub(super) graveyard: Graveyard,
}

impl Intake {
    /// Connects, declares what is missing, and begins to consume.
    pub(super) async fn open(place: &Place, options: &Options) -> Result<Self, Down> {
        let connection = Connection::open(place, &options.queue).await?;
        for exchange in [routing::EVENTS, routing::DEAD_LETTER] {
            let name = routing::exchange(&options.prefix, exchange);
            declare_exchange(&connection, &name).await?;
        }
        declare_queue(&connection, options).await?;
        bind(&connection, options).await?;
        let graveyard = graveyard(&connection, options).await?;
        let channel = channel(&connection).await?;
        let qos = channel.basic_qos(options.prefetch, BasicQosOptions::default());
        answer("limiting deliveries", Stage::Declare, qos).await?;
        let consuming = channel.basic_consume(
            options.queue.as_str().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let deliveries = answer("consuming", Stage::Declare, consuming).await?;
        Ok(Self {
            connection,
            channel,
            deliveries,
            graveyard,
        })
    }

    /// Tells RabbitMQ to send no more. What it has sent already stays with it.
    pub(super) async fn stop(&self) {
        let tag = self.deliveries.tag();
        let cancelling = self
            .channel
            .basic_cancel(tag, BasicCancelOptions::default());
        if let Err(down) = answer("ending the consumer", Stage::Run, cancelling).await {
            tracing::debug!(?down, "the consumer was not ended; the connection will be");
        }
    }

    pub(super) async fn close(self) {
        self.connection.close().await;
    }
}

/// Declares the queue. One that is there already stays as it is, with whatever properties the
/// operator has given it.
async fn declare_queue(connection: &Connection, options: &Options) -> Result<(), Down> {
    let declare = async |passive| {
        let channel = channel(connection).await?;
        let declaring = channel.queue_declare(
            options.queue.as_str().into(),
            QueueDeclareOptions {
                durable: true,
                auto_delete: options.temporary,
                passive,
                ..Default::default()
            },
            FieldTable::default(),
        );
        answer("declaring a queue", Stage::Declare, declaring).await?;
        close(channel).await
    };
    match declare(false).await {
        Err(first @ (Down::Forbidden(_) | Down::Topology(_))) => {
            declare(true).await.map_err(|_| first)
        }
        result => result,
    }
}

/// Binds the queue; a user that may not do that uses the bindings which the operator has made.
async fn bind(connection: &Connection, options: &Options) -> Result<(), Down> {
    let exchange = routing::exchange(&options.prefix, routing::EVENTS);
    for key in &options.bindings {
        let channel = channel(connection).await?;
        let binding = channel.queue_bind(
            options.queue.as_str().into(),
            exchange.as_str().into(),
            key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        match answer("binding a queue", Stage::Declare, binding).await {
            Err(Down::Forbidden(reason)) => {
                let queue = &options.queue;
                tracing::warn!(
                    queue,
                    key,
                    reason,
                    "no right to bind the queue: used as it is"
                );
            }
            result => {
                result?;
                close(channel).await?;
            }
        }
    }
    Ok(())
}

async fn graveyard(connection: &Connection, options: &Options) -> Result<Graveyard, Down> {
    let channel = channel(connection).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    answer("switching confirms on", Stage::Declare, confirms).await?;
    let exchange = routing::exchange(&options.prefix, routing::DEAD_LETTER);
    Ok(Graveyard {
        channel,
        exchange: exchange.as_str().into(),
    })
}
