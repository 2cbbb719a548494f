//! One change of a message that is protobuf, or nearly so: taken apart into its fields, so that the
//! lengths around what has changed are right again.

use fastrand::Rng;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::catalogue::Catalogue;
use crate::generate;

/// One field of a message.
#[derive(Clone, Debug)]
struct Field {
    number: u32,
    value: Value,
}

/// What a field holds.
#[derive(Clone, Debug)]
enum Value {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

/// How many messages within each other are taken apart.
const DEPTH: u32 = 128;

/// The message with something changed.
pub(super) fn changed(rng: &mut Rng, message: &MessageDescriptor, bytes: &[u8]) -> Vec<u8> {
    let mut fields = decoded(message, bytes, DEPTH).unwrap_or_default();
    for _ in 0..=rng.u8(..3) {
        change(rng, message, &mut fields);
    }
    let mut out = Vec::new();
    encode(rng, &fields, &mut out);
    if rng.u8(..16) == 0 {
        out.truncate(rng.usize(..=out.len()));
    }
    out
}

/// Changes a message, or one that lies within it.
fn change(rng: &mut Rng, message: &MessageDescriptor, fields: &mut Vec<Field>) {
    let at = rng.usize(..fields.len().max(1));
    if let Some(field) = fields.get_mut(at)
        && let Value::Message(inner) = &mut field.value
        && let Some(descriptor) = inner_message(message, field.number)
        && rng.u8(..4) > 0
    {
        return change(rng, &descriptor, inner);
    }
    match (rng.u8(..16), fields.get(at).cloned()) {
        (0, Some(_)) => {
            fields.remove(at);
        }
        (1, Some(copy)) => fields.insert(rng.usize(..=fields.len()), copy),
        (2, Some(_)) => {
            let other = rng.usize(..fields.len());
            fields.swap(at, other);
        }
        (3, Some(field)) => fields[at].number = number(rng, message, field.number),
        (4 | 5, Some(field)) => fields[at].value = other_value(rng, field.value),
        (6, Some(field)) => fields[at].value = other_type(rng, field.value),
        (7, Some(field)) => {
            if let Value::Message(mut inner) = field.value {
                let rest = inner.split_off(rng.usize(..=inner.len()));
                fields[at].value = Value::Message(inner);
                let value = Value::Message(rest);
                fields.insert(rng.usize(..=fields.len()), Field { value, ..field });
            }
        }
        (8, Some(field)) => {
            // The same once more within itself, as far as the schema goes.
            if let Value::Message(inner) = &mut fields[at].value {
                inner.push(field);
            }
        }
        (9, _) => *fields = fresh(rng, message),
        _ => {
            let known: Vec<_> = message.fields().collect();
            if let Some(descriptor) = rng.choice(&known) {
                fields.insert(rng.usize(..=fields.len()), any_field(rng, descriptor));
            }
        }
    }
}

/// The fields of a message as the transcoder writes them.
fn fresh(rng: &mut Rng, message: &MessageDescriptor) -> Vec<Field> {
    let bytes = encoded(rng, message);
    decoded(message, &bytes, DEPTH).unwrap_or_default()
}

/// A message as the transcoder writes it.
pub(super) fn encoded(rng: &mut Rng, message: &MessageDescriptor) -> Vec<u8> {
    let mut json = String::new();
    generate::object(rng, message, 3, &mut json);
    let schema = Catalogue::shared().transcoder.schema();
    let scratch = &mut transcode::Scratch::default();
    let parsed = schema
        .shape(message.full_name())
        .and_then(|shape| schema.parse(shape, json.as_bytes(), scratch).ok());
    parsed.unwrap_or_default().to_vec()
}

fn inner_message(message: &MessageDescriptor, number: u32) -> Option<MessageDescriptor> {
    message.get_field(number)?.kind().as_message().cloned()
}

/// The number of another field.
fn number(rng: &mut Rng, message: &MessageDescriptor, old: u32) -> u32 {
    match rng.u8(..4) {
        0 => [0, 1, old + 1, 999, 1000, 1001, 1002, 1003, (1 << 29) - 1][rng.usize(..9)],
        _ => {
            let known: Vec<_> = message.fields().map(|field| field.number()).collect();
            rng.choice(known).unwrap_or(old)
        }
    }
}

fn other_value(rng: &mut Rng, value: Value) -> Value {
    match value {
        Value::Varint(_) => Value::Varint(any_number(rng)),
        Value::Fixed64(_) => Value::Fixed64(any_bits(rng)),
        Value::Fixed32(_) => Value::Fixed32(rng.u32(..)),
        Value::Bytes(mut bytes) => {
            let at = rng.usize(..=bytes.len());
            let new: &[u8] =
                [&b"\"\\"[..], b"\n\0", b"\xc3\xa9", b"\xff", b"{}", b"0"][rng.usize(..6)];
            bytes.splice(at..at, new.iter().copied());
            Value::Bytes(bytes)
        }
        Value::Message(fields) => {
            let mut bytes = Vec::new();
            encode(rng, &fields, &mut bytes);
            bytes.truncate(rng.usize(..=bytes.len()));
            Value::Bytes(bytes)
        }
    }
}

fn other_type(rng: &mut Rng, value: Value) -> Value {
    match (rng.u8(..4), value) {
        (0, _) => Value::Varint(any_number(rng)),
        (1, _) => Value::Fixed64(any_bits(rng)),
        (2, _) => Value::Fixed32(rng.u32(..)),
        // Several values under one tag, or a tag for each.
        (_, Value::Varint(number)) => {
            let mut bytes = Vec::new();
            varint(rng, number, &mut bytes);
            Value::Bytes(bytes)
        }
        (_, Value::Bytes(bytes)) => Value::Varint(bytes.first().copied().unwrap_or(0).into()),
        (_, value) => value,
    }
}

/// A field with any value of its type.
fn any_field(rng: &mut Rng, field: &FieldDescriptor) -> Field {
    let value = match field.kind() {
        Kind::Message(message)
            if rng.u8(..4) > 0 && message.package_name() != "google.protobuf" =>
        {
            Value::Message(fresh(rng, &message))
        }
        Kind::Message(_) => Value::Message(Vec::new()),
        Kind::Double | Kind::Fixed64 => Value::Fixed64(any_bits(rng)),
        Kind::String if field.name() == "unknown_json" => {
            let mut json = String::new();
            match rng.u8(..4) {
                0 => generate::any(rng, 3, &mut json),
                _ => generate::object(rng, field.parent_message(), 1, &mut json),
            }
            Value::Bytes(json.into_bytes())
        }
        Kind::String => {
            let mut text = String::new();
            generate::any(rng, 1, &mut text);
            Value::Bytes(text.into_bytes())
        }
        Kind::Uint32 if field.is_list() => {
            let known: Vec<_> = field
                .parent_message()
                .fields()
                .map(|f| f.number())
                .collect();
            let number = rng.choice(known).unwrap_or(1);
            match rng.u8(..4) {
                0 => Value::Varint(number.into()),
                _ => {
                    let mut bytes = Vec::new();
                    varint(rng, number.into(), &mut bytes);
                    Value::Bytes(bytes)
                }
            }
        }
        _ => Value::Varint(any_number(rng)),
    };
    let number = field.number();
    Field { number, value }
}

fn any_number(rng: &mut Rng) -> u64 {
    let odd = [
        0,
        1,
        127,
        128,
        1 << 31,
        1 << 32,
        1 << 53,
        u64::MAX,
        i64::MIN as u64,
    ];
    match rng.u8(..3) {
        0 => odd[rng.usize(..odd.len())],
        _ => rng.u64(..) >> rng.u8(..64),
    }
}

/// Bits of a number, or of a floating-point one.
fn any_bits(rng: &mut Rng) -> u64 {
    let odd = [
        0.0,
        -0.0,
        1.5,
        f64::NAN,
        f64::INFINITY,
        f64::MAX,
        5e-324,
        1e15,
        1e16,
        0.1,
    ];
    match rng.u8(..4) {
        0 => odd[rng.usize(..odd.len())].to_bits(),
        1 => any_number(rng),
        2 => (rng.i32(..) as f64 / 1000.0).to_bits(),
        _ => rng.u64(..),
    }
}

/// Takes a message apart. `None` if it is none.
fn decoded(message: &MessageDescriptor, mut bytes: &[u8], depth: u32) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = prost::encoding::decode_varint(&mut bytes).ok()?;
        let number = u32::try_from(tag >> 3).ok()?;
        let value = match tag & 7 {
            0 => Value::Varint(prost::encoding::decode_varint(&mut bytes).ok()?),
            1 => {
                let (value, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                Value::Fixed64(u64::from_le_bytes(*value))
            }
            5 => {
                let (value, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                Value::Fixed32(u32::from_le_bytes(*value))
            }
            2 => {
                let length = prost::encoding::decode_varint(&mut bytes).ok()?;
                let (value, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
                bytes = rest;
                let inner = inner_message(message, number).filter(|_| depth > 0);
                match inner.and_then(|inner| decoded(&inner, value, depth - 1)) {
                    Some(inner) => Value::Message(inner),
                    None => Value::Bytes(value.to_vec()),
                }
            }
            _ => return None,
        };
        fields.push(Field { number, value });
    }
    Some(fields)
}

fn encode(rng: &mut Rng, fields: &[Field], out: &mut Vec<u8>) {
    for field in fields {
        let wire = match field.value {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) | Value::Message(_) => 2,
            Value::Fixed32(_) => 5,
        };
        varint(rng, u64::from(field.number) << 3 | wire, out);
        match &field.value {
            Value::Varint(value) => varint(rng, *value, out),
            Value::Fixed64(value) => out.extend(value.to_le_bytes()),
            Value::Fixed32(value) => out.extend(value.to_le_bytes()),
            Value::Bytes(bytes) => {
                varint(rng, bytes.len() as u64, out);
                out.extend(bytes);
            }
            Value::Message(inner) => {
                let mut bytes = Vec::new();
                encode(rng, inner, &mut bytes);
                varint(rng, bytes.len() as u64, out);
                out.extend(bytes);
            }
        }
    }
}

/// Appends a varint: once in a while a longer one than it takes, or a wrong one.
fn varint(rng: &mut Rng, value: u64, out: &mut Vec<u8>) {
    match rng.u16(..) {
        0..64 => {
            let start = out.len();
            prost::encoding::encode_varint(value, out);
            let more = rng.usize(..11_usize.saturating_sub(out.len() - start).max(1));
            if let Some(last) = out.last_mut() {
                *last |= 0x80;
            }
            out.extend(std::iter::repeat_n(0x80, more));
            out.push(0);
        }
        64..96 => prost::encoding::encode_varint(value.wrapping_add(rng.u64(..4)), out),
        _ => prost::encoding::encode_varint(value, out),
    }
}
