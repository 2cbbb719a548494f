//! The scanner: finds the ends of JSON's tokens, eight bytes at a time, and checks each of them.
//!
//! Every function takes what is left of the text and returns what is left behind the token that it
//! has read. The text comes from a `&str`, so UTF-8 is already certain, and what lies between two
//! ASCII characters is UTF-8 as well. Behind the end there are zeros, which are no token of JSON.

use crate::error::{Fault, Reason};

/// How many containers may be open at once.
pub(crate) const DEPTH: u32 = 127;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// What is left behind a token.
pub(crate) type Rest<'a> = Option<&'a [u8]>;

/// What is left behind `count` bytes.
#[inline(always)]
pub(crate) fn behind(rest: &[u8], count: usize) -> &[u8] {
    rest.get(count..).unwrap_or_default()
}

/// The next byte.
#[inline(always)]
pub(crate) fn byte(rest: &[u8]) -> u8 {
    rest.first().copied().unwrap_or(0)
}

/// The next `N` bytes.
#[inline(always)]
pub(crate) fn chunk<const N: usize>(rest: &[u8]) -> [u8; N] {
    match rest.first_chunk::<N>() {
        Some(chunk) => *chunk,
        None => padded(rest),
    }
}

/// What is left, filled up with zeros.
#[cold]
#[inline(never)]
pub(crate) fn padded<const N: usize>(rest: &[u8]) -> [u8; N] {
    let mut chunk = [0; N];
    for (to, from) in chunk.iter_mut().zip(rest) {
        *to = *from;
    }
    chunk
}

/// The next eight bytes, the first in the lowest bits.
#[inline(always)]
pub(crate) fn word(rest: &[u8]) -> u64 {
    u64::from_le_bytes(chunk(rest))
}

/// Marks the first byte that ends a plain run within a string: `"`, `\` or a control character.
/// Bits above the lowest that is set mean nothing.
#[inline(always)]
pub(crate) fn specials(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let escape = word ^ (ONES * b'\\' as u64);
    let found =
        quote.wrapping_sub(ONES) | escape.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20);
    found & !word & HIGH
}

/// Marks the bytes that are no decimal digits.
#[inline(always)]
pub(crate) fn others_than_digits(word: u64) -> u64 {
    let digits = word ^ (ONES * b'0' as u64);
    ((digits & !HIGH).wrapping_add(ONES * 0x76) | digits) & HIGH
}

/// The position of the first mark, in bytes; 8 if there is none.
#[inline(always)]
pub(crate) fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The byte of `word` where the first mark is.
#[inline(always)]
pub(crate) fn marked(word: u64, marks: u64) -> u8 {
    (word >> (marks.trailing_zeros() & 56)) as u8
}

/// The value of eight decimal digits; the first is the most significant.
#[inline(always)]
pub(crate) fn eight_digits(word: u64) -> u64 {
    let digits = word & (ONES * 0x0f);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// The value of the first `count` digits of `word`, at most eight.
#[inline(always)]
pub(crate) fn digits(word: u64, count: usize) -> u64 {
    match count {
        0 => 0,
        1 => word & 0x0f,
        _ => eight_digits(word << ((64 - 8 * (count & 7)) % 64)),
    }
}

/// Passes white space.
#[inline(always)]
pub(crate) fn space(rest: &[u8]) -> &[u8] {
    if byte(rest) > b' ' {
        rest
    } else {
        spaces(rest)
    }
}

#[cold]
#[inline(never)]
fn spaces(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

/// Passes the plain part of a string and stops at its first `"`, `\` or control character.
#[inline(always)]
pub(crate) fn plain(mut rest: &[u8]) -> &[u8] {
    loop {
        for _ in 0..2 {
            let marks = specials(word(rest));
            if marks != 0 {
                return behind(rest, first(marks));
            }
            rest = behind(rest, 8);
        }
        rest = plain_blocks(rest);
    }
}

/// As `plain`, but in larger steps; stops anywhere before the first such character.
#[inline(always)]
fn plain_blocks(mut rest: &[u8]) -> &[u8] {
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        if any_special(block) {
            break;
        }
        rest = behind;
    }
    rest
}

/// Whether a `"`, `\` or control character is among the bytes: a shape that compiles to vectors.
#[inline(always)]
pub(crate) fn any_special(block: &[u8; 16]) -> bool {
    block.iter().fold(false, |any, &byte| {
        any | (byte == b'"') | (byte == b'\\') | (byte < 0x20)
    })
}

/// Passes a string; its opening quote has been passed.
#[inline]
pub(crate) fn string<'a>(mut rest: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    loop {
        rest = plain(rest);
        match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', ..] => rest = escape(rest, fault)?,
            _ => return fault.malformed(rest),
        }
    }
}

/// Passes one escape, which begins with the backslash.
#[inline]
fn escape<'a>(rest: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    match rest {
        [
            _,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
            rest @ ..,
        ] => Some(rest),
        [_, b'u', rest @ ..] => hex(rest, fault).map(|_| behind(rest, 4)),
        _ => fault.malformed(behind(rest, 1)),
    }
}

/// The code unit of a `\u` escape, from its first digit on.
fn hex(rest: &[u8], fault: &mut Fault) -> Option<u32> {
    let mut unit = 0;
    for index in 0..4 {
        let rest = behind(rest, index);
        match char::from(byte(rest)).to_digit(16) {
            Some(digit) => unit = unit << 4 | digit,
            None => return fault.malformed(rest),
        }
    }
    Some(unit)
}

