//! From descriptors to tables.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as Type, MessageDescriptor};

use super::tag::number_fits;
use super::{Arity, Field, Kind, Message, Own, Tables, Tag, Wire};
use crate::keys::{self, Keys, Pattern};

/// Members of one message that the tables can hold: the bits of the set of those seen.
const FIELDS: usize = 128;

/// Field numbers are found by a table; whatever lies behind it counts as unknown.
const NUMBERS: u32 = 1 << 12;

impl Tables {
    /// Compiles each message that stands for an object of Discord's.
    pub(crate) fn new(pool: &DescriptorPool) -> Self {
        let mut tables = Self::default();
        for message in pool.all_messages() {
            if own(&message).is_some() {
                tables.compiled(&message);
            }
        }
        tables
    }

    /// Adds a copy of `message` for the use of one event, which is routed by the members
    /// `routes`. `None` if it isn't one of Discord's objects.
    pub(crate) fn root(&mut self, message: &MessageDescriptor, routes: &[&str]) -> Option<u32> {
        let original = self.index(message.full_name())?;
        let mut copy = self.messages[original as usize].clone();
        copy.slot = self.slot();
        for (index, field) in copy.fields.iter_mut().enumerate() {
            field.slot = self.slot();
            field.routes = routes.contains(&copy.keys.name(index as u8));
        }
        let index = self.reserve(message);
        self.messages[index as usize] = copy;
        Some(index)
    }

    /// The index of `message`, which is compiled if it has not been yet. As messages contain each
    /// other, the index is given out before the message is compiled. `None` if it isn't one of
    /// Discord's objects.
    fn compiled(&mut self, message: &MessageDescriptor) -> Option<u32> {
        if let Some(index) = self.index(message.full_name()) {
            return Some(index);
        }
        let own = own(message)?;
        let index = self.reserve(message);
        self.indexes.insert(message.full_name().to_owned(), index);
        self.messages[index as usize] = self.compile(message, own);
        Some(index)
    }

    fn reserve(&mut self, message: &MessageDescriptor) -> u32 {
        self.messages.push(Message::default());
        self.descriptors.push(message.clone());
        self.messages.len() as u32 - 1
    }

    fn compile(&mut self, message: &MessageDescriptor, own: Own) -> Message {
        let mut names = Vec::new();
        let mut fields = Vec::new();
        for field in message.fields() {
            let full = fields.len() == FIELDS;
            if full || own.numbers.contains(&field.number()) || field.number() >= NUMBERS {
                continue;
            }
            if let Some(compiled) = self.field(&field) {
                names.push(field.name().to_owned());
                fields.push(compiled);
            }
        }
        Message {
            keys: Keys::new(&names),
            slot: self.slot(),
            own,
            places: places(&fields),
            fields: fields.into(),
        }
    }

    fn slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    /// `None` for types that JSON has no agreed form for: such members count as unknown.
    fn field(&mut self, field: &FieldDescriptor) -> Option<Field> {
        let (arity, kind) = if field.is_map() {
            let Type::Message(entry) = field.kind() else {
                return None;
            };
            let arity = match entry.map_entry_key_field().kind() {
                Type::Fixed64 => Arity::MapBySnowflake,
                Type::String => Arity::MapByText,
                _ => return None,
            };
            (arity, self.kind(&entry.map_entry_value_field().kind())?)
        } else {
            let kind = self.kind(&field.kind())?;
            let arity = match (field.is_list(), kind.wire()) {
                (false, _) => Arity::One,
                (true, Wire::Bytes) => Arity::List,
                (true, Wire::Varint | Wire::Fixed64) => Arity::Packed,
            };
            (arity, kind)
        };
        let number = field.number();
        let (tag, inner) = match arity {
            Arity::One | Arity::List => (Tag::new(number, kind.wire()), Tag::NONE),
            Arity::Packed => (Tag::new(number, Wire::Bytes), Tag::NONE),
            Arity::MapBySnowflake | Arity::MapByText => {
                (Tag::new(number, Wire::Bytes), Tag::new(2, kind.wire()))
            }
        };
        let slot = self.slot();
        let key = Pattern::new(field.name());
        Some(Field {
            key,
            kind,
            arity,
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
                _ => Kind::Object(self.compiled(message)?),
            },
            _ => return None,
        })
    }
}

/// The indexes of the fields, by their numbers.
fn places(fields: &[Field]) -> Box<[u8]> {
    let length = fields.iter().map(|field| field.number + 1).max();
    let mut places = vec![keys::NONE; length.unwrap_or(0) as usize];
    for (index, field) in fields.iter().enumerate() {
        places[field.number as usize] = index as u8;
    }
    places.into()
}

/// The three fields of our own. `None` if one is missing or of another type: then something of
/// an object of Discord's would be lost in `message`.
fn own(message: &MessageDescriptor) -> Option<Own> {
    let [unknown, nulls, empties] =
        ["unknown_json", "nulls", "empties"].map(|name| message.get_field_by_name(name));
    let (unknown, nulls, empties) = (unknown?, nulls?, empties?);
    let numbers = |field: &FieldDescriptor| field.is_list() && field.kind() == Type::Uint32;
    let names = |field: &FieldDescriptor| match field.kind() {
        Type::Message(mask) => !field.is_list() && mask.full_name() == "google.protobuf.FieldMask",
        _ => false,
    };
    let by_name = names(&nulls) && names(&empties);
    let known = by_name || numbers(&nulls) && numbers(&empties);
    let fields = [&unknown, &nulls, &empties];
    let fit = fields.iter().all(|field| number_fits(field.number()));
    (known && fit && unknown.kind() == Type::String && !unknown.is_list()).then(|| Own {
        unknown: Tag::new(unknown.number(), Wire::Bytes),
        nulls: Tag::new(nulls.number(), Wire::Bytes),
        empties: Tag::new(empties.number(), Wire::Bytes),
        numbers: fields.map(FieldDescriptor::number),
        by_name,
    })
}
