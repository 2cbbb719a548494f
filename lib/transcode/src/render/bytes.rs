//! Tags, lengths and numbers, as they lie in the bytes.

use super::Render;
use crate::error::Mistake;
use crate::read;
use crate::scan::behind;
use crate::table::Wire;

impl<'a> Render<'a> {
    /// A field's number and wire type, as one number.
    #[inline(always)]
    pub(super) fn tag(&mut self, rest: &'a [u8]) -> Option<(u32, &'a [u8])> {
        match read::varint(rest) {
            Some((tag @ 8..=0xffff_ffff, rest)) => Some((tag as u32, rest)),
            Some(_) => self.malformed("a field's number is out of range"),
            None => self.no_varint(rest),
        }
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, rest: &'a [u8]) -> Option<(u64, &'a [u8])> {
        match read::varint(rest) {
            Some(read) => Some(read),
            None => self.no_varint(rest),
        }
    }

    #[cold]
    pub(super) fn no_varint<T>(&mut self, rest: &[u8]) -> Option<T> {
        if rest.len() < 10 {
            self.wrong(Mistake::Truncated)
        } else {
            self.malformed("a varint of more than 64 bits")
        }
    }

    /// A length: returns how much is left behind as many bytes, and the bytes.
    #[inline(always)]
    pub(super) fn length(&mut self, rest: &'a [u8], left: usize) -> Option<(usize, &'a [u8])> {
        let (length, rest) = self.varint(rest)?;
        let inside = rest.len().checked_sub(left);
        match inside.and_then(|inside| inside.checked_sub(usize::try_from(length).ok()?)) {
            Some(behind) => Some((left + behind, rest)),
            None => self.wrong(Mistake::Truncated),
        }
    }

    /// Bytes with their length, and what is left behind them.
    #[inline(always)]
    pub(super) fn bytes(&mut self, rest: &'a [u8], left: usize) -> Option<(&'a [u8], &'a [u8])> {
        let (end, rest) = self.length(rest, left)?;
        let bytes = rest.get(..rest.len() - end).unwrap_or_default();
        Some((bytes, behind(rest, bytes.len())))
    }

    /// Eight bytes.
    #[inline(always)]
    pub(super) fn fixed64(&mut self, rest: &'a [u8]) -> Option<(u64, &'a [u8])> {
        match rest.split_first_chunk() {
            Some((bytes, rest)) => Some((u64::from_le_bytes(*bytes), rest)),
            None => self.wrong(Mistake::Truncated),
        }
    }

    /// Checks a tag's wire type.
    #[inline(always)]
    pub(super) fn expect(&mut self, tag: u32, wire: Wire) -> Option<()> {
        if tag & 7 == wire as u32 {
            Some(())
        } else {
            self.wrong(Mistake::Wire)
        }
    }
}
