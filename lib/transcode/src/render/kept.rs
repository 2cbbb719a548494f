//! What an object has beside its fields: members as text, nulls, and empty arrays and maps.

use super::trail::Step;
use super::{Open, Others, Render, named};
use crate::error::{Error, Fault, Mistake};
use crate::frame::decode;
use crate::keys;
use crate::level::Level;
use crate::read;
use crate::scan::{self, Next, Rest, behind, space};
use crate::table::{Arity, Message, Wire};

/// Names in mistakes are cut off here.
const NAME: usize = 64;

// The field of `google.protobuf.FieldMask`.
const PATHS: u32 = 1;

/// Which of the three a field is.
const UNKNOWN_JSON: usize = 0;
const NULLS: usize = 1;
const NAMES: [&str; 3] = ["unknown_json", "nulls", "empties"];

impl<'a> Render<'a> {
    /// A field that is none of Discord's: one of our own, or unknown.
    #[inline(never)]
    pub(super) fn own(
        &mut self,
        shape: &Message,
        tag: u32,
        rest: &'a [u8],
        left: usize,
        open: &mut Open<'a>,
    ) -> Rest<'a> {
        let number = tag >> 3;
        let Some(which) = shape.own.numbers.iter().position(|own| *own == number) else {
            return self.other(tag, rest, left);
        };
        let read = match which {
            UNKNOWN_JSON => self.kept_text(tag, rest, left, open),
            _ if shape.own.by_name => self.mask(shape, tag, rest, left),
            _ => self.numbers(shape, tag, rest, left),
        };
        match read {
            Some((set, rest)) if rest.len() >= left => {
                match which {
                    UNKNOWN_JSON => {}
                    NULLS => open.nulls |= set,
                    _ => open.empties |= set,
                }
                Some(rest)
            }
            read => self.within(Step::Own(NAMES[which]), read.map(|(_, rest)| rest)),
        }
    }

    /// A field that the schema does not know.
    #[cold]
    fn other(&mut self, tag: u32, rest: &'a [u8], left: usize) -> Rest<'a> {
        if self.mode.others == Others::Refuse {
            return self.wrong(Mistake::Unknown(tag >> 3));
        }
        match read::skip(rest, tag & 7) {
            Some(rest) if rest.len() >= left => Some(rest),
            _ if tag & 7 == 3 => self.malformed("a group"),
            _ => self.wrong(Mistake::Truncated),
        }
    }

    fn kept_text(
        &mut self,
        tag: u32,
        rest: &'a [u8],
        left: usize,
        open: &mut Open<'a>,
    ) -> Option<(u128, &'a [u8])> {
        self.expect(tag, Wire::Bytes)?;
        let (text, rest) = self.bytes(rest, left)?;
        if !open.kept.is_empty() {
            return self.unusual();
        }
        open.kept = text;
        Some((0, rest))
    }

    /// Fields by their numbers, packed or one by one.
    fn numbers(
        &mut self,
        shape: &Message,
        tag: u32,
        rest: &'a [u8],
        left: usize,
    ) -> Option<(u128, &'a [u8])> {
        if tag & 7 == Wire::Varint as u32 {
            let (number, rest) = self.varint(rest)?;
            return Some((self.number(shape, number)?, rest));
        }
        self.expect(tag, Wire::Bytes)?;
        let (mut numbers, rest) = self.bytes(rest, left)?;
        let mut set = 0;
        while !numbers.is_empty() {
            let (number, behind) = self.varint(numbers)?;
            set |= self.number(shape, number)?;
            numbers = behind;
        }
        Some((set, rest))
    }

    fn number(&mut self, shape: &Message, number: u64) -> Option<u128> {
        let number = number as u32;
        match shape.place(number) {
            keys::NONE if self.mode.others == Others::Pass => Some(0),
            keys::NONE => self.wrong(Mistake::NoField(number.to_string())),
            place => Some(1 << place),
        }
    }

    /// Fields by their names.
    fn mask(
        &mut self,
        shape: &Message,
        tag: u32,
        rest: &'a [u8],
        left: usize,
    ) -> Option<(u128, &'a [u8])> {
        self.expect(tag, Wire::Bytes)?;
        let (mut mask, rest) = self.bytes(rest, left)?;
        let mut set = 0;
        while !mask.is_empty() {
            let (tag, value) = self.tag(mask)?;
            if tag >> 3 != PATHS {
                return self.wrong(Mistake::Unknown(tag >> 3));
            }
            self.expect(tag, Wire::Bytes)?;
            let (name, behind) = self.bytes(value, 0)?;
            match shape.keys.find(name, name.len()) {
                keys::NONE => return self.wrong(Mistake::NoField(legible(name))),
                place => set |= 1_u128 << place,
            }
            mask = behind;
        }
        Some((set, rest))
    }

    /// Writes all that, once the fields have been written. What is kept as text wins over all else.
    #[cold]
    #[inline(never)]
    pub(super) fn keep(
        &mut self,
        message: u32,
        open: &mut Open<'a>,
        start: usize,
        level: Level,
    ) -> Option<()> {
        let tables = self.tables;
        let shape = &tables.messages[message as usize];
        let conflict = (open.nulls | open.empties) & open.set | open.nulls & open.empties;
        if conflict != 0 {
            return self.refuse(shape, conflict, Mistake::Conflict);
        }
        let single = shape.fields.iter().enumerate();
        let single = single.filter(|(_, field)| matches!(field.arity, Arity::One));
        let single = single.fold(0_u128, |set, (index, _)| set | 1 << index);
        if open.empties & single != 0 {
            return self.refuse(shape, open.empties & single, Mistake::NotList);
        }
        let Some((text, kept)) = self.members(shape, open.kept, level) else {
            return self
                .within(Step::Own(NAMES[UNKNOWN_JSON]), None)
                .map(|_| ());
        };
        if open.set & kept != 0 {
            self.leave_out(message, kept, start)?;
            open.before = if self.writer.position() == start {
                b'{'
            } else {
                b','
            };
        }
        for field in named(shape, open.nulls & !kept) {
            self.label(open.before, &field.key);
            open.before = b',';
            self.writer.bytes(b"null");
        }
        for field in named(shape, open.empties & !kept) {
            self.label(open.before, &field.key);
            open.before = b',';
            let is_map = matches!(field.arity, Arity::MapBySnowflake | Arity::MapByText);
            self.writer.bytes(if is_map { b"{}" } else { b"[]" });
        }
        if !text.is_empty() {
            self.writer.byte(open.before);
            open.before = b',';
            self.writer.bytes(text);
        }
        Some(())
    }

    /// Complains of the first field of the set.
    #[cold]
    fn refuse<T>(
        &mut self,
        shape: &Message,
        set: u128,
        mistake: fn(String) -> Mistake,
    ) -> Option<T> {
        let name = shape.keys.name(set.trailing_zeros() as u8);
        self.wrong(mistake(name.to_owned()))
    }

    /// The members of a JSON object as they stand between its braces, and which of them the schema
    /// knows.
    fn members(
        &mut self,
        shape: &Message,
        text: &'a [u8],
        level: Level,
    ) -> Option<(&'a [u8], u128)> {
        if text.is_empty() {
            return Some((text, 0));
        }
        if self.mode.careful && std::str::from_utf8(text).is_err() {
            return self.wrong(Mistake::NotUtf8);
        }
        let mut fault = Fault::default();
        let found = members(shape, text, level, &mut fault);
        found.or_else(|| self.no_json(fault.error(text.len()).unwrap_or(Error::NotObject)))
    }

    /// Takes the fields of a set out of what was written of an object from `start` on.
    fn leave_out(&mut self, message: u32, set: u128, start: usize) -> Option<()> {
        let keys = &self.tables.messages[message as usize].keys;
        let (mut from, mut to) = (start, start);
        while from < self.writer.position() {
            // What comes before a member, and the member.
            let rest = behind(self.writer.written(), from + 1);
            let key = behind(rest, 1);
            let name = keys::length(key).unwrap_or(0);
            let place = keys.find(key, name);
            let value = behind(key, name + 2);
            let end = scan::skip(value, 0, &mut Fault::default()).unwrap_or_default();
            let length = 1 + rest.len() - end.len();
            if place == keys::NONE || set >> place & 1 == 0 {
                let before = if to == start { b'{' } else { b',' };
                self.writer.shift(from, length, to);
                self.writer.set(to, before);
                to += length;
            } else if std::str::from_utf8(&value[..value.len() - end.len()]).is_err() {
                // Nobody would find that afterwards.
                self.mistake = Some(Mistake::NotUtf8);
                return self.within(Step::Field(message, place), None).map(|_| ());
            }
            from += length;
        }
        self.writer.rewind(to);
        Some(())
    }
}

