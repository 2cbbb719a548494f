//! Messages between our ring and the broker's confirms, on one channel.
//!
//! The client's own futures are polled one at a time: writes are finished and confirms are
//! counted in order, so only the oldest of each matters. The client keeps a copy of what it has
//! not written to the socket; that is why little is handed to it at once.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use tokio::time::Instant;

use rabbitmq::{Down, PERSISTENT, Stage};
use wire::routing;

use super::topology::{Names, TRANSIENT};
use crate::{
    Message,
    message::{Value, short},
};

/// How many messages the client may hold that are not on the socket yet.
const WRITING: usize = 64;
/// How many bytes of bodies the client may hold that are not on the socket yet. A single
/// message may be larger.
const WRITING_BYTES: usize = 512 * 1024;
/// How many messages may wait for their confirm at once.
const UNCONFIRMED: usize = 4_096;

type Writing = Pin<Box<dyn Future<Output = lapin::Result<PublisherConfirm>> + Send>>;

/// What is under way on one channel, oldest first.
pub(super) struct Pipe {
    channel: Channel,
    names: Names,
    mode: u8,
    writing: VecDeque<Write>,
    /// The sum of the sizes in `writing`.
    writing_bytes: usize,
    confirming: VecDeque<(Instant, PublisherConfirm)>,
}

/// A message that the client has not written yet.
struct Write {
    future: Writing,
    size: usize,
    since: Instant,
}

impl Pipe {
    /// An empty pipe over a channel on which confirms are switched on.
    pub(super) fn new(channel: Channel, names: Names, persistent: bool) -> Self {
        Self {
            channel,
            names,
            mode: if persistent { PERSISTENT } else { TRANSIENT },
            writing: VecDeque::new(),
            writing_bytes: 0,
            confirming: VecDeque::new(),
        }
    }

    /// Whether another message may enter.
    pub(super) fn has_room(&self) -> bool {
        self.writing.len() < WRITING
            && self.writing_bytes < WRITING_BYTES
            && self.writing.len() + self.confirming.len() < UNCONFIRMED
    }

    /// Whether the channel still works, as far as the client knows.
    pub(super) fn is_alive(&self) -> bool {
        self.channel.status().connected()
    }

    /// Hands a message to the client, which queues it at once.
    pub(super) fn send(&mut self, message: &Message) -> Result<(), Down> {
        let properties = properties(message, self.mode);
        let exchange = self.names.of(message.exchange).clone();
        let routing_key = short(&message.routing_key).into();
        let body = message.body.clone();
        let size = body.len();
        let mut future = publish(
            self.channel.clone(),
            exchange,
            routing_key,
            body,
            properties,
        );
        // The first poll puts the frames into the client's queue, and thereby keeps the order.
        // It is polled with a real waker as soon as it is the oldest.
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Err(error)) => return Err(Down::from_error(&error, Stage::Run)),
            Poll::Ready(Ok(confirm)) if self.writing.is_empty() => {
                self.confirming.push_back((Instant::now(), confirm));
                return Ok(());
            }
            Poll::Ready(Ok(confirm)) => future = Box::pin(async move { Ok(confirm) }),
            Poll::Pending => {}
        }
        self.writing.push_back(Write {
            future,
            size,
            since: Instant::now(),
        });
        self.writing_bytes += size;
        Ok(())
    }

    /// Ready when messages were written or confirmed; `confirmed` gets the time at which each
    /// confirmed one was handed over.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        confirmed: &mut Vec<Instant>,
    ) -> Poll<Result<(), Down>> {
        let written = self.poll_writes(context)?;
        self.poll_confirms(context, confirmed)?;
        if written || !confirmed.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_writes(&mut self, context: &mut Context<'_>) -> Result<bool, Down> {
        let mut written = false;
        while let Some(oldest) = self.writing.front_mut()
            && let Poll::Ready(result) = oldest.future.as_mut().poll(context)
        {
            let confirm = result.map_err(|error| Down::from_error(&error, Stage::Run))?;
            self.confirming.push_back((oldest.since, confirm));
            self.writing_bytes = self.writing_bytes.saturating_sub(oldest.size);
            self.writing.pop_front();
            written = true;
        }
        Ok(written)
    }

    fn poll_confirms(
        &mut self,
        context: &mut Context<'_>,
        confirmed: &mut Vec<Instant>,
    ) -> Result<(), Down> {
        while let Some((since, oldest)) = self.confirming.front_mut()
            && let Poll::Ready(result) = Pin::new(oldest).poll(context)
        {
            match result.map_err(|error| Down::from_error(&error, Stage::Run))? {
                Confirmation::Ack(_) => confirmed.push(*since),
                Confirmation::Nack(_) | Confirmation::NotRequested => return Err(Down::Nacked),
            }
            self.confirming.pop_front();
        }
        Ok(())
    }
}

fn publish(
    channel: Channel,
    exchange: ShortString,
    routing_key: ShortString,
    body: Bytes,
    properties: BasicProperties,
) -> Writing {
    Box::pin(async move {
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(exchange, routing_key, options, &body, properties)
            .await
    })
}

fn properties(message: &Message, mode: u8) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(short(name).into(), field(value));
    }
    BasicProperties::default()
        .with_content_type(routing::CONTENT_TYPE.into())
        .with_type(short(message.type_name).into())
        .with_message_id(short(&message.message_id).into())
        .with_app_id(short(&message.app_id).into())
        .with_timestamp(message.timestamp)
        .with_delivery_mode(mode)
        .with_headers(headers)
}

fn field(value: &Value) -> AMQPValue {
    match value {
        Value::Flag(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => AMQPValue::LongLongInt(*number),
        Value::Text(text) => AMQPValue::LongString(LongString::from(text.as_str())),
    }
}
