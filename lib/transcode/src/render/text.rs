//! Strings.

use super::Render;
use crate::error::Mistake;
use crate::scan::{Rest, any_special, behind, first, specials, word};

/// Most strings are no longer than this: then one check is enough for all that is read, and one for
/// all that is written.
const SHORT: usize = 32;

impl<'a> Render<'a> {
    /// A string, behind its tag.
    #[inline(always)]
    pub(super) fn text(&mut self, rest: &'a [u8], left: usize) -> Rest<'a> {
        let (end, rest) = self.length(rest, left)?;
        let length = rest.len() - end;
        if length > SHORT || self.mode.careful || !self.short_text(rest, length) {
            self.long_text(rest, length)?;
        }
        Some(behind(rest, length))
    }

    /// A short string that needs no escapes. Whether it was one.
    #[inline(always)]
    fn short_text(&mut self, rest: &[u8], length: usize) -> bool {
        let Some(chunk) = rest.first_chunk::<SHORT>() else {
            return false;
        };
        let window = self.writer.window();
        window[0] = b'"';
        window[1..=SHORT].copy_from_slice(chunk);
        let mut at = 0;
        while at < length {
            let marks = specials(word(&chunk[at & 24..(at & 24) + 8]));
            if marks != 0 {
                if at + first(marks) < length {
                    return false;
                }
                break;
            }
            at += 8;
        }
        window[(1 + length) & 63] = b'"';
        self.writer.advance(length + 2);
        true
    }

    #[inline(never)]
    fn long_text(&mut self, rest: &[u8], length: usize) -> Option<()> {
        if self.mode.careful && std::str::from_utf8(&rest[..length]).is_err() {
            return self.wrong(Mistake::NotUtf8);
        }
        self.writer.byte(b'"');
        let (mut rest, mut length) = (rest, length);
        loop {
            let plain = self.copy_plain(rest, length);
            rest = behind(rest, plain);
            length -= plain;
            if length == 0 {
                self.writer.byte(b'"');
                return Some(());
            }
            self.escape(rest[0]);
            rest = behind(rest, 1);
            length -= 1;
        }
    }

    /// Copies what needs no escapes, and returns how much that was.
    #[inline(always)]
    fn copy_plain(&mut self, rest: &[u8], length: usize) -> usize {
        let mut text = &rest[..length];
        while let Some((block, behind)) = text.split_first_chunk::<16>() {
            if any_special(block) {
                break;
            }
            self.writer.block(block);
            text = behind;
        }
        let mut count = length - text.len();
        while count < length {
            let word = word(behind(rest, count));
            let plain = first(specials(word)).min(length - count);
            self.writer.word(word, plain);
            count += plain;
            if plain < 8 {
                break;
            }
        }
        count
    }

    /// A character that cannot stand for itself.
    #[inline(always)]
    fn escape(&mut self, char: u8) {
        let short = match char {
            b'"' | b'\\' => char,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let [high, low] = [char >> 4, char & 15].map(|half| HEX[usize::from(half)]);
                let word = u64::from_le_bytes([b'\\', b'u', b'0', b'0', high, low, 0, 0]);
                return self.writer.word(word, 6);
            }
        };
        self.writer
            .word(u64::from_le_bytes([b'\\', short, 0, 0, 0, 0, 0, 0]), 2);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";
