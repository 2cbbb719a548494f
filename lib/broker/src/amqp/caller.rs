//! The task that sends a service's own requests and hands out their replies.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use boot::CancellationToken;
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::Delivery,
    options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use prost::Message as _;
use rabbitmq::{Channels, Down, Returns, Stage, answer};
use tokio::{
    select,
    sync::mpsc,
    time::{self, Instant},
};
use wire::{gateway::v1::Error as Failure, routing};

use super::{Links, consumer::PRIORITY};
use crate::{
    CallError, Exchange,
    client::Ask,
    message::short,
    requests::{FAILURE, Reply},
};

/// RabbitMQ's own way back to a connection, without a queue.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// How many requests may wait for replies at once.
const AT_ONCE: usize = 1_024;

/// The wait between two attempts to open a channel on a connection that is there.
const WAIT: Duration = Duration::from_millis(500);

/// What outlives the single channel.
pub(crate) struct Caller {
    links: Links,
    asks: mpsc::Receiver<Ask>,
    app_id: Arc<str>,
    /// Who waits, by correlation id.
    waiting: HashMap<String, mpsc::Sender<Result<Reply, CallError>>>,
    /// How many requests there were.
    asked: u64,
}

/// A channel to ask over.
struct Open {
    channel: Channel,
    replies: lapin::Consumer,
    returns: Returns,
    /// Requests that RabbitMQ has not confirmed: whose, by correlation id, and what came of it.
    publishing: FuturesUnordered<BoxFuture<'static, (String, Result<(), CallError>)>>,
}

impl Caller {
    pub(crate) fn new(links: Links, asks: mpsc::Receiver<Ask>, name: &str) -> Self {
        Self {
            links,
            asks,
            app_id: name.into(),
            waiting: HashMap::new(),
            asked: 0,
        }
    }

    /// Asks until the shutdown, or until nobody can ask any more.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.run_inner()).await;
    }

    async fn run_inner(&mut self) {
        loop {
            let Some(opened) = self.open().await else {
                return;
            };
            match opened {
                Ok(open) => {
                    if self.serve(open).await.is_none() {
                        return;
                    }
                }
                Err(down) => tracing::debug!(?down, "requests to others cannot be sent for now"),
            }
            for (_, replies) in self.waiting.drain() {
                tell(&replies, Err(CallError::Away));
            }
            time::sleep(WAIT).await;
        }
    }

    /// Opens a channel as soon as there is a connection. Who asks in the meantime is told so at once.
    async fn open(&mut self) -> Option<Result<Open, Down>> {
        let mut links = self.links.clone();
        let mut opening = pin!(async { open(&links.channels().await).await });
        loop {
            select! {
                opened = &mut opening => return Some(opened),
                ask = self.asks.recv() => tell(&ask?.replies, Err(CallError::Away)),
            };
        }
    }

    /// Asks over one channel until it ends; `None` when nobody can ask any more.
    async fn serve(&mut self, mut open: Open) -> Option<()> {
        loop {
            select! {
                biased;
                reply = open.replies.next() => match reply {
                    Some(Ok(delivery)) => self.hand_out(delivery),
                    Some(Err(_)) | None => return Some(()),
                },
                Some((id, result)) = open.publishing.next() => {
                    if let Err(error) = result
                        && let Some(replies) = self.waiting.remove(&id)
                    {
                        tell(&replies, Err(error));
                    }
                }
                ask = self.asks.recv() => self.ask(ask?, &open),
            }
        }
    }

    /// Sends a request, if it is not too late for it.
    fn ask(&mut self, ask: Ask, open: &Open) {
        if self.waiting.len() >= AT_ONCE {
            self.waiting.retain(|_, replies| !replies.is_closed());
        }
        if self.waiting.len() >= AT_ONCE {
            tell(&ask.replies, Err(CallError::Busy));
            return;
        }
        let left = ask.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || ask.replies.is_closed() {
            return;
        }
        self.asked += 1;
        let id = self.asked.to_string();
        let properties = BasicProperties::default()
            .with_content_type(routing::CONTENT_TYPE.into())
            .with_type(short(&ask.method).into())
            .with_app_id(short(&self.app_id).into())
            .with_reply_to(DIRECT_REPLY.into())
            .with_correlation_id(id.as_str().into())
            .with_expiration(left.as_millis().to_string().into())
            .with_priority(ask.priority.min(PRIORITY));
        self.waiting.insert(id.clone(), ask.replies);
        let (channel, returns) = (open.channel.clone(), open.returns.clone());
        let exchange = self.links.names.of(Exchange::Requests).clone();
        open.publishing.push(Box::pin(async move {
            let options = BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            };
            let key = short(&ask.routing_key).into();
            let publishing = channel.basic_publish(exchange, key, options, &ask.body, properties);
            let confirmed = async { publishing.await?.await };
            let result = match answer("taking a request", Stage::Run, confirmed).await {
                Ok(Confirmation::Ack(returned)) => {
                    match returns.is_routed(&id, returned.as_ref()).await {
                        true => Ok(()),
                        false => Err(CallError::Nobody(ask.routing_key)),
                    }
                }
                Ok(Confirmation::Nack(_) | Confirmation::NotRequested) | Err(_) => {
                    Err(CallError::Away)
                }
            };
            (id, result)
        }));
    }

    /// Gives a reply to the one who waits for it, unless he has given up.
    fn hand_out(&mut self, delivery: Delivery) {
        let Some(id) = delivery.properties.correlation_id() else {
            return;
        };
        let Some(replies) = self.waiting.get(id.as_str()) else {
            return;
        };
        let id = id.to_string();
        let reply = reply(delivery);
        let is_last = reply.as_ref().map_or(true, |reply| reply.end);
        if !tell(replies, reply) || is_last || replies.is_closed() {
            self.waiting.remove(&id);
        }
    }
}

/// Whether there was room. Without it the channel ends here, which the one who waits sees.
fn tell(replies: &mpsc::Sender<Result<Reply, CallError>>, reply: Result<Reply, CallError>) -> bool {
    replies.try_send(reply).is_ok()
}

fn reply(delivery: Delivery) -> Result<Reply, CallError> {
    let properties = &delivery.properties;
    let kind = properties.kind().as_ref();
    let type_name = kind.map(ToString::to_string).unwrap_or_default();
    let headers = properties.headers().as_ref();
    let end = headers.is_some_and(|headers| headers.inner().contains_key("end"));
    let body = Bytes::from(delivery.data);
    if type_name == FAILURE {
        let failure = Failure::decode(body).map_err(|_| CallError::Odd)?;
        return Err(CallError::Failed(Box::new(failure)));
    }
    Ok(Reply {
        type_name,
        body,
        end,
    })
}

async fn open(channels: &Channels) -> Result<Open, Down> {
    let channel = channels.open().await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    answer("switching confirms on", Stage::Declare, confirms).await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..Default::default()
    };
    let arguments = FieldTable::default();
    let consuming = channel.basic_consume(DIRECT_REPLY.into(), "".into(), options, arguments);
    let replies = answer("consuming replies", Stage::Declare, consuming).await?;
    Ok(Open {
        channel,
        replies,
        returns: Returns::default(),
        publishing: FuturesUnordered::new(),
    })
}
