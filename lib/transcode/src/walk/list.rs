//! Arrays and maps of values that the schema knows.

use super::Walk;
use crate::level::Level;
use crate::scan::{self, Next, Rest, space};
use crate::table::{Arity, Field, Tag, Wire};

// The tags of the key in an entry of a map.
const KEY_BY_SNOWFLAKE: Tag = Tag::new(1, Wire::Fixed64);
const KEY_BY_TEXT: Tag = Tag::new(1, Wire::Bytes);

impl<'a> Walk<'a> {
    /// An array.
    pub(super) fn list(&mut self, field: &Field, value: &'a [u8], level: Level) -> Rest<'a> {
        let [b'[', rest @ ..] = value else {
            return self.unfit();
        };
        let level = self.container(level, value)?;
        let rest = space(rest);
        if let [b']', rest @ ..] = rest {
            self.state.kept.empty(field.number);
            return Some(rest);
        }
        if field.arity == Arity::Packed {
            let start = self.state.writer.tag_and_byte(field.tag, 0);
            let rest = self.elements(field, Tag::NONE, rest, level)?;
            self.state.writer.close(start);
            Some(rest)
        } else {
            self.elements(field, field.tag, rest, level)
        }
    }

    /// The elements of an array, of which there is at least one.
    fn elements(&mut self, field: &Field, tag: Tag, mut rest: &'a [u8], level: Level) -> Rest<'a> {
        loop {
            rest = self.value(field.kind, tag, rest, level)?;
            match scan::next(rest, b']', &mut self.state.fault)? {
                Next::More(behind) => rest = behind,
                Next::Closed(behind) => return Some(behind),
            }
        }
    }

    /// An object whose keys are ids or names rather than members.
    #[inline(never)]
    pub(super) fn map(&mut self, field: &Field, value: &'a [u8], level: Level) -> Rest<'a> {
        let [b'{', rest @ ..] = value else {
            return self.unfit();
        };
        let level = self.container(level, value)?;
        let mut rest = space(rest);
        if let [b'}', rest @ ..] = rest {
            self.state.kept.empty(field.number);
            return Some(rest);
        }
        // A loose key concerns the map; the members of a value have to begin without.
        let mut loose = false;
        loop {
            let [b'"', ..] = rest else {
                return self.state.fault.malformed(rest);
            };
            let entry = self.state.writer.tag_and_byte(field.tag, 0);
            rest = match field.arity {
                Arity::MapBySnowflake => self.snowflake(KEY_BY_SNOWFLAKE, rest)?,
                _ => self.text(KEY_BY_TEXT, rest)?,
            };
            loose |= std::mem::take(&mut self.state.loose);
            rest = scan::colon(rest, &mut self.state.fault)?;
            let level = self.messages(level, 1)?;
            rest = self.value(field.kind, field.inner, rest, level)?;
            self.state.writer.close(entry);
            match scan::next(rest, b'}', &mut self.state.fault)? {
                Next::More(behind) => rest = behind,
                Next::Closed(behind) => {
                    self.state.loose |= loose;
                    return Some(behind);
                }
            }
        }
    }
}
