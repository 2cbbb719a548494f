//! One connection to ask over: questions go out, and answers come in. Both are many in one write and one read.

use std::collections::VecDeque;

use amq_protocol::{
    protocol::{AMQPClass, basic, queue},
    types::{FieldTable, ShortString},
};
use rabbitmq::{Down, PERSISTENT, Place};

use super::{
    arriving::{Arrived, Arriving, Delivered, Head},
    asked::{Asked, Name, Waiting},
    confirms::Answer,
    frames::{Envelope, Said},
    link::{Link, Notice, lost, unexpected},
    topology::{Names, TRANSIENT},
};
use crate::{
    Exchange,
    message::short,
    questions::{Order, What},
};

/// What RabbitMQ's list of connections shows.
const NAME: &str = "discord-gateway questions";
/// The channel that everything goes over.
const CHANNEL: u16 = 1;
/// How many messages may wait for their confirms.
const AT_ONCE: usize = 4096;

/// Where answers come from.
pub(super) struct Inbox<'a> {
    pub(super) queue: &'a str,
    /// What the queue is declared with.
    pub(super) arguments: FieldTable,
    /// The exchanges that have the queue's name for a routing key.
    pub(super) exchanges: &'a [Exchange],
    /// How many answers may be in hand.
    pub(super) at_once: u16,
}

/// A channel that answers come over, and on which confirms are switched on.
pub(super) struct Channel {
    link: Link,
    names: Names,
    delivery_mode: u8,
    reply_to: String,
    consumer: ShortString,
    asked: Asked,
    arriving: Arriving,
    /// Answers that nobody has taken yet: never more than the inbox allows.
    arrived: VecDeque<Delivered>,
}

impl Channel {
    /// Connects, declares the inbox, and begins to take from it.
    pub(super) async fn open(
        place: &Place,
        names: &Names,
        persistent: bool,
        inbox: Inbox<'_>,
    ) -> Result<Self, Down> {
        let link = Link::open(place, NAME, CHANNEL).await?;
        Self::on(link, names, persistent, inbox).await
    }

    /// The same over a link that is logged in.
    pub(super) async fn on(
        mut link: Link,
        names: &Names,
        persistent: bool,
        inbox: Inbox<'_>,
    ) -> Result<Self, Down> {
        let consumer = link.consume(names, &inbox).await?;
        Ok(Self {
            link,
            names: names.clone(),
            delivery_mode: if persistent { PERSISTENT } else { TRANSIENT },
            reply_to: inbox.queue.to_owned(),
            consumer,
            asked: Asked::new(),
            arriving: Arriving::default(),
            arrived: VecDeque::new(),
        })
    }

