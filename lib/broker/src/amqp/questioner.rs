//! The task that publishes what wants an answer, and takes the answers.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use boot::{CancellationToken, Check};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    Acker, BasicProperties, Channel, Confirmation,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions,
        BasicQosOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
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
    questions::{ANSWERS, AskError, Order, Receipt},
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

/// How many messages of a shared queue may be in hand: as many as AMQP can say.
const IN_HAND: u16 = u16::MAX;

/// How long the end of a channel may take.
const CLOSE: Duration = Duration::from_secs(1);

/// Whose answers are taken.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// Those to questions of this process; the queue is its own.
    Own,
    /// Those to all questions. The queue is shared by all replicas, of which one at a time takes from it, and has the
    /// questions too. The flag is set when no more are taken.
    Shared(Arc<AtomicBool>),
}

/// What outlives the single channel.
pub(crate) struct Questioner {
    pub(crate) links: Links,
    pub(crate) check: Check,
    pub(crate) queue: String,
    pub(crate) whose: Whose,
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
        let mut last = None;
        end.run_until_cancelled(self.run_inner(&mut last)).await;
        // What was not dealt with is another one's from now on, and not only when this process has ended.
        if let (Whose::Shared(_), Some(channel)) = (&self.whose, last) {
            let closing = channel.close(200, "done".into());
            if time::timeout(CLOSE, closing).await.is_err() {
                tracing::debug!("RabbitMQ did not close a channel in time");
            }
        }
    }

    async fn run_inner(&mut self, last: &mut Option<Channel>) {
        loop {
            let channels = self.links.channels().await;
            match open(&channels, &self.links, &self.queue, &self.whose).await {
                Ok(open) => {
                    *last = Some(open.channel.clone());
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
        let is_shared = matches!(self.whose, Whose::Shared(_));
        let mut is_over = false;
        loop {
            let has_room = self.answers.capacity() > 0;
            let may_send = open.pending.len() < AT_ONCE;
            select! {
                biased;
                Some(()) = open.pending.next() => {}
                () = self.answers.closed(), if is_shared && !is_over => {
                    is_over = true;
                    open.stop();
                }
                () = time::sleep_until(open.tell_by), if open.untold > 0 => open.tell(),
                _ = self.answers.reserve(), if !has_room && !is_over => {}
                taken = open.answers.next(), if has_room && !is_over => match taken {
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

    /// Passes an answer on. RabbitMQ may forget it then, if the questions are our own: when this process dies, nobody knows
    /// them either.
    fn hand_out(&self, delivery: Delivery, open: &mut Open) {
        if let Whose::Shared(is_closed) = &self.whose {
            let acker = delivery.acker.clone();
            let mut answer = read(delivery);
            answer.receipt = Some(Receipt::new(acker, Arc::clone(is_closed)));
            self.answers.try_send(answer).ok();
            return;
        }
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

impl Open {
    /// Lets another one take the answers.
    fn stop(&mut self) {
        let (channel, tag) = (self.channel.clone(), self.answers.tag());
        self.pending.push(Box::pin(async move {
            let cancelling = channel.basic_cancel(tag, BasicCancelOptions::default());
            if let Err(down) = answer("ending a consumer", Stage::Run, cancelling).await {
                tracing::debug!(?down, "a consumer did not end");
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
        routing_key: delivery.routing_key.to_string(),
        deadline: deadline(properties),
        receipt: None,
        body: Bytes::from(delivery.data),
    }
}

/// The header `deadline` of a message of ours.
fn deadline(properties: &BasicProperties) -> Option<i64> {
    let headers = properties.headers().as_ref()?;
    match headers.inner().get("deadline")? {
        AMQPValue::LongLongInt(deadline) => Some(*deadline),
        _ => None,
    }
}

async fn open(
    channels: &Channels,
    links: &Links,
    queue: &str,
    whose: &Whose,
) -> Result<Open, Down> {
    let channel = channels.open().await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    answer("switching confirms on", Stage::Declare, confirms).await?;
    let limit = match whose {
        Whose::Own => u16::try_from(ANSWERS).unwrap_or(u16::MAX),
        Whose::Shared(_) => IN_HAND,
    };
    let qos = channel.basic_qos(limit, BasicQosOptions::default());
    answer("limiting deliveries", Stage::Declare, qos).await?;
    let name = ShortString::from(short(queue));
    // It stays when the connection is lost, so that no answer is lost with it.
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let declaring = channel.queue_declare(name.clone(), options, arguments(whose));
    answer("declaring a queue", Stage::Declare, declaring).await?;
    for exchange in whose.exchanges() {
        let binding = channel.queue_bind(
            name.clone(),
            links.names.of(*exchange).clone(),
            name.clone(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        answer("binding a queue", Stage::Declare, binding).await?;
    }
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

impl Whose {
    /// The exchanges that have the queue's name for a routing key.
    fn exchanges(&self) -> &'static [Exchange] {
        match self {
            Self::Own => &[Exchange::Replies],
            Self::Shared(_) => &[Exchange::Replies, Exchange::Events],
        }
    }
}

/// What the queue is declared with.
fn arguments(whose: &Whose) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(EXPIRES));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(LONGEST));
    // A copy that does not fit must not keep the event from its other queues.
    let overflow = match whose {
        Whose::Own => "reject-publish",
        Whose::Shared(_) => "drop-head",
    };
    let overflow = AMQPValue::LongString(LongString::from(overflow));
    arguments.insert("x-overflow".into(), overflow);
    if let Whose::Shared(_) = whose {
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(EXPIRES));
        let one = AMQPValue::Boolean(true);
        arguments.insert("x-single-active-consumer".into(), one);
    }
    arguments
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
