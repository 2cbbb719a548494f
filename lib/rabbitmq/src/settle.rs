//! What becomes of a message that was taken from a queue.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use lapin::{
    Acker, BasicProperties,
    options::BasicNackOptions,
    types::{AMQPValue, FieldTable, LongString},
};
use tokio::time;

use crate::{Down, Stage};

/// Delivery mode of a message that survives a restart of the broker.
pub const PERSISTENT: u8 = 2;

/// How long the AMQP client may take to send what becomes of a message. Without a limit we might wait
/// for ever: when a connection breaks at the wrong moment, the client forgets to tell.
const SETTLE: Duration = Duration::from_secs(2);

/// Waits until RabbitMQ is told what becomes of a message.
///
/// # Errors
///
/// If it may not have been told: then the message comes again.
pub async fn settled(telling: impl Future<Output = lapin::Result<bool>>) -> Result<(), Down> {
    match time::timeout(SETTLE, telling).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Down::Lost(
            "the message can no longer be settled".to_owned(),
        )),
        Ok(Err(error)) => Err(Down::from_error(&error, Stage::Run)),
        Err(_) => Err(Down::TimedOut("settling a message", SETTLE)),
    }
}

/// Puts a message back into its queue, from where it cannot be waited for.
pub fn put_back(acker: &Acker) {
    if !acker.usable() {
        return;
    }
    let options = BasicNackOptions {
        requeue: true,
        ..Default::default()
    };
    let nack = pin!(acker.nack(options));
    // The first poll hands the frame to the AMQP client; there is nothing to wait for.
    if let Poll::Ready(Err(error)) = nack.poll(&mut Context::from_waker(Waker::noop())) {
        tracing::debug!(%error, "a message was not put back; RabbitMQ does it by itself");
    }
}

/// The headers of a message for a copy of it, without those that would take the copy to further queues: where a copy goes is for
/// the one to say who publishes it.
pub fn carried(properties: &BasicProperties) -> FieldTable {
    let headers = properties.headers().iter();
    let headers = headers.flat_map(|headers| headers.inner());
    let mut carried = FieldTable::default();
    for (name, value) in headers.filter(|(name, _)| !["CC", "BCC"].contains(&name.as_str())) {
        carried.insert(name.clone(), value.clone());
    }
    carried
}

/// The properties of a dead message's copy: what stays of its own, and the reason. Its expiration and its user do not: it is to wait
/// until somebody looks at it, and it is ours to publish now.
pub fn dead_letter(properties: &BasicProperties, reason: &str) -> BasicProperties {
    let mut headers = carried(properties);
    let reason = AMQPValue::LongString(LongString::from(reason));
    headers.insert("reason".into(), reason);
    let mut remains = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    if let Some(value) = properties.content_type() {
        remains = remains.with_content_type(value.clone());
    }
    if let Some(value) = properties.kind() {
        remains = remains.with_type(value.clone());
    }
    if let Some(value) = properties.message_id() {
        remains = remains.with_message_id(value.clone());
    }
    if let Some(value) = properties.correlation_id() {
        remains = remains.with_correlation_id(value.clone());
    }
    if let Some(value) = properties.reply_to() {
        remains = remains.with_reply_to(value.clone());
    }
    if let Some(value) = properties.app_id() {
        remains = remains.with_app_id(value.clone());
    }
    if let Some(value) = properties.timestamp() {
        remains = remains.with_timestamp(*value);
    }
    remains
}
