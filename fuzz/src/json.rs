//! A JSON parser to judge others by: simple, and it keeps how numbers were written.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a text means.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(&'a str),
    /// A string.
    Text(Text<'a>),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Vec<Member<'a>>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub key: Text<'a>,
    /// Its value.
    pub value: Value<'a>,
    /// Where the key begins in the text, with its quote.
    pub start: usize,
    /// How the value was written.
    pub raw: &'a str,
}

/// What a string means.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Text<'a> {
    /// Characters.
    Chars(Cow<'a, str>),
    /// UTF-16 that lacks half of a surrogate pair.
    Units(Vec<u16>),
}

/// Why a text was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// More containers lie within each other than any reader has to accept.
    Deep,
    /// It is not JSON.
    Malformed,
}

/// A text that is JSON.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// What it means.
    pub value: Value<'a>,
    /// How many containers lie within each other.
    pub depth: usize,
    /// Whether any object has two members of one name.
    pub repeats: bool,
}

/// Containers within each other, from which on a text is too deep.
const DEPTH: usize = 256;

impl<'a> Document<'a> {
    /// Reads all of `text`.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or far too deep.
    pub fn parse(text: &'a str) -> Result<Self, Refused> {
        let mut parser = Parser {
            text,
            at: 0,
            open: 0,
            depth: 0,
            repeats: false,
        };
        parser.space();
        let value = parser.value()?;
        parser.space();
        if parser.at < text.len() {
            return Err(Refused::Malformed);
        }
        Ok(Self {
            value,
            depth: parser.depth,
            repeats: parser.repeats,
        })
    }
}

impl PartialEq for Value<'_> {
    /// Numbers are equal if they are written alike; of repeated members the last one counts.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => last_wins(a) == last_wins(b),
            _ => false,
        }
    }
}

fn last_wins<'v>(members: &'v [Member<'_>]) -> BTreeMap<&'v Text<'v>, &'v Value<'v>> {
    members
        .iter()
        .map(|member| (&member.key, &member.value))
        .collect()
}

impl Text<'_> {
    /// The characters, if they are characters.
    pub fn chars(&self) -> Option<&str> {
        match self {
            Self::Chars(text) => Some(text),
            Self::Units(_) => None,
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    open: usize,
    depth: usize,
    repeats: bool,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Value<'a>, Refused> {
        Ok(match self.peek() {
            Some(b'n') => self.word("null").map(|()| Value::Null)?,
            Some(b't') => self.word("true").map(|()| Value::Bool(true))?,
            Some(b'f') => self.word("false").map(|()| Value::Bool(false))?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'[') => self.container(b']', Self::array)?,
            Some(b'{') => self.container(b'}', Self::object)?,
            _ => Value::Number(self.number()?),
        })
    }

    /// Passes a container, whose inside `inner` reads unless it is empty.
    fn container(
        &mut self,
        close: u8,
        inner: fn(&mut Self) -> Result<Value<'a>, Refused>,
    ) -> Result<Value<'a>, Refused> {
        self.at += 1;
        self.open += 1;
        self.depth = self.depth.max(self.open);
        if self.open > DEPTH {
            return Err(Refused::Deep);
        }
        self.space();
        let value = if self.eat(close) {
            match close {
                b']' => Value::Array(Vec::new()),
                _ => Value::Object(Vec::new()),
            }
        } else {
            inner(self)?
        };
        self.open -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value<'a>, Refused> {
        let mut values = Vec::new();
        loop {
            self.space();
            values.push(self.value()?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::Array(values));
            }
            self.need(b',')?;
        }
    }

    fn object(&mut self) -> Result<Value<'a>, Refused> {
        let mut members = Vec::new();
        loop {
            self.space();
            members.push(self.member()?);
            self.space();
            if self.eat(b'}') {
                break;
            }
            self.need(b',')?;
        }
        self.repeats |= last_wins(&members).len() < members.len();
        Ok(Value::Object(members))
    }

    fn member(&mut self) -> Result<Member<'a>, Refused> {
        let start = self.at;
        let key = self.string()?;
        self.space();
        self.need(b':')?;
        self.space();
        let from = self.at;
        let value = self.value()?;
        let raw = self.text.get(from..self.at).ok_or(Refused::Malformed)?;
        Ok(Member {
            key,
            value,
            start,
            raw,
        })
    }

    fn number(&mut self) -> Result<&'a str, Refused> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(Refused::Malformed)
    }

    fn digits(&mut self) -> Result<(), Refused> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(Refused::Malformed);
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Text<'a>, Refused> {
        self.need(b'"')?;
        let start = self.at;
        let mut escapes = false;
        loop {
            match self.peek().ok_or(Refused::Malformed)? {
                b'"' => break,
                b'\\' => {
                    escapes = true;
                    self.at += 2;
                }
                ..b' ' => return Err(Refused::Malformed),
                _ => self.at += 1,
            }
        }
        let raw = self.text.get(start..self.at).ok_or(Refused::Malformed)?;
        self.at += 1;
        if escapes {
            decode(raw)
        } else {
            Ok(Text::Chars(raw.into()))
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Refused> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Refused::Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn need(&mut self, byte: u8) -> Result<(), Refused> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(Refused::Malformed)
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// What a string with escapes means.
fn decode(raw: &str) -> Result<Text<'static>, Refused> {
    let mut units = Vec::new();
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
            continue;
        }
        let unit = match chars.next().ok_or(Refused::Malformed)? {
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => hex(&mut chars)?,
            plain @ ('"' | '\\' | '/') => plain as u16,
            _ => return Err(Refused::Malformed),
        };
        units.push(unit);
    }
    Ok(String::from_utf16(&units)
        .map_or_else(|_| Text::Units(units), |text| Text::Chars(text.into())))
}

/// The value of four hexadecimal digits.
fn hex(chars: &mut std::str::Chars<'_>) -> Result<u16, Refused> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|char| char.to_digit(16));
        unit = unit << 4 | digit.ok_or(Refused::Malformed)? as u16;
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::{Document, Refused};

    fn same(a: &str, b: &str) -> bool {
        Document::parse(a).unwrap().value == Document::parse(b).unwrap().value
    }

    #[test]
    fn equal_is_what_means_the_same() {
        assert!(same(
            r#"{"a":1,"b":[]}"#,
            "{ \"b\" : [ ] ,\t\"\\u0061\":1}\r\n"
        ));
        assert!(same(r#"{"a":1,"a":2}"#, r#"{"a":2}"#));
        assert!(same(r#""\ud83d\ude00\/""#, "\"\u{1f600}/\""));
        assert!(same(r#""\ud83d""#, r#""\uD83D""#));
        assert!(!same("1", "1.0"));
        assert!(!same(r#""\ud83d""#, r#""\ude00""#));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("{}", "[]"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "nul",
            "[1]]",
            "{1:2}",
            "\"a\\",
            "--1",
        ] {
            assert_eq!(
                Document::parse(text).err(),
                Some(Refused::Malformed),
                "{text}"
            );
        }
        let deep = "[".repeat(300);
        assert_eq!(Document::parse(&deep).err(), Some(Refused::Deep));
    }

    #[test]
    fn depth_and_repeats_are_noticed() {
        let document = Document::parse(r#"[{"a":[],"b":{"c":1,"c":2}}]"#).unwrap();
        assert_eq!((document.depth, document.repeats), (3, true));
    }
}