    /// Whether another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.link.has_room() && self.asked.len() < AT_ONCE
    }

    /// Sends a message, if somebody still waits for it. [`Channel::moved`] writes it.
    pub(super) fn send(&mut self, order: Order) {
        let Order { what, done } = order;
        if done.is_closed() {
            return;
        }
        let envelope = Envelope {
            channel: CHANNEL,
            exchange: "",
            delivery_mode: self.delivery_mode,
            frame_max: self.link.frame_max,
            reply_to: None,
        };
        let (name, trace) = match what {
            What::Question(message) => {
                let envelope = Envelope {
                    exchange: self.names.of(message.exchange).as_str(),
                    reply_to: Some(&self.reply_to),
                    ..envelope
                };
                self.link.outgoing.publish(envelope, &message);
                message.reached("published");
                let name = Name {
                    routing_key: cut(message.routing_key),
                    correlation_id: cut(message.message_id),
                };
                (Some(name), message.trace)
            }
            What::Word(word) => {
                self.link.outgoing.word(envelope, &word);
                (None, None)
            }
        };
        self.asked.sent(Waiting { name, done, trace });
    }

    /// Writes what waits and reads what comes. Returns when something was read, or when there is room that was not there
    /// before. Cancel safe.
    pub(super) async fn moved(&mut self) -> Result<(), Down> {
        self.link.moved().await
    }

    /// Takes in what was read. To be called until there is no further notice.
    pub(super) fn hear(&mut self) -> Result<Option<Notice>, Down> {
        loop {
            let arrived = match self.link.hear().map_err(|error| lost(&error))? {
                None => return Ok(None),
                Some(Said::Heartbeat) => continue,
                Some(Said::Method(CHANNEL, method)) => {
                    self.on_channel(method)?;
                    continue;
                }
                Some(Said::Method(0, method)) => return self.link.on_connection(method).map(Some),
                Some(Said::Content(CHANNEL, content)) => self.arriving.content(*content),
                Some(Said::Piece(CHANNEL, piece)) => self.arriving.piece(piece.0),
                Some(other) => return Err(unexpected(&other)),
            };
            match arrived.map_err(|error| lost(&error))? {
                None => {}
                Some(Arrived::Delivery(delivered)) => self.arrived.push_back(*delivered),
                Some(Arrived::Returned(name)) => self.asked.returned(&name),
            }
        }
    }

    /// Whether an answer is there that nobody has taken.
    pub(super) fn has_arrived(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// The next answer.
    pub(super) fn take(&mut self) -> Option<Delivered> {
        self.arrived.pop_front()
    }

    /// Lets RabbitMQ forget an answer, and maybe all before it.
    pub(super) fn acknowledge(&mut self, delivery_tag: u64, multiple: bool) {
        let ack = basic::AMQPMethod::Ack(basic::Ack {
            delivery_tag,
            multiple,
        });
        let outgoing = &mut self.link.outgoing;
        outgoing.method(CHANNEL, AMQPClass::Basic(ack));
    }

    /// Lets another one take the answers.
    pub(super) fn stop(&mut self) {
        let cancel = basic::AMQPMethod::Cancel(basic::Cancel {
            consumer_tag: self.consumer.clone(),
            nowait: false,
        });
        let outgoing = &mut self.link.outgoing;
        outgoing.method(CHANNEL, AMQPClass::Basic(cancel));
    }

    /// To be called every now and then: heartbeats are sent and missed here.
    pub(super) fn look(&mut self) -> Result<(), Down> {
        self.link.look()
    }

    /// Says goodbye; what waits to be written goes first. What was not acknowledged goes back into the queue.
    pub(super) async fn close(self) {
        self.link.close().await;
    }

    fn on_channel(&mut self, method: AMQPClass) -> Result<(), Down> {
        match method {
            AMQPClass::Basic(method) => self.on_message(method),
            AMQPClass::Channel(method) => self.link.on_channel(CHANNEL, method),
            other => Err(unexpected(&other)),
        }
    }

    fn on_message(&mut self, method: basic::AMQPMethod) -> Result<(), Down> {
        match method {
            basic::AMQPMethod::Deliver(deliver) => {
                let begun = self.arriving.begin(Head::Delivery(deliver));
                begun.map_err(|error| lost(&error))
            }
            basic::AMQPMethod::Return(back) => {
                let routing_key = back.routing_key.to_string();
                let begun = self.arriving.begin(Head::Returned(routing_key));
                begun.map_err(|error| lost(&error))
            }
            basic::AMQPMethod::Ack(ack) => {
                self.answered(ack.delivery_tag, ack.multiple, Answer::Confirmed)
            }
            basic::AMQPMethod::Nack(nack) => {
                self.answered(nack.delivery_tag, nack.multiple, Answer::Refused)
            }
            basic::AMQPMethod::CancelOk(_) => Ok(()),
            basic::AMQPMethod::Cancel(_) => Err(Down::Gone("the queue was deleted".to_owned())),
            other => Err(unexpected(&other)),
        }
    }

    fn answered(&mut self, number: u64, all: bool, answer: Answer) -> Result<(), Down> {
        let answered = self.asked.answered(number, all, answer);
        answered.map_err(|error| lost(&error))
    }
}

impl Link {
    /// Declares the inbox and begins to take from it; how the broker calls that.
    async fn consume(&mut self, names: &Names, inbox: &Inbox<'_>) -> Result<ShortString, Down> {
        let name = ShortString::from(short(inbox.queue));
        let qos = basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count: inbox.at_once,
            global: false,
        });
        self.request(CHANNEL, AMQPClass::Basic(qos)).await?;
        let declare = queue::AMQPMethod::Declare(queue::Declare {
            queue: name.clone(),
            passive: false,
            // It stays when the connection is lost, so that no answer is lost with it.
            durable: true,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: inbox.arguments.clone(),
        });
        self.request(CHANNEL, AMQPClass::Queue(declare)).await?;
        for exchange in inbox.exchanges {
            let bind = queue::AMQPMethod::Bind(queue::Bind {
                queue: name.clone(),
                exchange: names.of(*exchange).clone(),
                routing_key: name.clone(),
                nowait: false,
                arguments: FieldTable::default(),
            });
            self.request(CHANNEL, AMQPClass::Queue(bind)).await?;
        }
        let consume = basic::AMQPMethod::Consume(basic::Consume {
            queue: name,
            consumer_tag: "".into(),
            no_local: false,
            no_ack: false,
            exclusive: false,
            nowait: false,
            arguments: FieldTable::default(),
        });
        match self.request(CHANNEL, AMQPClass::Basic(consume)).await? {
            AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(consumed)) => Ok(consumed.consumer_tag),
            other => Err(unexpected(&other)),
        }
    }
}

/// As much of a text as travels.
fn cut(mut text: String) -> String {
    text.truncate(short(&text).len());
    text
}

#[cfg(test)]
mod tests;
