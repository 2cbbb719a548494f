//! The reader: protobuf's wire format. Every function takes what is left of the text and returns what
//! is left behind what it has read.

use crate::scan::{behind, word};
use crate::table::Tag;

/// A varint. `None` if it does not end here or has more than 64 bits.
#[inline(always)]
pub(crate) fn varint(rest: &[u8]) -> Option<(u64, &[u8])> {
    match rest {
        [only, rest @ ..] if *only < 0x80 => Some((u64::from(*only), rest)),
        [low, high, rest @ ..] if *high < 0x80 => {
            Some((u64::from(low & 0x7f) | u64::from(*high) << 7, rest))
        }
        _ => long_varint(rest),
    }
}

#[inline(never)]
fn long_varint(mut rest: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // Of the tenth byte only one bit is left.
            return (shift < 63 || byte < 2).then_some((value, rest));
        }
    }
    None
}

/// Passes a tag, if it comes next, in its shortest form.
#[inline(always)]
pub(crate) fn tag(rest: &[u8], tag: Tag) -> Option<&[u8]> {
    let mask = u64::MAX >> (64 - 8 * tag.len());
    (word(rest) & mask == u64::from(tag.bytes) && rest.len() >= tag.len())
        .then(|| behind(rest, tag.len()))
}

/// Passes a value of this wire type. `None` if it does not end here, or is of a type that the
/// contract has no use for.
pub(crate) fn skip(rest: &[u8], wire: u32) -> Option<&[u8]> {
    match wire {
        0 => varint(rest).map(|(_, rest)| rest),
        1 => rest.get(8..),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)
        }
        5 => rest.get(4..),
        _ => None,
    }
}
