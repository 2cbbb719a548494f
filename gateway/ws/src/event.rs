//! From a gateway frame to the message that the broker carries.

use crate::{config::Application, shared::Shared};
use boot::Span;
use broker::{Batch, Broker, Exchange, Message, Value, Wanted};
use bytes::{Bytes, BytesMut};
use prost::Message as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use store::Shard;
use transcode::{Envelope, Ids, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::{
    discord::v1::Interaction,
    gateway::v1::Source,
    routing::{self, InteractionRoute},
};

/// The event whose routing key says more than where it happened.
const INTERACTION: &str = "INTERACTION_CREATE";

/// How many bytes of bodies are allocated at once. Small enough that what the oldest unconfirmed message of a shard
/// keeps from being freed is little beside the window.
const BODIES: usize = 16 * 1024;

/// How replies to interactions are asked for.
#[derive(Debug)]
pub(crate) struct Replies {
    /// The queue that they go to.
    queue: Arc<str>,
    /// How long they are waited for.
    wait: Duration,
}

impl Replies {
    /// Replies of an application's workers, to `gateway-api`.
    pub(crate) fn new(broker: &Broker, application_id: u64, wait: Duration) -> Self {
        Self {
            queue: broker.shared_replies("api", application_id).into(),
            wait,
        }
    }

    /// Asks for a reply. It could not be told whose it is if the event travelled together with others.
    fn ask(&self, message: &mut Message, interaction: &Interaction, since: Duration) {
        let (Some(id), Some(_)) = (interaction.id, &interaction.token) else {
            return;
        };
        let deadline = i64::try_from((since + self.wait).as_millis()).unwrap_or(i64::MAX);
        message.headers.push(("deadline", Value::Number(deadline)));
        message.batch = None;
        message.wanted = Some(Box::new(Wanted {
            reply_to: Arc::clone(&self.queue),
            correlation_id: id.to_string(),
        }));
    }
}

/// Makes messages of a shard's events.
pub(crate) struct Encoder {
    /// The shard whose events these are.
    shard: Shard,
    /// The application's id.
    application_id: u64,
    /// The same, as AMQP's property.
    app_id: Arc<str>,
    /// Which lanes an event carries.
    lanes: Lanes,
    /// The events to publish; `None` is all.
    events: Option<Arc<BTreeSet<String>>>,
    /// The events that are batched.
    batches: Arc<BTreeMap<String, Batch>>,
    /// The mapping from JSON to protobuf.
    transcoder: Arc<Transcoder>,
    /// Buffers that are used again for every event.
    scratch: Scratch,
    /// Where the next bodies go, so that one allocation serves many of them.
    bodies: BytesMut,
}

impl Encoder {
    /// An encoder for one shard's events.
    pub(crate) fn new(
        shard: Shard,
        application_id: u64,
        application: &Application,
        transcoder: &Arc<Transcoder>,
    ) -> Self {
        Self {
            shard,
            application_id,
            app_id: application_id.to_string().into(),
            lanes: application.lanes,
            events: application.events.clone(),
            batches: Arc::clone(&application.batches),
            transcoder: Arc::clone(transcoder),
            scratch: Scratch::default(),
            bodies: BytesMut::new(),
        }
    }

    /// Whether events of this name are published.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.events
            .as_ref()
            .is_none_or(|events| events.contains(name))
    }

    /// The message of one event.
    pub(crate) fn message(
        &mut self,
        session_id: &str,
        sequence: u64,
        name: &str,
        payload: Payload<'_>,
        shared: &Shared,
    ) -> Message {
        let received_at = SystemTime::now();
        let message_id = message_id(session_id, sequence);
        let envelope = Envelope {
            id: &message_id,
            application_id: self.application_id,
            name,
            source: Source::Ws,
            shard: Some((self.shard.id, self.shard.count)),
            sequence: Some(sequence),
            received_at,
            lanes: self.lanes,
        };
        let encoded = self.transcoder.event(&envelope, payload, &mut self.scratch);
        note(encoded.lane, name, shared);
        let (ids, body) = (encoded.ids, keep(&mut self.bodies, encoded.body));
        let data = encoded.data().filter(|_| name == INTERACTION);
        let interaction = match data.and_then(|data| Interaction::decode(data).ok()) {
            None if name == INTERACTION => self.interaction(payload),
            interaction => interaction,
        };
        let since = received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut message = Message {
            exchange: Exchange::Events,
            routing_key: self.routing_key(name, ids, interaction.as_ref()),
            message_id,
            type_name: routing::TYPE_EVENT,
            app_id: Arc::clone(&self.app_id),
            timestamp: since.as_secs(),
            headers: vec![
                ("event", Value::Text(name.to_owned())),
                ("shard", Value::Number(self.shard.id.into())),
                (
                    "sequence",
                    Value::Number(i64::try_from(sequence).unwrap_or(i64::MAX)),
                ),
            ],
            body,
            group: ids.guild_id.unwrap_or_default(),
            batch: self.batches.get(name).copied(),
            trace: None,
            wanted: None,
        };
        if let (Some(replies), Some(interaction)) = (&shared.replies, &interaction) {
            replies.ask(&mut message, interaction, since);
        }
        if let Some(trace) = shared
            .traces
            .begin(received_at, || format!("publish {name}"))
        {
            self.trace(trace, name, sequence, &mut message);
        }
        message
    }

    /// Says in the trace which event it is, and in the message which trace it belongs to.
    fn trace(&self, trace: Span, name: &str, sequence: u64, message: &mut Message) {
        trace.text("discord.event", name);
        trace.text("discord.application_id", &self.app_id);
        trace.number("discord.shard", self.shard.id.into());
        trace.number("discord.shard_count", self.shard.count.into());
        trace.number("discord.sequence", sequence);
        let key = "messaging.rabbitmq.destination.routing_key";
        trace.text(key, &message.routing_key);
        let context = Value::Text(trace.traceparent());
        message.headers.push(("traceparent", context));
        message.trace = Some(trace);
    }

    /// The payload of an event as the contract has it, without its envelope.
    pub(crate) fn data(&mut self, name: &str, payload: Payload<'_>) -> Option<Bytes> {
        let data = self.transcoder.data(name, payload, &mut self.scratch)?;
        Some(Bytes::copy_from_slice(data))
    }

    /// The interaction in a payload that is published as JSON: its key needs its name all the same.
    fn interaction(&mut self, payload: Payload<'_>) -> Option<Interaction> {
        let data = self
            .transcoder
            .data(INTERACTION, payload, &mut self.scratch)?;
        Interaction::decode(data).ok()
    }

    /// The routing key of an event.
    fn routing_key(&self, name: &str, ids: Ids, interaction: Option<&Interaction>) -> String {
        let mut key = String::with_capacity(96);
        let route = interaction.and_then(InteractionRoute::of);
        routing::event_key(
            &mut key,
            self.application_id,
            name,
            ids.guild_id,
            ids.channel_id,
            route.as_ref(),
        );
        key
    }
}