/// See `Render::members`.
fn members<'a>(
    shape: &Message,
    text: &'a [u8],
    level: Level,
    fault: &mut Fault,
) -> Option<(&'a [u8], u128)> {
    let [b'{', inside @ ..] = space(text) else {
        // It may still be JSON.
        let rest = space(scan::skip(space(text), level.containers, fault)?);
        return if rest.is_empty() {
            fault.unfit()
        } else {
            fault.malformed(rest)
        };
    };
    let first = space(inside);
    if let [b'}', rest @ ..] = first {
        return all(rest, fault).map(|()| (&text[..0], 0));
    }
    let (mut rest, mut known) = (first, 0_u128);
    loop {
        let (place, value) = key(shape, rest, fault)?;
        if place != keys::NONE {
            if known >> place & 1 != 0 {
                return fault.set(crate::error::Reason::Duplicate, rest);
            }
            known |= 1 << place;
        }
        let end = scan::skip(value, level.containers, fault)?;
        match scan::next(end, b'}', fault)? {
            Next::More(behind) => rest = behind,
            Next::Closed(behind) => {
                let members = &first[..first.len() - end.len()];
                return all(behind, fault).map(|()| (members, known));
            }
        }
    }
}

/// Passes a key and its colon: the index of the field of that name, and the value.
fn key<'a>(shape: &Message, rest: &'a [u8], fault: &mut Fault) -> Option<(u8, &'a [u8])> {
    let [b'"', key @ ..] = rest else {
        return fault.malformed(rest);
    };
    if let Some(length) = keys::length(key) {
        let value = scan::colon(behind(key, length + 1), fault)?;
        return Some((shape.keys.find(key, length), value));
    }
    let end = scan::string(key, fault)?;
    let quoted = std::str::from_utf8(&rest[..rest.len() - end.len()]).unwrap_or_default();
    let place = decode(quoted).map_or(keys::NONE, |name| {
        shape.keys.find(name.as_bytes(), name.len())
    });
    Some((place, scan::colon(end, fault)?))
}

/// Nothing but white space may be left.
fn all(rest: &[u8], fault: &mut Fault) -> Option<()> {
    let rest = space(rest);
    if rest.is_empty() {
        Some(())
    } else {
        fault.malformed(rest)
    }
}

/// A name that somebody sent, as far as it can be one.
fn legible(name: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let name = name.iter().take(NAME).copied();
    name.map(|byte| if plain(&byte) { char::from(byte) } else { '?' })
        .collect()
}
