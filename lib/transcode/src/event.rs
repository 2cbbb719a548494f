//! From an encoded `gateway.v1.Event` back to the payload that Discord sent.

use prost_reflect::MessageDescriptor;

use crate::error::{Mistake, RenderError};
use crate::frame::Payload;
use crate::keys::NONE;
use crate::normal;
use crate::read;
use crate::render::{self, Others};
use crate::scratch::Scratch;
use crate::table::Wire;
use crate::transcoder::Transcoder;

/// The payload of an event, as JSON, and what it is the payload of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rendered<'a> {
    /// Discord's name of the event.
    pub name: &'a str,
    /// The payload: `d` in Discord's frames.
    pub json: &'a str,
    /// Whether it was rendered from typed data, rather than being the text that the event carries.
    pub typed: bool,
}

/// What matters of an envelope.
#[derive(Debug, Default)]
struct Parts<'a> {
    name: &'a [u8],
    json: &'a [u8],
    /// The typed payload, and the index of its kind.
    data: Option<(usize, &'a [u8])>,
    /// Whether the payload comes in more than one part.
    split: bool,
}

/// The envelope's fields that are read, by their numbers.
#[derive(Debug)]
pub(crate) struct Numbers {
    envelope: MessageDescriptor,
    name: u32,
    json: u32,
    /// Indexes of the kinds of events.
    kinds: Box<[u8]>,
    /// The fields of events that are this system's own. They are no payloads of Discord's, but as
    /// only one field of an event counts, one of them in the last place makes the others void.
    own: Box<[u32]>,
}

impl Numbers {
    /// `kinds` are the numbers of the kinds' fields, in the order of their indexes.
    pub(crate) fn new(envelope: &MessageDescriptor, kinds: impl Iterator<Item = u32>) -> Self {
        let number = |name| {
            envelope
                .get_field_by_name(name)
                .map_or(0, |field| field.number())
        };
        let mut indexes = Vec::new();
        for (index, number) in kinds.enumerate() {
            let number = number as usize;
            indexes.resize(indexes.len().max(number + 1), NONE);
            indexes[number] = index as u8;
        }
        Self {
            envelope: envelope.clone(),
            name: number("name"),
            json: number("json"),
            kinds: indexes.into(),
            own: wire::event::own().iter().map(|kind| kind.number).collect(),
        }
    }
}

impl Transcoder {
    /// The payload of an encoded `gateway.v1.Event`: typed data where the event has it, or else the
    /// text that it carries. What the schema does not know is passed over, so events of a newer
    /// gateway can be read.
    ///
    /// # Errors
    ///
    /// If the bytes are no event, if the event has no payload of Discord's that the schema knows, or
    /// for any of the reasons of [`Schema::render`](crate::Schema::render).
    pub fn payload<'a>(
        &self,
        event: &'a [u8],
        scratch: &'a mut Scratch,
    ) -> Result<Rendered<'a>, RenderError> {
        let parts = self.parts(event)?;
        let name = std::str::from_utf8(parts.name).map_err(|_| wrong("name", Mistake::NotUtf8))?;
        let Some((kind, data)) = parts.data else {
            let json = text(&parts).unwrap_or_else(|| Err(self.no_payload(event)))?;
            return Ok(Rendered {
                name,
                json,
                typed: false,
            });
        };
        let json = if parts.split {
            let ordered = normal::ordered(&self.numbers.envelope, event)?;
            let (kind, data) = self.parts(&ordered)?.data.unwrap_or((kind, &[]));
            self.render(kind, data, scratch)?
        } else {
            self.render(kind, data, scratch)?
        };
        Ok(Rendered {
            name,
            json,
            typed: true,
        })
    }

    /// Renders the payload of an event of this kind.
    fn render<'s>(
        &self,
        kind: usize,
        data: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<&'s str, RenderError> {
        let kind = &self.kinds[kind];
        let tables = &self.schema.tables;
        let rendered = render::render(tables, kind.message, data, Others::Pass, scratch);
        rendered.map_err(|mut error| {
            let field = self.numbers.envelope.get_field(kind.number);
            let field = field.as_ref().map_or("data", |field| field.name());
            let dot = if error.path.is_empty() { "" } else { "." };
            error.path = format!("{field}{dot}{}", error.path);
            error
        })
    }

    /// The index of the kind of event whose payload is the field of this number.
    fn numbered(&self, number: u32) -> Option<usize> {
        let index = *self.numbers.kinds.get(number as usize)?;
        (index != NONE).then_some(usize::from(index))
    }

    /// An event with neither data nor text: its data may be of a kind that the schema does not know.
    #[cold]
    fn no_payload(&self, mut event: &[u8]) -> RenderError {
        while let Some((tag, value)) = read::varint(event) {
            let number = (tag >> 3) as u32;
            if self.numbers.envelope.get_field(number).is_none() {
                return RenderError::whole(Mistake::Unknown(number));
            }
            event = read::skip(value, tag as u32 & 7).unwrap_or_default();
        }
        RenderError::whole(Mistake::NoPayload)
    }

    fn parts<'a>(&self, event: &'a [u8]) -> Result<Parts<'a>, RenderError> {
        let mut parts = Parts::default();
        let mut rest = event;
        while !rest.is_empty() {
            rest = self
                .part(rest, &mut parts)
                .ok_or_else(|| wrong("", Mistake::Truncated))?;
        }
        Ok(parts)
    }

    /// One field of the envelope.
    fn part<'a>(&self, rest: &'a [u8], parts: &mut Parts<'a>) -> Option<&'a [u8]> {
        let (tag, value) = read::varint(rest)?;
        let behind = read::skip(value, tag as u32 & 7)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        if tag & 7 != Wire::Bytes as u64 {
            return Some(behind);
        }
        let (_, bytes) = read::varint(value)?;
        let bytes = bytes.get(..bytes.len() - behind.len())?;
        if let Some(kind) = self.numbered(number) {
            parts.split |= parts.data.is_some_and(|(other, _)| other == kind);
            parts.data = Some((kind, bytes));
        } else if self.numbers.own.contains(&number) {
            parts.data = None;
        } else if number == self.numbers.name {
            parts.name = bytes;
        } else if number == self.numbers.json {
            parts.json = bytes;
        }
        Some(behind)
    }
}

/// The text that an event carries instead of typed data, if it has any.
fn text<'a>(parts: &Parts<'a>) -> Option<Result<&'a str, RenderError>> {
    if parts.json.is_empty() {
        return None;
    }
    let Ok(text) = std::str::from_utf8(parts.json) else {
        return Some(Err(wrong("json", Mistake::NotUtf8)));
    };
    let text = Payload::new(text).text();
    Some(text.map_err(|error| wrong("json", Mistake::Json(error))))
}

fn wrong(field: &str, mistake: Mistake) -> RenderError {
    RenderError {
        path: field.to_owned(),
        mistake,
    }
}
