//! Finds the field that a key names: by a guess that one comparison confirms, or by a hash that
//! is perfect for the keys of one object.

use crate::scan::{behind, chunk, first, marked, specials, word};

/// No field.
pub(crate) const NONE: u8 = u8::MAX;

/// How large the hash's table may become, as a power of two.
const BITS: u32 = 12;

/// A key as it is expected in the text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// The first sixteen bytes of the key with its quotes and its colon, and which of them are.
    bytes: u128,
    mask: u128,
    /// What follows those sixteen bytes.
    more: Box<[u8]>,
    /// Length of the key with its quotes and its colon.
    pub(crate) length: usize,
}

impl Pattern {
    pub(crate) fn new(name: &str) -> Self {
        let quoted = format!("\"{name}\":").into_bytes();
        let length = quoted.len();
        let bits = 8 * length.min(16) as u32;
        Self {
            bytes: u128::from_le_bytes(chunk(&quoted)),
            mask: u128::MAX >> (128 - bits),
            more: behind(&quoted, 16).into(),
            length,
        }
    }

    /// The key with its quotes and its colon: the first sixteen bytes, filled up with zeros, and
    /// what follows them.
    #[inline(always)]
    pub(crate) fn text(&self) -> ([u8; 16], &[u8]) {
        (self.bytes.to_le_bytes(), &self.more)
    }

    /// Whether the text goes on with this key and a colon right behind it.
    #[inline(always)]
    pub(crate) fn is_next(&self, rest: &[u8]) -> bool {
        let Some(next) = rest.first_chunk::<16>() else {
            return false;
        };
        (u128::from_le_bytes(*next) ^ self.bytes) & self.mask == 0
            && (self.more.is_empty() || behind(rest, 16).starts_with(&self.more))
    }
}

/// The keys of one kind of object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    names: Box<[(Digest, Box<[u8]>)]>,
    /// Fields by hash.
    table: Box<[u8]>,
    factor: u64,
    shift: u32,
}

/// What is compared of a key: all of it, up to 16 bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Digest {
    /// The first eight bytes.
    head: u64,
    /// The last eight bytes, if there are as many.
    tail: u64,
    length: usize,
}

impl Digest {
    #[inline(always)]
    fn new(text: &[u8], length: usize) -> Self {
        let head = word(text);
        if length < 8 {
            Self {
                head: head & ((1 << (8 * length)) - 1),
                tail: 0,
                length,
            }
        } else {
            Self {
                head,
                tail: word(behind(text, length - 8)),
                length,
            }
        }
    }

    #[inline(always)]
    fn hash(self, factor: u64, shift: u32) -> usize {
        let mixed = self.head ^ self.tail.rotate_left(23) ^ self.length as u64;
        (mixed.wrapping_mul(factor) >> shift) as usize
    }
}

impl Keys {
    /// Finds a hash under which the `names` do not meet. Of two names that no such hash can tell
    /// apart the second is left out, and counts as unknown.
    pub(crate) fn new(names: &[String]) -> Self {
        let names: Box<[_]> = names
            .iter()
            .map(|name| {
                (
                    Digest::new(name.as_bytes(), name.len()),
                    name.as_bytes().into(),
                )
            })
            .collect();
        let mut factor = 0x9e37_79b9_7f4a_7c15;
        for bits in names.len().max(2).next_power_of_two().ilog2() + 1..=BITS {
            for _ in 0..256 {
                factor = u64::wrapping_mul(factor, 0x5851_f42d_4c95_7f2d) | 1;
                if let Some(table) = fill(&names, factor, bits, false) {
                    return Self {
                        names,
                        table,
                        factor,
                        shift: 64 - bits,
                    };
                }
            }
        }
        let table = fill(&names, factor, BITS, true).unwrap_or_default();
        Self {
            names,
            table,
            factor,
            shift: 64 - BITS,
        }
    }

    /// The key of a field; nothing if there is no such field.
    pub(crate) fn name(&self, index: u8) -> &str {
        let name = self.names.get(usize::from(index));
        name.map_or("", |(_, name)| {
            std::str::from_utf8(name).unwrap_or_default()
        })
    }

    /// The field of the key that `text` begins with, without quotes and of this length.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], length: usize) -> u8 {
        let digest = Digest::new(text, length);
        let Some(&index) = self.table.get(digest.hash(self.factor, self.shift)) else {
            return NONE;
        };
        match self.names.get(usize::from(index)) {
            Some((same, name)) if *same == digest => {
                if length <= 16 || text.starts_with(name) {
                    index
                } else {
                    NONE
                }
            }
            _ => NONE,
        }
    }
}

/// The table under one factor; `None` if two keys meet and `force` is not given.
fn fill(names: &[(Digest, Box<[u8]>)], factor: u64, bits: u32, force: bool) -> Option<Box<[u8]>> {
    let mut table = vec![NONE; 1 << bits];
    for (index, (digest, _)) in names.iter().enumerate() {
        let place = &mut table[digest.hash(factor, 64 - bits)];
        if *place == NONE {
            *place = index as u8;
        } else if !force {
            return None;
        }
    }
    Some(table.into())
}

/// The length of a key without escapes that `text` begins with; `None` if it has escapes, a
/// control character, or no end.
#[inline(always)]
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    let mut rest = text;
    loop {
        let word = word(rest);
        let marks = specials(word);
        if marks != 0 {
            let length = text.len() - rest.len() + first(marks);
            return (marked(word, marks) == b'"').then_some(length);
        }
        rest = behind(rest, 8);
    }
}
