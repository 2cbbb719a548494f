//! From a gateway frame to the message that the broker carries.

use crate::{config::Application, shared::Shared};
use broker::{Batch, Broker, Message, Wanted};
use bytes::{Bytes, BytesMut};
use events::Event;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};
use store::Shard;
use transcode::{Envelope, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::{discord::v1::Interaction, gateway::v1::Source};

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
    fn ask(&self, message: &mut Message, event: &Event<'_>, interaction: &Interaction) {
        let (Some(id), Some(_)) = (interaction.id, &interaction.token) else {
            return;
        };
        event.wait(message, self.wait);
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
        let id = message_id(session_id, sequence);
        let event = Event {
            envelope: Envelope {
                id: &id,
                application_id: self.application_id,
                name,
                source: Source::Ws,
                shard: Some((self.shard.id, self.shard.count)),
                sequence: Some(sequence),
                received_at: SystemTime::now(),
                lanes: self.lanes,
            },
            app_id: &self.app_id,
            payload,
            read: None,
        };
        let bodies = &mut self.bodies;
        let keep = |body: &[u8]| keep(bodies, body);
        let made = event.message(&self.transcoder, &mut self.scratch, keep);
        note(made.lane, name, shared);
        let mut message = made.message;
        message.batch = self.batches.get(name).copied();
        if let (Some(replies), Some(interaction)) = (&shared.replies, &made.interaction) {
            replies.ask(&mut message, &event, interaction);
        }
        event.trace(&mut message, &shared.traces);
        message
    }

    /// The payload of an event as the contract has it, without its envelope.
    pub(crate) fn data(&mut self, name: &str, payload: Payload<'_>) -> Option<Bytes> {
        let data = self.transcoder.data(name, payload, &mut self.scratch)?;
        Some(Bytes::copy_from_slice(data))
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
