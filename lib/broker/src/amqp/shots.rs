//! The task that publishes what is worth something at once or never.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use rabbitmq::{Connection, Down, Returns, Stage, answer};
use tokio::{
    select,
    sync::mpsc,
    time::{self, Instant},
};
use wire::routing;

use super::{
    Links,
    topology::{self, TRANSIENT},
};
use crate::{
    Exchange,
    live::{Order, Shot},
    message::short,
};

/// What RabbitMQ's list of connections shows.
const NAME: &str = "discord-gateway live";
/// The wait between two attempts.
const WAIT: Duration = Duration::from_millis(500);
/// How often we look whether the client has lost its connection without telling us.
const LOOK: Duration = Duration::from_millis(500);
/// How long we wait for the last confirms.
const LAST: Duration = Duration::from_secs(2);

/// What outlives the single connection.
pub(crate) struct Shots {
    pub(crate) links: Links,
    pub(crate) exchange: Exchange,
    /// How long a message lives in a queue.
    pub(crate) lifetime: Duration,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// How many were sent.
    pub(crate) sent: u64,
}

/// A connection of its own: a flood of sound holds up nobody else's messages.
struct Open {
    connection: Connection,
    channel: Channel,
    returns: Returns,
    /// Messages that RabbitMQ has not confirmed.
    publishing: FuturesUnordered<BoxFuture<'static, Result<(), Down>>>,
}

impl Shots {
    /// Publishes until nobody can send anything any more. What comes while there is no connection is lost.
    pub(crate) async fn run(mut self) {
        loop {
            let Some(ready) = self.ready().await else {
                return;
            };
            let down = match ready {
                // Without a message there is no need for a connection.
                Ok(()) => match self.orders.recv().await {
                    None => return,
                    Some(first) => match self.publish(first).await {
                        Ok(()) => return,
                        Err(down) => down,
                    },
                },
                Err(down) => down,
            };
            tracing::debug!(?down, "sound cannot be published for now");
            if self.losing(time::sleep(WAIT)).await.is_none() {
                return;
            }
        }
    }

    /// Waits until RabbitMQ is there, and the exchange in it; `None` when nobody can send anything any more.
    async fn ready(&mut self) -> Option<Result<(), Down>> {
        let (mut links, exchange) = (self.links.clone(), self.exchange);
        let declaring = async move {
            let channels = links.channels().await;
            topology::declare(&channels, &links.names, &[exchange]).await
        };
        self.losing(declaring).await
    }

    /// Waits for something, and loses what comes meanwhile.
    async fn losing<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        loop {
            select! {
                biased;
                done = &mut what => return Some(done),
                order = self.orders.recv() => drop(order?),
            }
        }
    }

    /// Publishes over one connection until it breaks; `Ok` at the end.
    async fn publish(&mut self, first: Order) -> Result<(), Down> {
        let mut links = self.links.clone();
        let mut open = Open::new(links.channels().await.place()).await?;
        open.publishing.push(self.publishing(&open, first));
        let mut look = time::interval(LOOK);
        loop {
            select! {
                biased;
                Some(published) = open.publishing.next() => published?,
                _ = look.tick() => if !open.connection.is_alive() {
                    return Err(Down::Lost("the connection was closed".to_owned()));
                },
                order = self.orders.recv() => match order {
                    Some(order) => open.publishing.push(self.publishing(&open, order)),
                    None => break,
                },
            }
        }
        let until = Instant::now() + LAST;
        while let Ok(Some(Ok(()))) = time::timeout_at(until, open.publishing.next()).await {}
        open.connection.close().await;
        Ok(())
    }

    /// Publishes a message, and tells when a queue has it. Only a broken connection is a failure.
    fn publishing(&mut self, open: &Open, order: Order) -> BoxFuture<'static, Result<(), Down>> {
        self.sent += 1;
        let id = self.sent.to_string();
        let exchange: ShortString = self.links.names.of(self.exchange).clone();
        let (channel, returns) = (open.channel.clone(), open.returns.clone());
        let lifetime = self.lifetime.as_millis().to_string();
        let Order { shot, done, room } = order;
        let Shot {
            routing_key,
            type_name,
            app_id,
            timestamp,
            body,
        } = shot;
        Box::pin(async move {
            let properties = BasicProperties::default()
                .with_content_type(routing::CONTENT_TYPE.into())
                .with_type(short(type_name).into())
                .with_app_id(short(&app_id).into())
                .with_timestamp(timestamp)
                .with_delivery_mode(TRANSIENT)
                .with_correlation_id(id.as_str().into())
                .with_expiration(lifetime.into());
            let options = BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            };
            let key = short(&routing_key);
            let publishing =
                channel.basic_publish(exchange, key.into(), options, &body, properties);
            let confirmed = async { publishing.await?.await }.await;
            // Until then it took its room.
            drop(room);
            let confirmed = confirmed.map_err(|error| Down::from_error(&error, Stage::Run))?;
            if let Confirmation::Ack(returned) = confirmed
                && returns.is_routed(key, &id, returned.as_ref()).await
            {
                // Whoever sent it may have given up.
                done.send(()).ok();
            }
            Ok(())
        })
    }
}

impl Open {
    async fn new(place: &rabbitmq::Place) -> Result<Self, Down> {
        let connection = Connection::open(place, NAME).await?;
        let channel = connection.channels().open().await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        answer("switching confirms on", Stage::Declare, confirms).await?;
        Ok(Self {
            connection,
            channel,
            returns: Returns::default(),
            publishing: FuturesUnordered::new(),
        })
    }
}
