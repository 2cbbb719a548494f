//! An event taken from the queue, and what becomes of it.

use std::time::Duration;

use lapin::{
    Acker, Channel, Confirmation,
    message::Delivery as Message,
    options::{BasicAckOptions, BasicPublishOptions, BasicRejectOptions},
    types::ShortString,
};
use prost::Message as _;
use rabbitmq::{Down, Stage, answer, settled};
use tokio::time;
use wire::gateway::v1::Event as WireEvent;

use crate::{Envelope, Error, Event, seen::Seen};

/// How long an event waits before it goes back to the queue, when the dead-letter exchange has no
/// room for it: it would be back here at once.
const NO_ROOM: Duration = Duration::from_secs(1);

/// An event that has to be settled: unless it was, dropping it puts it back into the queue.
#[must_use = "an event that is dropped without being settled comes again"]
#[derive(Debug)]
pub struct Delivery {
    /// What is known of the event beside its payload.
    pub envelope: Envelope,
    /// The payload.
    pub event: Event,
    pub(crate) receipt: Receipt,
}

impl Delivery {
    /// The event was dealt with: RabbitMQ forgets it.
    ///
    /// # Errors
    /// The connection is gone, so the event comes again.
    pub async fn ack(self) -> Result<(), Error> {
        self.receipt.ack(&self.envelope.id).await
    }

    /// The event can never be dealt with: it goes to the dead-letter exchange, with the reason in
    /// the header `reason`.
    ///
    /// # Errors
    /// That was not possible, so the event comes again.
    pub async fn dead_letter(self, reason: &str) -> Result<(), Error> {
        self.receipt.bury(&self.envelope.id, reason).await
    }

    /// The whole event in the contract's types, for what serenity's do not have.
    ///
    /// # Errors
    /// The event came as JSON that this library could read, but is no `gateway.v1.Event`.
    pub fn wire(&self) -> Result<WireEvent, prost::DecodeError> {
        WireEvent::decode(self.receipt.body())
    }

    /// Whether RabbitMQ has given out this event before. It says nothing of duplicates that the
    /// gateway has published.
    pub fn redelivered(&self) -> bool {
        self.receipt.message.redelivered
    }
}

/// Where refused messages go.
#[derive(Clone, Debug)]
pub(crate) struct Graveyard {
    /// A channel of its own: RabbitMQ closes it when it does not let us publish.
    pub(crate) channel: Channel,
    pub(crate) exchange: ShortString,
}

/// A message that has to be settled, as it came.
#[derive(Debug)]
pub(crate) struct Receipt {
    message: Message,
    graveyard: Graveyard,
    seen: Seen,
}

impl Receipt {
    pub(crate) fn new(message: Message, graveyard: Graveyard, seen: Seen) -> Self {
        Self {
            message,
            graveyard,
            seen,
        }
    }

    /// The encoded event.
    pub(crate) fn body(&self) -> &[u8] {
        &self.message.data
    }

    /// The id that the message has as such.
    pub(crate) fn message_id(&self) -> Option<&str> {
        let id = self.message.properties.message_id().as_ref()?;
        Some(id.as_str())
    }

    /// Whether it can still be settled. If not, it comes again by itself.
    pub(crate) fn usable(&self) -> bool {
        self.message.acker.usable()
    }

    /// Whether an event with this id was dealt with before.
    pub(crate) fn is_duplicate(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// Tells RabbitMQ that the event was dealt with.
    pub(crate) async fn ack(&self, id: &str) -> Result<(), Error> {
        // It was, even if RabbitMQ does not learn of it and gives it out again.
        self.seen.add(id);
        let acking = self.acker().ack(BasicAckOptions::default());
        settled(acking).await.map_err(|down| unsettled(&down))
    }

    /// Publishes a copy with the reason to the dead-letter exchange, and takes the event from the
    /// queue.
    pub(crate) async fn bury(&self, id: &str, reason: &str) -> Result<(), Error> {
        if !self.usable() {
            return Err(Error::Disconnected);
        }
        match self.publish(reason).await {
            Ok(true) => self.ack(id).await,
            Ok(false) => {
                tracing::error!(
                    id,
                    reason,
                    "the dead-letter exchange takes nothing: put back"
                );
                time::sleep(NO_ROOM).await;
                Err(Error::Disconnected)
            }
            Err(down) => {
                tracing::error!(
                    id,
                    reason,
                    ?down,
                    "the dead-letter exchange is out of reach: rejected, as the queue's policy has it",
                );
                // If the whole connection is gone, this changes nothing, and the event comes again.
                let rejecting = self.acker().reject(BasicRejectOptions::default());
                settled(rejecting).await.map_err(|down| unsettled(&down))
            }
        }
    }

    /// Whether the dead-letter exchange has taken a copy.
    async fn publish(&self, reason: &str) -> Result<bool, Down> {
        let properties = rabbitmq::dead_letter(&self.message.properties, reason);
        let publishing = self.graveyard.channel.basic_publish(
            self.graveyard.exchange.clone(),
            self.message.routing_key.clone(),
            BasicPublishOptions::default(),
            &self.message.data,
            properties,
        );
        let confirmed = async { publishing.await?.await };
        match answer("taking a dead letter", Stage::Run, confirmed).await? {
            Confirmation::Ack(_) => Ok(true),
            Confirmation::Nack(_) | Confirmation::NotRequested => Ok(false),
        }
    }

    fn acker(&self) -> &Acker {
        &self.message.acker
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        rabbitmq::put_back(self.acker());
    }
}

fn unsettled(down: &Down) -> Error {
    tracing::debug!(?down, "an event was not settled");
    Error::Disconnected
}
