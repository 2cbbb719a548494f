//! Members of any type: `google.protobuf.Value`.

use super::Walk;
use crate::level::Level;
use crate::scan::{self, Next, Rest, space};
use crate::table::{Tag, Wire};

// The fields of `google.protobuf.Value`, `Struct` and `ListValue`.
const NULL: Tag = Tag::new(1, Wire::Varint);
const NUMBER: Tag = Tag::new(2, Wire::Fixed64);
const STRING: Tag = Tag::new(3, Wire::Bytes);
const BOOL: Tag = Tag::new(4, Wire::Varint);
const STRUCT: Tag = Tag::new(5, Wire::Bytes);
const LIST: Tag = Tag::new(6, Wire::Bytes);
const ENTRY: Tag = Tag::new(1, Wire::Bytes);
const ENTRY_KEY: Tag = Tag::new(1, Wire::Bytes);
const ENTRY_VALUE: Tag = Tag::new(2, Wire::Bytes);
const ELEMENT: Tag = Tag::new(1, Wire::Bytes);

impl<'a> Walk<'a> {
    /// Any value, as a message.
    #[inline(never)]
    pub(super) fn any(&mut self, tag: Tag, value: &'a [u8], level: Level) -> Rest<'a> {
        let level = self.messages(level, 1)?;
        let start = self.state.writer.tag_and_byte(tag, 0);
        let rest = match value {
            [b'"', ..] => self.text(STRING, value)?,
            [b't' | b'f', ..] => self.any_bool(value)?,
            [b'n', ..] => {
                self.state.writer.tag_and_byte(NULL, 0);
                scan::literal(value, &mut self.state.fault)?
            }
            [b'{', ..] => self.any_object(value, level)?,
            [b'[', ..] => self.any_list(value, level)?,
            [b'-' | b'0'..=b'9', ..] => self.double(NUMBER, value)?,
            _ => return self.state.fault.malformed(value),
        };
        self.state.writer.close(start);
        Some(rest)
    }

    fn any_bool(&mut self, value: &'a [u8]) -> Rest<'a> {
        let rest = scan::literal(value, &mut self.state.fault)?;
        self.bool(BOOL, value).map(|_| rest)
    }

    fn any_object(&mut self, value: &'a [u8], level: Level) -> Rest<'a> {
        let level = self.container(level, value)?;
        let level = self.messages(level, 2)?;
        let start = self.state.writer.tag_and_byte(STRUCT, 0);
        let mut rest = space(scan::behind(value, 1));
        if let [b'}', rest @ ..] = rest {
            return Some(rest);
        }
        loop {
            let [b'"', ..] = rest else {
                return self.state.fault.malformed(rest);
            };
            let entry = self.state.writer.tag_and_byte(ENTRY, 0);
            rest = self.text(ENTRY_KEY, rest)?;
            rest = scan::colon(rest, &mut self.state.fault)?;
            rest = self.any(ENTRY_VALUE, rest, level)?;
            self.state.writer.close(entry);
            match scan::next(rest, b'}', &mut self.state.fault)? {
                Next::More(behind) => rest = behind,
                Next::Closed(behind) => {
                    self.state.writer.close(start);
                    return Some(behind);
                }
            }
        }
    }

    fn any_list(&mut self, value: &'a [u8], level: Level) -> Rest<'a> {
        let level = self.container(level, value)?;
        let level = self.messages(level, 1)?;
        let start = self.state.writer.tag_and_byte(LIST, 0);
        let mut rest = space(scan::behind(value, 1));
        if let [b']', rest @ ..] = rest {
            return Some(rest);
        }
        loop {
            rest = self.any(ELEMENT, rest, level)?;
            match scan::next(rest, b']', &mut self.state.fault)? {
                Next::More(behind) => rest = behind,
                Next::Closed(behind) => {
                    self.state.writer.close(start);
                    return Some(behind);
                }
            }
        }
    }
}
