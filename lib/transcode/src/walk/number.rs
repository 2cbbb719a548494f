//! Numbers, bare and as strings of digits.

use super::Walk;
use crate::scan::{
    self, Rest, behind, byte, digits, eight_digits, first, others_than_digits, padded, word,
};
use crate::table::Tag;

/// Up to this, every whole number has a `f64` of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// As many digits as any `f64` keeps.
const DIGITS: usize = 15;

/// The longest number whose rendering is compared with how it came.
const RENDERED: usize = 32;

const POWERS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

impl<'a> Walk<'a> {
    #[inline(always)]
    pub(super) fn snowflake(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.quoted(value)?;
        self.state.writer.fixed64(tag, number);
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn digits(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.quoted(value)?;
        self.state.writer.tagged_varint(tag, number);
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn int32(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.whole(value)?;
        let Ok(number) = i32::try_from(number) else {
            return self.unfit();
        };
        self.state
            .writer
            .tagged_varint(tag, i64::from(number) as u64);
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn int64(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.whole(value)?;
        self.state.writer.tagged_varint(tag, number as u64);
        Some(rest)
    }

    #[inline(always)]
    pub(super) fn uint32(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (number, rest) = self.whole(value)?;
        let Ok(number) = u32::try_from(number) else {
            return self.unfit();
        };
        self.state.writer.tagged_varint(tag, u64::from(number));
        Some(rest)
    }

    /// A number as `f64`.
    #[inline(never)]
    pub(super) fn double(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (token, rest) = self.token(value)?;
        let number = match token.parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            _ => return self.unfit(),
        };
        self.state.loose |= !is_rendered_so(token, number);
        self.state.writer.fixed64(tag, number.to_bits());
        Some(rest)
    }

    /// A string of digits.
    #[inline(always)]
    fn quoted(&mut self, value: &'a [u8]) -> Option<(u64, &'a [u8])> {
        // A quote, at most 20 digits, a quote, and what fills up the last of three words.
        let tail;
        let chunk = if let Some(chunk) = value.first_chunk::<25>() {
            chunk
        } else {
            tail = padded(value);
            &tail
        };
        let Some((number, count)) = leading_digits(chunk) else {
            return self.unfit();
        };
        let closed = chunk[count + 1] == b'"';
        let plain = chunk[0] == b'"' && closed && (chunk[1] != b'0' || count == 1) && count > 0;
        if !plain {
            return self.odd_digits(value);
        }
        Some((number, behind(value, count + 2)))
    }

    /// As `quoted`, for all that is not just a quoted number.
    #[cold]
    #[inline(never)]
    fn odd_digits(&mut self, value: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let [b'"', text @ ..] = value else {
            return self.unquoted(value);
        };
        let (short, length, rest) = self.short_text(text)?;
        let digits = &short[..length];
        let fits = (1..=20).contains(&length) && digits.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok());
        match number {
            Some(number) if fits => {
                self.state.loose |= length > 1 && digits[0] == b'0';
                Some((number, rest))
            }
            _ => self.unfit(),
        }
    }

    /// A number where a string of digits should be.
    fn unquoted(&mut self, value: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let (token, rest) = self.token(value)?;
        let Ok(number) = token.parse() else {
            return self.unfit();
        };
        self.state.loose = true;
        Some((number, rest))
    }

    /// A whole number.
    #[inline(always)]
    fn whole(&mut self, value: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let word = word(value);
        let marks = others_than_digits(word);
        let count = first(marks);
        let few = (1..8).contains(&count) && (count == 1 || word as u8 != b'0');
        if !few || matches!(scan::marked(word, marks), b'.' | b'e' | b'E') {
            return self.long_whole(value);
        }
        Some((digits(word, count) as i64, behind(value, count)))
    }

    /// As `whole`, for all that is not just a few digits.
    #[inline(never)]
    fn long_whole(&mut self, value: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let (head, tail) = (word(value), word(behind(value, 8)));
        let marks = others_than_digits(tail);
        let more = first(marks);
        let simple = others_than_digits(head) == 0 && head as u8 != b'0' && more < 8;
        if simple && !matches!(scan::marked(tail, marks), b'.' | b'e' | b'E') {
            let number = eight_digits(head) * POWERS[more & 7] + digits(tail, more);
            return Some((number as i64, behind(value, 8 + more)));
        }
        self.odd_whole(value)
    }

    /// As `whole`, for what has a sign, a fraction, an exponent, or is no number.
    #[inline(never)]
    fn odd_whole(&mut self, value: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let (token, rest) = self.token(value)?;
        if let Ok(number) = token.parse() {
            self.state.loose |= token == "-0";
            return Some((number, rest));
        }
        match token.parse::<f64>() {
            Ok(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
                self.state.loose = true;
                Some((number as i64, rest))
            }
            _ => self.unfit(),
        }
    }

    /// The text of a number.
    #[inline]
    fn token(&mut self, value: &'a [u8]) -> Option<(&'a str, &'a [u8])> {
        if !matches!(byte(value), b'-' | b'0'..=b'9') {
            return self.unfit();
        }
        let rest = scan::number(value, &mut self.state.fault)?;
        match std::str::from_utf8(&value[..value.len() - rest.len()]) {
            Ok(token) => Some((token, rest)),
            Err(_) => self.state.fault.malformed(value),
        }
    }
}

/// The value of the digits behind a quote, and how many there are. `None` if they are too many.
#[inline(always)]
fn leading_digits(chunk: &[u8; 25]) -> Option<(u64, usize)> {
    let head = word(&chunk[1..9]);
    let count = first(others_than_digits(head));
    if count < 8 {
        return Some((digits(head, count), count));
    }
    let middle = word(&chunk[9..17]);
    let more = first(others_than_digits(middle));
    if more < 8 {
        let high = eight_digits(head) * POWERS[more & 7];
        return Some((high + digits(middle, more), 8 + more));
    }
    let sixteen = eight_digits(head) * 100_000_000 + eight_digits(middle);
    let last = word(&chunk[17..25]);
    let more = first(others_than_digits(last));
    // Nineteen digits always fit into 64 bits, twenty sometimes.
    if more > 4 {
        return None;
    }
    let high = sixteen.checked_mul(POWERS[more & 7])?;
    Some((high.checked_add(digits(last, more))?, 16 + more))
}

/// Whether `value` rendered in its shortest form, without exponent, is `token`.
fn is_rendered_so(token: &str, value: f64) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    if unsigned.len() <= DIGITS && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return token != "-0";
    }
    // A fraction of so few digits is its own shortest form, unless it ends in zeros.
    if unsigned.len() <= DIGITS && unsigned.contains('.') && !unsigned.contains(['e', 'E']) {
        return !unsigned.ends_with('0');
    }
    token.len() <= RENDERED && Rendered::new(value).as_bytes() == token.as_bytes()
}

/// A rendered number, without allocation.
struct Rendered {
    bytes: [u8; RENDERED],
    length: usize,
}

impl Rendered {
    /// What does not fit is cut off; the rendering then has a length that no token has.
    fn new(value: f64) -> Self {
        let mut rendered = Self {
            bytes: [0; RENDERED],
            length: 0,
        };
        if std::fmt::write(&mut rendered, format_args!("{value}")).is_err() {
            rendered.length = 0;
        }
        rendered
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl std::fmt::Write for Rendered {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
