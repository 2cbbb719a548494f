//! AMQP frames as bytes: one buffer of those to be written, one of those that were read.
//!
//! What is written for each message is put together here, without a single allocation; everything
//! else goes through the codec. What is read is looked at before the codec sees it, because its tables
//! nest as deep as the peer likes: only methods without a table get there.

use std::fmt;

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::{AMQPClass, constants},
};

use bytes::Bytes;

use super::content::Content;
use crate::{
    Message,
    message::{Value, short},
};

/// Type, channel and size.
const HEAD: usize = 7;
/// What a frame has beside its payload.
pub(super) const AROUND: usize = HEAD + 1;
/// What the header frame of a message needs beside its table of headers: class, sizes, flags, and the
/// texts, which are short.
const PROPERTIES: usize = 64 + 4 * 256;
/// The same, of a message from which an answer is wanted.
const PROPERTIES_WANTED: usize = PROPERTIES + 4 * 256;
/// The content properties of a message that we set, as the bits that announce them.
const FLAGS: u16 = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 7 | 1 << 6 | 1 << 5 | 1 << 3;
/// The same of those that a message has from which an answer is wanted: `correlation-id` and `reply-to`.
const WANTED: u16 = 1 << 10 | 1 << 9;
/// The properties of a short word to somebody.
const WORD: u16 = 1 << 15 | 1 << 10 | 1 << 5;
/// The header with the further queues that a message goes to, which RabbitMQ takes out before it hands it over.
/// See <https://www.rabbitmq.com/docs/sender-selected>.
const COPIES: &str = "BCC";
/// A buffer that a huge message has made larger than this is given back.
const KEPT: usize = 256 * 1024;

/// Frames that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// How many of the bytes are written.
    written: usize,
}

/// How a message is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) channel: u16,
    pub(super) exchange: &'a str,
    pub(super) delivery_mode: u8,
    /// The largest frame that the broker takes.
    pub(super) frame_max: usize,
    /// Where the answer goes to a message that is a question of this process. It comes back when nobody is there to answer.
    pub(super) reply_to: Option<&'a str>,
}

/// A message to a single queue, about another message.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) queue: String,
    pub(crate) type_name: &'static str,
    pub(crate) correlation_id: String,
    pub(crate) body: Bytes,
}

/// What a message says of the answer that it wants.
#[derive(Clone, Copy)]
struct Asking<'a> {
    correlation_id: &'a str,
    reply_to: &'a str,
    /// Whether the queue gets a copy of the message, too.
    is_copied: bool,
}

impl Outgoing {
    /// What is to be written next.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// How many bytes are to be written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.written)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// So many bytes were written.
    pub(super) fn advance(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.bytes.len());
        if self.is_empty() {
            self.written = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        } else if self.written > self.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }

    /// Adds a frame through the codec.
    pub(super) fn push(&mut self, frame: &AMQPFrame) {
        match gen_frame(frame)(WriteContext::from(Vec::new())) {
            Ok(written) => self.bytes.extend_from_slice(&written.into_inner().0),
            Err(error) => tracing::error!(%error, "an AMQP frame cannot be encoded"),
        }
    }

    /// Adds a method.
    pub(super) fn method(&mut self, channel: u16, method: AMQPClass) {
        self.push(&AMQPFrame::Method(channel, method));
    }

    /// Adds a sign of life.
    pub(super) fn heartbeat(&mut self) {
        self.push(&AMQPFrame::Heartbeat);
    }

    /// Adds all frames of a message.
    pub(super) fn publish(&mut self, envelope: Envelope<'_>, message: &Message) {
        let wanted = message.wanted.as_deref().map(|wanted| Asking {
            correlation_id: &wanted.correlation_id,
            reply_to: &wanted.reply_to,
            is_copied: true,
        });
        let asking = envelope.reply_to.map(|reply_to| Asking {
            correlation_id: &message.message_id,
            reply_to,
            is_copied: false,
        });
        let mode = envelope.delivery_mode;
        self.content(
            envelope,
            &message.routing_key,
            &message.body,
            |bytes, room| put_properties(bytes, message, asking.or(wanted), mode, room),
        );
    }

    /// Adds all frames of a word.
    pub(super) fn word(&mut self, envelope: Envelope<'_>, word: &Word) {
        self.content(envelope, &word.queue, &word.body, |bytes, _| {
            put_u16(bytes, WORD);
            put_short(bytes, wire::routing::CONTENT_TYPE);
            put_short(bytes, &word.correlation_id);
            put_short(bytes, word.type_name);
        });
    }

    /// Adds what is published, with properties that have so much room.
    fn content(
        &mut self,
        envelope: Envelope<'_>,
        routing_key: &str,
        body: &[u8],
        properties: impl FnOnce(&mut Vec<u8>, usize),
    ) {
        let Envelope {
            channel, frame_max, ..
        } = envelope;
        let payload = frame_max.saturating_sub(AROUND).max(1);
        self.frame(constants::FRAME_METHOD, channel, |bytes| {
            put_u16(bytes, 60);
            put_u16(bytes, 40);
            put_u16(bytes, 0);
            put_short(bytes, envelope.exchange);
            put_short(bytes, routing_key);
            // Whether it is mandatory.
            bytes.push(u8::from(envelope.reply_to.is_some()));
        });
        self.frame(constants::FRAME_HEADER, channel, |bytes| {
            put_u16(bytes, 60);
            put_u16(bytes, 0);
            bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
            properties(bytes, payload);
        });
        for chunk in body.chunks(payload) {
            self.frame(constants::FRAME_BODY, channel, |bytes| {
                bytes.extend_from_slice(chunk);
            });
        }
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(kind);
        put_u16(&mut self.bytes, channel);
        put_sized(&mut self.bytes, payload);
        self.bytes.push(constants::FRAME_END);
    }
}

