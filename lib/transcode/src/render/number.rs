//! Numbers, bare and as strings of digits.

use super::{Render, digits, quoted};
use crate::error::Mistake;
use crate::scan::Rest;
use crate::write::Writer;

/// Whole numbers up to this are written as such; each of them has a `f64` of its own.
const EXACT: f64 = 1e15;

impl<'a> Render<'a> {
    #[inline(always)]
    pub(super) fn snowflake(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.fixed64(rest)?;
        quoted(&mut self.writer, number);
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn quoted_varint(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.varint(rest)?;
        quoted(&mut self.writer, number);
        Some(rest)
    }

    /// As all readers of protobuf, this takes the lowest 32 bits and no notice of the others.
    #[inline(always)]
    pub(super) fn int32(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.varint(rest)?;
        self.signed(i64::from(number as u32 as i32));
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn int64(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.varint(rest)?;
        self.signed(number as i64);
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn uint32(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.varint(rest)?;
        unsigned(&mut self.writer, u64::from(number as u32));
        Some(rest)
    }

    #[inline(always)]
    fn signed(&mut self, number: i64) {
        if number < 0 {
            self.writer.byte(b'-');
        }
        unsigned(&mut self.writer, number.unsigned_abs());
    }

    /// The shortest form that has no exponent.
    #[inline(never)]
    pub(super) fn double(&mut self, rest: &'a [u8]) -> Rest<'a> {
        let (bits, rest) = self.fixed64(rest)?;
        let number = f64::from_bits(bits);
        if !number.is_finite() {
            return self.wrong(Mistake::NotFinite);
        }
        if number.fract() == 0.0 && number.abs() <= EXACT {
            self.signed(number as i64);
        } else if std::fmt::write(&mut self.writer, format_args!("{number}")).is_err() {
            return self.wrong(Mistake::NotFinite);
        }
        Some(rest)
    }
}

#[inline(always)]
fn unsigned(writer: &mut Writer, number: u64) {
    let count = digits::write(writer.window(), 0, number);
    writer.advance(count);
}

impl std::fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
