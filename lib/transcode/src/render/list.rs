//! Arrays and maps.

use std::hash::{DefaultHasher, Hasher};

use super::trail::Step;
use super::{Render, quoted};
use crate::error::Mistake;
use crate::level::Level;
use crate::read;
use crate::scan::Rest;
use crate::table::{Arity, Field, Kind, Tag, Wire};

// The tags of the key in an entry of a map.
const KEY_BY_SNOWFLAKE: Tag = Tag::new(1, Wire::Fixed64);
const KEY_BY_TEXT: Tag = Tag::new(1, Wire::Bytes);

/// What a map's entries consist of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    /// The tag of an entry.
    pub(super) tag: Tag,
    pub(super) by_snowflake: bool,
    pub(super) kind: Kind,
    /// The tag of the value in an entry.
    pub(super) value: Tag,
}

impl<'a> Render<'a> {
    /// Values with a tag each.
    pub(super) fn list(
        &mut self,
        field: &Field,
        tag: u32,
        mut rest: &'a [u8],
        left: usize,
        level: Level,
    ) -> Rest<'a> {
        self.expect(tag, Wire::Bytes)?;
        let level = self.container(level)?;
        let (mut before, mut index) = (b'[', 0);
        loop {
            self.writer.byte(before);
            before = b',';
            rest = match self.value(field.kind, rest, left, level) {
                Some(rest) => rest,
                None => return self.within(Step::Index(index), None),
            };
            index += 1;
            match self.again(field.tag, rest, left) {
                Some(behind) => rest = behind,
                None => break,
            }
        }
        self.writer.byte(b']');
        Some(rest)
    }

    /// Values under one tag.
    pub(super) fn packed(
        &mut self,
        field: &Field,
        tag: u32,
        rest: &'a [u8],
        left: usize,
        level: Level,
    ) -> Rest<'a> {
        if tag & 7 == field.kind.wire() as u32 {
            // Each with a tag: allowed, but not what encoders write.
            return self.unusual();
        }
        self.expect(tag, Wire::Bytes)?;
        let level = self.container(level)?;
        let (end, mut rest) = self.length(rest, left)?;
        if rest.len() == end {
            return self.unusual();
        }
        let (mut before, mut index) = (b'[', 0);
        while rest.len() > end {
            self.writer.byte(before);
            before = b',';
            rest = match self.value(field.kind, rest, end, level) {
                Some(rest) if rest.len() >= end => rest,
                rest => return self.within(Step::Index(index), rest),
            };
            index += 1;
        }
        self.writer.byte(b']');
        Some(rest)
    }

    pub(super) fn map(
        &mut self,
        field: &Field,
        tag: u32,
        rest: &'a [u8],
        left: usize,
        level: Level,
    ) -> Rest<'a> {
        self.expect(tag, Wire::Bytes)?;
        let level = self.container(level)?;
        let entries = Entries {
            tag: field.tag,
            by_snowflake: field.arity == Arity::MapBySnowflake,
            kind: field.kind,
            value: field.inner,
        };
        self.entries(&entries, rest, left, level)
    }

    /// The entries of a map, behind the first one's tag.
    pub(super) fn entries(
        &mut self,
        entries: &Entries,
        mut rest: &'a [u8],
        left: usize,
        level: Level,
    ) -> Rest<'a> {
        let level = self.messages(level, 1)?;
        let since = self.keys.len();
        let (mut before, mut index) = (b'{', 0);
        loop {
            self.writer.byte(before);
            before = b',';
            let (end, inside) = self.length(rest, left)?;
            rest = match self.entry(entries, inside, end, level) {
                Some(rest) => rest,
                None => return self.within(Step::Index(index), None),
            };
            index += 1;
            match self.again(entries.tag, rest, left) {
                Some(behind) => rest = behind,
                None => break,
            }
        }
        self.writer.byte(b'}');
        if self.repeats(since) {
            return self.unusual();
        }
        Some(rest)
    }

    /// One entry: a key and a value, either of which is not there if it is zero or empty.
    fn entry(&mut self, entries: &Entries, start: &'a [u8], end: usize, level: Level) -> Rest<'a> {
        let mut rest = self.key(entries.by_snowflake, start, end)?;
        self.writer.byte(b':');
        rest = match read::tag(rest, entries.value) {
            Some(value) if rest.len() > end => self.value(entries.kind, value, end, level)?,
            _ => {
                self.default(entries.kind, level)?;
                rest
            }
        };
        if rest.len() == end {
            Some(rest)
        } else {
            self.odd_entry(entries, start, end)
        }
    }

    #[inline(always)]
    fn key(&mut self, by_snowflake: bool, rest: &'a [u8], end: usize) -> Rest<'a> {
        let tag = if by_snowflake {
            KEY_BY_SNOWFLAKE
        } else {
            KEY_BY_TEXT
        };
        let Some(key) = read::tag(rest, tag).filter(|_| rest.len() > end) else {
            // Nought, or no text.
            if by_snowflake {
                quoted(&mut self.writer, 0);
            } else {
                self.writer
                    .word(u64::from_le_bytes(*b"\"\"\0\0\0\0\0\0"), 2);
            }
            self.keys.push(if by_snowflake { 0 } else { hash(&[]) });
            return Some(rest);
        };
        if by_snowflake {
            let (id, _) = self.fixed64(key)?;
            self.keys.push(id);
            self.snowflake(key)
        } else {
            let (text, _) = self.bytes(key, end)?;
            self.keys.push(hash(text));
            self.text(key, end)
        }
    }

    /// The value of an entry that has none.
    #[cold]
    fn default(&mut self, kind: Kind, level: Level) -> Option<()> {
        let json = match kind {
            Kind::Any => return self.wrong(Mistake::NoKind),
            Kind::Bool => "false",
            Kind::Digits | Kind::Snowflake => "\"0\"",
            Kind::Double | Kind::Int32 | Kind::Int64 | Kind::Uint32 => "0",
            Kind::Object(_) => {
                self.container(level)?;
                "{}"
            }
            Kind::Text => "\"\"",
            Kind::Time => "\"1970-01-01T00:00:00+00:00\"",
        };
        self.writer.bytes(json.as_bytes());
        Some(())
    }

    /// An entry that is not just a key and a value: what is wrong with it, if anything is.
    #[cold]
    fn odd_entry(&mut self, entries: &Entries, mut rest: &'a [u8], end: usize) -> Rest<'a> {
        let key = if entries.by_snowflake {
            Wire::Fixed64
        } else {
            Wire::Bytes
        };
        while rest.len() > end {
            let (tag, value) = self.tag(rest)?;
            match tag >> 3 {
                1 => self.expect(tag, key)?,
                2 => self.expect(tag, entries.kind.wire())?,
                number => return self.wrong(Mistake::Unknown(number)),
            }
            match read::skip(value, tag & 7) {
                Some(behind) if behind.len() >= end => rest = behind,
                _ => return self.wrong(Mistake::Truncated),
            }
        }
        self.unusual()
    }

    /// What is left behind the same tag, if it comes once more.
    #[inline(always)]
    fn again(&self, tag: Tag, rest: &'a [u8], left: usize) -> Rest<'a> {
        read::tag(rest, tag).filter(|_| rest.len() > left)
    }

    /// Whether two of the keys since then are the same. They are forgotten.
    fn repeats(&mut self, since: usize) -> bool {
        let keys = &mut self.keys[since..];
        let mut repeats = false;
        if keys.len() > 1 && !self.mode.ordered {
            keys.sort_unstable();
            repeats = keys.windows(2).any(|pair| pair[0] == pair[1]);
        }
        self.keys.truncate(since);
        repeats
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}
