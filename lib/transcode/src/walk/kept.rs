//! What is kept of objects beside their fields: members as text, nulls, and empty arrays and maps.
//! As objects lie within each other, each of the three is a stack.

use crate::read;
use crate::table::{Message, Tag, Wire};
use crate::write::Writer;

// The field of `google.protobuf.FieldMask`.
const PATHS: Tag = Tag::new(1, Wire::Bytes);

/// Room for more than this is given back.
const MEMBERS: usize = 1 << 16;

/// What is kept of all objects that are open.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The members that are kept as text.
    members: Vec<Span>,
    /// The numbers of null fields, encoded.
    nulls: Vec<u8>,
    /// The numbers of empty fields, encoded.
    empties: Vec<u8>,
}

/// A part of the text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

/// How much is kept of the objects further out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    members: usize,
    nulls: usize,
    empties: usize,
}

impl Kept {
    pub(super) fn clear(&mut self) {
        self.members.clear();
        self.members.shrink_to(MEMBERS);
        self.nulls.clear();
        self.empties.clear();
    }

    #[inline(always)]
    pub(super) fn mark(&self) -> Mark {
        Mark {
            members: self.members.len(),
            nulls: self.nulls.len(),
            empties: self.empties.len(),
        }
    }

    pub(super) fn member(&mut self, start: usize, end: usize) {
        self.members.push(Span { start, end });
    }

    #[inline(always)]
    pub(super) fn null(&mut self, number: u32) {
        push(&mut self.nulls, number);
    }

    #[inline(always)]
    pub(super) fn empty(&mut self, number: u32) {
        push(&mut self.empties, number);
    }

    /// Writes what was kept since the mark was made: what belongs to the object that ends.
    #[inline(always)]
    pub(super) fn write(&mut self, since: Mark, message: &Message, text: &[u8], to: &mut Writer) {
        if self.nulls.len() > since.nulls {
            let nulls = &mut self.nulls;
            write_numbers(nulls, since.nulls, message.own.nulls, message, to);
        }
        if self.empties.len() > since.empties {
            let empties = &mut self.empties;
            write_numbers(empties, since.empties, message.own.empties, message, to);
        }
        if self.members.len() > since.members {
            self.write_members(since.members, message.own.unknown, text, to);
        }
    }

    /// Writes members as one JSON object.
    #[inline(never)]
    fn write_members(&mut self, from: usize, tag: Tag, text: &[u8], to: &mut Writer) {
        let members = &self.members[from..];
        let length: usize = members.iter().map(|span| span.end - span.start).sum();
        // Each member comes with the brace or comma before it, and a brace ends them.
        to.tagged_varint(tag, (length + members.len() + 1) as u64);
        let mut before = b'{';
        for span in members {
            to.byte(before);
            to.bytes(&text[span.start..span.end]);
            before = b',';
        }
        to.byte(b'}');
        self.members.truncate(from);
    }
}

/// Appends a field's number as a varint.
#[inline(always)]
fn push(numbers: &mut Vec<u8>, number: u32) {
    if number < 0x80 {
        numbers.push(number as u8);
    } else {
        push_large(numbers, number);
    }
}

#[inline(never)]
fn push_large(numbers: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        numbers.push(number as u8 | 0x80);
        number >>= 7;
    }
    numbers.push(number as u8);
}

#[inline(never)]
fn write_numbers(numbers: &mut Vec<u8>, from: usize, tag: Tag, message: &Message, to: &mut Writer) {
    if message.own.by_name {
        write_names(&numbers[from..], tag, message, to);
    } else {
        to.tagged_bytes(tag, &numbers[from..]);
    }
    numbers.truncate(from);
}

/// As a mask of names.
#[cold]
fn write_names(mut numbers: &[u8], tag: Tag, message: &Message, to: &mut Writer) {
    let start = to.tag_and_byte(tag, 0);
    while let Some((number, rest)) = read::varint(numbers) {
        let name = message.keys.name(message.place(number as u32));
        to.tagged_bytes(PATHS, name.as_bytes());
        numbers = rest;
    }
    to.close(start);
}
