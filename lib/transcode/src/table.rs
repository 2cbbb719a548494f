//! The tables that guide the walk: compiled once from the descriptors, then only read.

use std::collections::HashMap;

use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};

use crate::keys::{Keys, Pattern};

/// Members of one message that the tables can hold: the bits of the set of those seen.
const FIELDS: usize = 128;

/// The encoded tag of a field: its first bytes in the lowest bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tag {
    pub(crate) bytes: u32,
    length: u8,
}

impl Tag {
    /// No tag at all: elements of packed fields have none.
    pub(crate) const NONE: Self = Self {
        bytes: 0,
        length: 0,
    };

    pub(crate) const fn new(number: u32, wire: Wire) -> Self {
        let mut value = number << 3 | wire as u32;
        let (mut bytes, mut length) = (0, 0);
        // The tags of field numbers below 2^25 fit into four bytes; larger ones are refused by
        // `number_fits`.
        while value >= 0x80 {
            bytes |= (value & 0x7f | 0x80) << (8 * length);
            value >>= 7;
            length += 1;
        }
        Self {
            bytes: bytes | value << (8 * length),
            length: length as u8 + 1,
        }
    }

    #[inline(always)]
    pub(crate) const fn len(self) -> usize {
        self.length as usize
    }
}

const fn number_fits(number: u32) -> bool {
    number < 1 << 25
}

/// Protobuf's wire types, with their numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

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
    const fn wire(self) -> Wire {
        match self {
            Self::Bool | Self::Digits | Self::Int32 | Self::Int64 | Self::Uint32 => Wire::Varint,
            Self::Double | Self::Snowflake => Wire::Fixed64,
            Self::Any | Self::Object(_) | Self::Text | Self::Time => Wire::Bytes,
        }
    }
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
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
    pub(crate) shape: Shape,
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

/// One kind of object.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) fields: Box<[Field]>,
    pub(crate) keys: Keys,
    /// The slot of the object's first member.
    pub(crate) slot: u32,
    pub(crate) unknown: Tag,
    pub(crate) nulls: Tag,
    pub(crate) empties: Tag,
}

/// All kinds of objects that events consist of.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) messages: Vec<Message>,
    /// How many slots there are.
    pub(crate) slots: u32,
    indexes: HashMap<String, u32>,
}

impl Tables {
    /// Adds a copy of `message` for the use of one event, which is routed by the members
    /// `routes`. `None` if it isn't one of Discord's objects.
    pub(crate) fn root(&mut self, message: &MessageDescriptor, routes: &[&str]) -> Option<u32> {
        is_object(message).then(|| {
            let index = self.reserve();
            self.compile(message, index, routes);
            index
        })
    }

    /// The index of `message`, which is compiled if it has not been yet. As messages contain each
    /// other, the index is given out before the message is compiled.
    fn index(&mut self, message: &MessageDescriptor) -> u32 {
        if let Some(&index) = self.indexes.get(message.full_name()) {
            return index;
        }
        let index = self.reserve();
        self.indexes.insert(message.full_name().to_owned(), index);
        self.compile(message, index, &[]);
        index
    }

    fn reserve(&mut self) -> u32 {
        let index = self.messages.len() as u32;
        self.messages.push(Message {
            fields: Box::default(),
            keys: Keys::default(),
            slot: 0,
            unknown: Tag::NONE,
            nulls: Tag::NONE,
            empties: Tag::NONE,
        });
        index
    }

    fn compile(&mut self, message: &MessageDescriptor, index: u32, routes: &[&str]) {
        let own = own(message);
        let mut names = Vec::new();
        let mut fields = Vec::new();
        for field in message.fields() {
            let full = fields.len() == FIELDS;
            if full || own.contains(&field.number()) || !number_fits(field.number()) {
                continue;
            }
            let Some(mut compiled) = self.field(&field) else {
                continue;
            };
            compiled.routes = routes.contains(&field.name());
            names.push(field.name().to_owned());
            fields.push(compiled);
        }
        let slot = self.slot();
        self.messages[index as usize] = Message {
            fields: fields.into(),
            keys: Keys::new(&names),
            slot,
            unknown: Tag::new(own[0], Wire::Bytes),
            nulls: Tag::new(own[1], Wire::Bytes),
            empties: Tag::new(own[2], Wire::Bytes),
        };
    }

    fn slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    /// `None` for types that JSON has no agreed form for: such members count as unknown.
    fn field(&mut self, field: &FieldDescriptor) -> Option<Field> {
        let (shape, kind) = if field.is_map() {
            let Type::Message(entry) = field.kind() else {
                return None;
            };
            let shape = match entry.map_entry_key_field().kind() {
                Type::Fixed64 => Shape::MapBySnowflake,
                Type::String => Shape::MapByText,
                _ => return None,
            };
            (shape, self.kind(&entry.map_entry_value_field().kind())?)
        } else {
            let kind = self.kind(&field.kind())?;
            let shape = match (field.is_list(), kind.wire()) {
                (false, _) => Shape::One,
                (true, Wire::Bytes) => Shape::List,
                (true, Wire::Varint | Wire::Fixed64) => Shape::Packed,
            };
            (shape, kind)
        };
        let number = field.number();
        let (tag, inner) = match shape {
            Shape::One | Shape::List => (Tag::new(number, kind.wire()), Tag::NONE),
            Shape::Packed => (Tag::new(number, Wire::Bytes), Tag::NONE),
            Shape::MapBySnowflake | Shape::MapByText => {
                (Tag::new(number, Wire::Bytes), Tag::new(2, kind.wire()))
            }
        };
        let slot = self.slot();
        let key = Pattern::new(field.name());
        Some(Field {
            key,
            kind,
            shape,
            tag,
            inner,
            number,
            slot,
            routes: false,
        })
    }

    fn kind(&mut self, kind: &Type) -> Option<Kind> {
        Some(match kind {
            Type::Bool => Kind::Bool,
            Type::Double => Kind::Double,
            Type::Enum(_) | Type::Int32 => Kind::Int32,
            Type::Fixed64 => Kind::Snowflake,
            Type::Int64 => Kind::Int64,
            Type::String => Kind::Text,
            Type::Uint32 => Kind::Uint32,
            Type::Uint64 => Kind::Digits,
            Type::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => Kind::Time,
                "google.protobuf.Value" => Kind::Any,
                _ if is_object(message) => Kind::Object(self.index(message)),
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// The numbers of the three fields that each of Discord's objects has of our own: the members
/// that the schema has no place for, the nulls, and the empty arrays. Zero for what is missing.
fn own(message: &MessageDescriptor) -> [u32; 3] {
    ["unknown_json", "nulls", "empties"].map(|name| {
        message
            .get_field_by_name(name)
            .map_or(0, |field| field.number())
    })
}

/// Whether nothing of an object of Discord's is lost in `message`.
fn is_object(message: &MessageDescriptor) -> bool {
    own(message)
        .iter()
        .all(|&number| number != 0 && number_fits(number))
}
