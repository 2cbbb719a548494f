//! From a payload to a complete `gateway.v1.Event`.

use std::ops::Range;

use crate::envelope::{Envelope, Fields, Lanes};
use crate::error::Error;
use crate::event::Numbers;
use crate::frame::Payload;
use crate::ids::{Ids, Routes};
use crate::keys::Keys;
use crate::schema::Schema;
use crate::scratch::Scratch;
use crate::table::{Tag, Wire};
use crate::walk::{State, Walk};

/// All that is known about events, compiled from the descriptors. It never changes, so all shards
/// share one.
#[derive(Debug)]
pub struct Transcoder {
    pub(crate) schema: Schema,
    names: Keys,
    pub(crate) kinds: Vec<Kind>,
    usual: Routes,
    fields: Fields,
    pub(crate) numbers: Numbers,
}

/// An event, ready to be published.
#[derive(Clone, Debug)]
pub struct Encoded<'a> {
    /// The whole `gateway.v1.Event`.
    pub body: &'a [u8],
    /// What it is about.
    pub ids: Ids,
    /// What it carries of the payload.
    pub lane: Lane,
    data: Option<Range<usize>>,
}

/// A payload that is encoded, and not yet in an event.
#[derive(Clone, Debug)]
pub struct Data {
    bytes: Vec<u8>,
    ids: Ids,
    /// Where it ends in the text.
    end: usize,
}

impl Data {
    /// The message that stands in the envelope.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What an event carries of its payload, and why if it isn't typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// JSON alone, because that was wanted.
    Json,
    /// The text that came, although it is refused.
    Refused(Error),
    /// Typed data, and JSON if that was wanted.
    Typed,
    /// JSON, because the payload is no object.
    Unfit,
    /// JSON, because the schema does not know the event.
    Unknown,
}

/// A kind of event.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The number of its field in the envelope.
    pub(crate) number: u32,
    tag: Tag,
    pub(crate) message: u32,
    routes: Routes,
}

/// What is known of a payload when it has been encoded.
struct Typed {
    ids: Ids,
    /// Where its bytes are in what was written.
    data: Range<usize>,
    /// Where it ends in the text.
    end: usize,
}

impl Transcoder {
    /// Compiles the tables. That takes some milliseconds.
    pub fn new() -> Self {
        let mut schema = Schema::new(wire::descriptors());
        let mut names = Vec::new();
        let mut kinds = Vec::new();
        for kind in wire::event::events() {
            let routes = Routes::of(&kind);
            let Some(message) = schema.tables.root(&kind.message, &routes.members()) else {
                continue;
            };
            names.push(kind.name);
            kinds.push(Kind {
                number: kind.number,
                tag: Tag::new(kind.number, Wire::Bytes),
                message,
                routes,
            });
        }
        let event = wire::descriptors()
            .get_message_by_name("gateway.v1.Event")
            .expect("the contract has the envelope");
        let fields = Fields::new(&event);
        let numbers = Numbers::new(&event, kinds.iter().map(|kind| kind.number));
        Self {
            schema,
            names: Keys::new(&names),
            kinds,
            usual: Routes::usual(),
            fields,
            numbers,
        }
    }

