//! What has to be settled: the events of a message, one by one, and then the message.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lapin::{
    Channel, Confirmation,
    message::Delivery as Message,
    options::{BasicAckOptions, BasicPublishOptions, BasicRejectOptions},
    protocol::BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use prost::Message as _;
use rabbitmq::{Down, Stage, answer, settled};
use tokio::time;
use wire::routing::{TYPE_EVENT, TYPE_EVENT_BATCH};

use crate::{Envelope, Error, seen::Seen};

/// How long an event waits before it goes back to the queue, when the dead-letter exchange has no
/// room for it: it would be back here at once.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Where refused messages go.
#[derive(Clone, Debug)]
pub(crate) struct Graveyard {
    /// A channel of its own: RabbitMQ closes it when it does not let us publish.
    pub(crate) channel: Channel,
    pub(crate) exchange: ShortString,
}

/// One event that has to be settled. RabbitMQ forgets its message when all events in it are.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// The encoded event.
    body: Bytes,
    /// Whether it came with others.
    part: bool,
    message: Arc<Unsettled>,
}

/// A message that came. It goes back to the queue if one of its events is dropped without being settled.
#[derive(Debug)]
struct Unsettled {
    message: Message,
    graveyard: Graveyard,
    seen: Seen,
    /// How many of its events are not settled.
    left: AtomicUsize,
    /// Whether one of them has to go where the queue's own policy sends it.
    rejected: AtomicBool,
}

/// The fields of `gateway.v1.EventBatch`, whose events are left as they are: on the wire a message is
/// what bytes are.
#[derive(Clone, PartialEq, prost::Message)]
struct Bodies {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    events: Vec<Bytes>,
}

impl Receipt {
    /// The receipts for all events of a message: for one event, or for those of a batch in their order.
    ///
    /// With a reason, it is a batch that cannot be taken apart, and the receipt is for all of it.
    pub(crate) fn all(
        mut message: Message,
        graveyard: Graveyard,
        seen: Seen,
    ) -> (Vec<Self>, Option<String>) {
        let body = Bytes::from(mem::take(&mut message.data));
        let kind = message.properties.kind().as_ref();
        let batch = kind.is_some_and(|kind| kind.as_str() == TYPE_EVENT_BATCH);
        let (part, bodies, broken) = match batch.then(|| unpack(body.clone())) {
            None => (false, vec![body], None),
            Some(Ok(bodies)) => (true, bodies, None),
            Some(Err(reason)) => (false, vec![body], Some(reason)),
        };
        let message = Arc::new(Unsettled {
            message,
            graveyard,
            seen,
            left: AtomicUsize::new(bodies.len()),
            rejected: AtomicBool::new(false),
        });
        let receipts = bodies.into_iter().map(|body| Self {
            body,
            part,
            message: Arc::clone(&message),
        });
        (receipts.collect(), broken)
    }

    /// The encoded event.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The id that the message has as such.
    pub(crate) fn message_id(&self) -> Option<&str> {
        let id = self.message.message.properties.message_id().as_ref()?;
        Some(id.as_str())
    }

    /// The trace that the event is a part of, if its message says so.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let headers = self.message.message.properties.headers().as_ref()?;
        match headers.inner().get("traceparent")? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            AMQPValue::ShortString(text) => Some(text.to_string()),
            _ => None,
        }
    }

    /// Whether it can still be settled. If not, it comes again by itself.
    pub(crate) fn usable(&self) -> bool {
        self.message.message.acker.usable()
    }

    /// Whether RabbitMQ has given out its message before.
    pub(crate) fn redelivered(&self) -> bool {
        self.message.message.redelivered
    }

    /// Whether an event with this id was dealt with before.
    pub(crate) fn is_duplicate(&self, id: &str) -> bool {
        self.message.seen.contains(id)
    }

    /// The event was dealt with.
    pub(crate) async fn ack(self, id: &str) -> Result<(), Error> {
        // It was, even if RabbitMQ does not learn of it and gives it out again.
        self.message.seen.add(id);
        self.settle().await
    }

    /// Publishes a copy with the reason to the dead-letter exchange, and is done with the event.
    pub(crate) async fn bury(self, id: &str, reason: &str) -> Result<(), Error> {
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
                self.message.rejected.store(true, Ordering::Release);
                self.settle().await
            }
        }
    }

    /// Tells RabbitMQ that the message was dealt with, if this was the last of its events.
    async fn settle(self) -> Result<(), Error> {
        let Unsettled {
            message,
            left,
            rejected,
            ..
        } = &*self.message;
        // Before the count: afterwards the last of them may have settled the message.
        let usable = self.usable();
        if left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return usable.then_some(()).ok_or(Error::Disconnected);
        }
        let acker = &message.acker;
        let result = match rejected.load(Ordering::Acquire) {
            true => settled(acker.reject(BasicRejectOptions::default())).await,
            false => settled(acker.ack(BasicAckOptions::default())).await,
        };
        result.map_err(|down| {
            tracing::debug!(?down, "a message was not settled");
            Error::Disconnected
        })
    }

    /// Whether the dead-letter exchange has taken a copy.
    async fn publish(&self, reason: &str) -> Result<bool, Down> {
        let Unsettled {
            message, graveyard, ..
        } = &*self.message;
        let mut properties = rabbitmq::dead_letter(&message.properties, reason);
        if self.part {
            properties = alone(properties, Envelope::read(&self.body).ok().as_ref());
        }
        let publishing = graveyard.channel.basic_publish(
            graveyard.exchange.clone(),
            message.routing_key.clone(),
            BasicPublishOptions::default(),
            &self.body,
            properties,
        );
        let confirmed = async { publishing.await?.await };
        match answer("taking a dead letter", Stage::Run, confirmed).await? {
            Confirmation::Ack(_) => Ok(true),
            Confirmation::Nack(_) | Confirmation::NotRequested => Ok(false),
        }
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        rabbitmq::put_back(&self.message.acker);
    }
}

