//! Strings.

use super::Walk;
use crate::scan::{self, Rest, any_special, behind, first, marked, specials, word};
use crate::table::Tag;
use crate::write::put;

/// Length of the longest string that is decoded for what it means.
const SHORT: usize = 40;

impl<'a> Walk<'a> {
    /// A string, with its tag and length.
    #[inline(always)]
    pub(super) fn text(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        // Most strings are short: then one check is enough for all that is read, and one for all
        // that is written.
        let Some((chunk, _)) = value.split_first_chunk::<25>() else {
            return self.long_text(tag, value);
        };
        if chunk[0] != b'"' {
            return self.unfit();
        }
        let window = self.state.writer.window();
        put(window, 0, u64::from(tag.bytes));
        let start = tag.len() + 1;
        for at in [0, 8, 16] {
            let word = word(&chunk[1 + at..9 + at]);
            let marks = specials(word);
            put(window, start + at, word);
            if marks != 0 {
                let length = at + first(marks);
                if marked(word, marks) != b'"' {
                    break;
                }
                window[(start - 1) & 7] = length as u8;
                self.state.writer.advance(start + length);
                return Some(behind(value, length + 2));
            }
        }
        self.long_text(tag, value)
    }

    #[inline(never)]
    fn long_text(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let [b'"', rest @ ..] = value else {
            return self.unfit();
        };
        let start = self.state.writer.tag_and_byte(tag, 0);
        let rest = self.copy_text(rest)?;
        self.state.writer.close(start);
        Some(rest)
    }

    /// Copies a string's characters; its opening quote has been passed.
    pub(super) fn copy_text(&mut self, mut rest: &'a [u8]) -> Rest<'a> {
        loop {
            rest = self.copy_plain(rest);
            match rest {
                [b'"', rest @ ..] => return Some(rest),
                [b'\\', ..] => {
                    let (char, behind) = scan::escaped(rest, &mut self.state.fault)?;
                    let Some(char) = char else {
                        return self.unfit();
                    };
                    let mut utf8 = [0; 4];
                    self.state
                        .writer
                        .bytes(char.encode_utf8(&mut utf8).as_bytes());
                    rest = behind;
                }
                _ => return self.state.fault.malformed(rest),
            }
        }
    }

    /// Copies what has no escapes, and stops at the first `"`, `\` or control character.
    #[inline(always)]
    fn copy_plain(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while let Some((block, behind)) = rest.split_first_chunk::<16>() {
            if any_special(block) {
                break;
            }
            self.state.writer.block(block);
            rest = behind;
        }
        loop {
            let word = word(rest);
            let count = first(specials(word));
            self.state.writer.word(word, count);
            rest = behind(rest, count);
            if count < 8 {
                return rest;
            }
        }
    }

    /// Decodes a string that may have escapes into a small array: its bytes, how many there are,
    /// and what is left behind it. Longer ones do not fit whatever is asked for.
    #[cold]
    #[inline(never)]
    pub(super) fn short_text(&mut self, rest: &'a [u8]) -> Option<([u8; SHORT], usize, &'a [u8])> {
        let start = self.state.writer.position();
        let rest = self.copy_text(rest)?;
        let mut short = [0; SHORT];
        let text = behind(self.state.writer.written(), start);
        let length = text.len();
        let fits = short
            .get_mut(..length)
            .map(|short| short.copy_from_slice(text))
            .is_some();
        self.state.writer.rewind(start);
        if fits {
            Some((short, length, rest))
        } else {
            self.unfit()
        }
    }
}
