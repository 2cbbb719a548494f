//! A message as bytes in a file: length, checksum of the length, checksum of the rest, the rest.
//!
//! The checksum of the length tells a record that was cut off, as a crash does it, from one that
//! is damaged.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use crate::{Exchange, Message, Value, queue::Item};

/// Length and checksums.
pub(super) const HEAD: usize = 12;

/// How many different names of headers and types a folder may hold: they are kept for good.
const NAMES: usize = 256;

/// What the beginning of some bytes is.
#[derive(Debug)]
pub(super) enum Split<'a> {
    /// A record's content; the whole of it takes this many bytes.
    Record(&'a [u8], usize),
    /// A record that takes this many bytes, which are not all here.
    Short(usize),
    /// Nothing that was ever written.
    Corrupt(&'static str),
}

/// Looks for a record at the beginning.
pub(super) fn split(bytes: &[u8]) -> Split<'_> {
    let Some(([length, check, sum], rest)) = head(bytes) else {
        return Split::Short(HEAD);
    };
    if crc32fast::hash(&length.to_le_bytes()) != check {
        return Split::Corrupt("a length does not fit its checksum");
    }
    let Ok(length) = usize::try_from(length) else {
        return Split::Corrupt("a record is larger than this machine can address");
    };
    match rest.get(..length) {
        None => Split::Short(HEAD.saturating_add(length)),
        Some(content) if crc32fast::hash(content) != sum => {
            Split::Corrupt("a record does not fit its checksum")
        }
        Some(content) => Split::Record(content, HEAD + length),
    }
}

fn head(bytes: &[u8]) -> Option<([u32; 3], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    Some(([word(0), word(4), word(8)], rest))
}

/// Appends a message.
pub(super) fn write(item: &Item, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEAD]);
    let (message, origin) = (&item.message, &item.origin);
    number(buffer, origin.lane.number);
    number(buffer, item.sequence);
    number(buffer, origin.more.len() as u64);
    for sequence in &origin.more {
        number(buffer, *sequence);
    }
    let exchange = Exchange::ALL
        .iter()
        .position(|known| *known == message.exchange);
    number(buffer, exchange.unwrap_or_default() as u64);
    number(buffer, message.timestamp);
    number(buffer, message.group);
    text(buffer, message.type_name.as_bytes());
    text(buffer, message.app_id.as_bytes());
    text(buffer, message.routing_key.as_bytes());
    text(buffer, message.message_id.as_bytes());
    number(buffer, message.headers.len() as u64);
    for (name, value) in &message.headers {
        text(buffer, name.as_bytes());
        let (kind, content) = match value {
            Value::Flag(flag) => (0, vec![u8::from(*flag)]),
            Value::Number(number) => (1, number.to_le_bytes().to_vec()),
            Value::Text(text) => (2, text.as_bytes().to_vec()),
        };
        number(buffer, kind);
        text(buffer, &content);
    }
    text(buffer, &message.body);
    seal(&mut buffer[start..]);
}

/// Fills in length and checksums.
fn seal(record: &mut [u8]) {
    let (head, content) = record.split_at_mut(HEAD);
    // No message comes near 4 GiB: what Discord sends is bounded far below.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let check = crc32fast::hash(&length.to_le_bytes());
    let sum = crc32fast::hash(content);
    for (place, word) in head.chunks_exact_mut(4).zip([length, check, sum]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

fn number(buffer: &mut Vec<u8>, number: u64) {
    prost::encoding::encode_varint(number, buffer);
}

fn text(buffer: &mut Vec<u8>, text: &[u8]) {
    number(buffer, text.len() as u64);
    buffer.extend_from_slice(text);
}

/// A message as it was written.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) message: Message,
    pub(super) lane: u64,
    pub(super) sequence: u64,
    pub(super) more: Vec<u64>,
}

/// Reads a record's content; `None` when it is none.
pub(super) fn read(content: &[u8], names: &mut Names) -> Option<Record> {
    let mut rest = content;
    let rest = &mut rest;
    let (lane, sequence) = (take_number(rest)?, take_number(rest)?);
    let more = take_list(rest, take_number)?;
    let exchange = usize::try_from(take_number(rest)?).ok()?;
    let message = Message {
        exchange: *Exchange::ALL.get(exchange)?,
        timestamp: take_number(rest)?,
        group: take_number(rest)?,
        type_name: names.known(take_text(rest)?)?,
        app_id: Arc::from(take_text(rest)?),
        routing_key: take_text(rest)?.to_owned(),
        message_id: take_text(rest)?.to_owned(),
        headers: take_list(rest, |rest| {
            Some((names.known(take_text(rest)?)?, take_value(rest)?))
        })?,
        body: Bytes::copy_from_slice(take_bytes(rest)?),
        batch: None,
        trace: None,
        wanted: None,
    };
    rest.is_empty().then_some(Record {
        message,
        lane,
        sequence,
        more,
    })
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(rest).ok()
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(rest)?).ok()
}

fn take_value(rest: &mut &[u8]) -> Option<Value> {
    let (kind, content) = (take_number(rest)?, take_bytes(rest)?);
    Some(match kind {
        0 => Value::Flag(content == [1]),
        1 => Value::Number(i64::from_le_bytes(content.try_into().ok()?)),
        2 => Value::Text(String::from_utf8(content.to_vec()).ok()?),
        _ => return None,
    })
}

/// Several of the same; each takes at least a byte, so a wrong number ends soon.
fn take_list<T>(rest: &mut &[u8], mut take: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = take_number(rest)?;
    (0..count).map(|_| take(rest)).collect()
}

/// The names of types and headers, which live as long as the process.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<&'static str>);

impl Names {
    /// The same name for good; `None` when there are too many to have come from us.
    fn known(&mut self, name: &str) -> Option<&'static str> {
        if let Some(known) = self.0.get(name) {
            return Some(known);
        }
        if self.0.len() >= NAMES {
            return None;
        }
        let name: &'static str = name.to_owned().leak();
        self.0.insert(name);
        Some(name)
    }
}
