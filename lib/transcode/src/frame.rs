//! Frames of the gateway, `{"t":…,"s":…,"op":…,"d":…}`: their heads, and where the payload is.

use std::borrow::Cow;

use crate::error::{Error, Fault, Member, Reason};
use crate::scan::{self, Next, behind, space};

/// The head of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// The opcode.
    pub op: u32,
    /// The sequence number, which only events have.
    pub sequence: Option<u64>,
    /// The event's name, which only events have.
    pub name: Option<Cow<'a, str>>,
    /// The payload.
    pub payload: Payload<'a>,
}

/// A payload within its frame, or alone.
///
/// A frame's last member need not be read to find its end. So where `d` comes last, as Discord
/// sends it, the payload is read only once, by whatever makes use of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload<'a> {
    text: &'a str,
    start: usize,
    end: End,
}

/// Where a payload ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Here; it has been read and is JSON.
    Known(usize),
    /// Before the end of a frame whose other members have been read.
    Frame,
    /// With the text.
    Text,
}

impl<'a> Frame<'a> {
    /// Reads a frame's members up to the payload, and past it if something has not come yet.
    ///
    /// # Errors
    ///
    /// If that much is not JSON, not a frame, or has a member twice. That the payload is sound is
    /// not said yet.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        if let Some(frame) = Self::usual(text) {
            return Ok(frame);
        }
        let mut head = Head {
            text,
            ..Head::default()
        };
        if head.members().is_none() {
            let found = head.wrong.or_else(|| head.fault.error(text.len()));
            return Err(found.unwrap_or(Error::Malformed { at: text.len() }));
        }
        if head.seen & OP == 0 {
            return Err(Error::Frame { member: Member::Op });
        }
        let payload = head.payload.unwrap_or(Payload::new("null"));
        Ok(Self {
            op: head.op,
            sequence: head.sequence,
            name: head.name,
            payload,
        })
    }

    /// An event in just the form that Discord uses. `None` says nothing but that it isn't.
    #[inline]
    fn usual(text: &'a str) -> Option<Self> {
        let rest = text.as_bytes().strip_prefix(br#"{"t":""#)?;
        let behind = scan::plain(rest);
        let name = text.get(6..6 + rest.len() - behind.len())?;
        let rest = behind.strip_prefix(br#"","s":"#)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=18).contains(&digits) || (digits > 1 && rest[0] == b'0') {
            return None;
        }
        let (number, rest) = rest.split_at(digits);
        let sequence = number
            .iter()
            .fold(0, |all, digit| all * 10 + u64::from(digit - b'0'));
        let rest = rest.strip_prefix(br#","op":0,"d":"#)?;
        let start = text.len() - rest.len();
        // White space before the payload is not usual either.
        rest.first().filter(|byte| **byte > b' ')?;
        let payload = Payload {
            text,
            start,
            end: End::Frame,
        };
        Some(Self {
            op: 0,
            sequence: Some(sequence),
            name: Some(Cow::Borrowed(name)),
            payload,
        })
    }
}

impl<'a> Payload<'a> {
    /// A payload that is all of `text`.
    pub fn new(text: &'a str) -> Self {
        let start = text.len() - space(text.as_bytes()).len();
        Self {
            text,
            start,
            end: End::Text,
        }
    }

    /// The payload's text.
    ///
    /// # Errors
    ///
    /// If it, or what follows it in its frame, is not JSON.
    pub fn text(&self) -> Result<&'a str, Error> {
        let end = match self.end {
            End::Known(end) => end,
            End::Frame | End::Text => {
                let mut fault = Fault::default();
                let rest = behind(self.text.as_bytes(), self.start);
                let end = scan::skip(rest, 0, &mut fault).map(|rest| self.text.len() - rest.len());
                end.ok_or_else(|| self.error(fault))?
            }
        };
        self.until(end)
    }

    /// The payload's text, whose end has turned out to be at `end`. What follows is checked.
    pub(crate) fn until(&self, end: usize) -> Result<&'a str, Error> {
        self.finish(end)?;
        self.text
            .get(self.start..end)
            .ok_or(Error::Malformed { at: end })
    }

    /// All that came where the payload should be, when `text` fails.
    pub(crate) fn remains(&self) -> &'a str {
        let rest = self.text.get(self.start..).unwrap_or_default();
        match self.end {
            End::Frame => rest.strip_suffix('}').unwrap_or(rest),
            End::Known(_) | End::Text => rest,
        }
    }

    /// The text that the payload is part of, and where it begins.
    pub(crate) fn source(&self) -> (&'a str, usize) {
        (self.text, self.start)
    }

    /// Checks what follows the payload, which has turned out to end at `end`.
    #[inline]
    pub(crate) fn finish(&self, end: usize) -> Result<(), Error> {
        let rest = behind(self.text.as_bytes(), end);
        match (self.end, rest) {
            (End::Known(_), _) | (End::Frame, b"}") | (End::Text, b"") => Ok(()),
            (End::Frame, rest) => {
                let mut fault = Fault::default();
                finish_frame(self.text, rest, &mut fault).ok_or_else(|| self.error(fault))
            }
            (End::Text, rest) => {
                let mut fault = Fault::default();
                at_end(rest, &mut fault).ok_or_else(|| self.error(fault))
            }
        }
    }

    fn error(&self, fault: Fault) -> Error {
        fault.error(self.text.len()).unwrap_or(Error::Malformed {
            at: self.text.len(),
        })
    }
}

