//! A JSON parser for the tests: simple, slow, and it keeps how everything was written.

use std::collections::BTreeMap;

/// A value of JSON.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Its text.
    Number(String),
    Text(Text),
    Array(Vec<Self>),
    Object(Vec<Member>),
}

/// A string: what it means, unless half a surrogate pair is missing, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: Option<String>,
    pub(crate) raw: String,
}

impl Text {
    /// What two strings that mean the same have in common.
    pub(crate) fn identity(&self) -> String {
        match &self.value {
            Some(value) => format!("={value}"),
            None => format!("?{}", self.raw),
        }
    }
}

/// A member of an object, with its text from the key's quote to the value's end.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: Text,
    pub(crate) value: Json,
    pub(crate) raw: String,
}

impl PartialEq for Json {
    /// Numbers are equal if they are written alike; of repeated members the last one counts.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a.identity() == b.identity(),
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => last_wins(a) == last_wins(b),
            _ => false,
        }
    }
}

fn last_wins(members: &[Member]) -> BTreeMap<String, &Json> {
    members
        .iter()
        .map(|member| (member.key.identity(), &member.value))
        .collect()
}

impl Json {
    /// A string that needs no escapes to be written down here.
    pub(crate) fn text(value: &str) -> Self {
        Self::Text(Text {
            value: Some(value.to_owned()),
            raw: String::new(),
        })
    }

    /// Reads all of `source`. `None` if it is not JSON.
    pub(crate) fn parse(source: &str) -> Option<Self> {
        let mut parser = Parser { source, at: 0 };
        parser.space();
        let value = parser.value()?;
        parser.space();
        (parser.at == source.len()).then_some(value)
    }
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.source[self.at..]
            .starts_with(token)
            .then(|| self.at += token.len())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<Json> {
        Some(match self.peek()? {
            'n' => self.eat("null").map(|()| Json::Null)?,
            't' => self.eat("true").map(|()| Json::Bool(true))?,
            'f' => self.eat("false").map(|()| Json::Bool(false))?,
            '"' => Json::Text(self.string()?),
            '[' => self.array()?,
            '{' => self.object()?,
            _ => Json::Number(self.number()?),
        })
    }

    fn array(&mut self) -> Option<Json> {
        let mut values = Vec::new();
        self.eat("[")?;
        self.space();
        if self.eat("]").is_some() {
            return Some(Json::Array(values));
        }
        loop {
            self.space();
            values.push(self.value()?);
            self.space();
            if self.eat("]").is_some() {
                return Some(Json::Array(values));
            }
            self.eat(",")?;
        }
    }

    fn object(&mut self) -> Option<Json> {
        let mut members = Vec::new();
        self.eat("{")?;
        self.space();
        if self.eat("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            let key = self.string()?;
            self.space();
            self.eat(":")?;
            self.space();
            let value = self.value()?;
            members.push(Member {
                key,
                value,
                raw: self.source[start..self.at].to_owned(),
            });
            self.space();
            if self.eat("}").is_some() {
                return Some(Json::Object(members));
            }
            self.eat(",")?;
        }
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        let _ = self.eat("-");
        if self.eat("0").is_none() {
            self.digits()?;
        }
        if self.eat(".").is_some() {
            self.digits()?;
        }
        if self.eat("e").or_else(|| self.eat("E")).is_some() {
            let _ = self.eat("+").or_else(|| self.eat("-"));
            self.digits()?;
        }
        Some(self.source[start..self.at].to_owned())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<Text> {
        let start = self.at;
        self.eat("\"")?;
        let mut units: Vec<u16> = Vec::new();
        loop {
            match self.next()? {
                '"' => break,
                '\\' => units.push(self.escape()?),
                char if char < ' ' => return None,
                char => units.extend(char.encode_utf16(&mut [0; 2]).iter()),
            }
        }
        let raw = self.source[start..self.at].to_owned();
        Some(Text {
            value: String::from_utf16(&units).ok(),
            raw,
        })
    }

    fn escape(&mut self) -> Option<u16> {
        Some(match self.next()? {
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'u' => {
                let digits = self.source.get(self.at..self.at + 4)?;
                if !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                self.at += 4;
                u16::from_str_radix(digits, 16).ok()?
            }
            plain @ ('"' | '\\' | '/') => plain as u16,
            _ => return None,
        })
    }
}
