//! The task that keeps a connection for requests, and knows which answer belongs to whom.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::Delivery,
    options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use prost::{Message, Name};
use rabbitmq::{Connection, Down, Place, Returns, SHORT_STRING, Stage, answer};
use tokio::{
    select,
    sync::mpsc,
    time::{self, Instant},
};
use wire::{gateway::v1::Error as Failure, routing};

use super::Ask;
use crate::{
    CallError, Error,
    amqp::{Trouble, channel, declare_exchange},
};

/// RabbitMQ's name for "this very channel" as the place of answers.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";
/// What RabbitMQ's list of connections shows.
const NAME: &str = "requests";
/// How often we forget callers that wait no longer.
const TIDY: Duration = Duration::from_secs(5);

/// One answer, as it came.
#[derive(Debug)]
pub(super) struct Reply {
    type_name: String,
    body: Vec<u8>,
    /// Whether it is the last one.
    pub(super) end: bool,
}

impl Reply {
    /// Reads the answer that was expected, or why there is none.
    pub(super) fn read<A: Message + Name + Default>(&self) -> Result<A, CallError> {
        let unreadable = |error: prost::DecodeError| CallError::Answer(error.to_string());
        if self.type_name == routing::TYPE_ERROR {
            let failure = Failure::decode(self.body.as_slice()).map_err(unreadable)?;
            return Err(CallError::Failed(Box::new(failure)));
        }
        if self.type_name != A::full_name() {
            let mistake = format!("a {} came, not a {}", self.type_name, A::full_name());
            return Err(CallError::Answer(mistake));
        }
        A::decode(self.body.as_slice()).map_err(unreadable)
    }
}

/// What outlives the single connection.
pub(super) struct Link {
    place: Place,
    exchange: ShortString,
    trouble: Trouble,
    /// The number of the last request.
    last: u64,
}

impl Link {
    pub(super) fn new(place: Place, prefix: &str) -> Result<Self, Error> {
        let exchange = routing::exchange(prefix, routing::REQUESTS);
        if exchange.len() > SHORT_STRING {
            return Err(Error::Option("the prefix is too long".to_owned()));
        }
        Ok(Self {
            place,
            exchange: exchange.as_str().into(),
            trouble: Trouble::new("requests".to_owned()),
            last: 0,
        })
    }

    /// Sends what is asked until nobody can ask any more.
    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        loop {
            let down = match Session::open(&self.place, &self.exchange).await {
                Ok(mut session) => {
                    self.trouble.up(&self.place);
                    let Err(down) = session.serve(&mut asks, &mut self).await else {
                        return session.connection.close().await;
                    };
                    session.abandon();
                    down
                }
                Err(down) => down,
            };
            let wait = self.trouble.down(&down, &self.place);
            time::sleep(wait).await;
            if asks.is_closed() && asks.is_empty() {
                return;
            }
        }
    }
}

/// Whether a queue has a request.
#[derive(Clone, Copy, Debug)]
enum Taken {
    No,
    /// RabbitMQ was not asked for a confirm.
    Unknown,
    Yes,
}

/// One connection.
struct Session {
    connection: Connection,
    channel: Channel,
    replies: lapin::Consumer,
    /// Requests that RabbitMQ has not confirmed.
    publishing: FuturesUnordered<BoxFuture<'static, (u64, lapin::Result<Taken>)>>,
    returns: Returns,
    /// Requests that wait for an answer, by their number.
    waiting: HashMap<u64, Ask>,
}