/// What an escape stands for, and what is left behind it. A surrogate without its other half
/// stands for nothing.
pub(crate) fn escaped<'a>(rest: &'a [u8], fault: &mut Fault) -> Option<(Option<char>, &'a [u8])> {
    let plain = match byte(behind(rest, 1)) {
        plain @ (b'"' | b'\\' | b'/') => plain,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => return unicode(behind(rest, 2), fault),
        _ => return fault.malformed(behind(rest, 1)),
    };
    Some((Some(char::from(plain)), behind(rest, 2)))
}

fn unicode<'a>(rest: &'a [u8], fault: &mut Fault) -> Option<(Option<char>, &'a [u8])> {
    let high = hex(rest, fault)?;
    let rest = behind(rest, 4);
    let [b'\\', b'u', second @ ..] = rest else {
        return Some((char::from_u32(high), rest));
    };
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high), rest));
    }
    let low = hex(second, fault)?;
    if !(0xdc00..0xe000).contains(&low) {
        return Some((None, rest));
    }
    let char = char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    Some((char, behind(second, 4)))
}

/// Passes `true`, `false` or `null`.
#[inline]
pub(crate) fn literal<'a>(rest: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    match rest {
        [b't', b'r', b'u', b'e', rest @ ..]
        | [b'f', b'a', b'l', b's', b'e', rest @ ..]
        | [b'n', b'u', b'l', b'l', rest @ ..] => Some(rest),
        _ => fault.malformed(rest),
    }
}

/// Passes decimal digits.
#[inline(always)]
fn run_of_digits(mut rest: &[u8]) -> &[u8] {
    loop {
        let marks = others_than_digits(word(rest));
        if marks != 0 {
            return behind(rest, first(marks));
        }
        rest = behind(rest, 8);
    }
}

/// Passes a number.
#[inline]
pub(crate) fn number<'a>(rest: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    let start = rest.strip_prefix(b"-").unwrap_or(rest);
    let mut rest = run_of_digits(start);
    let count = start.len() - rest.len();
    if count == 0 || (count > 1 && byte(start) == b'0') {
        return fault.malformed(start);
    }
    if let [b'.', fraction @ ..] = rest {
        rest = digits_required(fraction, fault)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', exponent @ ..] => exponent,
            exponent => exponent,
        };
        rest = digits_required(exponent, fault)?;
    }
    Some(rest)
}

fn digits_required<'a>(start: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    let rest = run_of_digits(start);
    if rest.len() == start.len() {
        fault.malformed(start)
    } else {
        Some(rest)
    }
}

/// Passes any value; `depth` containers are open around it.
pub(crate) fn skip<'a>(rest: &'a [u8], depth: u32, fault: &mut Fault) -> Rest<'a> {
    match rest {
        [b'"', rest @ ..] => string(rest, fault),
        [b'{' | b'[', ..] => container(rest, depth, fault),
        [b'-' | b'0'..=b'9', ..] => number(rest, fault),
        _ => literal(rest, fault),
    }
}

/// Passes an object or array and all that is in it, without recursion: which of the open
/// containers are objects is kept in the bits of one integer.
fn container<'a>(mut rest: &'a [u8], depth: u32, fault: &mut Fault) -> Rest<'a> {
    let mut objects = 0_u128;
    let mut open = 0;
    loop {
        // Here a value begins.
        match rest {
            [kind @ (b'{' | b'['), inside @ ..] => {
                open += 1;
                if depth + open > DEPTH {
                    return fault.set(Reason::Deep, rest);
                }
                objects = objects << 1 | u128::from(*kind == b'{');
                rest = space(inside);
                match (kind, byte(rest)) {
                    (b'{', b'}') | (b'[', b']') => {}
                    (b'{', _) => {
                        rest = key(rest, fault)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            [b'"', inside @ ..] => rest = string(inside, fault)?,
            [b'-' | b'0'..=b'9', ..] => rest = number(rest, fault)?,
            _ => rest = literal(rest, fault)?,
        }
        // Here one has ended.
        loop {
            rest = space(rest);
            match (rest, objects & 1) {
                ([b',', behind @ ..], is_object) => {
                    rest = space(behind);
                    if is_object == 1 {
                        rest = key(rest, fault)?;
                    }
                    break;
                }
                ([b'}', behind @ ..], 1) | ([b']', behind @ ..], 0) => {
                    rest = behind;
                    open -= 1;
                    objects >>= 1;
                    if open == 0 {
                        return Some(rest);
                    }
                }
                _ => return fault.malformed(rest),
            }
        }
    }
}

/// Passes a key, its colon, and the white space around it.
#[inline(always)]
fn key<'a>(rest: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    match rest {
        [b'"', key @ ..] => colon(string(key, fault)?, fault),
        _ => fault.malformed(rest),
    }
}

/// Passes a colon and the white space around it.
#[inline(always)]
pub(crate) fn colon<'a>(rest: &'a [u8], fault: &mut Fault) -> Rest<'a> {
    match space(rest) {
        [b':', rest @ ..] => Some(space(rest)),
        rest => fault.malformed(rest),
    }
}

/// What follows a value within a container that `close` ends: another one, or what is behind the
/// container.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next<'a> {
    More(&'a [u8]),
    Closed(&'a [u8]),
}

/// Passes the comma or bracket behind a value, and the white space around a comma.
#[inline(always)]
pub(crate) fn next<'a>(rest: &'a [u8], close: u8, fault: &mut Fault) -> Option<Next<'a>> {
    match space(rest) {
        [b',', rest @ ..] => Some(Next::More(space(rest))),
        [byte, rest @ ..] if *byte == close => Some(Next::Closed(rest)),
        rest => fault.malformed(rest),
    }
}
