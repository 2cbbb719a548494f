//! The writer: protobuf's wire format into one buffer that is kept from event to event.

use crate::table::Tag;

/// Room for a tag, a length and 48 more bytes.
pub(crate) const WINDOW: usize = 64;

/// A buffer that has grown larger than this is given back.
const LARGE: usize = 16 << 20;

/// A growing buffer. What lies behind `at` is left over from earlier and means nothing: so most
/// writes have a fixed size, and only `at` says how much of them counts.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    buffer: Vec<u8>,
    at: usize,
}

impl Writer {
    pub(crate) fn clear(&mut self) {
        self.at = 0;
        if self.buffer.len() > LARGE {
            self.buffer = Vec::new();
        }
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Forgets what was written from `at` on.
    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = self.at.min(at);
    }

    /// Copies what was written at `from` to `to`, which is not behind it.
    pub(crate) fn shift(&mut self, from: usize, length: usize, to: usize) {
        self.buffer.copy_within(from..from + length, to);
    }

    /// Overwrites one byte of what was written.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        self.buffer[at] = byte;
    }

    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.at).unwrap_or_default()
    }

    /// The next bytes of the buffer, to be counted by `advance`.
    #[inline(always)]
    pub(crate) fn window(&mut self) -> &mut [u8; WINDOW] {
        // Written so that the compiler need not check again what it has checked here.
        let end = self.at.wrapping_add(WINDOW);
        if end > self.buffer.len() || self.at > end {
            self.grow(end);
        }
        self.buffer[self.at..end]
            .first_chunk_mut()
            .expect("it is as long as that")
    }

    #[inline(always)]
    pub(crate) fn advance(&mut self, count: usize) {
        self.at += count;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, end: usize) {
        self.buffer.resize((end + 1024).next_power_of_two(), 0);
    }

    /// Writes eight bytes, of which the first `count` count.
    #[inline(always)]
    pub(crate) fn word(&mut self, word: u64, count: usize) {
        put(self.window(), 0, word);
        self.at += count;
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.word(u64::from(byte), 1);
    }

    #[inline(always)]
    pub(crate) fn block(&mut self, block: &[u8; 16]) {
        self.window()[..16].copy_from_slice(block);
        self.at += 16;
    }

    #[inline(always)]
    pub(crate) fn tag(&mut self, tag: Tag) {
        self.word(u64::from(tag.bytes), tag.len());
    }

    /// A tag and one byte, which may be a length to be set later by `close`.
    #[inline(always)]
    pub(crate) fn tag_and_byte(&mut self, tag: Tag, byte: u8) -> usize {
        let word = u64::from(tag.bytes) | u64::from(byte) << (8 * tag.len());
        self.word(word, tag.len() + 1);
        self.at
    }

    #[inline(always)]
    pub(crate) fn fixed64(&mut self, tag: Tag, value: u64) {
        let length = tag.len();
        let window = self.window();
        put(window, 0, u64::from(tag.bytes));
        put(window, length, value);
        self.at += length + 8;
    }

    #[inline(always)]
    pub(crate) fn tagged_varint(&mut self, tag: Tag, value: u64) {
        if value < 0x80 {
            self.tag_and_byte(tag, value as u8);
        } else if value < 1 << 56 {
            let (word, count) = varint(value);
            let length = tag.len();
            let window = self.window();
            put(window, 0, u64::from(tag.bytes));
            put(window, length, word);
            self.at += length + count;
        } else {
            self.tag(tag);
            self.long_varint(value);
        }
    }

    /// A varint of nine or ten bytes.
    #[cold]
    #[inline(never)]
    fn long_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if self.buffer.len() < end {
            self.grow(end);
        }
        self.buffer[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// A tag, a length and bytes of that length.
    pub(crate) fn tagged_bytes(&mut self, tag: Tag, bytes: &[u8]) {
        self.tagged_varint(tag, bytes.len() as u64);
        self.bytes(bytes);
    }

    /// Sets the length of what was written from `start` on: the byte before `start` was left for
    /// it. A length of more than one byte moves what was written. Returns where that begins now.
    #[inline(always)]
    pub(crate) fn close(&mut self, start: usize) -> usize {
        let length = self.at - start;
        if length < 0x80 {
            self.buffer[start - 1] = length as u8;
            start
        } else {
            self.close_long(start, length)
        }
    }

    #[inline(never)]
    fn close_long(&mut self, start: usize, length: usize) -> usize {
        let (word, count) = varint(length as u64);
        let more = count - 1;
        let end = self.at + more;
        if self.buffer.len() < end {
            self.grow(end);
        }
        self.buffer.copy_within(start..self.at, start + more);
        self.buffer[start - 1..start + more].copy_from_slice(&word.to_le_bytes()[..count]);
        self.at = end;
        start + more
    }
}

/// Puts eight bytes at `at`, which is small.
#[inline(always)]
pub(crate) fn put(window: &mut [u8; WINDOW], at: usize, word: u64) {
    // The mask tells the compiler that this is within bounds.
    let at = at & 31;
    window[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// The bytes of a varint of at most 56 bits, and how many there are.
#[inline(always)]
fn varint(value: u64) -> (u64, usize) {
    let value = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let value = value & 0x0000_3fff_0000_3fff | (value & 0x0fff_c000_0fff_c000) << 2;
    let value = value & 0x007f_007f_007f_007f | (value & 0x3f80_3f80_3f80_3f80) << 1;
    let count = 8 - (value | 1).leading_zeros() as usize / 8;
    let more = 0x8080_8080_8080_8080 & !(u64::MAX << (8 * (count - 1)));
    (value | more, count)
}

#[cfg(test)]
mod tests {
    use super::{LARGE, Writer};

    #[test]
    fn large_buffers_are_given_back() {
        let mut writer = Writer::default();
        writer.bytes(&vec![1; LARGE / 2]);
        writer.clear();
        assert!(writer.buffer.len() >= LARGE / 2);
        writer.bytes(&vec![1; LARGE + 1]);
        assert_eq!(writer.written().len(), LARGE + 1);
        writer.clear();
        assert!(writer.buffer.is_empty());
    }
}
