//! One edit of a text that is JSON, or nearly so.

use std::ops::Range;

use fastrand::Rng;

use crate::generate;

/// Where something is in a text that is, or resembles, JSON.
#[derive(Debug, Default)]
struct Places {
    /// Values.
    values: Vec<Range<usize>>,
    /// Members of objects, with their keys.
    members: Vec<Range<usize>>,
    /// Behind the braces that begin objects.
    objects: Vec<usize>,
}

/// The text with something changed.
pub(super) fn edited(rng: &mut Rng, text: &str, names: &[String]) -> String {
    let places = Places::of(text);
    let value = pick(rng, &places.values);
    let member = pick(rng, &places.members);
    match (rng.u8(..16), value, member) {
        (0, _, _) => other_character(rng, text),
        (1, _, _) if rng.u8(..4) == 0 => text[..boundary(rng, text)].to_owned(),
        (2, Some(value), _) => replaced(text, value, generate::odd(rng)),
        (3, Some(value), _) => {
            let mut new = String::new();
            generate::any(rng, 3, &mut new);
            replaced(text, value, &new)
        }
        (4, Some(value), _) => {
            let other = pick(rng, &places.values).unwrap_or_else(|| value.clone());
            replaced(text, value, &text[other])
        }
        (5, Some(value), _) => wrapped(rng, text, value),
        (6, Some(value), _) => {
            let at = if rng.bool() { value.start } else { value.end };
            replaced(
                text,
                at..at,
                ["\n", " \t", "\r", "\u{b}", ","][rng.usize(..5)],
            )
        }
        (7, _, Some(member)) => removed(text, member),
        (8, _, Some(member)) => {
            let copy = format!("{},", &text[member.clone()]);
            replaced(text, member.start..member.start, &copy)
        }
        (9, _, Some(member)) => escaped(rng, text, member),
        (10, _, Some(member)) => {
            let new = quoted(rng, names);
            replaced(text, key(text, &member), &new)
        }
        (11, Some(value), _) => replaced(text, value, &generate::subject(rng).1),
        _ => inserted(rng, text, &places, names),
    }
}

impl Places {
    fn of(text: &str) -> Self {
        let mut places = Self::default();
        let bytes = text.as_bytes();
        // Where each open container begins, and the key before it, if any.
        let mut open: Vec<(usize, Option<usize>)> = Vec::new();
        let mut key = None;
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            at = token(bytes, at);
            match bytes[start] {
                b'{' | b'[' => {
                    if bytes[start] == b'{' {
                        places.objects.push(at);
                    }
                    open.push((start, key.take()));
                }
                b'}' | b']' => {
                    if let Some((begin, before)) = open.pop() {
                        places.value(begin..at, before);
                        key = None;
                    }
                }
                b'"' if bytes.get(at) == Some(&b':') => key = Some(start),
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => places.value(start..at, key.take()),
            }
        }
        places
    }

    fn value(&mut self, range: Range<usize>, key: Option<usize>) {
        if let Some(key) = key {
            self.members.push(key..range.end);
        }
        self.values.push(range);
    }
}

/// The end of the token that begins at `start`.
fn token(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    let length = match rest[0] {
        b'"' => {
            let mut end = 1;
            while end < rest.len() && rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            Some(end + 1)
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => Some(1),
        _ => rest
            .iter()
            .position(|byte| b"{}[],: \n\r\t\"".contains(byte)),
    };
    start + length.unwrap_or(rest.len()).min(rest.len())
}

fn pick(rng: &mut Rng, ranges: &[Range<usize>]) -> Option<Range<usize>> {
    (!ranges.is_empty()).then(|| ranges[rng.usize(..ranges.len())].clone())
}

fn boundary(rng: &mut Rng, text: &str) -> usize {
    text.floor_char_boundary(rng.usize(..=text.len()))
}

fn replaced(text: &str, range: Range<usize>, new: &str) -> String {
    [&text[..range.start], new, &text[range.end..]].concat()
}

/// The characters that JSON gives a meaning, and some that it refuses.
const MARKS: &[u8] = b"{}[]\",:\\/ \x00\x1f\x7f0123456789.-+eEnulltrufasTZ";

fn other_character(rng: &mut Rng, text: &str) -> String {
    let at = boundary(rng, text);
    let length = text[at..].chars().next().map_or(0, char::len_utf8);
    let new = MARKS[rng.usize(..MARKS.len())];
    replaced(
        text,
        at..at + length,
        char::from(new).encode_utf8(&mut [0; 4]),
    )
}

/// The value within further containers.
fn wrapped(rng: &mut Rng, text: &str, value: Range<usize>) -> String {
    let depth = if rng.u8(..4) == 0 {
        rng.usize(..140)
    } else {
        1
    };
    let (open, close) = if rng.bool() {
        ("[", "]")
    } else {
        ("{\"a\":", "}")
    };
    let new = [
        &open.repeat(depth),
        &text[value.clone()],
        &close.repeat(depth),
    ]
    .concat();
    replaced(text, value, &new)
}

/// The text without a member, and one comma less.
fn removed(text: &str, member: Range<usize>) -> String {
    let (before, behind) = (&text[..member.start], &text[member.end..]);
    let without = behind.strip_prefix(',').unwrap_or(behind);
    let before = match without.len() == behind.len() {
        true => before.strip_suffix(',').unwrap_or(before),
        false => before,
    };
    [before, without].concat()
}

/// One character of the key written as an escape.
fn escaped(rng: &mut Rng, text: &str, member: Range<usize>) -> String {
    let key = key(text, &member);
    let inside = &text[key.start + 1..key.end - 1];
    let at = boundary(rng, inside);
    match inside[at..].chars().next() {
        Some(char) if u32::from(char) < 0x1_0000 && !inside.contains('\\') => {
            let at = key.start + 1 + at;
            replaced(
                text,
                at..at + char.len_utf8(),
                &format!("\\u{:04x}", u32::from(char)),
            )
        }
        _ => text.to_owned(),
    }
}

/// The key of a member, with its quotes.
fn key(text: &str, member: &Range<usize>) -> Range<usize> {
    member.start..token(text.as_bytes(), member.start)
}

/// The text with one member more.
fn inserted(rng: &mut Rng, text: &str, places: &Places, names: &[String]) -> String {
    if places.objects.is_empty() {
        return other_character(rng, text);
    }
    let at = places.objects[rng.usize(..places.objects.len())];
    let mut member = quoted(rng, names);
    member.push(':');
    generate::any(rng, 2, &mut member);
    if !text[at..].trim_start().starts_with('}') {
        member.push(',');
    }
    replaced(text, at..at, &member)
}

fn quoted(rng: &mut Rng, names: &[String]) -> String {
    match names {
        [] => "\"\"".to_owned(),
        _ => format!("\"{}\"", names[rng.usize(..names.len())]),
    }
}
