//! A message on its way to the broker, whichever broker that is.

use std::sync::Arc;

use boot::Span;
use bytes::Bytes;
use rabbitmq::SHORT_STRING;
use wire::routing;

use crate::{Batch, queue::Origin, ring::Entry};

/// What a message costs in memory beside its body and its texts: its place in the ring, which grows by
/// doubling, and what the allocator keeps for itself of each of its allocations.
const OVERHEAD: usize = 2 * size_of::<Entry<Message, Origin>>() + 6 * 16;

/// What the trace of a message costs in memory, about.
const TRACE: usize = 1_024;

/// One of the exchanges of the contract; its full name is `<prefix>.<suffix>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// What was refused or could not be parsed, with the reason in a header.
    DeadLetter,
    /// Events from Discord to the workers.
    Events,
    /// Answers of workers to events that ask for one.
    Replies,
    /// Requests of workers to the services.
    Requests,
    /// What speakers say, for workers. Only who publishes it declares it.
    VoiceAudio,
}

impl Exchange {
    /// The exchanges that every service declares.
    pub const ALL: [Self; 4] = [
        Self::DeadLetter,
        Self::Events,
        Self::Replies,
        Self::Requests,
    ];

    /// The exchange's full name under this prefix.
    pub fn name(self, prefix: &str) -> String {
        routing::exchange(prefix, self.suffix())
    }

    /// The part of the name that follows the prefix.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::DeadLetter => routing::DEAD_LETTER,
            Self::Events => routing::EVENTS,
            Self::Replies => routing::REPLIES,
            Self::Requests => routing::REQUESTS,
            Self::VoiceAudio => routing::VOICE_AUDIO,
        }
    }
}

/// What a header holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// The answer that is wanted to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The shared queue that answers go to. It gets a copy of the message, too.
    pub reply_to: Arc<str>,
    /// What the answer is to be known by.
    pub correlation_id: String,
}

/// One message, complete but for the names that the broker's configuration adds.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it goes.
    pub exchange: Exchange,
    /// By which the exchange chooses queues. What exceeds 255 bytes is cut off.
    pub routing_key: String,
    /// Stable id: the same occurrence published again has the same one.
    pub message_id: String,
    /// Full name of the body's protobuf message, such as `gateway.v1.Event`.
    pub type_name: &'static str,
    /// The application (bot) that the message belongs to.
    pub app_id: Arc<str>,
    /// When it came into being, in seconds since the Unix epoch.
    pub timestamp: u64,
    /// Further facts for those who do not want to parse the body.
    pub headers: Vec<(&'static str, Value)>,
    /// The encoded protobuf message.
    pub body: Bytes,
    /// What belongs together: a guild's id, or 0. Messages of one lane and group reach queues in
    /// the order in which they were published, batched or not.
    pub group: u64,
    /// Whether the message, an event, may travel in one message with others that have the same
    /// routing key, and how long it may wait for them.
    pub batch: Option<Batch>,
    /// The trace of the event, if it is one of those that are recorded. It ends when the message
    /// is confirmed.
    pub trace: Option<Span>,
    /// The answer that is wanted, if one is. A message that had to wait on disk wants none any more.
    pub wanted: Option<Box<Wanted>>,
}

impl Message {
    /// Says in the trace that the message has come this far.
    pub(crate) fn reached(&self, moment: &str) {
        if let Some(trace) = &self.trace {
            trace.moment(moment);
        }
    }

    /// Bytes of memory that the message takes until it is confirmed.
    pub(crate) fn cost(&self) -> usize {
        let headers = self.headers.iter().map(|(_, value)| match value {
            Value::Text(text) => text.len(),
            Value::Flag(_) | Value::Number(_) => 0,
        });
        let wanted = self.wanted.as_ref();
        OVERHEAD
            + wanted.map_or(0, |wanted| {
                size_of::<Wanted>() + wanted.correlation_id.len()
            })
            + self.trace.as_ref().map_or(0, |_| TRACE)
            + size_of_val(self.headers.as_slice())
            + headers.sum::<usize>()
            + self.routing_key.len()
            + self.message_id.len()
            + self.body.len()
    }
}

/// What is published in the place of a message that is larger than the broker allows.
pub(crate) fn notice(message: &Message, limit: usize) -> Option<Message> {
    if message.body.len() <= limit {
        return None;
    }
    let reason = format!(
        "{} bytes are more than the broker's {limit}",
        message.body.len()
    );
    Some(Message {
        exchange: Exchange::DeadLetter,
        headers: vec![("reason", Value::Text(reason))],
        body: Bytes::new(),
        wanted: None,
        ..message.clone()
    })
}

/// The longest beginning of `text` that AMQP can carry as a short string.
pub(crate) fn short(text: &str) -> &str {
    if text.len() <= SHORT_STRING {
        return text;
    }
    let end = (0..=SHORT_STRING)
        .rev()
        .find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short("abc"), "abc");
        assert_eq!(short(&"x".repeat(300)).len(), 255);
        assert_eq!(short(&"ä".repeat(200)).len(), 254);
    }

    #[test]
    fn an_exchange_is_named_by_prefix_and_suffix() {
        assert_eq!(Exchange::DeadLetter.name("discord"), "discord.dead-letter");
        assert_eq!(Exchange::Events.name("other"), "other.events");
    }

    #[test]
    fn the_cost_counts_what_the_message_holds() {
        let message = Message {
            exchange: Exchange::Events,
            routing_key: "1.A.-.-".to_owned(),
            message_id: "a:1".to_owned(),
            type_name: "gateway.v1.Event",
            app_id: "1".into(),
            timestamp: 0,
            headers: Vec::new(),
            body: Bytes::from_static(&[0; 1_000]),
            group: 0,
            batch: None,
            trace: None,
            wanted: None,
        };
        assert_eq!(message.cost(), OVERHEAD + 1_010);
    }
}
