//! Times: ISO 8601 as Discord writes it, into `google.protobuf.Timestamp`.

use super::Walk;
use crate::render::RANGE;
use crate::scan::{Rest, behind, others_than_digits, word};
use crate::table::{Tag, Wire};

// The fields of `google.protobuf.Timestamp`.
const SECONDS: Tag = Tag::new(1, Wire::Varint);
const NANOS: Tag = Tag::new(2, Wire::Varint);

impl<'a> Walk<'a> {
    #[inline(never)]
    pub(super) fn time(&mut self, tag: Tag, value: &'a [u8]) -> Rest<'a> {
        let (time, rest) = match Time::usual(value) {
            Some((time, length)) => (time, behind(value, length)),
            None => self.odd_time(value)?,
        };
        let writer = &mut self.state.writer;
        let start = writer.tag_and_byte(tag, 0);
        if time.seconds != 0 {
            writer.tagged_varint(SECONDS, time.seconds as u64);
        }
        if time.nanos != 0 {
            writer.tagged_varint(NANOS, u64::from(time.nanos));
        }
        writer.close(start);
        Some(rest)
    }

    /// A time in any other form than Discord's.
    #[cold]
    #[inline(never)]
    fn odd_time(&mut self, value: &'a [u8]) -> Option<(Time, &'a [u8])> {
        let [b'"', text @ ..] = value else {
            return self.unfit();
        };
        let (short, length, rest) = self.short_text(text)?;
        let Some(time) = Time::parse(&short[..length]) else {
            return self.unfit();
        };
        self.state.loose |= !time.canonical;
        Some((time, rest))
    }
}

/// The digits of `"YYYY-MM-DDTHH:MM:SS.ffffff+00:00"` behind its quote, word by word, and what
/// must stand between them.
const DATE: Layout = Layout::new(*b"0000-00-");
const CLOCK: Layout = Layout::new(*b"00T00:00");
const FRACTION: Layout = Layout::new(*b":00.0000");
const OFFSET: Layout = Layout::new(*b"00+00:00");
const NO_FRACTION: Layout = Layout::new(*b":00+00:0");

/// Where eight bytes have digits, and what the others are.
#[derive(Clone, Copy)]
struct Layout {
    /// The highest bits of the bytes that are digits.
    digits: u64,
    /// All bits of the others.
    mask: u64,
    others: u64,
}

impl Layout {
    const fn new(pattern: [u8; 8]) -> Self {
        let (mut digits, mut mask) = (0, 0);
        let mut at = 0;
        while at < 8 {
            if pattern[at] == b'0' {
                digits |= 0x80 << (8 * at);
            } else {
                mask |= 0xff << (8 * at);
            }
            at += 1;
        }
        Self {
            digits,
            mask,
            others: u64::from_le_bytes(pattern) & mask,
        }
    }

    /// Whether the word is laid out so, and its bytes as numbers of two digits, each byte with the
    /// one behind it.
    #[inline(always)]
    fn pairs(self, word: u64) -> Option<[u8; 8]> {
        let digits = word & 0x0f0f_0f0f_0f0f_0f0f;
        let fits = word & self.mask == self.others && others_than_digits(word) & self.digits == 0;
        fits.then(|| {
            digits
                .wrapping_mul(10)
                .wrapping_add(digits >> 8)
                .to_le_bytes()
        })
    }
}

/// A moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Time {
    seconds: i64,
    nanos: u32,
    /// Whether it came the way that Discord writes times: with the offset `+00:00`, and with no
    /// fraction or one of six digits that aren't all zero.
    canonical: bool,
}