/// The events of a batch.
fn unpack(body: Bytes) -> Result<Vec<Bytes>, String> {
    let events = Bodies::decode(body)
        .map_err(|error| format!("not a {TYPE_EVENT_BATCH}: {error}"))?
        .events;
    match events.is_empty() {
        true => Err(format!("a {TYPE_EVENT_BATCH} without events")),
        false => Ok(events),
    }
}

/// What the properties of a batch are for one event of it.
fn alone(properties: BasicProperties, envelope: Option<&Envelope>) -> BasicProperties {
    let headers = properties.headers().clone().unwrap_or_default();
    let mut headers = headers.inner().clone();
    // They are those of the whole, or of its first event.
    for name in ["count", "sequence", "traceparent", "tracestate"] {
        headers.remove(name);
    }
    let sequence = envelope.and_then(|envelope| i64::try_from(envelope.sequence?).ok());
    if let Some(sequence) = sequence {
        headers.insert("sequence".into(), AMQPValue::LongLongInt(sequence));
    }
    let properties = properties
        .with_type(TYPE_EVENT.into())
        .with_headers(FieldTable::from(headers));
    // An id that is too long for a message's stays in the body alone.
    match envelope.and_then(|envelope| ShortString::try_new(envelope.id.as_str()).ok()) {
        Some(id) => properties.with_message_id(id),
        None => properties,
    }
}

#[cfg(test)]
mod tests {
    use wire::gateway::v1::{Event, EventBatch};

    use super::*;

    fn event(sequence: u64) -> Event {
        Event {
            id: format!("session:{sequence}"),
            sequence: Some(sequence),
            ..Default::default()
        }
    }

    #[test]
    fn a_batch_is_taken_apart_into_its_events() {
        let events = vec![event(1), Event::default(), event(3)];
        let bodies: Vec<Vec<u8>> = events.iter().map(Event::encode_to_vec).collect();
        let batch = EventBatch { events }.encode_to_vec();
        assert_eq!(unpack(batch.into()).unwrap(), bodies);
    }

    #[test]
    fn what_is_no_batch_is_refused_with_the_reason() {
        for (body, reason) in [
            (&b""[..], "a gateway.v1.EventBatch without events"),
            (b"\x10\x01", "a gateway.v1.EventBatch without events"),
            (b"\x0a\x05abc", "not a gateway.v1.EventBatch: "),
            (b"\x08\x01", "not a gateway.v1.EventBatch: "),
            (b"\xff\xff poison", "not a gateway.v1.EventBatch: "),
        ] {
            let error = unpack(Bytes::from_static(body)).unwrap_err();
            assert!(error.starts_with(reason), "{body:?}: {error}");
        }
    }

    #[test]
    fn an_event_that_leaves_its_batch_is_like_one_that_came_alone() {
        let headers = [
            ("count", AMQPValue::LongLongInt(3)),
            ("event", AMQPValue::LongString("PRESENCE_UPDATE".into())),
            ("sequence", AMQPValue::LongLongInt(1)),
            ("traceparent", AMQPValue::LongString("00-1-2-01".into())),
        ];
        let headers = headers.map(|(name, value)| (ShortString::from(name), value));
        let batch = BasicProperties::default()
            .with_type(TYPE_EVENT_BATCH.into())
            .with_message_id("session:1+2".into())
            .with_headers(FieldTable::from(std::collections::BTreeMap::from(headers)));
        let envelope = Envelope::read(&event(2).encode_to_vec()).unwrap();

        let found = alone(batch.clone(), Some(&envelope));
        assert_eq!(found.kind(), &Some(TYPE_EVENT.into()));
        assert_eq!(found.message_id(), &Some("session:2".into()));
        let headers = found.headers().clone().unwrap();
        let names: Vec<&str> = headers.inner().keys().map(ShortString::as_str).collect();
        assert_eq!(names, ["event", "sequence"]);
        let sequence = headers.inner().get("sequence");
        assert_eq!(sequence, Some(&AMQPValue::LongLongInt(2)));

        // AMQP has no room for this id, and what is no event has none.
        let long = Envelope {
            id: "x".repeat(256),
            ..envelope
        };
        for envelope in [Some(&long), None] {
            let found = alone(batch.clone(), envelope);
            assert_eq!(found.message_id(), &Some("session:1+2".into()));
        }
    }
}