    /// The schema of the contract, for messages that are no events.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether the schema knows events of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.kind(name).is_some()
    }

    /// Encodes one event. This never fails: what cannot be typed travels as it came.
    pub fn event<'s>(
        &self,
        envelope: &Envelope<'_>,
        payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Encoded<'s> {
        let state = &mut scratch.state;
        state.writer.clear();
        self.fields.head(envelope, &mut state.writer);
        let head = state.writer.position();
        let kind = self.kind(envelope.name);
        let lane = match (kind, envelope.lanes) {
            (None, _) => Lane::Unknown,
            (Some(_), Lanes::Json) => Lane::Json,
            (Some(kind), Lanes::Typed | Lanes::Both) => match self.typed(kind, payload, state) {
                Ok(Typed { ids, data, end }) => {
                    self.fields.ids(&ids, &mut state.writer);
                    if envelope.lanes == Lanes::Both {
                        let json = payload.until(end).unwrap_or_default();
                        self.fields.json(json, &mut state.writer);
                    }
                    let body = scratch.state.writer.written();
                    return Encoded {
                        body,
                        ids,
                        lane: Lane::Typed,
                        data: Some(data),
                    };
                }
                Err(Some(error)) => Lane::Refused(error),
                Err(None) => Lane::Unfit,
            },
        };
        state.writer.rewind(head);
        self.json(kind, payload, lane, scratch)
    }

    /// Encodes the payload alone: the message that stands in the envelope for events of this
    /// name. `None` if the schema does not know them or the payload is not what it should be.
    pub fn data<'s>(
        &self,
        name: &str,
        payload: Payload<'_>,
        scratch: &'s mut Scratch,
    ) -> Option<&'s [u8]> {
        let state = &mut scratch.state;
        state.writer.clear();
        let typed = self.typed(self.kind(name)?, payload, state).ok()?;
        scratch.state.writer.written().get(typed.data)
    }

    /// Encodes the payload alone, like [`Transcoder::data`], and keeps it for [`Transcoder::enclose`].
    pub fn keep(&self, name: &str, payload: Payload<'_>, scratch: &mut Scratch) -> Option<Data> {
        let state = &mut scratch.state;
        state.writer.clear();
        let Typed { ids, data, end } = self.typed(self.kind(name)?, payload, state).ok()?;
        let bytes = state.writer.written().get(data)?.to_vec();
        Some(Data { bytes, ids, end })
    }

    /// What [`Transcoder::event`] makes of the payload that this data comes from, without reading all of it again.
    pub fn enclose<'s>(
        &self,
        envelope: &Envelope<'_>,
        payload: Payload<'_>,
        data: &Data,
        scratch: &'s mut Scratch,
    ) -> Encoded<'s> {
        let kind = match (self.kind(envelope.name), envelope.lanes) {
            (Some(kind), Lanes::Typed | Lanes::Both) => kind,
            (None, _) | (_, Lanes::Json) => return self.event(envelope, payload, scratch),
        };
        let writer = &mut scratch.state.writer;
        writer.clear();
        self.fields.head(envelope, writer);
        writer.tagged_bytes(kind.tag, &data.bytes);
        let end = writer.position();
        self.fields.ids(&data.ids, writer);
        if envelope.lanes == Lanes::Both {
            let json = payload.until(data.end).unwrap_or_default();
            self.fields.json(json, writer);
        }
        Encoded {
            body: scratch.state.writer.written(),
            ids: data.ids,
            lane: Lane::Typed,
            data: Some(end - data.bytes.len()..end),
        }
    }

    fn kind(&self, name: &str) -> Option<&Kind> {
        let index = self.names.find(name.as_bytes(), name.len());
        self.kinds.get(usize::from(index))
    }

    /// Writes the field of a payload. `None` in place of an error says that it is no object.
    fn typed(
        &self,
        kind: &Kind,
        payload: Payload<'_>,
        state: &mut State,
    ) -> Result<Typed, Option<Error>> {
        let (text, at) = payload.source();
        let start = state.writer.tag_and_byte(kind.tag, 0);
        let walk = Walk::new(text.as_bytes(), &self.schema.tables, state);
        let end = walk.payload(kind.message, at, state)?;
        payload.finish(end)?;
        let ids = kind
            .routes
            .in_message(state.writer.written(), &state.routed);
        let start = state.writer.close(start);
        Ok(Typed {
            ids,
            data: start..state.writer.position(),
            end,
        })
    }

    /// Completes an event whose payload travels as JSON.
    fn json<'s>(
        &self,
        kind: Option<&Kind>,
        payload: Payload<'_>,
        lane: Lane,
        scratch: &'s mut Scratch,
    ) -> Encoded<'s> {
        let (text, start) = payload.source();
        let routes = kind.map_or(&self.usual, |kind| &kind.routes);
        let (ids, end) = routes.in_json(text, start);
        let writer = &mut scratch.state.writer;
        self.fields.ids(&ids, writer);
        let json = end.map_or_else(|| payload.text(), |end| payload.until(end));
        let (json, lane) = match json {
            Ok(json) => (json, lane),
            Err(error) => (payload.remains(), Lane::Refused(error)),
        };
        self.fields.json(json, writer);
        Encoded {
            body: writer.written(),
            ids,
            lane,
            data: None,
        }
    }
}

impl Default for Transcoder {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Encoded<'a> {
    /// The typed payload alone: the message that stands in the envelope's field.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.body.get(self.data.clone()?)
    }
}