/// What of a frame has been read.
#[derive(Debug, Default)]
struct Head<'a> {
    text: &'a str,
    /// The bits of the members that have come.
    seen: u8,
    op: u32,
    sequence: Option<u64>,
    name: Option<Cow<'a, str>>,
    payload: Option<Payload<'a>>,
    fault: Fault,
    /// A member of the wrong type.
    wrong: Option<Error>,
}

const DATA: u8 = 1;
const OP: u8 = 2;
const SEQUENCE: u8 = 4;
const NAME: u8 = 8;

impl<'a> Head<'a> {
    /// Reads members until only the payload is left, or to the end.
    fn members(&mut self) -> Option<()> {
        let [b'{', rest @ ..] = space(self.text.as_bytes()) else {
            return self.fault.malformed(space(self.text.as_bytes()));
        };
        let mut rest = space(rest);
        if let [b'}', rest @ ..] = rest {
            return at_end(rest, &mut self.fault);
        }
        loop {
            let (member, value) = key(self.text, rest, &mut self.fault)?;
            let bit = member.map_or(0, bit);
            if self.seen & bit != 0 {
                return self.fault.set(Reason::Duplicate, rest);
            }
            if bit == DATA && self.seen == OP | SEQUENCE | NAME {
                let start = self.at(value);
                self.payload = Some(Payload {
                    text: self.text,
                    start,
                    end: End::Frame,
                });
                return Some(());
            }
            self.seen |= bit;
            let behind = scan::skip(value, 1, &mut self.fault)?;
            if let Some(member) = member {
                self.read(member, self.at(value), self.at(behind))?;
            }
            match scan::next(behind, b'}', &mut self.fault)? {
                Next::More(behind) => rest = behind,
                Next::Closed(rest) => return at_end(rest, &mut self.fault),
            }
        }
    }

    /// Reads a member, which has been found to be JSON.
    fn read(&mut self, member: Member, start: usize, end: usize) -> Option<()> {
        let token = self.text.get(start..end)?;
        let fits = match member {
            Member::Data => {
                let end = End::Known(end);
                self.payload = Some(Payload {
                    text: self.text,
                    start,
                    end,
                });
                true
            }
            Member::Op => token.parse().map(|op| self.op = op).is_ok(),
            _ if token == "null" => true,
            Member::Sequence => {
                self.sequence = token.parse().ok();
                self.sequence.is_some()
            }
            Member::Name => {
                self.name = decode(token);
                self.name.is_some()
            }
        };
        if !fits {
            self.wrong = Some(Error::Frame { member });
        }
        fits.then_some(())
    }

    fn at(&self, rest: &[u8]) -> usize {
        self.text.len() - rest.len()
    }
}

fn bit(member: Member) -> u8 {
    match member {
        Member::Data => DATA,
        Member::Op => OP,
        Member::Sequence => SEQUENCE,
        Member::Name => NAME,
    }
}

/// The members behind the payload: none of the four may come once more.
#[cold]
fn finish_frame(text: &str, mut rest: &[u8], fault: &mut Fault) -> Option<()> {
    loop {
        match scan::next(rest, b'}', fault)? {
            Next::More(behind) => rest = behind,
            Next::Closed(rest) => return at_end(rest, fault),
        }
        let (member, value) = key(text, rest, fault)?;
        if member.is_some() {
            return fault.set(Reason::Duplicate, rest);
        }
        rest = scan::skip(value, 1, fault)?;
    }
}

/// Passes a key and its colon. Returns the member that it names, and the value.
fn key<'a>(text: &str, rest: &'a [u8], fault: &mut Fault) -> Option<(Option<Member>, &'a [u8])> {
    let [b'"', name @ ..] = rest else {
        return fault.malformed(rest);
    };
    let behind = scan::string(name, fault)?;
    let name = text
        .get(text.len() - rest.len()..text.len() - behind.len())
        .and_then(decode);
    let member = match name.as_deref() {
        Some("d") => Some(Member::Data),
        Some("op") => Some(Member::Op),
        Some("s") => Some(Member::Sequence),
        Some("t") => Some(Member::Name),
        _ => None,
    };
    Some((member, scan::colon(behind, fault)?))
}

/// Nothing but white space may be left.
fn at_end(rest: &[u8], fault: &mut Fault) -> Option<()> {
    let rest = space(rest);
    if rest.is_empty() {
        Some(())
    } else {
        fault.malformed(rest)
    }
}

/// What a string means, given with its quotes. It has been checked to be JSON; `None` if it is no
/// string, or has a surrogate without its other half.
pub(crate) fn decode(quoted: &str) -> Option<Cow<'_, str>> {
    let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut left = text;
    while let Some(at) = memchr::memchr(b'\\', left.as_bytes()) {
        let (plain, escape) = left.split_at_checked(at)?;
        decoded.push_str(plain);
        let (char, behind) = scan::escaped(escape.as_bytes(), &mut Fault::default())?;
        decoded.push(char?);
        left = left.get(left.len() - behind.len()..)?;
    }
    decoded.push_str(left);
    Some(Cow::Owned(decoded))
}
