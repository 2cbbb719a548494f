//! Values of any type: `google.protobuf.Value`.

use super::Render;
use super::list::Entries;
use super::trail::Step;
use crate::error::Mistake;
use crate::level::Level;
use crate::read;
use crate::scan::Rest;
use crate::table::{Kind, Tag, Wire};

// The fields of `google.protobuf.Value`, and of `Struct` and `ListValue`.
const NULL: u32 = 1;
const NUMBER: u32 = 2;
const STRING: u32 = 3;
const BOOL: u32 = 4;
const STRUCT: u32 = 5;
const LIST: u32 = 6;
const ELEMENT: Tag = Tag::new(1, Wire::Bytes);
const ENTRIES: Entries = Entries {
    tag: Tag::new(1, Wire::Bytes),
    by_snowflake: false,
    kind: Kind::Any,
    value: Tag::new(2, Wire::Bytes),
};

impl<'a> Render<'a> {
    #[inline(never)]
    pub(super) fn any(&mut self, rest: &'a [u8], left: usize, level: Level) -> Rest<'a> {
        let (end, rest) = self.length(rest, left)?;
        let level = self.messages(level, 1)?;
        if rest.len() == end {
            return self.wrong(Mistake::NoKind);
        }
        let (tag, value) = self.tag(rest)?;
        self.expect(tag, any_wire(tag >> 3))?;
        let behind = match tag >> 3 {
            NULL => {
                let (_, behind) = self.varint(value)?;
                self.writer.word(u64::from_le_bytes(*b"null\0\0\0\0"), 4);
                behind
            }
            NUMBER => self.double(value)?,
            STRING => self.text(value, end)?,
            BOOL => self.bool(value)?,
            STRUCT => self.any_object(value, end, level)?,
            LIST => self.any_list(value, end, level)?,
            number => return self.wrong(Mistake::Unknown(number)),
        };
        if behind.len() == end {
            Some(behind)
        } else {
            self.odd_any(rest, end)
        }
    }

    fn any_object(&mut self, rest: &'a [u8], left: usize, level: Level) -> Rest<'a> {
        let (end, rest) = self.length(rest, left)?;
        let level = self.container(level)?;
        // The entries count one more.
        let level = self.messages(level, 1)?;
        let Some(first) = self.first(rest, end)? else {
            self.writer.word(u64::from_le_bytes(*b"{}\0\0\0\0\0\0"), 2);
            return Some(rest);
        };
        let behind = self.entries(&ENTRIES, first, end, level)?;
        self.only(behind, end)
    }

    fn any_list(&mut self, rest: &'a [u8], left: usize, level: Level) -> Rest<'a> {
        let (end, rest) = self.length(rest, left)?;
        let level = self.container(level)?;
        let level = self.messages(level, 1)?;
        let mut next = self.first(rest, end)?;
        let (mut before, mut index, mut behind) = (b'[', 0, rest);
        while let Some(element) = next {
            self.writer.byte(before);
            before = b',';
            behind = match self.any(element, end, level) {
                Some(behind) => behind,
                None => return self.within(Step::Index(index), None),
            };
            index += 1;
            next = read::tag(behind, ELEMENT).filter(|_| behind.len() > end);
        }
        if index == 0 {
            self.writer.byte(b'[');
        }
        self.writer.byte(b']');
        self.only(behind, end)
    }

    /// What is left behind the tag of the first entry or element, if there is one.
    fn first(&mut self, rest: &'a [u8], end: usize) -> Option<Rest<'a>> {
        if rest.len() == end {
            return Some(None);
        }
        match read::tag(rest, ELEMENT) {
            Some(first) => Some(Some(first)),
            None => self.another(rest),
        }
    }

    /// Checks that nothing but entries or elements was there.
    fn only(&mut self, behind: &'a [u8], end: usize) -> Rest<'a> {
        if behind.len() == end {
            Some(behind)
        } else {
            self.another(behind)
        }
    }

    /// A field that is not the only one of its message, or has its tag in a longer form.
    #[cold]
    fn another<T>(&mut self, rest: &'a [u8]) -> Option<T> {
        let (tag, _) = self.tag(rest)?;
        self.expect(tag, Wire::Bytes)?;
        match tag >> 3 {
            1 => self.unusual(),
            number => self.wrong(Mistake::Unknown(number)),
        }
    }

    /// A value with more than one kind, of which the last one counts: what is wrong with it, if
    /// anything is.
    #[cold]
    fn odd_any(&mut self, mut rest: &'a [u8], end: usize) -> Rest<'a> {
        while rest.len() > end {
            let (tag, value) = self.tag(rest)?;
            if !(NULL..=LIST).contains(&(tag >> 3)) {
                return self.wrong(Mistake::Unknown(tag >> 3));
            }
            self.expect(tag, any_wire(tag >> 3))?;
            match read::skip(value, tag & 7) {
                Some(behind) if behind.len() >= end => rest = behind,
                _ => return self.wrong(Mistake::Truncated),
            }
        }
        self.unusual()
    }
}

/// The wire types of the kinds.
const fn any_wire(number: u32) -> Wire {
    match number {
        NULL | BOOL => Wire::Varint,
        NUMBER => Wire::Fixed64,
        _ => Wire::Bytes,
    }
}