/// The id of an event, in one allocation.
fn message_id(session_id: &str, sequence: u64) -> String {
    let mut id = String::with_capacity(session_id.len() + 21);
    id.push_str(session_id);
    id.push(':');
    // A string takes whatever it is given.
    write!(id, "{sequence}").ok();
    id
}

/// A copy of a body, beside those before it.
fn keep(bodies: &mut BytesMut, body: &[u8]) -> Bytes {
    if bodies.capacity() < body.len() {
        *bodies = BytesMut::with_capacity(BODIES.max(body.len()));
    }
    bodies.extend_from_slice(body);
    bodies.split().freeze()
}

/// Counts an event, and logs the first of each kind that is not as it should be.
fn note(lane: Lane, name: &str, shared: &Shared) {
    let lanes = &shared.metrics.ledger.lanes;
    let (counter, label) = match lane {
        Lane::Json => (&lanes.json, "json"),
        Lane::Refused(_) => (&lanes.malformed, "malformed"),
        Lane::Typed => (&lanes.typed, "typed"),
        Lane::Unfit => (&lanes.unfit, "unfit"),
        Lane::Unknown => (&lanes.unknown, "unknown"),
    };
    counter.inc();
    if matches!(lane, Lane::Json | Lane::Typed) || !shared.logged.first(format!("{label} {name}")) {
        return;
    }
    match lane {
        Lane::Refused(error) => {
            tracing::warn!(event = name, %error, "an event cannot be read; published as it came");
        }
        Lane::Unfit => tracing::warn!(event = name, "an event is no object; published as JSON"),
        _ => tracing::info!(
            event = name,
            "an event is not in the schema; published as JSON"
        ),
    }
}
