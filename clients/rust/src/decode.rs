//! From the body of a message to an event in serenity's types, or in ours.

use std::fmt;

use prost::Message as _;
use serde_json::error::Category;
use serenity::model::event::Event as SerenityEvent;
use transcode::{Scratch, Transcoder};
use wire::gateway::v1::Event as WireEvent;

use crate::{Event, handler};

/// Reads the payload of an event with this name.
///
/// # Errors
/// The body is no `gateway.v1.Event`.
pub(crate) fn decode(
    name: &str,
    body: &[u8],
    transcoder: &Transcoder,
    scratch: &mut Scratch,
) -> Result<Event, prost::DecodeError> {
    if handler::SERENITY_EVENTS.contains(&name)
        && let Some(event) = serenity(name, body, transcoder, scratch)
    {
        return Ok(Event::Serenity(Box::new(event)));
    }
    let event = WireEvent::decode(body)?;
    Ok(Event::Wire(Box::new(event)))
}

/// The event in serenity's types, if serenity can read it.
fn serenity(
    name: &str,
    body: &[u8],
    transcoder: &Transcoder,
    scratch: &mut Scratch,
) -> Option<SerenityEvent> {
    let rendered = transcoder
        .payload(body, scratch)
        .inspect_err(|error| tracing::debug!(name, %error, "an event has no payload in JSON"))
        .ok()?;
    handler::read(name, rendered.json)?
        .inspect_err(|error| {
            let reason = Reason(error);
            tracing::debug!(name, %reason, "serenity cannot read an event: handed on as it is");
        })
        .ok()
}

/// Why serenity cannot read a payload, without anything of the payload itself.
struct Reason<'a>(&'a serde_json::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match self.0.classify() {
            Category::Data if text.starts_with("missing field") => f.write_str(&text),
            Category::Data => write!(f, "unexpected value before byte {}", self.0.column()),
            _ => write!(f, "malformed JSON before byte {}", self.0.column()),
        }
    }
}

#[cfg(test)]
mod tests;
