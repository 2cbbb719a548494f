//! The same message in another order of its bytes.

use crate::generate::Dice;

/// One field: its number, its wire type, and its bytes with the tag.
type Field = (u64, u64, Vec<u8>);

/// Fields in another order, with those of one number among each other as they were; some fields in
/// parts; some tags and lengths in a longer form. What lies within fields is treated the same, where
/// it looks like a message.
pub(crate) fn shuffled(dice: &mut Dice, bytes: &[u8], depth: usize) -> Vec<u8> {
    let Some(mut fields) = fields(bytes) else {
        return bytes.to_vec();
    };
    if depth > 0 {
        for (number, wire, bytes) in &mut fields {
            if *wire == 2 && dice.chance(50) && *number < 1000 {
                *bytes = inside(dice, bytes, depth);
            }
        }
    }
    // Each swap keeps the order of those with the same number.
    for _ in 0..dice.below(fields.len() * 2 + 1) {
        let place = dice.below(fields.len().max(2) - 1);
        if place + 1 < fields.len() && fields[place].0 != fields[place + 1].0 {
            fields.swap(place, place + 1);
        }
    }
    fields.into_iter().flat_map(|(_, _, bytes)| bytes).collect()
}

/// The field with its message shuffled.
fn inside(dice: &mut Dice, field: &[u8], depth: usize) -> Vec<u8> {
    let mut rest = field;
    let (tag, length) = (varint(&mut rest), varint(&mut rest));
    assert!(tag.is_some() && length.is_some(), "it was a field before");
    // Text is left alone: hardly any is a message by accident, but some is.
    if fields(rest).is_none() || rest.is_ascii() && rest.len() > 3 {
        return field.to_vec();
    }
    let inner = shuffled(dice, rest, depth - 1);
    if inner.len() != rest.len() {
        return field.to_vec();
    }
    let head = field.len() - rest.len();
    [&field[..head], &inner].concat()
}

/// The fields that a message consists of. `None` if it is none.
fn fields(bytes: &[u8]) -> Option<Vec<Field>> {
    let (mut rest, mut fields) = (bytes, Vec::new());
    while !rest.is_empty() {
        let start = rest;
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => {
                varint(&mut rest)?;
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = varint(&mut rest)?;
                rest = rest.get(usize::try_from(length).ok()?..)?;
            }
            _ => return None,
        }
        let field = &start[..start.len() - rest.len()];
        fields.push((tag >> 3, tag & 7, field.to_vec()));
    }
    Some(fields)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