/// The properties of the contract, in the order of their bits.
fn put_properties(
    bytes: &mut Vec<u8>,
    message: &Message,
    asking: Option<Asking<'_>>,
    mode: u8,
    payload: usize,
) {
    put_u16(bytes, FLAGS | asking.map_or(0, |_| WANTED));
    put_short(bytes, wire::routing::CONTENT_TYPE);
    put_sized(bytes, |bytes| {
        // A header frame cannot be split, so what does not fit is left out.
        let properties = asking.map_or(PROPERTIES, |_| PROPERTIES_WANTED);
        let limit = bytes.len() + payload.saturating_sub(properties);
        for (name, value) in &message.headers {
            let before = bytes.len();
            put_short(bytes, name);
            put_value(bytes, value);
            if bytes.len() > limit {
                bytes.truncate(before);
            }
        }
        if let Some(asking) = asking.filter(|asking| asking.is_copied) {
            put_short(bytes, COPIES);
            bytes.push(b'A');
            put_sized(bytes, |bytes| put_text(bytes, short(asking.reply_to)));
        }
    });
    bytes.push(mode);
    if let Some(asking) = asking {
        put_short(bytes, asking.correlation_id);
        put_short(bytes, asking.reply_to);
    }
    put_short(bytes, &message.message_id);
    bytes.extend_from_slice(&message.timestamp.to_be_bytes());
    put_short(bytes, message.type_name);
    put_short(bytes, &message.app_id);
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Flag(flag) => bytes.extend_from_slice(&[b't', u8::from(*flag)]),
        Value::Number(number) => {
            bytes.push(b'l');
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Value::Text(text) => put_text(bytes, text),
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(b'S');
    put_sized(bytes, |bytes| bytes.extend_from_slice(text.as_bytes()));
}

fn put_u16(bytes: &mut Vec<u8>, number: u16) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

/// A text behind its length in one byte; what AMQP cannot carry is cut off.
fn put_short(bytes: &mut Vec<u8>, text: &str) {
    let text = short(text);
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

/// What `write` adds, behind its length in four bytes.
fn put_sized(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    write(bytes);
    let length = u32::try_from(bytes.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = bytes.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// What the broker says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// That it is there.
    Heartbeat,
    /// A method on a channel.
    Method(u16, AMQPClass),
    /// What stands in front of the body of a message.
    Content(u16, Box<Content>),
    /// A piece of the body.
    Piece(u16, Piece),
    /// The first thing of all: the ways to log in that it knows.
    Start(String),
}

/// A piece of a message, which is nobody's business.
#[derive(PartialEq, Eq)]
pub(super) struct Piece(pub(super) Bytes);

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Why what was read is no AMQP, or not what we understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Garbled(pub(super) String);

/// Bytes that were read; a frame must fit into the buffer.
#[derive(Debug)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    start: usize,
    /// Where the bytes that were read end.
    end: usize,
}

impl Incoming {
    pub(super) fn new(frame_max: usize) -> Self {
        Self {
            bytes: vec![0; frame_max.max(AROUND)],
            start: 0,
            end: 0,
        }
    }

    /// Where the next bytes go. There is room as long as all whole frames were taken out.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes were read.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
    }

    /// Takes the next whole frame out.
    pub(super) fn next(&mut self) -> Result<Option<Said>, Garbled> {
        let bytes = self.bytes.get(self.start..self.end).unwrap_or_default();
        if bytes.first() == Some(&b'A') {
            return Err(garbled("the broker speaks another version of AMQP"));
        }
        let Some(&[kind, c0, c1, s0, s1, s2, s3]) = bytes.first_chunk() else {
            return Ok(None);
        };
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        if size > self.bytes.len() - AROUND {
            return Err(garbled(format!("a frame of {size} bytes is too large")));
        }
        let Some(frame) = bytes.get(..size + AROUND) else {
            return Ok(None);
        };
        self.start += frame.len();
        if frame.last() != Some(&constants::FRAME_END) {
            return Err(garbled("a frame does not end where it should"));
        }
        let channel = u16::from_be_bytes([c0, c1]);
        match (kind, channel) {
            (constants::FRAME_HEARTBEAT, 0) => Ok(Some(Said::Heartbeat)),
            (constants::FRAME_METHOD, channel) => method(channel, frame).map(Some),
            (constants::FRAME_HEADER, channel) => match Content::read(payload(frame)) {
                Some(content) => Ok(Some(Said::Content(channel, Box::new(content)))),
                None => Err(garbled("the properties of a message are cut off")),
            },
            (constants::FRAME_BODY, channel) => {
                let piece = Piece(Bytes::copy_from_slice(payload(frame)));
                Ok(Some(Said::Piece(channel, piece)))
            }
            _ => Err(garbled(format!("a frame of type {kind} is not expected"))),
        }
    }
}

fn garbled(text: impl Into<String>) -> Garbled {
    Garbled(text.into())
}

/// What a whole frame carries.
fn payload(frame: &[u8]) -> &[u8] {
    frame.get(HEAD..frame.len() - 1).unwrap_or_default()
}

/// Reads a method that we may hear.
fn method(channel: u16, frame: &[u8]) -> Result<Said, Garbled> {
    let Some((&[c0, c1, m0, m1], arguments)) = payload(frame).split_first_chunk() else {
        return Err(garbled("a method without a name"));
    };
    let name = (u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1]));
    match name {
        (10, 10) => return start(arguments).ok_or_else(|| garbled("connection.start is cut off")),
        // connection: secure, tune, open-ok, close, close-ok, blocked, unblocked.
        (10, 20 | 30 | 41 | 50 | 51 | 60 | 61)
        // channel: open-ok, flow, close, close-ok; queue: declare-ok, bind-ok.
        | (20, 11 | 20 | 40 | 41)
        | (50, 11 | 21)
        // basic: qos-ok, consume-ok, cancel, cancel-ok, return, deliver, ack, nack; confirm: select-ok.
        | (60, 11 | 21 | 30 | 31 | 50 | 60 | 80 | 120)
        | (85, 11) => {}
        (class, method) => {
            return Err(garbled(format!("method {class}.{method} is not expected")));
        }
    }
    match parse_frame(frame) {
        Ok(([], AMQPFrame::Method(_, method))) => Ok(Said::Method(channel, method)),
        _ => Err(garbled(format!("method {}.{} is cut off", name.0, name.1))),
    }
}

/// Reads `connection.start`; its table of the server's properties is skipped.
fn start(arguments: &[u8]) -> Option<Said> {
    let (_version, rest) = arguments.split_first_chunk::<2>()?;
    let (_properties, rest) = long(rest)?;
    let (mechanisms, _) = long(rest)?;
    Some(Said::Start(
        String::from_utf8_lossy(mechanisms).into_owned(),
    ))
}

/// What stands behind its length in four bytes, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*size) as usize)
}

#[cfg(test)]
mod tests;
