//! The task that publishes what wants an answer, and takes the answers.

use std::time::Duration;

use boot::{CancellationToken, Check};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    Acker, BasicProperties, Channel, Confirmation,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use rabbitmq::{Channels, Down, PERSISTENT, Returns, Stage, answer, settled};
use tokio::{
    select,
    sync::mpsc,
    time::{self, Instant},
};
use wire::routing;

use super::{Links, topology::TRANSIENT};
use crate::{
    Answer, Exchange, Message, Value,
    message::short,
    questions::{ANSWERS, AskError, Order},
};

/// How many messages may wait for their confirms.
const AT_ONCE: usize = 4096;

/// How many answers RabbitMQ is told at once that we have, and how late at the most: telling it of each costs as much as the
/// answer itself.
const TOLD: usize = ANSWERS / 4;
const TELL: Duration = Duration::from_millis(50);

/// The wait between two attempts to open a channel on a connection that is there.
const WAIT: Duration = Duration::from_millis(500);

/// How long the queue outlives its last consumer, in milliseconds: as long as an answer may still mean something.
const EXPIRES: i32 = 16 * 60 * 1000;

/// How many answers the queue keeps; who sends one more is told that it was refused.
const LONGEST: i32 = 100_000;

/// What outlives the single channel.
pub(crate) struct Questioner {
    pub(crate) links: Links,
    pub(crate) check: Check,
    pub(crate) queue: String,
    pub(crate) persistent: bool,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) answers: mpsc::Sender<Answer>,
}

/// A channel to ask over.
struct Open {
    channel: Channel,
    answers: lapin::Consumer,
    returns: Returns,
    /// Messages that RabbitMQ has not confirmed, and what it is being told.
    pending: FuturesUnordered<BoxFuture<'static, ()>>,
    /// The newest answer that RabbitMQ has not heard we have; those before it go with it.
    newest: Option<Acker>,
    /// How many there are, and by when it is to hear of them.
    untold: usize,
    tell_by: Instant,
}

impl Questioner {
    /// Asks until this token is cancelled.
    pub(crate) async fn run(mut self, end: CancellationToken) {
        end.run_until_cancelled(self.run_inner()).await;
    }

    async fn run_inner(&mut self) {
        loop {
            let channels = self.links.channels().await;
            match open(&channels, &self.links, &self.queue).await {
                Ok(open) => {
                    self.check.up();
                    self.serve(open).await;
                    self.check.down("there is no connection to RabbitMQ");
                }
                Err(down) => {
                    let text = match &down {
                        Down::Forbidden(text) | Down::Topology(text) => text,
                        _ => "there is no connection to RabbitMQ",
                    };
                    let queue = &self.queue;
                    let reason = format!("no answers are taken from the queue {queue}: {text}");
                    self.check.down(reason);
                }
            }
            time::sleep(WAIT).await;
        }
    }

    /// Asks over one channel until it ends. Who still waits then hears it, as what they wait for is dropped.
    async fn serve(&mut self, mut open: Open) {
        loop {
            let has_room = self.answers.capacity() > 0;
            let may_send = open.pending.len() < AT_ONCE;
            select! {
                biased;
                Some(()) = open.pending.next() => {}
                () = time::sleep_until(open.tell_by), if open.untold > 0 => open.tell(),
                _ = self.answers.reserve(), if !has_room => {}
                taken = open.answers.next(), if has_room => match taken {
                    Some(Ok(delivery)) => self.hand_out(delivery, &mut open),
                    Some(Err(_)) | None => return,
                },
                order = self.orders.recv(), if may_send => match order {
                    Some(order) => self.send(order, &open),
                    None => return,
                },
            }
        }
    }

    fn send(&self, order: Order, open: &Open) {
        let Order {
            exchange,
            routing_key,
            body,
            properties,
            done,
        } = order;
        if done.is_closed() {
            return;
        }
        let mode = if self.persistent {
            PERSISTENT
        } else {
            TRANSIENT
        };
        let properties = match exchange {
            Some(_) => properties.with_delivery_mode(mode),
            None => properties,
        };
        let exchange = exchange.map(|exchange| self.links.names.of(exchange).clone());
        let (channel, returns) = (open.channel.clone(), open.returns.clone());
        open.pending.push(Box::pin(async move {
            let id = properties.correlation_id().clone().unwrap_or_default();
            let options = BasicPublishOptions {
                // What goes to a worker's own queue of replies would come back even where it arrives.
                mandatory: exchange.is_some(),
                ..Default::default()
            };
            let (exchange, key) = (exchange.unwrap_or_default(), short(&routing_key).into());
            let publishing = channel.basic_publish(exchange, key, options, &body, properties);
            let confirmed = async { publishing.await?.await };
            let result = match answer("taking a message", Stage::Run, confirmed).await {
                Ok(Confirmation::Ack(returned)) => {
                    let key = short(&routing_key);
                    match returns.is_routed(key, id.as_str(), returned.as_ref()).await {
                        true => Ok(()),
                        false => Err(AskError::Nobody),
                    }
                }
                Ok(Confirmation::Nack(_) | Confirmation::NotRequested) | Err(_) => {
                    Err(AskError::Lost)
                }
            };
            // Whoever does not wait any more does not care.
            done.send(result).ok();
        }));
    }