impl Session {
    async fn open(place: &Place, exchange: &ShortString) -> Result<Self, Down> {
        let connection = Connection::open(place, NAME).await?;
        declare_exchange(&connection, exchange.as_str()).await?;
        let channel = channel(&connection).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        answer("switching confirms on", Stage::Declare, confirms).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..Default::default()
        };
        let tag = ShortString::default();
        let consuming =
            channel.basic_consume(DIRECT_REPLY.into(), tag, options, FieldTable::default());
        let replies = answer("consuming", Stage::Declare, consuming).await?;
        Ok(Self {
            connection,
            channel,
            replies,
            publishing: FuturesUnordered::new(),
            returns: Returns::default(),
            waiting: HashMap::new(),
        })
    }

    /// Sends and receives until the connection breaks, or nobody can ask any more.
    async fn serve(&mut self, asks: &mut mpsc::Receiver<Ask>, link: &mut Link) -> Result<(), Down> {
        let mut tidy = time::interval(TIDY);
        loop {
            select! {
                biased;
                reply = self.replies.next() => match reply {
                    Some(Ok(reply)) => self.pass_on(reply),
                    Some(Err(error)) => return Err(Down::from_error(&error, Stage::Run)),
                    None => return Err(Down::Lost("RabbitMQ has ended the consumer".to_owned())),
                },
                Some((number, result)) = self.publishing.next() => self.sent(number, &result),
                ask = asks.recv() => match ask {
                    Some(ask) => self.send(ask, link),
                    None => return Ok(()),
                },
                _ = tidy.tick() => self.waiting.retain(|_, ask| !ask.answers.is_closed()),
            }
        }
    }

    /// Publishes a request.
    fn send(&mut self, mut ask: Ask, link: &mut Link) {
        let left = ask.deadline.saturating_duration_since(Instant::now());
        if ask.answers.is_closed() || left.is_zero() {
            return;
        }
        link.last += 1;
        let number = link.last;
        let properties = BasicProperties::default()
            .with_content_type(routing::CONTENT_TYPE.into())
            .with_type(ask.method.as_str().into())
            .with_reply_to(DIRECT_REPLY.into())
            .with_correlation_id(number.to_string().into())
            .with_expiration(left.as_millis().to_string().into())
            .with_priority(ask.priority);
        let options = BasicPublishOptions {
            // Otherwise we would wait in vain for a service that has never been there.
            mandatory: true,
            ..Default::default()
        };
        let (channel, exchange) = (self.channel.clone(), link.exchange.clone());
        let returns = self.returns.clone();
        let key = ShortString::from(ask.routing_key.as_str());
        let body = std::mem::take(&mut ask.body);
        self.waiting.insert(number, ask);
        self.publishing.push(Box::pin(async move {
            let publishing = channel.basic_publish(exchange, key, options, &body, properties);
            let confirmed = async {
                Ok(match publishing.await?.await? {
                    Confirmation::Ack(returned) => {
                        let id = number.to_string();
                        match returns.is_routed(&id, returned.as_ref()).await {
                            true => Taken::Yes,
                            false => Taken::No,
                        }
                    }
                    Confirmation::Nack(_) => Taken::No,
                    Confirmation::NotRequested => Taken::Unknown,
                })
            };
            (number, confirmed.await)
        }));
    }

    /// What became of a request that was published. If all is well, the answer follows.
    fn sent(&mut self, number: u64, result: &lapin::Result<Taken>) {
        let error = match result {
            Ok(Taken::Yes) => return,
            Ok(Taken::No) => None,
            // The connection is about to break.
            Ok(Taken::Unknown) | Err(_) => Some(CallError::Lost),
        };
        if let Some(ask) = self.waiting.remove(&number) {
            let error = error.unwrap_or_else(|| CallError::NoService(ask.routing_key.clone()));
            tell(&ask, Err(error));
        }
    }

    /// Gives an answer to whom it belongs to.
    fn pass_on(&mut self, delivery: Delivery) {
        let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
        let number = text(delivery.properties.correlation_id()).and_then(|id| id.parse().ok());
        let Some((number, ask)) = number.and_then(|number| self.waiting.get_key_value(&number))
        else {
            tracing::debug!("an answer came that nobody waits for");
            return;
        };
        let number = *number;
        let type_name = text(delivery.properties.kind()).unwrap_or_default();
        let headers = delivery.properties.headers().as_ref();
        let marked = headers.and_then(|headers| headers.inner().get("end"));
        let failed = type_name == routing::TYPE_ERROR;
        let end = !ask.streamed || failed || marked == Some(&AMQPValue::Boolean(true));
        let reply = Reply {
            type_name,
            body: delivery.data,
            end,
        };
        if !tell(ask, Ok(reply)) || end {
            self.waiting.remove(&number);
        }
    }

    /// Tells all who wait that no answer will come.
    fn abandon(&mut self) {
        for (_, ask) in self.waiting.drain() {
            tell(&ask, Err(CallError::Lost));
        }
    }
}

/// Whether the caller has room for what is told. One that has none reads too slowly: for it the
/// answers end here.
fn tell(ask: &Ask, answer: Result<Reply, CallError>) -> bool {
    ask.answers.try_send(answer).is_ok()
}
