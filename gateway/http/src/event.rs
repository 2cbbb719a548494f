//! From an interaction's text to the event that the broker carries: the same as it is when it comes over a gateway connection.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use boot::{Span, Traces};
use broker::{Exchange, Message, Value};
use bytes::Bytes;
use prost::Message as _;
use transcode::{Envelope, Lanes, Payload, Scratch, Transcoder};
use wire::{
    discord::v1::Interaction,
    gateway::v1::Source,
    routing::{self, InteractionRoute},
};

use crate::config::Application;

/// The name of the event.
const INTERACTION: &str = "INTERACTION_CREATE";

/// Makes events of interactions.
#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) transcoder: Arc<Transcoder>,
    pub(crate) traces: Traces,
    /// Which lanes the events of each application carry.
    lanes: BTreeMap<u64, Lanes>,
}

impl Encoder {
    pub(crate) fn new(
        transcoder: Arc<Transcoder>,
        traces: Traces,
        applications: &[Application],
    ) -> Self {
        let lanes = applications.iter().map(|one| (one.id, one.lanes));
        Self {
            transcoder,
            traces,
            lanes: lanes.collect(),
        }
    }

    /// Reads an interaction; `None` when the text is none.
    pub(crate) fn read(&self, text: &str) -> Option<Interaction> {
        let mut scratch = Scratch::default();
        let data = self
            .transcoder
            .data(INTERACTION, Payload::new(text), &mut scratch)?;
        Interaction::decode(data).ok()
    }

    /// The event of an interaction. It says how long Discord waits.
    pub(crate) fn message(
        &self,
        application_id: u64,
        interaction: &Interaction,
        text: &str,
        wait: Duration,
    ) -> Message {
        let received_at = SystemTime::now();
        let message_id = interaction.id().to_string();
        let lanes = self.lanes.get(&application_id).copied();
        let envelope = Envelope {
            id: &message_id,
            application_id,
            name: INTERACTION,
            source: Source::Http,
            shard: None,
            sequence: None,
            received_at,
            lanes: lanes.unwrap_or_default(),
        };
        let mut scratch = Scratch::default();
        let encoded = self
            .transcoder
            .event(&envelope, Payload::new(text), &mut scratch);
        let (ids, body) = (encoded.ids, Bytes::copy_from_slice(encoded.body));
        let mut routing_key = String::with_capacity(96);
        let route = InteractionRoute::of(interaction);
        routing::event_key(
            &mut routing_key,
            application_id,
            INTERACTION,
            ids.guild_id,
            ids.channel_id,
            route.as_ref(),
        );
        let since = received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let deadline = i64::try_from((since + wait).as_millis()).unwrap_or(i64::MAX);
        let mut headers = vec![
            ("event", Value::Text(INTERACTION.to_owned())),
            ("deadline", Value::Number(deadline)),
        ];
        let trace = self.trace(received_at, application_id, &routing_key);
        if let Some(trace) = &trace {
            headers.push(("traceparent", Value::Text(trace.traceparent())));
        }
        Message {
            exchange: Exchange::Events,
            routing_key,
            message_id,
            type_name: routing::TYPE_EVENT,
            app_id: application_id.to_string().into(),
            timestamp: since.as_secs(),
            headers,
            body,
            group: ids.guild_id.unwrap_or_default(),
            batch: None,
            trace,
            wanted: None,
        }
    }
}

impl Encoder {
    /// The trace of an event, if it is one of those that are recorded.
    fn trace(&self, since: SystemTime, application_id: u64, routing_key: &str) -> Option<Span> {
        let trace = self
            .traces
            .begin(since, || format!("publish {INTERACTION}"))?;
        trace.text("discord.event", INTERACTION);
        trace.text("discord.application_id", &application_id.to_string());
        trace.text("messaging.rabbitmq.destination.routing_key", routing_key);
        Some(trace)
    }
}
