//! Messages on their way to the broker, and its confirms on their way back, over one channel.
//!
//! The AMQP client copies each message, wakes a thread for it and awaits a promise. Here the frames of
//! many messages go into one buffer and from there to the socket in one write, and confirms are counted
//! in a ring. One task does it all.

use amq_protocol::protocol::{AMQPClass, basic};
use rabbitmq::{Down, PERSISTENT, Place};
use tokio::time::Instant;

use super::{
    confirms::{Answer, Confirms},
    frames::{Envelope, Said},
    link::{Link, Notice, lost, unexpected},
    topology::{Names, TRANSIENT},
};
use crate::Message;

/// What RabbitMQ's list of connections shows.
const NAME: &str = "discord-gateway publisher";
/// The channel that messages go over.
const CHANNEL: u16 = 1;
/// How many messages may wait for their confirm at once.
const UNCONFIRMED: usize = 4_096;
/// How few must wait before messages flow again: so they flow in shoals, and not one for each confirm.
const FEW: usize = UNCONFIRMED / 4 * 3;

/// One channel on which confirms are switched on.
pub(super) struct Pipe {
    link: Link,
    names: Names,
    delivery_mode: u8,
    confirms: Confirms,
    /// Whether too many messages wait for their confirm.
    full: bool,
    /// Whether it has refused a message: the connection ends as soon as all before it is confirmed.
    refused: bool,
}

impl Pipe {
    /// Connects and logs in.
    pub(super) async fn open(place: &Place, names: &Names, persistent: bool) -> Result<Self, Down> {
        let link = Link::open(place, NAME, CHANNEL).await?;
        Ok(Self::new(link, names.clone(), persistent))
    }

    fn new(link: Link, names: Names, persistent: bool) -> Self {
        Self {
            link,
            names,
            delivery_mode: if persistent { PERSISTENT } else { TRANSIENT },
            confirms: Confirms::new(),
            full: false,
            refused: false,
        }
    }

    /// Whether another message may enter.
    pub(super) fn has_room(&self) -> bool {
        !self.full && !self.refused && self.link.has_room()
    }

    /// Puts a message behind the others. [`Pipe::moved`] writes it.
    pub(super) fn send(&mut self, message: &Message, now: Instant) {
        let envelope = Envelope {
            channel: CHANNEL,
            exchange: self.names.of(message.exchange).as_str(),
            delivery_mode: self.delivery_mode,
            frame_max: self.link.frame_max,
            reply_to: None,
        };
        self.link.outgoing.publish(envelope, message);
        self.confirms.published(now);
        self.full |= self.confirms.len() >= UNCONFIRMED;
    }

    /// Writes what waits and reads what comes. Returns when something was read, or when there is room
    /// that was not there before. Cancel safe.
    pub(super) async fn moved(&mut self) -> Result<(), Down> {
        self.link.moved().await
    }

    /// Takes in what was read; `done` gets the time at which each confirmed message was published. To be
    /// called until there is no further notice.
    pub(super) fn hear(&mut self, done: &mut Vec<Instant>) -> Result<Option<Notice>, Down> {
        loop {
            match self.link.hear().map_err(|error| lost(&error))? {
                None => return Ok(None),
                Some(Said::Heartbeat) => {}
                Some(Said::Method(CHANNEL, method)) => self.on_channel(method, done)?,
                Some(Said::Method(0, method)) => return self.link.on_connection(method).map(Some),
                Some(other) => return Err(unexpected(&other)),
            }
        }
    }

    /// To be called every now and then: heartbeats are sent and missed here.
    pub(super) fn look(&mut self) -> Result<(), Down> {
        self.link.look()
    }

    fn on_channel(&mut self, method: AMQPClass, done: &mut Vec<Instant>) -> Result<(), Down> {
        match method {
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => {
                self.answered(ack.delivery_tag, ack.multiple, Answer::Confirmed, done)
            }
            AMQPClass::Basic(basic::AMQPMethod::Nack(nack)) => {
                // The rest may still be confirmed; what is refused is published again afterwards.
                self.refused = true;
                self.answered(nack.delivery_tag, nack.multiple, Answer::Refused, done)
            }
            AMQPClass::Channel(method) => self.link.on_channel(CHANNEL, method),
            other => Err(unexpected(&other)),
        }
    }

    fn answered(
        &mut self,
        number: u64,
        all: bool,
        answer: Answer,
        done: &mut Vec<Instant>,
    ) -> Result<(), Down> {
        let answered = self.confirms.answered(number, all, answer, done);
        answered.map_err(|error| lost(&error))?;
        self.full &= self.confirms.len() > FEW;
        if self.confirms.is_refused() {
            return Err(Down::Nacked);
        }
        Ok(())
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        self.link.close().await;
    }
}

#[cfg(test)]
mod tests;