    /// Passes an answer on. RabbitMQ may forget it then: when this process dies, nobody knows the question either.
    fn hand_out(&self, delivery: Delivery, open: &mut Open) {
        open.newest = Some(delivery.acker.clone());
        // There is room; and when nobody takes answers any more, this one is as good as taken.
        self.answers.try_send(read(delivery)).ok();
        if open.untold == 0 {
            open.tell_by = Instant::now() + TELL;
        }
        open.untold += 1;
        if open.untold >= TOLD {
            open.tell();
        }
    }
}

impl Open {
    /// Tells RabbitMQ that we have all answers up to the newest.
    fn tell(&mut self) {
        self.untold = 0;
        let Some(newest) = self.newest.take() else {
            return;
        };
        self.pending.push(Box::pin(async move {
            if let Err(down) = settled(newest.ack(BasicAckOptions { multiple: true })).await {
                tracing::debug!(?down, "answers may come again");
            }
        }));
    }
}

fn read(delivery: Delivery) -> Answer {
    let properties = &delivery.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    Answer {
        correlation_id: text(properties.correlation_id()).unwrap_or_default(),
        type_name: text(properties.kind()).unwrap_or_default(),
        message_id: text(properties.message_id()),
        reply_to: text(properties.reply_to()).filter(|name| !name.is_empty()),
        redelivered: delivery.redelivered,
        body: Bytes::from(delivery.data),
    }
}

async fn open(channels: &Channels, links: &Links, queue: &str) -> Result<Open, Down> {
    let channel = channels.open().await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    answer("switching confirms on", Stage::Declare, confirms).await?;
    let limit = u16::try_from(ANSWERS).unwrap_or(u16::MAX);
    let qos = channel.basic_qos(limit, BasicQosOptions::default());
    answer("limiting deliveries", Stage::Declare, qos).await?;
    let name = ShortString::from(short(queue));
    // It stays when the connection is lost, so that no answer is lost with it.
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(EXPIRES));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(LONGEST));
    let refuse = AMQPValue::LongString(LongString::from("reject-publish"));
    arguments.insert("x-overflow".into(), refuse);
    let declaring = channel.queue_declare(name.clone(), options, arguments);
    answer("declaring a queue", Stage::Declare, declaring).await?;
    let binding = channel.queue_bind(
        name.clone(),
        links.names.of(Exchange::Replies).clone(),
        name.clone(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    answer("binding a queue", Stage::Declare, binding).await?;
    let options = BasicConsumeOptions::default();
    let arguments = FieldTable::default();
    let consuming = channel.basic_consume(name, "".into(), options, arguments);
    let answers = answer("consuming answers", Stage::Declare, consuming).await?;
    Ok(Open {
        channel,
        answers,
        returns: Returns::default(),
        pending: FuturesUnordered::new(),
        newest: None,
        untold: 0,
        tell_by: Instant::now(),
    })
}

/// The properties of an event that wants an answer: those that it has from a lane, and where the answer goes.
pub(crate) fn properties(
    message: &Message,
    reply_to: &str,
    correlation_id: &str,
) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        let value = match value {
            Value::Flag(flag) => AMQPValue::Boolean(*flag),
            Value::Number(number) => AMQPValue::LongLongInt(*number),
            Value::Text(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        };
        headers.insert((*name).into(), value);
    }
    plain(message.type_name, correlation_id)
        .with_headers(headers)
        .with_message_id(short(&message.message_id).into())
        .with_timestamp(message.timestamp)
        .with_app_id(short(&message.app_id).into())
        .with_reply_to(short(reply_to).into())
}

/// The properties of a message of this type that belongs to another.
pub(crate) fn plain(type_name: &str, correlation_id: &str) -> BasicProperties {
    BasicProperties::default()
        .with_content_type(routing::CONTENT_TYPE.into())
        .with_type(short(type_name).into())
        .with_correlation_id(short(correlation_id).into())
}
