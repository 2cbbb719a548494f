//! A message taken from a queue, and what becomes of it.

use std::{mem, time::Duration};

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::Delivery as Taken,
    options::{BasicAckOptions, BasicPublishOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use rabbitmq::{Down, Stage, answer, settled};
use wire::routing;

use super::{consumer::PRIORITY, topology::Names};
use crate::{
    Error, Exchange,
    message::short,
    requests::{Call, Reply, short_name, split},
};

/// A message that must be settled: unless it was acknowledged, dropping it puts it back.
#[derive(Debug)]
pub(crate) struct Delivery {
    taken: Taken,
    channel: Channel,
    dead_letter: ShortString,
}

impl Delivery {
    pub(super) fn new(
        mut taken: Taken,
        channel: Channel,
        names: &Names,
    ) -> (Result<Call, String>, Self) {
        let call = call(&mut taken);
        let dead_letter = names.of(Exchange::DeadLetter).clone();
        (
            call,
            Self {
                taken,
                channel,
                dead_letter,
            },
        )
    }

    /// Sends a reply, if the caller wants one, and waits for its confirm.
    pub(crate) async fn send_if_possible(&mut self, reply: &Reply) -> Result<(), Error> {
        let Some(reply_to) = self.taken.properties.reply_to().clone() else {
            return Ok(());
        };
        let mut properties = BasicProperties::default()
            .with_content_type(routing::CONTENT_TYPE.into())
            .with_type(short(&reply.type_name).into());
        if let Some(correlation_id) = self.taken.properties.correlation_id() {
            properties = properties.with_correlation_id(correlation_id.clone());
        }
        if reply.end {
            let mut headers = FieldTable::default();
            headers.insert("end".into(), AMQPValue::Boolean(true));
            properties = properties.with_headers(headers);
        }
        self.publish("".into(), reply_to, &reply.body, properties)
            .await
    }

    /// Publishes a copy of the message to the dead-letter exchange, with the reason.
    pub(crate) async fn bury(&mut self, reason: &str) -> Result<(), Error> {
        let properties = rabbitmq::dead_letter(&self.taken.properties, reason);
        let (exchange, routing_key) = (self.dead_letter.clone(), self.taken.routing_key.clone());
        self.publish(exchange, routing_key, &self.taken.data, properties)
            .await
    }

    /// Tells the broker that the message is dealt with.
    pub(crate) async fn ack(&mut self) -> Result<(), Error> {
        let acking = self.taken.acker.ack(BasicAckOptions::default());
        settled(acking).await.map_err(|down| failed(&down))
    }

    async fn publish(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Error> {
        let options = BasicPublishOptions::default();
        let publishing =
            self.channel
                .basic_publish(exchange, routing_key, options, body, properties);
        let confirmed = async { publishing.await?.await };
        let confirmation = answer("taking a message", Stage::Run, confirmed).await;
        match confirmation.map_err(|down| failed(&down))? {
            Confirmation::Ack(_) => Ok(()),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(Error::Refused),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        rabbitmq::put_back(&self.taken.acker);
    }
}

fn failed(down: &Down) -> Error {
    tracing::debug!(?down, "an answer to RabbitMQ failed");
    Error::Disconnected
}

/// Reads what is asked, or says why it cannot be read.
fn call(taken: &mut Taken) -> Result<Call, String> {
    let properties = &taken.properties;
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    let method = text(properties.kind())
        .ok_or("the property `type` is missing: it names the method, as in gateway.v1.Ws/Send")?;
    let (service, name) = split(&method).ok_or_else(|| {
        format!("the property `type` is {method:?}, which is no method such as gateway.v1.Ws/Send")
    })?;
    let routing_key = taken.routing_key.to_string();
    let mut parts = routing_key.split('.');
    if (parts.next(), parts.next()) != (Some(short_name(service).as_str()), Some(name)) {
        return Err(format!(
            "the routing key {routing_key:?} does not fit the method {method}: it should begin \
             with {}.{name}.",
            short_name(service),
        ));
    }
    let timeout = match text(properties.expiration()) {
        None => None,
        Some(text) => match text.parse() {
            Ok(millis) => Some(Duration::from_millis(millis)),
            Err(_) => {
                return Err(format!(
                    "the expiration {text:?} is no number of milliseconds"
                ));
            }
        },
    };
    Ok(Call {
        reply_to: text(properties.reply_to()),
        correlation_id: text(properties.correlation_id()),
        priority: properties.priority().unwrap_or(0).min(PRIORITY),
        redelivered: taken.redelivered,
        body: Bytes::from(mem::take(&mut taken.data)),
        method,
        routing_key,
        timeout,
    })
}
