//! The tables that guide the walks in both directions: compiled once from the descriptors, then
//! only read.

use std::collections::HashMap;

use prost_reflect::MessageDescriptor;

use crate::keys::{self, Keys, Pattern};

pub(crate) use tag::{Tag, Wire};

mod compile;
mod tag;

/// What the JSON of a value must be, which follows from the field's type alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `google.protobuf.Value`: any JSON.
    Any,
    /// `true` or `false`.
    Bool,
    /// `uint64`: a string of digits.
    Digits,
    /// A number.
    Double,
    /// `int32` and enums: a whole number.
    Int32,
    /// `int64`: a whole number.
    Int64,
    /// A message: an object. Its index in `Tables::messages`.
    Object(u32),
    /// `fixed64`: a string of digits.
    Snowflake,
    /// A string.
    Text,
    /// `google.protobuf.Timestamp`: a string, ISO 8601.
    Time,
    /// `uint32`: a whole number.
    Uint32,
}

impl Kind {
    #[inline(always)]
    pub(crate) const fn wire(self) -> Wire {
        match self {
            Self::Bool | Self::Digits | Self::Int32 | Self::Int64 | Self::Uint32 => Wire::Varint,
            Self::Double | Self::Snowflake => Wire::Fixed64,
            Self::Any | Self::Object(_) | Self::Text | Self::Time => Wire::Bytes,
        }
    }
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arity {
    /// One.
    One,
    /// An array of them.
    List,
    /// An array of numbers, which protobuf packs.
    Packed,
    /// An object of them, keyed by snowflakes.
    MapBySnowflake,
    /// An object of them, keyed by any strings.
    MapByText,
}

/// One member that the schema knows.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) key: Pattern,
    pub(crate) kind: Kind,
    pub(crate) arity: Arity,
    /// The field's tag: of each value, of a packed list, of each entry of a map.
    pub(crate) tag: Tag,
    /// The tag of each value where it is not the field's: in a packed list, in a map's entries.
    pub(crate) inner: Tag,
    pub(crate) number: u32,
    /// The slot of what follows this member.
    pub(crate) slot: u32,
    /// Whether an id that events are routed by is here or deeper down.
    pub(crate) routes: bool,
}

/// The three fields that each object has of our own: the members that the schema has no place
/// for, the nulls, and the empty arrays and maps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own {
    pub(crate) unknown: Tag,
    pub(crate) nulls: Tag,
    pub(crate) empties: Tag,
    /// The numbers of the three, in this order.
    pub(crate) numbers: [u32; 3],
    /// Whether nulls and empties are masks of names rather than lists of numbers: in the messages
    /// that people write.
    pub(crate) by_name: bool,
}

/// One kind of object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) fields: Box<[Field]>,
    pub(crate) keys: Keys,
    /// The slot of the object's first member.
    pub(crate) slot: u32,
    pub(crate) own: Own,
    /// The indexes of the fields, by their numbers.
    places: Box<[u8]>,
}

impl Message {
    /// The index of the field with this number.
    #[inline(always)]
    pub(crate) fn place(&self, number: u32) -> u8 {
        match self.places.get(number as usize) {
            Some(&place) => place,
            None => keys::NONE,
        }
    }
}

/// All kinds of objects of a schema.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) messages: Vec<Message>,
    /// What each of them was compiled from.
    pub(crate) descriptors: Vec<MessageDescriptor>,
    /// How many slots there are.
    pub(crate) slots: u32,
    indexes: HashMap<String, u32>,
}

impl Tables {
    /// The index of the message of this full name.
    pub(crate) fn index(&self, name: &str) -> Option<u32> {
        self.indexes.get(name).copied()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.indexes.keys().map(String::as_str)
    }
}
