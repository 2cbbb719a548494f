//! The envelope: the fields of `gateway.v1.Event` around the payload.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_reflect::{Kind as Type, MessageDescriptor};
use wire::gateway::v1::Source;

use crate::ids::Ids;
use crate::table::{Tag, Wire};
use crate::write::Writer;

/// What is said of an event beside its payload.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The event's stable name, `<session id>:<sequence>` for those of the gateway.
    pub id: &'a str,
    /// The application that it is for.
    pub application_id: u64,
    /// Discord's name of it.
    pub name: &'a str,
    /// The kind of connection that it came by.
    pub source: Source,
    /// The shard that received it: its number, and how many there are.
    pub shard: Option<(u32, u32)>,
    /// Its sequence number.
    pub sequence: Option<u64>,
    /// When it had been read.
    pub received_at: SystemTime,
    /// What of the payload is wanted.
    pub lanes: Lanes,
}

/// What events carry of their payloads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lanes {
    /// Typed data and JSON.
    Both,
    /// JSON.
    Json,
    /// Typed data; JSON where there is no typed data.
    #[default]
    Typed,
}

/// The tags of the envelope's fields.
#[derive(Debug)]
pub(crate) struct Fields {
    id: Tag,
    application_id: Tag,
    name: Tag,
    source: Tag,
    shard: Tag,
    shard_id: Tag,
    shard_count: Tag,
    sequence: Tag,
    received_at: Tag,
    received_seconds: Tag,
    received_nanos: Tag,
    guild_id: Tag,
    channel_id: Tag,
    user_id: Tag,
    json: Tag,
}

impl Fields {
    /// Reads the numbers from the envelope's descriptor.
    pub(crate) fn new(event: &MessageDescriptor) -> Self {
        let tag = |name, wire| Tag::new(number(event, &[name]), wire);
        let inner = |path: [&str; 2]| Tag::new(number(event, &path), Wire::Varint);
        Self {
            id: tag("id", Wire::Bytes),
            application_id: tag("application_id", Wire::Fixed64),
            name: tag("name", Wire::Bytes),
            source: tag("source", Wire::Varint),
            shard: tag("shard", Wire::Bytes),
            shard_id: inner(["shard", "id"]),
            shard_count: inner(["shard", "count"]),
            sequence: tag("sequence", Wire::Varint),
            received_at: tag("received_at", Wire::Bytes),
            received_seconds: inner(["received_at", "seconds"]),
            received_nanos: inner(["received_at", "nanos"]),
            guild_id: tag("guild_id", Wire::Fixed64),
            channel_id: tag("channel_id", Wire::Fixed64),
            user_id: tag("user_id", Wire::Fixed64),
            json: tag("json", Wire::Bytes),
        }
    }

    /// Writes what is known before the payload is read.
    pub(crate) fn head(&self, envelope: &Envelope<'_>, writer: &mut Writer) {
        writer.tagged_bytes(self.id, envelope.id.as_bytes());
        writer.fixed64(self.application_id, envelope.application_id);
        writer.tagged_bytes(self.name, envelope.name.as_bytes());
        writer.tagged_varint(self.source, envelope.source as u64);
        if let Some((id, count)) = envelope.shard {
            let start = writer.tag_and_byte(self.shard, 0);
            writer.tagged_varint(self.shard_id, u64::from(id));
            writer.tagged_varint(self.shard_count, u64::from(count));
            writer.close(start);
        }
        if let Some(sequence) = envelope.sequence {
            writer.tagged_varint(self.sequence, sequence);
        }
        // A clock before 1970 is a wrong clock: then the moment is left out.
        if let Ok(since) = envelope.received_at.duration_since(UNIX_EPOCH) {
            let start = writer.tag_and_byte(self.received_at, 0);
            writer.tagged_varint(self.received_seconds, since.as_secs());
            writer.tagged_varint(self.received_nanos, u64::from(since.subsec_nanos()));
            writer.close(start);
        }
    }

    pub(crate) fn ids(&self, ids: &Ids, writer: &mut Writer) {
        let fields = [
            (self.guild_id, ids.guild_id),
            (self.channel_id, ids.channel_id),
            (self.user_id, ids.user_id),
        ];
        for (tag, id) in fields {
            if let Some(id) = id {
                writer.fixed64(tag, id);
            }
        }
    }

    pub(crate) fn json(&self, json: &str, writer: &mut Writer) {
        writer.tagged_bytes(self.json, json.as_bytes());
    }
}

/// The number of the field that the path of names leads to.
fn number(message: &MessageDescriptor, path: &[&str]) -> u32 {
    let (name, rest) = path.split_first().expect("no path here is empty");
    let field = message
        .get_field_by_name(name)
        .expect("the envelope has all fields named here");
    match field.kind() {
        Type::Message(inner) if !rest.is_empty() => number(&inner, rest),
        _ => field.number(),
    }
}
