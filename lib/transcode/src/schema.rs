//! Messages of any kind, from JSON and to JSON.

use prost_reflect::DescriptorPool;

use crate::error::{Error, ParseError, RenderError};
use crate::frame::Payload;
use crate::path;
use crate::render::{self, Others};
use crate::scratch::Scratch;
use crate::table::Tables;
use crate::walk::Walk;

/// All that is known about the messages of a contract, compiled from its descriptors. It never
/// changes, so all threads share one.
#[derive(Debug)]
pub struct Schema {
    pub(crate) tables: Tables,
}

/// One kind of message, of the schema that gave it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    pub(crate) message: u32,
}

impl Schema {
    /// Compiles the tables of all messages that stand for an object of Discord's: those that have
    /// the fields `unknown_json`, `nulls` and `empties`.
    pub fn new(pool: &DescriptorPool) -> Self {
        Self {
            tables: Tables::new(pool),
        }
    }

    /// The message of this full name, for example `discord.v1.Message`. `None` if there is none, or
    /// it does not stand for an object.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        let message = self.tables.index(name)?;
        Some(Shape { message })
    }

    /// The full names of all that `shape` finds, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.names()
    }

    /// Encodes a JSON object. What the message has no place for is kept in it as text, so nothing is
    /// lost.
    ///
    /// # Errors
    ///
    /// If the text is not one JSON object in UTF-8, is nested too deeply, or has a member twice.
    ///
    /// # Panics
    ///
    /// If the shape is of another schema.
    pub fn parse<'s>(
        &self,
        shape: Shape,
        json: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<&'s [u8], ParseError> {
        let text = std::str::from_utf8(json).map_err(|error| {
            let at = error.valid_up_to();
            path::at(json, Error::NotUtf8 { at })
        })?;
        let payload = Payload::new(text);
        let (text, start) = payload.source();
        let state = &mut scratch.state;
        state.writer.clear();
        let walk = Walk::new(text.as_bytes(), &self.tables, state);
        let walked = walk.payload(shape.message, start, state);
        let finished = match walked {
            Ok(end) => payload.finish(end),
            Err(Some(error)) => Err(error),
            // It is no object; it may not even be JSON.
            Err(None) => payload.text().and(Err(Error::NotObject)),
        };
        finished.map_err(|error| path::at(json, error))?;
        Ok(scratch.state.writer.written())
    }

    /// The JSON object that an encoded message stands for: its fields, and what it keeps beside them.
    ///
    /// # Errors
    ///
    /// If the bytes are no such message, or the message says what JSON cannot, or contradicts itself.
    /// A field that the schema does not know is such a mistake as well: whoever sent it counts on it.
    ///
    /// # Panics
    ///
    /// If the shape is of another schema.
    pub fn render<'s>(
        &self,
        shape: Shape,
        protobuf: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<&'s str, RenderError> {
        let message = shape.message;
        render::render(&self.tables, message, protobuf, Others::Refuse, scratch)
    }

    /// As `render`, but fields that the schema does not know are passed over: for what a newer
    /// gateway sends.
    ///
    /// # Errors
    ///
    /// As `render`.
    ///
    /// # Panics
    ///
    /// As `render`.
    pub fn render_known<'s>(
        &self,
        shape: Shape,
        protobuf: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<&'s str, RenderError> {
        let message = shape.message;
        render::render(&self.tables, message, protobuf, Others::Pass, scratch)
    }
}
