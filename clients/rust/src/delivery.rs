//! An event taken from the queue, and what becomes of it.

use prost::Message as _;
use wire::gateway::v1::Event as WireEvent;

use crate::{Envelope, Error, Event, receipt::Receipt};

/// An event that has to be settled: unless it was, dropping it puts it back into the queue.
///
/// Events that came in one message (`gateway.v1.EventBatch`) are settled one by one like all others.
/// RabbitMQ forgets the message when all of them are. If one is dropped without being settled, the whole
/// message goes back to the queue once the others are settled or dropped, and all of it comes again.
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
    /// The event was dealt with: RabbitMQ forgets it, with the last one if it came with others.
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
        self.receipt.redelivered()
    }
}
