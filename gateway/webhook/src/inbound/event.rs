//! From the body of a signed request to the message that the broker carries.

use std::time::SystemTime;

use boot::Traces;
use broker::{Message, Value};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use transcode::{Envelope, Lane, Lanes, Payload, Scratch, Transcoder};
use wire::gateway::v1::Source;
use xxhash_rust::xxh3::xxh3_128;

/// The longest name that is taken for one of an event; Discord's have some thirty characters.
const LONGEST: usize = 100;

/// What Discord has sent.
///
/// See [Discord Docs/Webhook Event Payloads](https://docs.discord.com/developers/events/webhook-events#webhook-event-payloads).
#[derive(Debug)]
pub(super) enum Notice<'a> {
    /// It looks whether somebody is there.
    Ping,
    /// Something has happened.
    Event(Event<'a>),
}

/// An event, before it is looked into.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// What no other event of the application is called, and this one each time that it comes.
    pub(super) id: String,
    pub(super) application_id: u64,
    pub(super) name: String,
    /// When it happened, as Discord writes it.
    occurred_at: Option<String>,
    data: &'a str,
}

/// Why a signed body is no notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Odd {
    /// It is for another application than the one whose key has signed it.
    Application,
    /// It is not in the shape that Discord documents.
    Shape,
}

#[derive(Deserialize)]
struct Body<'a> {
    application_id: Option<String>,
    #[serde(rename = "type")]
    kind: u64,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(rename = "type")]
    name: String,
    timestamp: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Notice<'a> {
    /// Reads the body of a request that this application's key has signed.
    pub(super) fn read(application_id: u64, body: &'a [u8]) -> Result<Self, Odd> {
        let read: Body<'_> = serde_json::from_slice(body).map_err(|_| Odd::Shape)?;
        let named = read.application_id.as_deref();
        if named.is_some_and(|id| id.parse() != Ok(application_id)) {
            return Err(Odd::Application);
        }
        match (read.kind, read.event) {
            (0, _) => Ok(Self::Ping),
            (1, Some(event)) => Ok(Self::Event(Event::read(application_id, event)?)),
            _ => Err(Odd::Shape),
        }
    }
}

impl<'a> Event<'a> {
    fn read(application_id: u64, event: &'a RawValue) -> Result<Self, Odd> {
        let read: Inner<'_> = serde_json::from_str(event.get()).map_err(|_| Odd::Shape)?;
        if !(1..=LONGEST).contains(&read.name.len()) {
            return Err(Odd::Shape);
        }
        Ok(Self {
            id: id(application_id, event.get()).ok_or(Odd::Shape)?,
            application_id,
            name: read.name,
            occurred_at: read.timestamp,
            data: read.data.map_or("null", RawValue::get),
        })
    }

    /// The message, and what it carries of the payload.
    pub(super) fn message(
        &self,
        lanes: Lanes,
        transcoder: &Transcoder,
        scratch: &mut Scratch,
        traces: &Traces,
    ) -> (Message, Lane) {
        let event = events::Event {
            envelope: Envelope {
                id: &self.id,
                application_id: self.application_id,
                name: &self.name,
                source: Source::Webhook,
                shard: None,
                sequence: None,
                received_at: SystemTime::now(),
                lanes,
            },
            app_id: &self.application_id.to_string().into(),
            payload: Payload::new(self.data),
            read: None,
        };
        let made = event.message(transcoder, scratch, Bytes::copy_from_slice);
        let (mut message, lane) = (made.message, made.lane);
        if let Some(moment) = &self.occurred_at {
            let moment = Value::Text(moment.clone());
            message.headers.push(("occurred_at", moment));
        }
        event.trace(&mut message, traces);
        (message, lane)
    }
}

/// A name for an event, which has none of Discord's: that of what it says. White space and the order of members make no
/// difference, so that it is the same whichever of Discord's machines sends it again.
fn id(application_id: u64, event: &str) -> Option<String> {
    let sorted: serde_json::Value = serde_json::from_str(event).ok()?;
    let known = xxh3_128(format!("{application_id} {sorted}").as_bytes());
    Some(format!("webhook:{known:032x}"))
}

#[cfg(test)]
mod tests;
