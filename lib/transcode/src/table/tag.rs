//! Protobuf's tags, encoded once when the tables are made.

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

pub(super) const fn number_fits(number: u32) -> bool {
    number < 1 << 25
}

/// Protobuf's wire types, with their numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}
