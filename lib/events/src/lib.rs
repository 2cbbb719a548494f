#![doc = include_str!("../README.md")]

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use boot::{Parse, Traces, config::Invalid};
use broker::{Exchange, Message, Value};
use bytes::Bytes;
use transcode::{Data, Encoded, Envelope, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::{
    discord::v1::Interaction,
    interaction,
    routing::{self, InteractionRoute},
};

/// The event whose routing key says more than where it happened.
pub const INTERACTION: &str = "INTERACTION_CREATE";

/// What an operator wants an event to carry.
#[derive(Clone, Copy, Debug)]
pub struct Carries(pub Lanes);

impl Parse for Carries {
    fn expected() -> String {
        "`typed`, `json` or `both`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text.to_ascii_lowercase().as_str() {
            "both" => Ok(Self(Lanes::Both)),
            "json" => Ok(Self(Lanes::Json)),
            "typed" => Ok(Self(Lanes::Typed)),
            _ => Err(Invalid::new()),
        }
    }
}

/// An event, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What is said of it beside its payload.
    pub envelope: Envelope<'a>,
    /// The application, as AMQP's property.
    pub app_id: &'a Arc<str>,
    /// Its payload.
    pub payload: Payload<'a>,
    /// The same, if it is an interaction that has been read already.
    pub read: Option<&'a Read>,
}

/// An interaction that was read before its event is made.
#[derive(Debug)]
pub struct Read {
    /// What it is: its essence.
    pub interaction: Interaction,
    data: Data,
}

impl Read {
    /// Reads an interaction; `None` when the payload is none.
    pub fn of(
        transcoder: &Transcoder,
        payload: Payload<'_>,
        scratch: &mut Scratch,
    ) -> Option<Self> {
        let data = transcoder.keep(INTERACTION, payload, scratch)?;
        let interaction = interaction::essence(data.bytes()).ok()?;
        Some(Self { interaction, data })
    }
}

/// An event as it travels.
#[derive(Debug)]
pub struct Made {
    /// The message. It has no trace yet, so that headers can be added before.
    pub message: Message,
    /// What it carries of the payload.
    pub lane: Lane,
    /// What the interaction is, if it is one and had to be read: its essence.
    pub interaction: Option<Interaction>,
}

impl Event<'_> {
    /// Makes the message; `keep` copies its body to where it stays.
    pub fn message(
        &self,
        transcoder: &Transcoder,
        scratch: &mut Scratch,
        keep: impl FnOnce(&[u8]) -> Bytes,
    ) -> Made {
        let envelope = &self.envelope;
        let encoded = match self.read {
            Some(read) => transcoder.enclose(envelope, self.payload, &read.data, scratch),
            None => transcoder.event(envelope, self.payload, scratch),
        };
        let (ids, lane, body) = (encoded.ids, encoded.lane, keep(encoded.body));
        let is_interaction = envelope.name == INTERACTION && self.read.is_none();
        let mut interaction = is_interaction.then(|| read(&encoded)).flatten();
        if is_interaction && interaction.is_none() {
            // It is published as JSON: its key needs its name all the same.
            let data = transcoder.data(INTERACTION, self.payload, scratch);
            interaction = data.and_then(|data| interaction::essence(data).ok());
        }
        let known = self.read.map(|read| &read.interaction);
        let route = known.or(interaction.as_ref());
        let route = route.and_then(InteractionRoute::of);
        let mut routing_key = String::with_capacity(96);
        routing::event_key(
            &mut routing_key,
            envelope.application_id,
            envelope.name,
            ids.guild_id,
            ids.channel_id,
            route.as_ref(),
        );
        let message = Message {
            exchange: Exchange::Events,
            routing_key,
            message_id: envelope.id.to_owned(),
            type_name: routing::TYPE_EVENT,
            app_id: Arc::clone(self.app_id),
            timestamp: since(envelope).as_secs(),
            headers: headers(envelope),
            body,
            group: ids.guild_id.unwrap_or_default(),
            batch: None,
            trace: None,
            wanted: None,
        };
        Made {
            message,
            lane,
            interaction,
        }
    }

    /// Says in the message until when an answer is waited for.
    pub fn wait(&self, message: &mut Message, wait: Duration) {
        let deadline = (since(&self.envelope) + wait).as_millis();
        let deadline = i64::try_from(deadline).unwrap_or(i64::MAX);
        message.headers.push(("deadline", Value::Number(deadline)));
    }

    /// Records what happens to the event, if it is one of those that are: says in the trace which one it is, and in the
    /// message which trace it belongs to.
    pub fn trace(&self, message: &mut Message, traces: &Traces) {
        let Envelope {
            name,
            received_at,
            shard,
            sequence,
            ..
        } = self.envelope;
        let Some(trace) = traces.begin(received_at, || format!("publish {name}")) else {
            return;
        };
        trace.text("discord.event", name);
        trace.text("discord.application_id", self.app_id);
        if let Some((id, count)) = shard {
            trace.number("discord.shard", id.into());
            trace.number("discord.shard_count", count.into());
        }
        if let Some(sequence) = sequence {
            trace.number("discord.sequence", sequence);
        }
        let key = "messaging.rabbitmq.destination.routing_key";
        trace.text(key, &message.routing_key);
        let context = Value::Text(trace.traceparent());
        message.headers.push(("traceparent", context));
        message.trace = Some(trace);
    }
}

/// The headers that every event has, and those of a shard's.
fn headers(envelope: &Envelope<'_>) -> Vec<(&'static str, Value)> {
    // Often one more follows.
    let mut headers = Vec::with_capacity(4);
    headers.push(("event", Value::Text(envelope.name.to_owned())));
    if let Some((shard, _)) = envelope.shard {
        headers.push(("shard", Value::Number(shard.into())));
    }
    if let Some(sequence) = envelope.sequence {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        headers.push(("sequence", Value::Number(sequence)));
    }
    headers
}

/// When the event was read, since 1970.
fn since(envelope: &Envelope<'_>) -> Duration {
    let since = envelope.received_at.duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// What the interaction in an event is that is typed.
fn read(encoded: &Encoded<'_>) -> Option<Interaction> {
    interaction::essence(encoded.data()?).ok()
}