impl Time {
    /// A time in Discord's own form, with its quotes, and their length. `None` says nothing but
    /// that it isn't one.
    #[inline(always)]
    fn usual(value: &[u8]) -> Option<(Self, usize)> {
        let (short, _) = value.split_first_chunk::<27>()?;
        let date = DATE.pairs(word(&short[1..]))?;
        let clock = CLOCK.pairs(word(&short[9..]))?;
        let last = word(&short[17..]);
        let (second, nanos, length) = if short[20] == b'.' {
            let long = value.first_chunk::<34>()?;
            let high = FRACTION.pairs(last)?;
            let low = OFFSET.pairs(word(&long[25..]))?;
            let fraction = [high[4], high[6], low[0]];
            let micros = fraction
                .into_iter()
                .fold(0, |all, two| all * 100 + u32::from(two));
            let utc = long[27..] == *b"+00:00\"";
            (high[1], (utc && micros != 0).then_some(micros * 1000)?, 34)
        } else {
            let second = NO_FRACTION.pairs(last)?[1];
            (second, (short[20..] == *b"+00:00\"").then_some(0)?, 27)
        };
        let date = [
            u32::from(date[0]) * 100 + u32::from(date[2]),
            date[5].into(),
            clock[0].into(),
        ];
        let clock = [clock[3].into(), clock[6].into(), second.into()];
        let seconds = seconds(date, clock)?;
        let quoted = short[0] == b'"' && RANGE.contains(&seconds);
        quoted.then_some((
            Self {
                seconds,
                nanos,
                canonical: true,
            },
            length,
        ))
    }

    /// `YYYY-MM-DDTHH:MM:SS`, then perhaps a fraction of one to nine digits, then `Z` or an
    /// offset. `None` for all else, for days that do not exist, and for leap seconds.
    fn parse(text: &[u8]) -> Option<Self> {
        let (moment, rest) = text.split_first_chunk::<19>()?;
        let separators = [moment[4], moment[7], moment[10], moment[13], moment[16]];
        if separators != *b"--T::" {
            return None;
        }
        let date = [
            two(moment, 0)? * 100 + two(moment, 2)?,
            two(moment, 5)?,
            two(moment, 8)?,
        ];
        let clock = [two(moment, 11)?, two(moment, 14)?, two(moment, 17)?];
        let (nanos, digits, rest) = fraction(rest)?;
        let seconds = seconds(date, clock)? - offset(rest)?;
        let canonical = rest == b"+00:00" && (digits == 0 || (digits == 6 && nanos != 0));
        RANGE.contains(&seconds).then_some(Self {
            seconds,
            nanos,
            canonical,
        })
    }
}

/// Seconds from 1970 on, of a day and a time of day that exist. There is no year 0.
#[inline(always)]
fn seconds([year, month, day]: [u32; 3], [hour, minute, second]: [u32; 3]) -> Option<i64> {
    let exists = year > 0
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let time = i64::from(hour * 3_600 + minute * 60 + second);
    exists.then(|| days(year, month, day) * 86_400 + time)
}

/// Two digits.
fn two(text: &[u8], at: usize) -> Option<u32> {
    let tens = text.get(at)?.wrapping_sub(b'0');
    let ones = text.get(at + 1)?.wrapping_sub(b'0');
    (tens < 10 && ones < 10).then(|| u32::from(tens * 10 + ones))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March on, so
/// that the leap day is a year's last.
fn days(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 {
        (i64::from(year), i64::from(month) - 3)
    } else {
        (i64::from(year) - 1, i64::from(month) + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + i64::from(day) - 1 - 719_468
}

/// The fraction of a second, if there is one: nanoseconds, how many digits, and what follows.
fn fraction(text: &[u8]) -> Option<(u32, usize, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, 0, text));
    };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = text.split_at(digits);
    if !(1..=9).contains(&digits) {
        return None;
    }
    let value = fraction
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some((value * 10_u32.pow(9 - digits as u32), digits, rest))
}

/// The offset from UTC, in seconds.
fn offset(text: &[u8]) -> Option<i64> {
    if text == b"Z" {
        return Some(0);
    }
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if text.len() != 6 || text[3] != b':' {
        return None;
    }
    let (hours, minutes) = (two(text, 1)?, two(text, 4)?);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3_600 + minutes * 60))
}
