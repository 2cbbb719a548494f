//! What an interaction is, and where it goes: the few of its fields that say so.

#[cfg(test)]
mod tests;

use prost::{
    DecodeError, Message as _,
    bytes::BufMut as _,
    encoding::{
        DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
    },
};

use crate::discord::v1::Interaction;

/// The fields that are kept as they are: `id`, `application_id`, `type` and `token`.
const KEPT: [u32; 4] = [1, 2, 3, 9];
/// `data`, and what is kept of it: `name`, `options` and `custom_id`.
const DATA: u32 = 4;
const KEPT_OF_DATA: [u32; 3] = [2, 4, 8];
/// `message`, of which nothing is kept but that it is there.
const MESSAGE: u32 = 13;

/// Decodes what [`InteractionRoute`](crate::routing::InteractionRoute) and an answer need of an interaction. Users, members, guilds and
/// messages, of which there is the most, are not there.
///
/// # Errors
///
/// It is no encoded interaction.
pub fn essence(encoded: &[u8]) -> Result<Interaction, DecodeError> {
    let mut kept = Vec::with_capacity(encoded.len().min(1024));
    each(encoded, |number, field, value| match number {
        DATA => {
            let mut data = Vec::with_capacity(value.len());
            each(value, |number, field, _| {
                if KEPT_OF_DATA.contains(&number) {
                    data.put_slice(field);
                }
                Ok(())
            })?;
            put(&mut kept, DATA, &data);
            Ok(())
        }
        MESSAGE => {
            put(&mut kept, MESSAGE, &[]);
            Ok(())
        }
        _ => {
            if KEPT.contains(&number) {
                kept.put_slice(field);
            }
            Ok(())
        }
    })?;
    Interaction::decode(kept.as_slice())
}

/// Calls `what` with each field's number, all of its bytes, and those behind its length, if it has one.
fn each(
    mut rest: &[u8],
    mut what: impl FnMut(u32, &[u8], &[u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    while !rest.is_empty() {
        let field = rest;
        let (number, wire) = decode_key(&mut rest)?;
        let mut value = rest;
        skip_field(wire, number, &mut rest, DecodeContext::default())?;
        let left = rest.len();
        let field = field.get(..field.len() - left).unwrap_or_default();
        let value = match wire {
            WireType::LengthDelimited => {
                decode_varint(&mut value)?;
                value.get(..value.len() - left).unwrap_or_default()
            }
            _ => &[],
        };
        what(number, field, value)?;
    }
    Ok(())
}

fn put(kept: &mut Vec<u8>, number: u32, value: &[u8]) {
    encode_key(number, WireType::LengthDelimited, kept);
    encode_varint(value.len() as u64, kept);
    kept.put_slice(value);
}
